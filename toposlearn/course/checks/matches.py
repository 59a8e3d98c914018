"""Checks of the exercises on matches: mutual nearest tokens, and the error of matches after a known move.

B subjects, N and M tokens, F features.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from toposlearn.course.checks.check import Check, Inputs
from toposlearn.course.checks.tokens import apart, normal
from toposlearn.topology import mutual_matches, nearest_matches, pairwise_distance


def mutual_nearest(tokens_a: Tensor, tokens_b: Tensor) -> Tensor:
    """For each token of a, the index of its match in b, or -1: (B, N, F), (B, M, F) -> (B, N)."""
    return mutual_matches(tokens_a, tokens_b)


def _mutual(distance: Tensor, none: int = -1) -> Tensor:
    """Mutual nearest by distances (B, N, M)."""
    forward, backward = distance.argmin(2), distance.argmin(1)
    kept = backward.gather(1, forward) == torch.arange(distance.shape[1])
    return forward.masked_fill(~kept, none)


def _where_equal(a: Tensor, b: Tensor) -> Tensor:
    size = min(a.shape[1], b.shape[1])
    forward, backward = nearest_matches(a, b)[:, :size], nearest_matches(b, a)[:, :size]
    return forward.masked_fill(forward != backward, -1)


def _two_subjects() -> dict[str, Inputs]:
    a, b = (torch.randn(2, 15, 4, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    return {"": (a, b)}


def _any_two_subjects(rng: np.random.Generator) -> Inputs:
    """Two subjects in each of B pairs, with different numbers of tokens, without ties of distance either way."""
    pairs, first, second, features = rng.integers((1, 4, 4, 3), (4, 9, 9, 6))
    both = apart(
        lambda: normal(rng, pairs, first + second, features),
        lambda both: pairwise_distance(both[:, :first], both[:, first:]),
        lambda both: pairwise_distance(both[:, first:], both[:, :first]),
    )
    return both[:, :first].clone(), both[:, first:].clone()


def _other_number_for_none(got: Tensor, a: Tensor, b: Tensor) -> bool:
    right = mutual_matches(a, b)
    matched = right >= 0
    if got.shape != right.shape or not torch.equal(got[matched], right[matched]):
        return False
    return len(set(got[~matched].tolist())) == 1


check_mutual_matches = Check(
    "matches",
    mutual_nearest,
    cases=_two_subjects,
    draw=_any_two_subjects,
    signs={
        "NaN stands for 'no match': an index is a whole number, give -1 (hint: `torch.where(mutual, forward, -1)`).": (
            lambda got, a, b: bool(got.double().isnan().any())
        ),
        "the right matches, but another number than -1 stands for 'no match'.": _other_number_for_none,
    },
    meaning="Each is the other's nearest, or there is no match.",
)


def error_after_move(matches: Tensor, places: Tensor, shift: Tensor) -> Tensor:
    """Mean error in mm of matches after a head was moved by `shift`, of the tokens that have a match.

    Args:
        matches: (N,) indices of tokens of the moved volume, -1 for none.
        places: (N, 3) mm, the same grid for both volumes; what lay at a place p lies at p + shift now.
        shift: (3,) mm.
    """
    error: Tensor = _errors(matches, places, shift).norm(dim=1).mean()
    return error


def _errors(matches: Tensor, places: Tensor, shift: Tensor) -> Tensor:
    kept = matches >= 0
    return places[matches[kept]] - places[kept] - shift


def _eight_tokens() -> dict[str, Inputs]:
    """2 x 2 x 2 tokens of 24 mm; two have no match, one has token 0; the shift is no multiple of a token."""
    axis = torch.tensor([-12.0, 12.0])
    matches, shift = torch.tensor([1, 5, -1, 7, 4, 0, -1, 3]), torch.tensor([9.0, -15.0, 4.0])
    return {"": (matches, torch.cartesian_prod(axis, axis, axis), shift)}


def _code_for_position() -> dict[str, Inputs]:
    matches, places, shift = _eight_tokens()[""]
    return {"a code for position": (torch.arange(len(matches)), places, shift)}


def _any_matches(rng: np.random.Generator) -> Inputs:
    axes = [torch.from_numpy(np.arange(n) * rng.uniform(8, 30)).float() for n in rng.integers(2, 4, size=3)]
    places = torch.cartesian_prod(*axes)
    matches = torch.from_numpy(rng.integers(-1, len(places), size=len(places)))
    matches[:2] = torch.tensor([0, len(places) - 1])
    return matches, places, torch.from_numpy(rng.uniform(-20, 20, size=3)).float()


check_error_after_move = Check(
    "error in mm",
    error_after_move,
    cases=_eight_tokens,
    edges=_code_for_position,
    draw=_any_matches,
    meaning="A code for position has an error of exactly the shift.",
)
