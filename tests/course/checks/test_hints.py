"""Exceptions that PyTorch, NumPy and Python really raise, and the cause that is named for each."""

import math

import numpy as np
import pytest
import torch

from toposlearn.course.checks.ask import read_hints, usual_cause

D, X, A = torch.rand(2, 5, 5), torch.rand(2, 3), np.ones((7, 3))
PAIR = tuple(torch.ones(2, requires_grad=True))
UNKNOWN: dict = {}


def recursive():
    return recursive()


def unbound():
    if A.size < 0:
        value = 1
    return value


RAISED = [
    (lambda: np_ + 1, "misspelled"),  # noqa: F821
    (lambda: eval("np", {}), "imports"),
    (lambda: eval("relu(1)", {}), "torch.relu"),
    (lambda: eval("pairwise_distance(1)", {}), "topology.pairwise_distance"),
    (unbound, "read before it has a value"),
    (recursive, "calls itself"),
    (lambda: 1 / 0, "a count is 0"),
    (lambda: max(0, X), "look at one value"),
    (lambda: max(0, A), "look at one value"),
    (lambda: 1 if X > 0 else 0, "look at one value"),
    (lambda: np.ones((4, 4)) @ A, "do not multiply"),
    (lambda: np.dot(np.ones((4, 4)), A), "do not multiply"),
    (lambda: torch.ones(4, 4) @ torch.ones(7, 3), "do not multiply"),
    (lambda: torch.ones(2, 4, 5) @ torch.ones(2, 4, 5), "do not multiply"),
    (lambda: torch.mm(D, D), "do not multiply"),
    (lambda: torch.einsum("ij,jk->ik", torch.ones(4, 4), torch.ones(7, 3)), "do not multiply"),
    (lambda: D.clone().fill_diagonal_(1.0), "fill_diagonal_"),
    (lambda: X + torch.ones(4), "entry by entry"),
    (lambda: A + np.ones(4), "entry by entry"),
    (lambda: torch.ones(3).expand(2, 4), "entry by entry"),
    (lambda: D.transpose(1, 2).view(2, 25), "`view`"),
    (lambda: D.reshape(7, 3), "another number of values"),
    (lambda: A.reshape(5, 5), "another number of values"),
    (lambda: torch.cat([torch.ones(2, 3), torch.ones(3, 2)]), "put together"),
    (lambda: torch.stack([torch.ones(2), torch.ones(3)]), "put together"),
    (lambda: np.concatenate([A, np.ones(7)], axis=1), "put together"),
    (lambda: D.permute(0, 1), "every axis once"),
    (lambda: torch.zeros(2, 15)[torch.full((2, 15), 9)], "`x.gather(1, index)`"),
    (lambda: X[torch.tensor([0.0, 1.0])], "whole numbers"),
    (lambda: A[np.array([0.0, 1.0])], "whole numbers"),
    (lambda: A[1.0], "whole numbers"),
    (lambda: X[torch.ones(3).bool()], "a mask"),
    (lambda: A[np.ones(4).astype(bool)], "a mask"),
    (lambda: X[0, 0, 0], "fewer axes"),
    (lambda: np.ones(3)[:, 0], "fewer axes"),
    (lambda: X.sum(5), "fewer axes"),
    (lambda: np.ones(3).mean(axis=1), "fewer axes"),
    (lambda: A[:, 5], "counted from 0"),
    (lambda: D.topk(9), "more neighbors"),
    (lambda: D.gather(1, torch.zeros(2, 3).long()), "`gather`"),
    (lambda: D.gather(1, torch.zeros(2, 3, 3)), "`gather` takes whole numbers"),
    (lambda: torch.mean(PAIR), "each term is a pair"),
    (lambda: PAIR.mean(), "each term is a pair"),
    (lambda: PAIR + 1.0, "each term is a pair"),
    (lambda: 10.0 * PAIR, "each term is a pair"),
    (lambda: PAIR / 2, "each term is a pair"),
    (lambda: PAIR[0] * PAIR, "one whole number"),
    (lambda: range(1.5), "one whole number"),
    (lambda: np.mean(PAIR), "stay with one library"),
    (lambda: X.item(), "stay with one library"),
    (lambda: float(X), "stay with one library"),
    (lambda: math.log(A), "stay with one library"),
    (lambda: torch.relu(A), "wants a tensor"),
    (lambda: torch.relu(1.0), "wants a tensor"),
    (lambda: torch.max(0, X), "wants a tensor"),
    (lambda: torch.maximum(X, 0), "wants a tensor"),
    (lambda: X.sum(foo=1), "an argument is misspelled"),
    (lambda: torch.stack(X, X), "`torch.stack`"),
    (lambda: torch.stack([1.0, 2.0]), "`torch.stack`"),
    (lambda: (X > 0).mean(), "`.float()`"),
    (lambda: (X > 0) - (X > 1), "true and false"),
    (lambda: (A > 0) - (A > 1), "true and false"),
    (lambda: -(X > 0), "true and false"),
    (lambda: ~X, "true and false"),
    (lambda: torch.where(X, 0, 1), "true and false"),
    (lambda: torch.ones(2, 2) @ torch.ones(2, 2).double(), "two kinds of numbers"),
    (lambda: torch.zeros(3).long().fill_(torch.inf), "no whole numbers"),
    (lambda: torch.ones(1, requires_grad=True).add_(1), "in place"),
    (lambda: math.exp(1e6), "exponent"),
    (lambda: math.log(-1), "negative number"),
    (lambda: (lambda a: a)(1, 2), "just the arguments"),
    (lambda: (lambda a, b: a)(1), "just the arguments"),
    (lambda: UNKNOWN.get("x")(0), "the name before the bracket"),
    (lambda: X(0), "picked with"),
    (lambda: UNKNOWN.get("x") * 2.0, "gives nothing"),
    (lambda: UNKNOWN.get("x").mean(), "gives nothing"),
    (lambda: A.clamp(min=0), "belongs to PyTorch"),
    (lambda: X.astype(int), "belongs to NumPy"),
    (lambda: (1.0).clamp(min=0), "plain number"),
    (lambda: torch.rellu, "misspelled"),
    (lambda: exec("a, b = 1, 2, 3"), "as many names"),
    (lambda: UNKNOWN["x"], None),
]


@pytest.mark.parametrize(("stop", "cause"), RAISED, ids=[f"{i}-{cause}" for i, (_, cause) in enumerate(RAISED)])
def test_an_exception_has_its_usual_cause(stop, cause):
    with pytest.raises(Exception) as raised:  # noqa: PT011
        stop()
    named = usual_cause(raised.value)
    assert (named is None) if cause is None else (cause in (named or "")), f"{raised.value!r}: {named}"


def test_every_cause_of_the_table_is_met_or_stands_for_a_stub():
    errors = []
    for stop, _ in RAISED:
        try:
            stop()
        except Exception as error:
            errors.append(error)
    met = {usual_cause(error) for error in [*errors, NotImplementedError("your turn")]}
    assert [cause for cause, _ in read_hints("exceptions") if "{0}" not in cause and cause not in met] == []
