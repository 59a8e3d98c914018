import numpy as np
import pytest

from toposlearn.course.check_kept import check_share_kept


def solution(before, after, least):
    decided = np.abs(before) > least
    return (np.sign(before) == np.sign(after))[decided].mean()


def test_a_right_solution_passes():
    assert check_share_kept(solution).startswith("Right.")
    assert check_share_kept(lambda b, a, least: float(solution(b, a, least))).startswith("Right.")


def same(before, after):
    return np.sign(before) == np.sign(after)


MISTAKES = [
    (lambda b, a, least: same(b, a).mean(), "does not decide are counted"),
    (lambda b, a, least: ((b > least) & (a > 0)).sum() / (np.abs(b) > least).sum(), "compare signs"),
    (lambda b, a, least: (a > 0)[b > least].mean(), "negative margin are decided as well"),
    (lambda b, a, least: (same(b, a) & (np.abs(a) > least))[np.abs(b) > least].mean(), "got small has not turned"),
    (lambda b, a, least: same(b, a)[np.abs(b) > least].sum(), "this is how many"),
    (lambda b, a, least: (same(b, a) & (np.abs(b) > least)).mean(), "divides by all"),
    (lambda b, a, least: 1 - solution(b, a, least), "share that broke"),
    (lambda b, a, least: None, "returns nothing"),
    (lambda b, a, least: 0.123, "1 of 1 values differ"),
    (lambda b, a, least: solution(b, a, least) if (a != b).any() else 0.5, "when nothing changes"),
]


@pytest.mark.parametrize(("wrong", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_a_typical_mistake_gets_its_own_message(wrong, message):
    with pytest.raises(AssertionError, match=message):
        check_share_kept(wrong)
