"""Checks of the exercises on the inter-instance loss: mutual matches, the partial ranking, and usual mistakes.

B subjects, N and M tokens, F features, K neighbors.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from toposlearn.course.checks.judge import Check, Inputs
from toposlearn.course.draw import apart, normal, uniform
from toposlearn.topology import mutual_matches, nearest_matches, pairwise_distance


def _two_subjects() -> dict[str, Inputs]:
    a, b = (torch.randn(2, 15, 4, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    return {"": (a, b)}


def _any_people(rng: np.random.Generator) -> Inputs:
    """Two people of B, with different numbers of tokens, without ties of distance either way."""
    subjects, first, second, features = rng.integers((1, 4, 4, 3), (4, 9, 9, 6))
    both = apart(
        lambda: normal(rng, subjects, first + second, features),
        lambda both: pairwise_distance(both[:, :first], both[:, first:]),
        lambda both: pairwise_distance(both[:, first:], both[:, :first]),
    )
    return both[:, :first].clone(), both[:, first:].clone()


def _mutual(distance: Tensor, none: int = -1) -> Tensor:
    """Mutual nearest by distances (B, N, M)."""
    forward, backward = distance.argmin(2), distance.argmin(1)
    kept = backward.gather(1, forward) == torch.arange(distance.shape[1])
    return forward.masked_fill(~kept, none)


def _where_equal(a: Tensor, b: Tensor) -> Tensor:
    forward, backward = nearest_matches(a, b), nearest_matches(b, a)
    size = min(forward.shape[1], backward.shape[1])
    return forward[:, :size].masked_fill(forward[:, :size] != backward[:, :size], -1)


check_mutual_matches = Check(
    "matches",
    right=lambda tokens_a, tokens_b: mutual_matches(tokens_a, tokens_b),
    cases=_two_subjects,
    draw=_any_people,
    mistakes={
        "this is the nearest token one way: keep it only if you are *its* nearest too, else -1.": nearest_matches,
        "these are indices into a (`argmin` along the wrong axis): give, for each token of a, the index of its match "
        "in b (hint: `argmin(2)`).": lambda a, b: nearest_matches(b, a),
        "unmatched tokens hold 0, which is a token: use -1 for 'no match'.": lambda a, b: _mutual(
            pairwise_distance(a, b), 0
        ),
        "the two directions are swapped: row u belongs to token u of a, the value is an index into b.": (
            lambda a, b: mutual_matches(b, a)
        ),
        "you compared the two lists of nearest tokens entry by entry: ask b's list at the place that a's list names, "
        "and see whether the answer is u (hint: `backward.gather(1, forward)`).": _where_equal,
        "these are the tokens that match, not their matches: give the index into b.": lambda a, b: (
            torch.arange(a.shape[1]).expand(len(a), -1).masked_fill(mutual_matches(a, b) < 0, -1)
        ),
        "the length of the tokens matters in your distance: it must be the cosine distance.": (
            lambda a, b: _mutual(-a @ b.mT)
        ),
        "this is the Euclidean distance; matches are by the cosine distance (hint: `topology.pairwise_distance`).": (
            lambda a, b: _mutual(torch.cdist(a, b))
        ),
        "these are the farthest tokens: a small distance means near (hint: `argmin`).": (
            lambda a, b: _mutual(-pairwise_distance(a, b))
        ),
        "this is the farthest token, one way: a small distance means near (hint: `argmin`).": (
            lambda a, b: pairwise_distance(a, b).argmax(2)
        ),
        "tokens are matched within one person, so each finds itself: measure from a to b (hint: "
        "`topology.pairwise_distance(tokens_a, tokens_b)`).": lambda a, b: _mutual(pairwise_distance(a)),
        "you gave which tokens match (true or false): give the index of the match, or -1.": (
            lambda a, b: mutual_matches(a, b) >= 0
        ),
        "matched and unmatched are exchanged: keep the index where the way back leads to u.": lambda a, b: (
            nearest_matches(a, b).masked_fill(mutual_matches(a, b) >= 0, -1)
        ),
        "the unmatched are left out: give one value per token of a, -1 where there is no match.": lambda a, b: (
            mutual_matches(a, b)[mutual_matches(a, b) >= 0]
        ),
        "this is the first person alone: keep all, (B, N).": lambda a, b: mutual_matches(a, b)[0],
        "these are all distances: ask for the nearest (hint: `argmin`).": pairwise_distance,
        "the axis is wrong: `argmin(0)` looks for the nearest among people; tokens of b lie along axis 2.": (
            lambda a, b: pairwise_distance(a, b).argmin(0)
        ),
        "this is the way there and back: compare it with u (`torch.arange`) and keep the way there.": lambda a, b: (
            nearest_matches(b, a).gather(1, nearest_matches(a, b))
        ),
    },
    signs={
        "NaN stands for 'no match': an index is a whole number, give -1 (hint: `torch.where(mutual, forward, -1)`).": (
            lambda got, a, b: bool(got.double().isnan().any())
        ),
        "the right matches, but another number than -1 stands for 'no match'.": lambda got, a, b: (
            got.shape == a.shape[:2]
            and bool((got == mutual_matches(a, b))[mutual_matches(a, b) >= 0].all())
            and len(got[mutual_matches(a, b) < 0].unique()) == 1
        ),
    },
    meaning="Each is the other's nearest, or there is no match.",
)


def _triplets() -> dict[str, Inputs]:
    """Anchors with three valid triplets, one, none and two."""
    positive = torch.tensor([[0.13, 0.71, 0.42], [0.94, 0.31, 0.25], [0.66, 0.50, 0.87], [0.28, 0.09, 0.11]])
    negative = torch.tensor([[0.92, 0.47, 0.63], [0.35, 0.78, 0.40], [0.20, 0.90, 0.33], [0.81, 0.43, 0.96]])
    valid = torch.tensor([[True, True, True], [True, False, False], [False, False, False], [True, True, False]])
    distances = positive.requires_grad_(), negative.requires_grad_()
    return {"": (*distances, valid, 0.4)}


def _none_valid() -> dict[str, Inputs]:
    positive, negative, valid, margin = _triplets()[""]
    return {"nothing is valid": (positive, negative, torch.zeros_like(valid), margin)}


def _any_triplets(rng: np.random.Generator) -> Inputs:
    """Triplets of which none lies at the kink of the hinge; one at least is valid."""
    shape, margin = rng.integers((3, 2), (8, 6)), float(rng.uniform(0.1, 0.6))
    gap = rng.choice([-1, 1], shape) * rng.uniform(0.05, 1, shape)  # of the positive, the margin added
    positive, valid = uniform(rng, *shape), torch.from_numpy(rng.random(shape) < rng.uniform(0.2, 0.8))
    valid[0, 0] = True
    negative = positive + margin - torch.from_numpy(gap).float()
    return positive.requires_grad_(), negative.requires_grad_(), valid, margin


def _hinge(positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    return torch.relu(positive - negative + margin)


def _anchor_means(values: Tensor, valid: Tensor, axis: int = 1) -> Tensor:
    """Mean over the valid entries of each row of (N, K), of the rows that have any."""
    count = valid.sum(axis)
    return (values * valid).sum(axis)[count > 0] / count[count > 0]


def _mean_of_means(values: Tensor, valid: Tensor, axis: int = 1) -> Tensor:
    means = _anchor_means(values, valid, axis)
    return means.sum() / max(len(means), 1)


check_partial_ranking = Check(
    "loss",
    right=lambda d_positive, d_negative, valid, margin: _mean_of_means(_hinge(d_positive, d_negative, margin), valid),
    cases=_triplets,
    edges=_none_valid,
    draw=_any_triplets,
    mistakes={
        "there is a NaN when no triplet is valid: it must be 0.": lambda p, n, v, m: _anchor_means(
            _hinge(p, n, m), v
        ).mean(),
        "there is no hinge on each triplet: one that is satisfied costs 0, not less (hint: `torch.relu` first).": (
            lambda p, n, v, m: _mean_of_means(p - n + m, v)
        ),
        "the hinge is on the mean of an anchor: cut each triplet at 0, then take means.": lambda p, n, v, m: (
            torch.relu(_anchor_means(p - n + m, v)).sum() / v.any(1).sum().clamp(min=1)
        ),
        "the sign is turned: the loss must be large when the *positive* is far and the negative near.": (
            lambda p, n, v, m: _mean_of_means(_hinge(n, p, m), v)
        ),
        "the margin is missing.": lambda p, n, v, m: _mean_of_means(_hinge(p, n, 0), v),
        "the margin is subtracted: it must be added.": lambda p, n, v, m: _mean_of_means(_hinge(p, n, -m), v),
        "neighbors without a match are counted: average over the valid triplets only.": lambda p, n, v, m: _hinge(
            p, n, m
        ).mean(),
        "the valid ones are left out: keep them, leave out the others.": lambda p, n, v, m: _mean_of_means(
            _hinge(p, n, m), ~v
        ),
        "the distances are set to 0 where they are not valid, but the margin still costs there: leave such triplets "
        "out after the hinge.": lambda p, n, v, m: _hinge(p * v, n * v, m).mean(),
        "invalid triplets count as zeros in the mean: divide by the number of valid ones, not by K.": (
            lambda p, n, v, m: (_hinge(p, n, m) * v).mean()
        ),
        "all valid triplets are averaged at once, so anchors with many neighbors weigh more: first the mean of each "
        "anchor, then the mean over anchors.": lambda p, n, v, m: (_hinge(p, n, m) * v).sum() / v.sum().clamp(min=1),
        "anchors without any valid triplet are counted as zeros: leave them out of the mean.": lambda p, n, v, m: (
            _anchor_means(_hinge(p, n, m), v).sum() / len(v)
        ),
        "there is a NaN: an anchor without any valid triplet divides 0 by 0. Leave it out.": lambda p, n, v, m: (
            (_hinge(p, n, m) * v).sum(1) / v.sum(1)
        ).mean(),
        "the sum is taken over the anchors: take their mean.": lambda p, n, v, m: _anchor_means(
            _hinge(p, n, m), v
        ).sum(),
        "the sum is taken over the neighbors of an anchor: take their mean.": lambda p, n, v, m: (
            (_hinge(p, n, m) * v).sum() / v.any(1).sum().clamp(min=1)
        ),
        "everything is summed: take the mean of each anchor, then of the anchors.": lambda p, n, v, m: (
            _hinge(p, n, m) * v
        ).sum(),
        "the axes are exchanged: an anchor is a row, so its mean runs along its neighbors (hint: `sum(1)`).": (
            lambda p, n, v, m: _mean_of_means(_hinge(p, n, m), v, axis=0)
        ),
        "this is the mean of each anchor: take their mean.": lambda p, n, v, m: _anchor_means(_hinge(p, n, m), v),
        "this is the loss of each triplet: take the mean of each anchor, then of the anchors.": lambda p, n, v, m: (
            _hinge(p, n, m) * v
        ),
    },
    signs={
        "there is a NaN: an anchor without any valid triplet divides 0 by 0 (hint: `count.clamp(min=1)`).": (
            lambda got, *inputs: bool(got.isnan().any())
        )
    },
    meaning="Only the matched part counts.",
)
