import pytest
import torch

from toposlearn.course.check_position import check_error_after_move


def solution(matches, places, shift):
    kept = matches >= 0
    return (places[matches[kept]] - places[kept] - shift).norm(dim=1).mean()


def off(matches, places, shift):
    kept = matches >= 0
    return places[matches[kept]] - places[kept] - shift


def test_a_right_solution_passes():
    assert check_error_after_move(solution).startswith("Right.")
    assert check_error_after_move(lambda m, p, s: float(solution(m, p, s))).startswith("Right.")


MISTAKES = [
    (lambda m, p, s: solution(m, p, 0 * s), "shift is missing"),
    (lambda m, p, s: solution(m, p, -s), "wrong sign"),
    (lambda m, p, s: (p[m] - p - s).norm(dim=1).mean(), "without a match are counted"),
    (lambda m, p, s: off(m, p, s).mean(0).norm(), "errors to the left and to the right cancel"),
    (lambda m, p, s: off(m, p, s).abs().mean(), "averages over the three axes"),
    (lambda m, p, s: off(m, p, s).square().sum(1).mean(), "squared distances"),
    (lambda m, p, s: off(m, p, s).norm(dim=1), "error of each token"),
    (lambda m, p, s: None, "returns nothing"),
    (lambda m, p, s: torch.tensor(3.0), "1 of 1 values differ"),
    (lambda m, p, s: solution(m, p, s) if (m < 0).any() else s.sum(), "error of a code for position"),
]


@pytest.mark.parametrize(("wrong", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_a_typical_mistake_gets_its_own_message(wrong, message):
    with pytest.raises(AssertionError, match=message):
        check_error_after_move(wrong)
