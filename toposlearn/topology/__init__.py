"""Neighborhoods and matches of tokens. "Topology" here means neighborhood order, not homology."""

from toposlearn.topology.correspondence import (
    correspondence_error,
    floor_error,
    gate_matches,
    match_error,
    match_precision,
    matched_fraction,
    mutual_matches,
    nearest_matches,
    random_matches,
)
from toposlearn.topology.distances import pairwise_distance
from toposlearn.topology.neighbors import nearest_neighbors, sample_negatives
from toposlearn.topology.readout import at_points, best_place, fit_weights, soft_argmax
from toposlearn.topology.representation import (
    collapse,
    continuity,
    effective_rank,
    kernel_alignment,
    neighbor_distance,
    neighbor_overlap,
    position_r2,
    rank_correlation,
    trustworthiness,
)
from toposlearn.topology.tokens import centered_positions, scrambled_tokens, token_mask, tokens_from_map
