"""What the exercises of the notebooks import: their checks, and the decorator of their solutions."""

from toposlearn.course.answers import unless_answered
from toposlearn.course.check_data import check_null_time, check_voxel_to_world
from toposlearn.course.check_inter import check_mutual_matches, check_partial_ranking
from toposlearn.course.check_intra import check_k_nearest, check_tokens_from_map, check_triplet_hinge
from toposlearn.course.check_kept import check_share_kept
from toposlearn.course.check_position import check_error_after_move
from toposlearn.course.check_tokens import check_same_home
from toposlearn.course.check_topology import check_medial_margin
from toposlearn.course.check_total import check_total_loss

__all__ = [
    "check_error_after_move",
    "check_k_nearest",
    "check_medial_margin",
    "check_mutual_matches",
    "check_null_time",
    "check_partial_ranking",
    "check_same_home",
    "check_share_kept",
    "check_tokens_from_map",
    "check_total_loss",
    "check_triplet_hinge",
    "check_voxel_to_world",
    "unless_answered",
]
