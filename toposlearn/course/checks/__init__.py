"""What the exercises of the notebooks import: their checks, and the decorator of their solutions."""

from toposlearn.course.checks.answers import unless_answered
from toposlearn.course.checks.losses import (
    check_partial_ranking,
    check_place_weights,
    check_total_loss,
    check_triplet_hinge,
)
from toposlearn.course.checks.scans import check_medial_margin, check_null_time, check_share_kept, check_voxel_to_world
from toposlearn.course.checks.tokens import (
    check_error_after_move,
    check_expected_place,
    check_k_nearest,
    check_mutual_matches,
    check_same_home,
    check_tokens_from_map,
)
