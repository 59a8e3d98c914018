"""Who is next to whom, for structures and for tokens. "Topology" here means neighborhood order, not homology."""

from toposlearn.topology.accuracy import (
    correspondence_error,
    floor_error,
    match_error,
    match_precision,
    matched_fraction,
)
from toposlearn.topology.correspondence import (
    gate_matches,
    invert_matches,
    mutual_matches,
    nearest_matches,
    random_matches,
)
from toposlearn.topology.distances import pairwise_distance
from toposlearn.topology.neighbors import nearest_neighbors, sample_negatives, semi_hard_negatives
from toposlearn.topology.position import position_r2
from toposlearn.topology.preservation import (
    continuity,
    kernel_alignment,
    neighbor_distance,
    neighbor_overlap,
    rank_correlation,
    trustworthiness,
)
from toposlearn.topology.spread import collapse, effective_rank
from toposlearn.topology.tokens import centered_positions, scrambled_tokens, token_mask, tokens_from_map
from toposlearn.topology.transport import sinkhorn_matches

__all__ = [
    "centered_positions",
    "collapse",
    "continuity",
    "correspondence_error",
    "effective_rank",
    "floor_error",
    "gate_matches",
    "invert_matches",
    "kernel_alignment",
    "match_error",
    "match_precision",
    "matched_fraction",
    "mutual_matches",
    "nearest_matches",
    "nearest_neighbors",
    "neighbor_distance",
    "neighbor_overlap",
    "pairwise_distance",
    "position_r2",
    "random_matches",
    "rank_correlation",
    "sample_negatives",
    "scrambled_tokens",
    "semi_hard_negatives",
    "sinkhorn_matches",
    "token_mask",
    "tokens_from_map",
    "trustworthiness",
]
