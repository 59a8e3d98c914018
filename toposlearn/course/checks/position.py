"""The check of the exercise on position: the error of matches after a move that is known, and the usual mistakes.

`matches` (N,) are indices of tokens of the moved volume, or -1; `places` (N, 3) mm, the same grid for both volumes; the
head was moved by `shift` (3,) mm, so that what lay at a place p lies at p + shift now.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from toposlearn.course.checks.judge import Check, Inputs


def _cases() -> dict[str, Inputs]:
    """2 x 2 x 2 tokens of 24 mm; two have no match, one has token 0; the shift is no multiple of a token."""
    axis, shift = torch.tensor([-12.0, 12.0]), torch.tensor([9.0, -15.0, 4.0])
    places = torch.cartesian_prod(axis, axis, axis)
    matches = torch.tensor([1, 5, -1, 7, 4, 0, -1, 3])
    return {"": (matches, places, shift)}


def _position() -> dict[str, Inputs]:
    matches, places, shift = _cases()[""]
    return {"a code for position": (torch.arange(len(matches)), places, shift)}


def _draw(rng: np.random.Generator) -> Inputs:
    axes = [torch.from_numpy(np.arange(n) * rng.uniform(8, 30)).float() for n in rng.integers(2, 4, size=3)]
    places = torch.cartesian_prod(*axes)
    matches = torch.from_numpy(rng.integers(-1, len(places), size=len(places)))
    matches[:2] = torch.tensor([0, len(places) - 1])
    return matches, places, torch.from_numpy(rng.uniform(-20, 20, size=3)).float()


def _off(matches: Tensor, places: Tensor, shift: Tensor) -> Tensor:
    """How far matches lie from the true place (P, 3), of the tokens that have one."""
    kept = matches >= 0
    return places[matches[kept]] - places[kept] - shift


def _error(matches: Tensor, places: Tensor, shift: Tensor) -> Tensor:
    error: Tensor = _off(matches, places, shift).norm(dim=1).mean()
    return error


check_error_after_move = Check(
    "error in mm",
    right=lambda matches, places, shift: _error(matches, places, shift),
    cases=_cases,
    edges=_position,
    draw=_draw,
    mistakes={
        "the shift is missing: this compares places on the grid, so a code for position would look perfect. The head "
        "moved: what lay at p lies at p + shift now.": lambda matches, places, shift: _error(
            matches, places, 0 * shift
        ),
        "the shift has the wrong sign: the head moved *by* the shift, so the true place is places + shift.": (
            lambda matches, places, shift: _error(matches, places, -shift)
        ),
        "tokens without a match are counted: -1 is no token, but as an index it means the last one. Leave them out.": (
            lambda matches, places, shift: (places[matches] - places - shift).norm(dim=1).mean()
        ),
        "a match with token 0 is left out: only -1 means 'no match' (hint: `matches >= 0`).": (
            lambda matches, places, shift: (places[matches] - places - shift)[matches > 0].norm(dim=1).mean()
        ),
        "tokens without a match count as an error of 0: leave them out of the mean.": lambda matches, places, shift: (
            _off(matches, places, shift).norm(dim=1).sum() / len(matches)
        ),
        "tokens without a match are sent to token 0: leave them out.": lambda matches, places, shift: (
            (places[matches.clamp(min=0)] - places - shift).norm(dim=1).mean()
        ),
        "this is the length of the mean error: errors to the left and to the right cancel. First the length of each, "
        "then the mean.": lambda matches, places, shift: _off(matches, places, shift).mean(0).norm(),
        "this averages over the three axes: the distance is the length of the difference (hint: `norm(dim=1)`).": (
            lambda matches, places, shift: _off(matches, places, shift).abs().mean()
        ),
        "this adds up the three axes: the distance is the length of the difference (hint: `norm(dim=1)`).": (
            lambda matches, places, shift: _off(matches, places, shift).abs().sum(1).mean()
        ),
        "the length is taken over all tokens along each axis: one token has the length of its three coordinates (hint: "
        "`norm(dim=1)`).": lambda matches, places, shift: _off(matches, places, shift).norm(dim=0).mean(),
        "the length is taken over all tokens at once: one per token, then the mean (hint: `norm(dim=1)`).": (
            lambda matches, places, shift: _off(matches, places, shift).norm()
        ),
        "these are squared distances: take the root of each before the mean.": lambda matches, places, shift: (
            _off(matches, places, shift).square().sum(1).mean()
        ),
        "the root is taken of the mean of squares, in which large errors weigh more: take the root of each first.": (
            lambda matches, places, shift: _off(matches, places, shift).square().sum(1).mean().sqrt()
        ),
        "this is the error of each token: take the mean.": lambda matches, places, shift: _off(
            matches, places, shift
        ).norm(dim=1),
        "this is the sum of the errors: take the mean.": lambda matches, places, shift: (
            _off(matches, places, shift).norm(dim=1).sum()
        ),
        "this is the median of the errors: take the mean.": lambda matches, places, shift: (
            _off(matches, places, shift).norm(dim=1).median()
        ),
        "this is the mean error along each axis: first the length of each (hint: `norm(dim=1)`), then the mean.": (
            lambda matches, places, shift: _off(matches, places, shift).mean(0)
        ),
    },
    meaning="A code for position has an error of exactly the shift.",
)
