import numpy as np
import pytest
from nibabel.affines import apply_affine

from toposlearn.course.check_data import check_voxel_to_world


def test_the_right_answer_passes() -> None:
    assert check_voxel_to_world(lambda voxels, affine: apply_affine(affine, voxels)).startswith("Right.")


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda v, a: None, "returns nothing"),
        (lambda v, a: ..., "expected numbers"),
        (lambda v, a: v @ a[:3, :3].T, "origin is missing"),
        (lambda v, a: v @ a[:3, :3] + a[:3, 3], "matrix is turned"),
        (lambda v, a: v * np.linalg.norm(a[:3, :3], axis=0) + a[:3, 3], "voxel size only"),
        (lambda v, a: v * np.diag(a)[:3] + a[:3, 3], "only the diagonal"),
        (lambda v, a: np.c_[v, np.ones(len(v))] @ a.T, "fourth column"),
        (lambda v, a: apply_affine(np.linalg.inv(a), v), "way back"),
        (lambda v, a: apply_affine(a, v).T, "one row a voxel"),
        (lambda v, a: v[0], r"expected the shape \(7, 3\)"),
        (lambda v, a: v, "first voxel lies at"),
    ],
)
def test_usual_mistakes_get_their_hint(wrong: object, hint: str) -> None:
    with pytest.raises(AssertionError, match=hint):
        check_voxel_to_world(wrong)  # type: ignore[arg-type]
