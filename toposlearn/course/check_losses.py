"""Checks of the exercises on tokens and losses: what a learner wrote against the right answer and the usual mistakes.

Each check calls the learner's function on a small case. A right answer gives one line to read; a wrong one raises
AssertionError that says what is wrong and what to look at. B subjects, N tokens, F features, K neighbors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from toposlearn.topology import mutual_matches, nearest_matches, nearest_neighbors, pairwise_distance


def check_tokens_from_map(fn: Callable[[Tensor], Tensor]) -> str:
    """``fn(features)``: a feature map (B, F, d, h, w) becomes tokens (B, d*h*w, F)."""
    features = _random(2, 6, 3, 4, 5)
    right = features.flatten(2).transpose(1, 2)
    scrambled = features.reshape(2, 60, 6)
    mistakes = {
        "each token mixes several places: `reshape` cuts the numbers as they lie in memory, and channels lie first. "
        "Move channels last before you flatten (hint: `flatten(2)`, then `transpose`).": scrambled,
        "the shape is (B, F, N): places are flattened, but channels must come last (hint: `transpose(1, 2)`).": (
            features.flatten(2)
        ),
        "the places are in another order: flatten d, h, w in this order (w runs fastest).": (
            features.permute(0, 4, 3, 2, 1).reshape(2, 60, 6)
        ),
    }
    return _judge("tokens", fn(features), right, mistakes, "Token i holds the F features of one place.")


def check_k_nearest(fn: Callable[[Tensor, int], Tensor]) -> str:
    """``fn(tokens, k)``: indices (B, N, K) of the K nearest other tokens by cosine distance, nearest first."""
    tokens, k = _twins_apart(), 3
    right, got = nearest_neighbors(tokens, k), fn(tokens, k)
    if isinstance(got, Tensor) and got.shape == right.shape:
        _refuse_self(got)
        _refuse_farthest(got, pairwise_distance(tokens))
    lowest = torch.full(tokens.shape[:2], -torch.inf)
    product = torch.bmm(tokens, tokens.transpose(1, 2)).diagonal_scatter(lowest, dim1=1, dim2=2)
    mistakes = {
        "the length of the tokens matters in your distance: divide each by its length first (cosine).": (
            product.argsort(-1, descending=True)[..., :k]
        ),
        "this is the Euclidean distance; the exercise asks for the cosine distance, 1 - cos.": (
            nearest_neighbors(tokens, k, metric="euclidean")
        ),
    }
    return _judge("neighbors", got, right, mistakes, "K others per token, found by index, twins included.")


def _twins_apart() -> Tensor:
    """Tokens (2, 12, 5) of different lengths; places 2 and 7 of the first subject are alike and far from the rest."""
    tokens = _random(2, 12, 5)
    tokens[0, :, 0] += 4
    tokens[0, 2] = tokens[0, 7] = torch.tensor([-4.0, 0.5, 0.0, 0.3, 0.0])
    return tokens * torch.linspace(0.5, 3, 12)[:, None].index_fill(0, torch.tensor([2, 7]), 1.0)


def _refuse_self(neighbors: Tensor) -> None:
    """AssertionError where a token is among its own neighbors (B, N, K)."""
    itself = neighbors == torch.arange(neighbors.shape[1])[None, :, None]
    if itself[..., 0].float().mean() > 0.5:
        raise AssertionError(
            "neighbors: a token is its own neighbor: its distance to itself is 0. Exclude it (hint: fill the "
            "diagonal with infinity before you look for the nearest)."
        )
    if itself.any():
        raise AssertionError(
            "neighbors: a token with a twin is its own neighbor: 'drop the first' drops the twin instead. Exclude a "
            "token by its index (hint: the diagonal), not by its rank or its distance."
        )


def _refuse_farthest(neighbors: Tensor, distance: Tensor) -> None:
    """AssertionError when the neighbors (B, N, K) are the far tokens by the distances (B, N, N)."""
    found = distance.gather(2, neighbors.clamp(0, distance.shape[2] - 1))
    if (found >= distance.median(2, keepdim=True).values).all():
        raise AssertionError("neighbors: these are the farthest tokens: a small distance means near.")


def check_triplet_hinge(fn: Callable[[Tensor, Tensor, float], Tensor]) -> str:
    """``fn(d_positive, d_negative, margin)``: the loss of each triplet, relu(d_positive - d_negative + margin)."""
    positive, negative, margin = torch.tensor([0.1, 0.9, 0.4, 0.5]), torch.tensor([0.8, 0.2, 0.5, 0.5]), 0.25
    right = torch.relu(positive - negative + margin)
    mistakes = {
        "the sign is turned: the loss must be large when the *positive* is far and the negative near.": (
            torch.relu(negative - positive + margin)
        ),
        "the margin is missing: a positive that is barely nearer than the negative should still cost.": (
            torch.relu(positive - negative)
        ),
        "the margin is subtracted: it must be added, so that satisfied means *nearer by at least the margin*.": (
            torch.relu(positive - negative - margin)
        ),
        "there are negative losses: a triplet that is satisfied costs 0, not less (hint: `torch.relu`).": (
            positive - negative + margin
        ),
        "the margin is added after the relu: then it is a constant and never lets a triplet rest.": (
            torch.relu(positive - negative) + margin
        ),
        "this is the mean: give the loss of each triplet, the mean comes later.": right.mean(),
    }
    return _judge("hinge", fn(positive, negative, margin), right, mistakes, "Zero once nearer by the margin.")


def check_mutual_matches(fn: Callable[[Tensor, Tensor], Tensor]) -> str:
    """``fn(tokens_a, tokens_b)``: (B, N) index into b of each token's mutual nearest neighbor, or -1."""
    a, b = _random(2, 15, 4), _random(2, 15, 4, seed=1)
    backward = nearest_matches(b, a)
    right = mutual_matches(a, b)
    mistakes = {
        "this is the nearest token one way: keep it only if you are *its* nearest too, else -1.": nearest_matches(a, b),
        "these are indices into a: give, for each token of a, the index of its match in b.": backward,
        "unmatched tokens hold 0, which is a token: use -1 for 'no match'.": right.clamp_min(0),
        "the two directions are swapped: row u belongs to token u of a, the value is an index into b.": (
            mutual_matches(b, a)
        ),
        "you gave which tokens match (true or false): give the index of the match, or -1.": right >= 0,
    }
    return _judge("matches", fn(a, b), right, mistakes, "Each is the other's nearest, or there is no match.")


def check_partial_ranking(fn: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> str:
    """``fn(d_positive, d_negative, valid, margin)``, all (N, K): mean over an anchor's valid triplets, then anchors.

    Anchors without a valid triplet are left out; when there is none at all the loss is 0.
    """
    positive, negative, margin = _random(4, 3).abs(), _random(4, 3, seed=1).abs(), 0.4
    valid = torch.tensor([[True, True, True], [True, False, False], [False, False, False], [True, True, False]])
    hinge = torch.relu(positive - negative + margin)
    count, total = valid.sum(1), (hinge * valid).sum(1)
    right = (total[count > 0] / count[count > 0]).mean()
    mistakes = {
        "neighbors without a match are counted: average over the valid triplets only.": hinge.mean(),
        "invalid triplets count as zeros in the mean: divide by the number of valid ones, not by K.": (
            (hinge * valid).mean()
        ),
        "all valid triplets are averaged at once, so anchors with many neighbors weigh more: first the mean of each "
        "anchor, then the mean over anchors.": hinge[valid].mean(),
        "anchors without any valid triplet are counted as zeros: leave them out of the mean.": (
            (total / count.clamp_min(1)).mean()
        ),
        "there is a NaN: an anchor without any valid triplet divides 0 by 0. Leave it out.": torch.tensor(torch.nan),
        "the sum is taken over the anchors: take their mean.": (total[count > 0] / count[count > 0]).sum(),
    }
    judged = _judge("loss", fn(positive, negative, valid, margin), right, mistakes, "Only the matched part speaks.")
    _judge(
        "loss when nothing is valid",
        fn(positive, negative, torch.zeros_like(valid), margin),
        torch.tensor(0.0),
        {"there is a NaN when no triplet is valid: it must be 0.": torch.tensor(torch.nan)},
        "",
    )
    return judged


def check_total_loss(
    fn: Callable[[tuple[Tensor, Tensor], tuple[Tensor, Tensor], tuple[Tensor, Tensor], float], Tensor],
) -> str:
    """``fn(reconstruction, intra, inter, weight)``: each term a pair, one value per modality or direction.

    The total is the mean reconstruction + weight * (mean intra + mean inter).
    """
    values = _random(6).abs().requires_grad_()
    pairs = (values[0], values[1]), (values[2], values[3]), (values[4], values[5])
    weight = 10.0
    reconstruction, intra, inter = (torch.stack(pair).mean() for pair in pairs)
    right = reconstruction + weight * (intra + inter)
    mistakes = {
        "the two directions are summed, as in the released code: take their mean (its weight of 10 is 20 here).": (
            2 * right
        ),
        "the directions of the alignment terms are summed: take their mean, as for reconstruction.": (
            reconstruction + 2 * weight * (intra + inter)
        ),
        "the weight is missing.": reconstruction + intra + inter,
        "the weight multiplies the reconstruction too: it belongs to the two alignment terms.": (
            weight * (reconstruction + intra + inter)
        ),
        "the weight is on one alignment term only: both carry it (intra is without).": (
            reconstruction + intra + weight * inter
        ),
        "the weight is on one alignment term only: both carry it (inter is without).": (
            reconstruction + weight * intra + inter
        ),
        "only one direction is used: take the mean of both.": pairs[0][0] + weight * (pairs[1][0] + pairs[2][0]),
    }
    got = fn(*pairs, weight)
    judged = _judge("total", got, right, mistakes, "A mean over directions, a weight on the alignment terms.")
    if not (isinstance(got, Tensor) and got.requires_grad):
        raise AssertionError(
            "total: the value is right, but nothing can be learned from it: the gradient is cut. "
            "Keep tensors (hint: no `float`, `.item()` or `.detach()`)."
        )
    return judged


def _judge(what: str, got: object, right: Tensor, mistakes: Mapping[str, Tensor], meaning: str) -> str:
    """One line when right; else AssertionError, with the hint of the mistake that gives just this answer."""
    if got is None:
        raise AssertionError(f"{what}: your function returns nothing (hint: `return`).")
    if not isinstance(got, Tensor):
        if not isinstance(got, int | float):
            raise AssertionError(f"{what}: expected a tensor, got {type(got).__name__}.")
        got = torch.tensor(got)
    if _same(got, right):
        return f"Right. {meaning}".strip()
    for hint, wrong in mistakes.items():
        if _same(got, wrong):
            raise AssertionError(f"{what}: {hint}")
    if got.shape != right.shape:
        raise AssertionError(f"{what}: expected the shape {tuple(right.shape)}, got {tuple(got.shape)}.")
    wrong_entries = int((~torch.isclose(got.double(), right.double(), atol=1e-5)).sum())
    raise AssertionError(
        f"{what}: {wrong_entries} of {right.numel()} values differ from the right ones. First expected: "
        f"{_first(right)}, first seen: {_first(got)}."
    )


def _same(got: Tensor, wanted: Tensor) -> bool:
    if got.shape != wanted.shape or (got.dtype == torch.bool) != (wanted.dtype == torch.bool):
        return False
    return torch.allclose(got.detach().double(), wanted.detach().double(), atol=1e-5, equal_nan=True)


def _first(values: Tensor) -> str:
    return ", ".join(f"{value:.4g}" for value in values.detach().double().flatten()[:4].tolist())


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
