"""The check of the exercise on structures and tokens: which structures share a home, and the usual mistakes.

`shares` (N, S) is the part of each of N tokens that each of S structures fills; the home of a structure is the token
that holds most of it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from toposlearn.course.checks.judge import Check, Inputs


def _cases() -> dict[str, Inputs]:
    """Shares (5, 4): the third structure is never the largest in its home, the first lies in two tokens."""
    shares = [
        [0.30, 0.00, 0.00, 0.05],
        [0.40, 0.00, 0.25, 0.00],
        [0.00, 0.60, 0.10, 0.00],
        [0.00, 0.20, 0.00, 0.35],
        [0.00, 0.00, 0.00, 0.00],
    ]
    return {"": (torch.tensor(shares),)}


def _draw(rng: np.random.Generator) -> Inputs:
    """More structures than tokens, so that homes are shared; no two shares are alike."""
    tokens, structures = rng.integers(2, 6), rng.integers(5, 10)
    shares = rng.permutation(tokens * structures).reshape(tokens, structures) + 1.0
    return (torch.from_numpy(shares / shares.sum()).float(),)


def _alike(homes: Tensor) -> Tensor:
    return homes[:, None] == homes[None]


def _home(shares: Tensor) -> Tensor:
    return shares.argmax(dim=0)


check_same_home = Check(
    "same home",
    right=lambda shares: _alike(_home(shares)),
    cases=_cases,
    draw=_draw,
    mistakes={
        "these are the homes themselves: compare each with each (hint: `homes[:, None] == homes[None]`).": _home,
        "this is True where two homes differ: it should be where they are the same.": lambda shares: (
            ~_alike(_home(shares))
        ),
        "a structure has the same home as itself: the diagonal is True.": lambda shares: (
            _alike(_home(shares)) & ~torch.eye(shares.shape[1]).bool()
        ),
        "this asks which structure is largest in each token (N tokens): the home is the token that holds most of a "
        "structure (hint: `argmax(dim=0)`).": lambda shares: _alike(shares.argmax(dim=1)),
        "this is True where any token holds a bit of both: only the token that holds most of each counts.": (
            lambda shares: ((shares > 0)[:, :, None] & (shares > 0)[:, None, :]).any(dim=0)
        ),
        "this is the token that holds *least* of a structure (hint: `argmax`, not `argmin`).": lambda shares: _alike(
            shares.argmin(dim=0)
        ),
        "the shares are compared: compare *which* token holds most of each (hint: `argmax`).": lambda shares: _alike(
            shares.max(dim=0).values
        ),
        "each home is compared with itself: compare each with each (hint: `homes[:, None] == homes[None]`).": (
            lambda shares: torch.ones(shares.shape[1], dtype=torch.bool)
        ),
        "everything is True: `homes == homes` compares each with itself (hint: `homes[:, None] == homes[None]`).": (
            lambda shares: torch.ones(shares.shape[1], shares.shape[1], dtype=torch.bool)
        ),
        "the lower triangle is missing: if a shares a home with b, b shares it with a.": lambda shares: _alike(
            _home(shares)
        ).triu(),
        "the lower triangle and the diagonal are missing: each pair counts both ways, each structure with itself.": (
            lambda shares: _alike(_home(shares)).triu(1)
        ),
        "this is the difference of two homes: it is to be True where there is none (hint: `==`).": lambda shares: (
            _home(shares)[:, None] - _home(shares)[None]
        ),
    },
    meaning="Where two share a home, a loss reads one feature for both.",
)
