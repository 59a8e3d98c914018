"""Checks of the exercises on tokens and the intra-instance loss, and their usual mistakes.

B subjects, N tokens, F features, K neighbors.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from toposlearn.course.checks.judge import Check, Inputs
from toposlearn.course.draw import apart, normal, uniform
from toposlearn.topology import nearest_neighbors, pairwise_distance


def _tokens(features: Tensor) -> Tensor:
    return features.flatten(2).transpose(1, 2)


def _other_order(got: Tensor, features: Tensor) -> bool:
    """Whether the tokens are right, but in another order."""
    right = _tokens(features)
    if got.shape != right.shape:
        return False
    wanted, found = ({tuple(token) for token in each.flatten(0, 1).tolist()} for each in (right, got))
    return wanted == found


check_tokens_from_map = Check(
    "tokens",
    right=lambda features: _tokens(features),
    cases=lambda: {"": (normal(np.random.default_rng(0), 2, 6, 3, 4, 5).requires_grad_(),)},
    draw=lambda rng: (normal(rng, *rng.integers((1, 2, 2, 2, 2), (4, 6, 5, 5, 5))).requires_grad_(),),
    mistakes={
        "each token mixes several places: `reshape` cuts the numbers as they lie in memory, and channels lie first. "
        "Move channels last before you flatten (hint: `flatten(2)`, then `transpose`).": (
            lambda features: features.reshape(len(features), -1, features.shape[1])
        ),
        "the shape is (B, F, N): places are flattened, but channels must come last (hint: `transpose(1, 2)`).": (
            lambda features: features.flatten(2)
        ),
        "channels are last, but the places are not one axis yet: flatten d, h, w too.": (
            lambda features: features.permute(0, 2, 3, 4, 1)
        ),
        "subjects are mixed: keep the first axis B, and flatten d, h, w alone.": (
            lambda features: _tokens(features).flatten(0, 1)
        ),
        "nothing is left apart: flatten d, h, w alone (hint: `flatten(2)`).": lambda features: features.flatten(),
        "channels and places are one axis now: flatten d, h, w alone (hint: `flatten(2)`).": (
            lambda features: features.flatten(1)
        ),
        "the subjects ended up in another axis: B stays first (hint: `transpose(1, 2)` after `flatten(2)`).": (
            lambda features: features.flatten(2).permute(2, 0, 1)
        ),
        "the axes are all turned around (`.T`): swap the last two alone (hint: `transpose(1, 2)`).": (
            lambda features: features.flatten(2).permute(2, 1, 0)
        ),
        "this is the first subject alone: keep all, (B, N, F).": lambda features: _tokens(features)[0],
        "this is the feature map as it was given: places must become one axis, channels the last.": (
            lambda features: features
        ),
        "a mean over places leaves one token per subject: give one per place.": lambda features: features.flatten(
            2
        ).mean(-1),
    },
    signs={"the places are in another order: flatten d, h, w in this order, w fastest.": _other_order},
    meaning="Token i holds the F features of one place.",
)


def _twins() -> dict[str, Inputs]:
    """Tokens (2, 12, 5) of different lengths; places 2 and 7 of the first subject are alike and far from the rest."""
    tokens = torch.randn(2, 12, 5, generator=torch.Generator().manual_seed(0))
    tokens[0, :, 0] += 4
    tokens[0, 2] = tokens[0, 7] = torch.tensor([-4.0, 0.5, 0.0, 0.3, 0.0])
    return {"": (tokens * torch.linspace(0.5, 3, 12)[:, None].index_fill(0, torch.tensor([2, 7]), 1.0), 3)}


def _any_tokens(rng: np.random.Generator) -> Inputs:
    """Tokens without ties of distance."""
    shape = rng.integers((1, 5, 3), (4, 9, 6))
    tokens = apart(lambda: normal(rng, *shape), lambda tokens: pairwise_distance(tokens))
    return tokens, int(rng.integers(1, shape[1]))


def _without_self(distance: Tensor) -> Tensor:
    return distance.diagonal_scatter(torch.full(distance.shape[:2], torch.inf), dim1=1, dim2=2)


def _nearest(distance: Tensor, k: int) -> Tensor:
    return distance.topk(k, largest=False).indices


def _itself(neighbors: Tensor) -> Tensor:
    return neighbors == torch.arange(neighbors.shape[1])[None, :, None]


def _are_farthest(neighbors: Tensor, tokens: Tensor, k: int) -> bool:
    distance = pairwise_distance(tokens)
    found = distance.gather(2, neighbors.long().clamp(0, distance.shape[2] - 1))
    return bool((found >= distance.median(2, keepdim=True).values).all())


def _if_indices(got: Tensor, tokens: Tensor, k: int) -> bool:
    return got.shape == (*tokens.shape[:2], k) and not got.is_floating_point()


check_k_nearest = Check(
    "neighbors",
    right=lambda tokens, k: nearest_neighbors(tokens, k),
    cases=_twins,
    draw=_any_tokens,
    mistakes={
        "the length of the tokens matters in your distance: divide each by its length first (cosine).": (
            lambda tokens, k: _nearest(_without_self(-tokens @ tokens.mT), k)
        ),
        "this is the Euclidean distance; the exercise asks for the cosine distance, 1 - cos.": (
            lambda tokens, k: nearest_neighbors(tokens, k, metric="euclidean")
        ),
        "twins are missing: a token at distance 0 can be another one. Exclude by index (hint: the diagonal).": (
            lambda tokens, k: _nearest(pairwise_distance(tokens).masked_fill(pairwise_distance(tokens) < 1e-6, 9), k)
        ),
        "there are K - 1: exclude the token itself before you take K (hint: fill the diagonal with infinity).": (
            lambda tokens, k: nearest_neighbors(tokens, k)[..., : k - 1]
        ),
        "these are all other tokens in order: give the first K.": (
            lambda tokens, k: nearest_neighbors(tokens, tokens.shape[1] - 1)
        ),
        "these are distances: give the indices of the tokens (hint: `.indices`).": (
            lambda tokens, k: _without_self(pairwise_distance(tokens)).topk(k, largest=False).values
        ),
        "these are all distances: give the indices of the K smallest (hint: `topk(k, largest=False).indices`).": (
            lambda tokens, k: pairwise_distance(tokens)
        ),
        "this is the nearest one alone: give K of them.": lambda tokens, k: nearest_neighbors(tokens, 1)[..., 0],
        "this is the first subject alone: keep all, (B, N, K).": lambda tokens, k: nearest_neighbors(tokens, k)[0],
    },
    signs={
        "a token is its own neighbor: its distance to itself is 0. Exclude it (hint: fill the diagonal with infinity "
        "before you look for the nearest).": (
            lambda got, tokens, k: _if_indices(got, tokens, k) and bool(_itself(got)[..., 0].float().mean() > 0.5)
        ),
        "these are the farthest tokens: a small distance means near (hint: `largest=False`).": (
            lambda got, tokens, k: _if_indices(got, tokens, k) and _are_farthest(got, tokens, k)
        ),
        "a token with a twin is its own neighbor: 'drop the first' drops the twin instead. Exclude a token by its "
        "index (hint: the diagonal), not by its rank or its distance.": (
            lambda got, tokens, k: _if_indices(got, tokens, k) and bool(_itself(got).any())
        ),
        "the right ones, but not the nearest first.": lambda got, tokens, k: (
            _if_indices(got, tokens, k)
            and torch.equal(got.sort(-1).values, nearest_neighbors(tokens, k).sort(-1).values)
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


def _triplets() -> dict[str, Inputs]:
    positive, negative = torch.tensor([0.1, 0.9, 0.4, 0.5]), torch.tensor([0.8, 0.2, 0.5, 0.5])
    return {"": (positive.requires_grad_(), negative.requires_grad_(), 0.25)}


def _any_triplets(rng: np.random.Generator) -> Inputs:
    """Triplets of which none lies at the kink of the hinge."""
    shape, margin = rng.integers(2, 6, size=rng.integers(1, 4)), float(rng.uniform(0.05, 0.6))
    gap = rng.choice([-1, 1], shape) * rng.uniform(0.05, 1, shape)  # of the positive, the margin added
    positive = uniform(rng, *shape)
    negative = positive + margin - torch.from_numpy(gap).float()
    return positive.requires_grad_(), negative.requires_grad_(), margin


check_triplet_hinge = Check(
    "hinge",
    right=lambda d_positive, d_negative, margin: torch.relu(d_positive - d_negative + margin),
    cases=_triplets,
    draw=_any_triplets,
    mistakes={
        "the sign is turned: the loss must be large when the *positive* is far and the negative near.": (
            lambda p, n, m: torch.relu(n - p + m)
        ),
        "the sign is turned, and the margin is subtracted: relu(d_positive - d_negative + margin).": (
            lambda p, n, m: torch.relu(n - p - m)
        ),
        "the margin is missing: a positive that is barely nearer than the negative should still cost.": (
            lambda p, n, m: torch.relu(p - n)
        ),
        "the margin is subtracted: it must be added, so that satisfied means *nearer by at least the margin*.": (
            lambda p, n, m: torch.relu(p - n - m)
        ),
        "there are negative losses: a triplet that is satisfied costs 0, not less (hint: `torch.relu`).": (
            lambda p, n, m: p - n + m
        ),
        "the margin is added after the relu: then it is a constant, and a satisfied triplet still costs.": (
            lambda p, n, m: torch.relu(p - n) + m
        ),
        "the absolute value makes a triplet cost *more* the better it is satisfied: cut at 0 (hint: `torch.relu`).": (
            lambda p, n, m: (p - n + m).abs()
        ),
        "the margin is the least a triplet costs: add it, then cut at 0.": lambda p, n, m: (p - n).clamp(min=m),
        "the loss is cut from above: `max(0, x)` is `clamp(min=0)` or `torch.relu`.": (
            lambda p, n, m: (p - n + m).clamp(max=0)
        ),
        "this is the mean: give the loss of each triplet, the mean comes later.": (
            lambda p, n, m: torch.relu(p - n + m).mean()
        ),
        "this is the sum: give the loss of each triplet, the mean comes later.": (
            lambda p, n, m: torch.relu(p - n + m).sum()
        ),
        "this is the largest: give the loss of each triplet.": lambda p, n, m: torch.relu(p - n + m).max(),
        "the mean is taken before the hinge: each triplet is cut at 0 by itself.": (
            lambda p, n, m: torch.relu((p - n + m).mean())
        ),
        "satisfied triplets are left out: give 0 for them, in the shape of the arguments.": (
            lambda p, n, m: (p - n + m)[p - n + m > 0]
        ),
        "the hinge is squared: give it as it is.": lambda p, n, m: torch.relu(p - n + m).square(),
        "this is whether a triplet costs: give how much (hint: `torch.relu`).": lambda p, n, m: p - n + m > 0,
        "the hinge is smooth: a triplet that is satisfied costs exactly 0 (hint: `torch.relu`).": (
            lambda p, n, m: torch.nn.functional.softplus(p - n + m)
        ),
        "the hinge is on the margin alone: it belongs around the whole sum.": lambda p, n, m: (
            p - n + max(m, 0) * (p > n)
        ),
        "the distances are added: subtract that of the negative.": lambda p, n, m: torch.relu(p + n + m),
    },
    meaning="Zero once nearer by the margin.",
)
