"""Who is next to whom, for structures and for tokens. "Topology" here means neighborhood order, not homology."""

from toposlearn.topology.correspondence import (
    gate_matches,
    invert_matches,
    mutual_matches,
    nearest_matches,
    random_matches,
)
from toposlearn.topology.distances import pairwise_distance
from toposlearn.topology.neighbors import nearest_neighbors, sample_negatives, semi_hard_negatives
from toposlearn.topology.preservation import (
    correspondence_error,
    effective_rank,
    floor_error,
    match_error,
    matched_fraction,
    neighbor_distance,
    neighbor_overlap,
)
from toposlearn.topology.tokens import centered_positions, scrambled_tokens, token_mask, tokens_from_map
from toposlearn.topology.transport import sinkhorn_matches

__all__ = [
    "centered_positions",
    "correspondence_error",
    "effective_rank",
    "floor_error",
    "gate_matches",
    "invert_matches",
    "match_error",
    "matched_fraction",
    "mutual_matches",
    "nearest_matches",
    "nearest_neighbors",
    "neighbor_distance",
    "neighbor_overlap",
    "pairwise_distance",
    "random_matches",
    "sample_negatives",
    "scrambled_tokens",
    "semi_hard_negatives",
    "sinkhorn_matches",
    "token_mask",
    "tokens_from_map",
]
