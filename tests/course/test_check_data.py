import numpy as np
import pytest
from nibabel.affines import apply_affine

from toposlearn.cohort.contrast import Sequence, signal
from toposlearn.course.check_data import check_null_time, check_voxel_to_world


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


def null_time(t1: float, repetition: float) -> float:
    return float(t1 * np.log(2 / (1 + np.exp(-repetition / t1))))


def test_the_right_time_passes_and_gives_no_signal() -> None:
    assert check_null_time(null_time).startswith("Right.")
    timed = Sequence(6000.0, 10.0, null_time(4200.0, 6000.0))
    assert signal(timed, *np.array([[4200.0], [1600.0], [1.0]])) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda t1, tr: None, "returns nothing"),
        (lambda t1, tr: ..., "expected one number"),
        (lambda t1, tr: np.array([1.0, 2.0]), "expected one number"),
        (lambda t1, tr: t1 * np.log(2), "TR is very long"),
        (lambda t1, tr: -null_time(t1, tr), "sign is turned"),
        (lambda t1, tr: null_time(t1, tr) / np.log(10), "base 10"),
        (lambda t1, tr: null_time(t1, tr) / np.log(2), "base 2"),
        (lambda t1, tr: t1 * np.log(2 / (1 - np.exp(-tr / t1))), "with a plus"),
        (lambda t1, tr: null_time(t1, tr) / t1, "T1 is missing"),
        (lambda t1, tr: -t1 * np.log(1 + np.exp(-tr / t1)), "factor 2"),
        (lambda t1, tr: null_time(t1, tr) / 1000, "seconds"),
        (lambda t1, tr: null_time(tr, t1), "solve for TI"),
    ],
)
def test_usual_mistakes_about_the_null_get_their_hint(wrong: object, hint: str) -> None:
    with pytest.raises(AssertionError, match=hint):
        check_null_time(wrong)  # type: ignore[arg-type]
