import numpy as np
import pytest

from toposlearn.course.check_topology import check_medial_margin


def test_the_right_answer_passes() -> None:
    assert check_medial_margin(lambda a, b: np.abs(b[:, 0]).mean() - np.abs(a[:, 0]).mean()).startswith("Right.")


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda a, b: ..., "expected one number|returns nothing"),
        (lambda a, b: None, "returns nothing"),
        (lambda a, b: np.abs(a[:, 0]).mean() - np.abs(b[:, 0]).mean(), "sign is turned"),
        (lambda a, b: b[:, 0].mean() - a[:, 0].mean(), "absolute value"),
        (lambda a, b: abs(b[:, 0].mean()) - abs(a[:, 0].mean()), "absolute value|cancels"),
        (lambda a, b: np.linalg.norm(b, axis=1).mean() - np.linalg.norm(a, axis=1).mean(), "first coordinate only"),
        (lambda a, b: np.abs(b).mean() - np.abs(a).mean(), "all three coordinates"),
        (lambda a, b: np.abs(b).mean(axis=0) - np.abs(a).mean(axis=0), r"shape \(3,\)"),
        (lambda a, b: 1.0, "expected 1"),
    ],
)
def test_usual_mistakes_get_their_hint(wrong: object, hint: str) -> None:
    with pytest.raises(AssertionError, match=hint):
        check_medial_margin(wrong)  # type: ignore[arg-type]
