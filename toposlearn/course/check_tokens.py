"""The check of the exercise on structures and tokens: which structures share a home, and the usual mistakes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from toposlearn.course.judge import judge


def check_same_home(fn: Callable[[Tensor], Tensor]) -> str:
    """``fn(shares)``: (S, S) bool, True where two structures have one home.

    `shares` (N, S) is the part of each of N tokens that each of S structures fills; the home of a structure is the
    token that holds most of it.
    """
    shares = _small_case()
    homes, largest, there = shares.argmax(dim=0), shares.argmax(dim=1), shares > 0
    right = homes[:, None] == homes[None]
    mistakes = {
        "these are the homes themselves: compare each with each (hint: `homes[:, None] == homes[None]`).": homes,
        "this is True where two homes differ: it should be where they are the same.": ~right,
        "a structure has the same home as itself: the diagonal is True.": right & ~torch.eye(len(right)).bool(),
        "this asks which structure is largest in each token (N tokens): the home is the token that holds most of a "
        "structure (hint: `argmax(dim=0)`).": largest[:, None] == largest[None],
        "this is True where any token holds a bit of both: only the token that holds most of each counts.": (
            (there[:, :, None] & there[:, None, :]).any(dim=0)
        ),
    }
    meaning = "Where two share a home, a loss is handed one feature for both."
    return judge("same home", fn(shares), right, mistakes, meaning)


def _small_case() -> Tensor:
    """Shares (5, 4): the third structure is never the largest in its home, the first lies in two tokens."""
    return torch.tensor(
        [
            [0.30, 0.00, 0.00, 0.05],
            [0.40, 0.00, 0.25, 0.00],
            [0.00, 0.60, 0.10, 0.00],
            [0.00, 0.20, 0.00, 0.35],
            [0.00, 0.00, 0.00, 0.00],
        ]
    )
