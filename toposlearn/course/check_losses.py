"""Checks of the exercises on tokens and losses: what a learner wrote against the right answer and the usual mistakes.

Each check calls the learner's function on a small case. A right answer gives one line to read; a wrong one raises
AssertionError that says what is wrong and what to look at. B subjects, N tokens, F features, K neighbors.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from toposlearn.course.judge import judge, same
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
        "channels are last, but the places are not one axis yet: flatten d, h, w too.": features.permute(0, 2, 3, 4, 1),
        "subjects are mixed: keep the first axis B, and flatten d, h, w alone.": right.flatten(0, 1),
    }
    got = fn(features)
    if isinstance(got, Tensor) and got.shape == right.shape and not same(got, right):
        places = [{tuple(token) for token in each.flatten(0, 1).tolist()} for each in (got, right)]
        if places[0] == places[1]:
            raise AssertionError("tokens: the places are in another order: flatten d, h, w in this order, w fastest.")
    return judge("tokens", got, right, mistakes, "Token i holds the F features of one place.")


def check_k_nearest(fn: Callable[[Tensor, int], Tensor]) -> str:
    """``fn(tokens, k)``: indices (B, N, K) of the K nearest other tokens by cosine distance, nearest first."""
    tokens, k = _twins_apart(), 3
    right, got, distance = nearest_neighbors(tokens, k), fn(tokens, k), pairwise_distance(tokens)
    if isinstance(got, Tensor) and got.shape == right.shape and not got.is_floating_point():
        _refuse_self(got)
        _refuse_farthest(got, distance)
        if not same(got, right) and same(got.sort(-1).values, right.sort(-1).values):
            raise AssertionError("neighbors: the right ones, but not the nearest first.")
    far = distance.masked_fill(distance < 1e-6, torch.inf)
    lowest = torch.full(tokens.shape[:2], -torch.inf)
    product = torch.bmm(tokens, tokens.transpose(1, 2)).diagonal_scatter(lowest, dim1=1, dim2=2)
    mistakes = {
        "the length of the tokens matters in your distance: divide each by its length first (cosine).": (
            product.argsort(-1, descending=True)[..., :k]
        ),
        "this is the Euclidean distance; the exercise asks for the cosine distance, 1 - cos.": (
            nearest_neighbors(tokens, k, metric="euclidean")
        ),
        "twins are missing: a token at distance 0 can be another one. Exclude by index (hint: the diagonal).": (
            far.topk(k, largest=False).indices
        ),
    }
    return judge("neighbors", got, right, mistakes, "K others per token, found by index, twins included.")


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
        "the absolute value punishes a triplet for being *too* well satisfied: cut at 0 (hint: `torch.relu`).": (
            (positive - negative + margin).abs()
        ),
        "the margin is the least a triplet costs: add it, then cut at 0.": (positive - negative).clamp(min=margin),
        "this is the mean: give the loss of each triplet, the mean comes later.": right.mean(),
        "this is the sum: give the loss of each triplet, the mean comes later.": right.sum(),
    }
    return judge("hinge", fn(positive, negative, margin), right, mistakes, "Zero once nearer by the margin.")


def check_mutual_matches(fn: Callable[[Tensor, Tensor], Tensor]) -> str:
    """``fn(tokens_a, tokens_b)``: (B, N) index into b of each token's mutual nearest neighbor, or -1."""
    a, b = _random(2, 15, 4), _random(2, 15, 4, seed=1)
    forward, backward = nearest_matches(a, b), nearest_matches(b, a)
    right, here = mutual_matches(a, b), torch.arange(15)
    alike = torch.bmm(a, b.transpose(1, 2))
    crossed = alike.argmax(2), alike.argmax(1)
    mistakes = {
        "this is the nearest token one way: keep it only if you are *its* nearest too, else -1.": forward,
        "these are indices into a: give, for each token of a, the index of its match in b.": backward,
        "unmatched tokens hold 0, which is a token: use -1 for 'no match'.": right.clamp_min(0),
        "the two directions are swapped: row u belongs to token u of a, the value is an index into b.": (
            mutual_matches(b, a)
        ),
        "you compared the two lists of nearest tokens entry by entry: ask b's list at the place that a's list names, "
        "and see whether the answer is u (hint: `backward.gather(1, forward)`).": (
            forward.masked_fill(forward != backward, -1)
        ),
        "these are the tokens that match, not their matches: give the index into b.": (
            here.expand(2, -1).masked_fill(right < 0, -1)
        ),
        "the length of the tokens matters in your distance: it must be the cosine distance.": (
            crossed[0].masked_fill(crossed[1].gather(1, crossed[0]) != here, -1)
        ),
        "you gave which tokens match (true or false): give the index of the match, or -1.": right >= 0,
    }
    return judge("matches", fn(a, b), right, mistakes, "Each is the other's nearest, or there is no match.")


def check_partial_ranking(fn: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> str:
    """``fn(d_positive, d_negative, valid, margin)``, all (N, K): mean over an anchor's valid triplets, then anchors.

    Anchors without a valid triplet are left out; when there is none at all the loss is 0.
    """
    positive = torch.tensor([[0.13, 0.71, 0.42], [0.94, 0.31, 0.25], [0.66, 0.50, 0.87], [0.28, 0.59, 0.11]])
    negative = torch.tensor([[0.92, 0.47, 0.63], [0.35, 0.78, 0.40], [0.20, 0.90, 0.33], [0.81, 0.43, 0.96]])
    margin = 0.4
    valid = torch.tensor([[True, True, True], [True, False, False], [False, False, False], [True, True, False]])
    hinge = torch.relu(positive - negative + margin)
    anchors = _anchor_means(hinge, valid)
    right = anchors.mean()
    mistakes = {
        "there is no hinge: a triplet that is satisfied costs 0, not less (hint: `torch.relu`).": (
            _anchor_means(positive - negative + margin, valid).mean()
        ),
        "the sign is turned: the loss must be large when the *positive* is far and the negative near.": (
            _anchor_means(torch.relu(negative - positive + margin), valid).mean()
        ),
        "the margin is missing.": _anchor_means(torch.relu(positive - negative), valid).mean(),
        "neighbors without a match are counted: average over the valid triplets only.": hinge.mean(),
        "invalid triplets count as zeros in the mean: divide by the number of valid ones, not by K.": (
            (hinge * valid).mean()
        ),
        "all valid triplets are averaged at once, so anchors with many neighbors weigh more: first the mean of each "
        "anchor, then the mean over anchors.": hinge[valid].mean(),
        "anchors without any valid triplet are counted as zeros: leave them out of the mean.": (
            anchors.sum() / len(valid)
        ),
        "there is a NaN: an anchor without any valid triplet divides 0 by 0. Leave it out.": torch.tensor(torch.nan),
        "the sum is taken over the anchors: take their mean.": anchors.sum(),
    }
    judged = judge("loss", fn(positive, negative, valid, margin), right, mistakes, "Only the matched part speaks.")
    judge(
        "loss when nothing is valid",
        fn(positive, negative, torch.zeros_like(valid), margin),
        torch.tensor(0.0),
        {"there is a NaN when no triplet is valid: it must be 0.": torch.tensor(torch.nan)},
        "",
    )
    return judged


def _anchor_means(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over the valid entries of each row of (N, K), of the rows that have any."""
    count = valid.sum(1)
    return (values * valid).sum(1)[count > 0] / count[count > 0]


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
    judged = judge("total", got, right, mistakes, "A mean over directions, a weight on the alignment terms.")
    if not (isinstance(got, Tensor) and got.requires_grad):
        raise AssertionError(
            "total: the value is right, but nothing can be learned from it: the gradient is cut. "
            "Keep tensors (hint: no `float`, `.item()` or `.detach()`)."
        )
    return judged


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
