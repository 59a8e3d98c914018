"""Checks of the exercises on tokens: their order, neighbors and matches, and the structures that share one.

B subjects, N and M tokens, F features, K neighbors, S structures.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from toposlearn.course.checks.check import Check, Inputs
from toposlearn.topology import mutual_matches, nearest_matches, nearest_neighbors, pairwise_distance

GAP = 1e-4  # of distances; far above the rounding of single precision


def _normal(rng: np.random.Generator, *shape: int) -> Tensor:
    """Normal values in single precision."""
    return torch.from_numpy(rng.normal(size=shape)).float()


def _apart(draw: Callable[[], Tensor], *distances: Callable[[Tensor], Tensor]) -> Tensor:
    """What `draw` gives, drawn again until along the last axis any two of its distances differ by more than GAP."""
    while True:
        drawn = draw()
        if all(bool((distance(drawn).sort(-1).values.diff(dim=-1) > GAP).all()) for distance in distances):
            return drawn


def tokens_from_map(features: Tensor) -> Tensor:
    """A feature map (B, F, d, h, w) as tokens (B, d*h*w, F)."""
    return features.flatten(2).transpose(1, 2)


def _any_map(rng: np.random.Generator) -> Inputs:
    return (_normal(rng, *rng.integers((1, 2, 2, 2, 2), (4, 6, 5, 5, 5))).requires_grad_(),)


MAP = _normal(np.random.default_rng(0), 2, 6, 3, 4, 5).requires_grad_()
check_tokens_from_map = Check(tokens_from_map, {"": (MAP,)}, _any_map)


def k_nearest(tokens: Tensor, k: int) -> Tensor:
    """Indices (B, N, K) of the K nearest other tokens of tokens (B, N, F), nearest first."""
    return nearest_neighbors(tokens, k)


def _twins() -> Tensor:
    """Tokens (2, 12, 5) of different lengths; places 2 and 7 of the first subject are alike and far from the rest."""
    tokens = torch.randn(2, 12, 5, generator=torch.Generator().manual_seed(0))
    tokens[0, :, 0] += 4
    tokens[0, 2] = tokens[0, 7] = torch.tensor([-4.0, 0.5, 0.0, 0.3, 0.0])
    return tokens * torch.linspace(0.5, 3, 12)[:, None].index_fill(0, torch.tensor([2, 7]), 1.0)


def _any_tokens(rng: np.random.Generator) -> Inputs:
    shape = rng.integers((1, 5, 3), (4, 9, 6))
    return _apart(lambda: _normal(rng, *shape), pairwise_distance), int(rng.integers(1, shape[1]))


check_k_nearest = Check(k_nearest, {"": (_twins(), 3)}, _any_tokens)


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


def _any_two_subjects(rng: np.random.Generator) -> Inputs:
    """Two subjects in each of B pairs, with different numbers of tokens, without ties of distance either way."""
    pairs, first, second, features = rng.integers((1, 4, 4, 3), (4, 9, 9, 6))
    both = _apart(
        lambda: _normal(rng, pairs, first + second, features),
        lambda both: pairwise_distance(both[:, :first], both[:, first:]),
        lambda both: pairwise_distance(both[:, first:], both[:, :first]),
    )
    return both[:, :first].clone(), both[:, first:].clone()


TWO = tuple(torch.randn(2, 15, 4, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
check_mutual_matches = Check(mutual_nearest, {"": TWO}, _any_two_subjects)


def same_home(shares: Tensor) -> Tensor:
    """True where two structures have one home, the token that holds most of them: shares (N, S) of tokens -> (S, S)."""
    return _alike(shares.argmax(dim=0))


def _alike(homes: Tensor) -> Tensor:
    return homes[:, None] == homes[None]


# Of five tokens and four structures: the third is never the largest in its home, the first lies in two tokens.
SHARES = [
    [0.30, 0.00, 0.00, 0.05],
    [0.40, 0.00, 0.25, 0.00],
    [0.00, 0.60, 0.10, 0.00],
    [0.00, 0.20, 0.00, 0.35],
    [0.00, 0.00, 0.00, 0.00],
]


def _any_shares(rng: np.random.Generator) -> Inputs:
    """More structures than tokens, so that homes are shared; no two shares are alike."""
    tokens, structures = rng.integers(2, 6), rng.integers(5, 10)
    shares = rng.permutation(tokens * structures).reshape(tokens, structures) + 1.0
    return (torch.from_numpy(shares / shares.sum()).float(),)


check_same_home = Check(same_home, {"": (torch.tensor(SHARES),)}, _any_shares)


def error_after_move(matches: Tensor, places: Tensor, shift: Tensor) -> Tensor:
    """Mean error in mm of matches after a head was moved by `shift`, of the tokens that have a match.

    `matches` (N,) are indices of tokens of the moved volume, -1 for none; `places` (N, 3) in mm are the same grid for
    both volumes; what lay at a place p lies at p + `shift` (3,) now.
    """
    error: Tensor = _errors(matches, places, shift).norm(dim=1).mean()
    return error


def _errors(matches: Tensor, places: Tensor, shift: Tensor) -> Tensor:
    kept = matches >= 0
    return places[matches[kept]] - places[kept] - shift


# 2 x 2 x 2 tokens of 24 mm; two have no match, one has token 0; the shift is no multiple of a token.
MATCHES, SHIFT = torch.tensor([1, 5, -1, 7, 4, 0, -1, 3]), torch.tensor([9.0, -15.0, 4.0])
PLACES = torch.cartesian_prod(*[torch.tensor([-12.0, 12.0])] * 3)


def _any_matches(rng: np.random.Generator) -> Inputs:
    axes = [torch.from_numpy(np.arange(n) * rng.uniform(8, 30)).float() for n in rng.integers(2, 4, size=3)]
    places = torch.cartesian_prod(*axes)
    matches = torch.from_numpy(rng.integers(-1, len(places), size=len(places)))
    matches[:2] = torch.tensor([0, len(places) - 1])
    return matches, places, torch.from_numpy(rng.uniform(-20, 20, size=3)).float()


BY_POSITION = {"a code for position": (torch.arange(8), PLACES, SHIFT)}
check_error_after_move = Check(error_after_move, {"": (MATCHES, PLACES, SHIFT)}, _any_matches, BY_POSITION)


def expected_place(similarity: Tensor, places: Tensor, temperature: float) -> Tensor:
    """The mean (3,) of places (N, 3), weighted by the softmax of their similarity (N,) / temperature."""
    return _weights(similarity, temperature) @ places


def _weights(similarity: Tensor, temperature: float) -> Tensor:
    return (similarity / temperature).softmax(dim=0)


# Of six tokens of a head, two next to each other are like the one looked for, and one on the other side is nearly so.
SIMILARITY = torch.tensor([0.90, 0.84, 0.10, -0.40, 0.78, 0.35])
SIX = torch.tensor([[30.0, 6, 18], [42, 6, 18], [30, -18, 6], [6, 30, -6], [-30, 6, 18], [-6, -42, 30]])


def _any_similarity(rng: np.random.Generator) -> Inputs:
    count = int(rng.integers(4, 30))
    similarity = torch.from_numpy(rng.uniform(-1, 1, count)).float()
    return similarity, _normal(rng, count, 3) * 40, float(rng.uniform(0.03, 0.3))


FLAT = {"all tokens are alike": (torch.full((6,), 0.5), SIX, 0.04)}
check_expected_place = Check(expected_place, {"": (SIMILARITY, SIX, 0.1)}, _any_similarity, FLAT, near=1e-3)
