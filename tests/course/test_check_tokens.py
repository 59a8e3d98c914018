import pytest
import torch

from toposlearn.course.check_tokens import check_same_home


def solution(shares):
    homes = shares.argmax(dim=0)
    return homes[:, None] == homes[None]


def test_a_right_solution_passes():
    assert check_same_home(solution).startswith("Right.")


MISTAKES = [
    (lambda p: p.argmax(dim=0), "these are the homes themselves"),
    (lambda p: ~solution(p), "where two homes differ"),
    (lambda p: solution(p) & ~torch.eye(p.shape[1]).bool(), "the diagonal is True"),
    (lambda p: solution(p.T), "largest in each token"),
    (lambda p: ((p > 0)[:, :, None] & (p > 0)[:, None]).any(dim=0), "holds a bit of both"),
    (lambda p: solution(p)[0], "expected the shape"),
    (lambda p: None, "returns nothing"),
]


@pytest.mark.parametrize(("wrong", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_a_typical_mistake_gets_its_own_message(wrong, message):
    with pytest.raises(AssertionError, match=message):
        check_same_home(wrong)
