"""What the exercises of the notebooks import: their checks, and the decorator of their solutions."""

from toposlearn.course.answers import unless_answered
from toposlearn.course.checks.data import check_null_time, check_voxel_to_world
from toposlearn.course.checks.inter import check_mutual_matches, check_partial_ranking
from toposlearn.course.checks.intra import check_k_nearest, check_tokens_from_map, check_triplet_hinge
from toposlearn.course.checks.kept import check_share_kept
from toposlearn.course.checks.position import check_error_after_move
from toposlearn.course.checks.tokens import check_same_home
from toposlearn.course.checks.topology import check_medial_margin
from toposlearn.course.checks.total import check_total_loss

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
