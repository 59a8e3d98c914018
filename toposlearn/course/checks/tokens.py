"""Checks of the exercises on tokens: their order, their neighbors, and the structures that share one.

B subjects, N tokens, F features, K neighbors, S structures.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from toposlearn.course.checks.check import Check, Inputs
from toposlearn.topology import nearest_neighbors, pairwise_distance

GAP = 1e-4  # of distances; far above the rounding of single precision


def normal(rng: np.random.Generator, *shape: int) -> Tensor:
    """Normal values in single precision."""
    return torch.from_numpy(rng.normal(size=shape)).float()


def apart(draw: Callable[[], Tensor], *distances: Callable[[Tensor], Tensor]) -> Tensor:
    """What `draw` gives, drawn again until along the last axis any two of its distances differ by more than GAP."""
    while True:
        drawn = draw()
        if all(bool((distance(drawn).sort(-1).values.diff(dim=-1) > GAP).all()) for distance in distances):
            return drawn


def tokens_from_map(features: Tensor) -> Tensor:
    """A feature map (B, F, d, h, w) as tokens (B, d*h*w, F)."""
    return features.flatten(2).transpose(1, 2)


def _other_order(got: Tensor, features: Tensor) -> bool:
    right = tokens_from_map(features)
    if got.shape != right.shape:
        return False
    rows = [{tuple(token) for token in tokens.flatten(0, 1).tolist()} for tokens in (right, got)]
    return rows[0] == rows[1]


check_tokens_from_map = Check(
    "tokens",
    tokens_from_map,
    cases=lambda: {"": (normal(np.random.default_rng(0), 2, 6, 3, 4, 5).requires_grad_(),)},
    draw=lambda rng: (normal(rng, *rng.integers((1, 2, 2, 2, 2), (4, 6, 5, 5, 5))).requires_grad_(),),
    signs={"the places are in another order: flatten d, h, w in this order, w fastest.": _other_order},
    meaning="Token i holds the F features of one place.",
)


def k_nearest(tokens: Tensor, k: int) -> Tensor:
    """Indices (B, N, K) of the K nearest other tokens of tokens (B, N, F), nearest first."""
    return nearest_neighbors(tokens, k)


def _without_self(distance: Tensor) -> Tensor:
    return distance.diagonal_scatter(torch.full(distance.shape[:2], torch.inf), dim1=1, dim2=2)


def _nearest(distance: Tensor, k: int) -> Tensor:
    return distance.topk(k, largest=False).indices


def _twins() -> dict[str, Inputs]:
    """Tokens (2, 12, 5) of different lengths; places 2 and 7 of the first subject are alike and far from the rest."""
    tokens = torch.randn(2, 12, 5, generator=torch.Generator().manual_seed(0))
    tokens[0, :, 0] += 4
    tokens[0, 2] = tokens[0, 7] = torch.tensor([-4.0, 0.5, 0.0, 0.3, 0.0])
    return {"": (tokens * torch.linspace(0.5, 3, 12)[:, None].index_fill(0, torch.tensor([2, 7]), 1.0), 3)}


def _any_tokens(rng: np.random.Generator) -> Inputs:
    shape = rng.integers((1, 5, 3), (4, 9, 6))
    return apart(lambda: normal(rng, *shape), pairwise_distance), int(rng.integers(1, shape[1]))


def _if_indices(got: Tensor, tokens: Tensor, k: int) -> bool:
    return got.shape == (*tokens.shape[:2], k) and not got.is_floating_point()


def _itself(got: Tensor) -> Tensor:
    return got == torch.arange(got.shape[1])[None, :, None]


def _are_farthest(got: Tensor, tokens: Tensor) -> bool:
    distance = pairwise_distance(tokens)
    chosen = distance.gather(2, got.long().clamp(0, distance.shape[2] - 1))
    return bool((chosen >= distance.median(2, keepdim=True).values).all())


check_k_nearest = Check(
    "neighbors",
    k_nearest,
    cases=_twins,
    draw=_any_tokens,
    signs={
        "a token is its own neighbor: its distance to itself is 0. Exclude it (hint: fill the diagonal with infinity "
        "before you look for the nearest).": (
            lambda got, tokens, k: _if_indices(got, tokens, k) and bool(_itself(got)[..., 0].float().mean() > 0.5)
        ),
        "these are the farthest tokens: a small distance means near (hint: `largest=False`).": (
            lambda got, tokens, k: _if_indices(got, tokens, k) and _are_farthest(got, tokens)
        ),
        "a token with a twin is its own neighbor: 'drop the first' drops the twin instead. Exclude a token by its "
        "index (hint: the diagonal), not by its rank or its distance.": (
            lambda got, tokens, k: _if_indices(got, tokens, k) and bool(_itself(got).any())
        ),
        "the right ones, but not the nearest first.": lambda got, tokens, k: (
            _if_indices(got, tokens, k) and torch.equal(got.sort(-1).values, k_nearest(tokens, k).sort(-1).values)
        ),
        "the shape is (B, K, N): distances lie along the last axis (hint: `dim=-1`, the default of `topk`).": (
            lambda got, tokens, k: got.shape == (tokens.shape[0], k, tokens.shape[1])
        ),
        "there are K + 1: the token itself is not to be among them.": (
            lambda got, tokens, k: got.shape == (*tokens.shape[:2], k + 1)
        ),
    },
    meaning="K others per token, found by index, twins included.",
)


def same_home(shares: Tensor) -> Tensor:
    """True where two structures have one home, the token that holds most of them: shares (N, S) of tokens -> (S, S)."""
    return _alike(_homes(shares))


def _homes(shares: Tensor) -> Tensor:
    return shares.argmax(dim=0)


def _alike(homes: Tensor) -> Tensor:
    return homes[:, None] == homes[None]


def _five_tokens() -> dict[str, Inputs]:
    """Shares (5, 4): the third structure is never the largest in its home, the first lies in two tokens."""
    shares = [
        [0.30, 0.00, 0.00, 0.05],
        [0.40, 0.00, 0.25, 0.00],
        [0.00, 0.60, 0.10, 0.00],
        [0.00, 0.20, 0.00, 0.35],
        [0.00, 0.00, 0.00, 0.00],
    ]
    return {"": (torch.tensor(shares),)}


def _any_shares(rng: np.random.Generator) -> Inputs:
    """More structures than tokens, so that homes are shared; no two shares are alike."""
    tokens, structures = rng.integers(2, 6), rng.integers(5, 10)
    shares = rng.permutation(tokens * structures).reshape(tokens, structures) + 1.0
    return (torch.from_numpy(shares / shares.sum()).float(),)


check_same_home = Check(
    "same home",
    same_home,
    cases=_five_tokens,
    draw=_any_shares,
    meaning="Where two share a home, a loss reads one feature for both.",
)
