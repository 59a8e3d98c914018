"""The check of the exercise on position: the error of matches after a move that is known, and the usual mistakes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from toposlearn.course.judge import judge


def check_error_after_move(fn: Callable[[Tensor, Tensor, Tensor], Tensor]) -> str:
    """``fn(matches, places, shift)``: mean distance in mm between where tokens were found and where they truly are.

    `matches` (N,) are indices of tokens of the moved volume, or -1; `places` (N, 3) mm, the same grid for both volumes;
    the head was moved by `shift` (3,) mm, so that what lay at a place p lies at p + shift now.
    """
    places, matches, shift = _small_case()
    kept = matches >= 0
    off = places[matches] - (places + shift)
    right = off[kept].norm(dim=1).mean()
    mistakes = {
        "the shift is missing: this compares places on the grid, so a code for position would look perfect. The head "
        "moved: what lay at p lies at p + shift now.": (places[matches] - places)[kept].norm(dim=1).mean(),
        "the shift has the wrong sign: the head moved *by* the shift, so the true place is places + shift.": (
            (places[matches] - (places - shift))[kept].norm(dim=1).mean()
        ),
        "tokens without a match are counted: -1 is no token, but as an index it means the last one. Leave them out.": (
            off.norm(dim=1).mean()
        ),
        "this is the length of the mean error: errors to the left and to the right cancel. First the length of each, "
        "then the mean.": off[kept].mean(0).norm(),
        "this averages over the three axes: the distance is the length of the difference (hint: `norm(dim=1)`).": (
            off[kept].abs().mean()
        ),
        "these are squared distances: take the root of each before the mean.": off[kept].square().sum(1).mean(),
        "this is the error of each token: take the mean.": off[kept].norm(dim=1),
    }
    judged = judge("error", fn(matches, places, shift), right, mistakes, "A code for position errs by the shift.")
    stay = torch.arange(len(places))
    judge("error of a code for position", fn(stay, places, shift), shift.norm(), {}, "")
    return judged


def _small_case() -> tuple[Tensor, Tensor, Tensor]:
    """Places (8, 3) of 2 x 2 x 2 tokens of 24 mm, matches with two missing, a shift that is no multiple of a token."""
    axis = torch.tensor([-12.0, 12.0])
    places = torch.cartesian_prod(axis, axis, axis)
    return places, torch.tensor([1, 5, -1, 7, 4, 2, -1, 3]), torch.tensor([9.0, -15.0, 4.0])
