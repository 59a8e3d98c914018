"""Intra-instance loss: one person, two registered modalities. What is near in a must be near in b.

For each anchor i, its K nearest tokens in a are the positives j, and n is drawn outside them:

    L = mean relu( d_b(i, j) - d_b(i, n) + margin )

One direction only; `TacoLoss` takes both. The graph of a takes no gradient.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from toposlearn.losses.triplets import (
    check_enough,
    counted,
    gather_flags,
    in_one_precision,
    triplet_hinge,
    valid_mean,
    zero_unless_broken,
)
from toposlearn.topology.distances import Metric, check_mask, embed, full_precision
from toposlearn.topology.neighbors import nearest_neighbors, sample_negatives, semi_hard_negatives

Form = Literal["within", "cross"]


def intra_instance_loss(
    tokens_a: Tensor,
    tokens_b: Tensor,
    *,
    k: int = 5,
    margin: float = 0.05,
    mask: Tensor | None = None,
    negatives: Tensor | Literal["semi_hard"] | None = None,
    form: Form = "within",
    metric: Metric = "cosine",
    generator: torch.Generator | None = None,
    neighbors: Tensor | None = None,
) -> Tensor:
    """Triplet loss that asks b to respect the neighborhood graph of a (TACO, intra-instance term).

    The mean runs over a subject's anchors and their K positives, then over subjects. A subject whose mask leaves fewer
    than K + 2 tokens is left out; when none is left the result is an exact zero with a zero gradient. The released
    code's margin is 0.05 whatever is configured.

    Args:
        tokens_a: (B, N, F), gives the graph.
        tokens_b: (B, N, F), the same places in another modality; takes the gradient.
        k: neighbors K.
        margin: how much nearer than the negative a positive must be, in the metric's unit.
        mask: (B, N) bool, tokens that count. A masked token is no anchor, positive or negative, and may hold anything.
        negatives: absent, drawn uniformly outside N_K(i) and i; ``"semi_hard"``, the nearest of these in b that is
            farther than the positive; or (B, N, K) long, where -1 drops a triplet.
        form: ``"within"`` reads anchor, positive and negative in b; ``"cross"`` reads the anchor in a.
        metric: ``"cosine"`` or ``"euclidean"``.
        generator: source of randomness of the negatives.
        neighbors: (B, N, K) long, the graph of a when it is already known.

    Returns:
        Scalar, float32 (float64 for float64 tokens), computed so under autocast too. A NaN in a token that counts makes
        it NaN.

    Raises:
        ValueError: shapes that do not fit, N < K + 2, an unknown form or metric.
    """
    _check(tokens_a, tokens_b, k, mask, form, negatives)
    with full_precision(tokens_b):
        tokens_a, tokens_b = in_one_precision(tokens_a, tokens_b)
        a, counts = counted(tokens_a, mask)
        b, _ = counted(tokens_b, mask)
        positives = nearest_neighbors(a, k, mask, metric) if neighbors is None else neighbors
        vectors = embed(b, metric)
        anchors = vectors if form == "within" else embed(a.detach(), metric)
        if negatives is None:
            negatives = sample_negatives(positives, b.shape[1], k, mask, generator)
        elif not isinstance(negatives, Tensor):
            itself = torch.arange(b.shape[1], device=b.device)[:, None].expand(len(b), -1, 1)
            negatives = semi_hard_negatives(anchors, vectors, positives, itself, mask, metric)
        _check_indices(positives, negatives, (*b.shape[:2], k))
        losses = triplet_hinge(anchors, vectors, positives, negatives, margin, metric)
        valid = counts[..., None] & gather_flags(counts, positives) & gather_flags(counts, negatives)
        valid = valid & (counts.sum(1) >= k + 2)[:, None, None]
        per_subject, kept = valid_mean(losses, valid, dim=(1, 2))
        return valid_mean(per_subject, kept)[0] + zero_unless_broken(a, b)


def _check(
    tokens_a: Tensor, tokens_b: Tensor, k: int, mask: Tensor | None, form: str, negatives: Tensor | str | None
) -> None:
    if tokens_a.shape != tokens_b.shape or tokens_a.ndim != 3:
        shapes = f"{tuple(tokens_a.shape)} and {tuple(tokens_b.shape)}"
        raise ValueError(f"tokens_a and tokens_b must both have shape (B, N, F), place by place the same, got {shapes}")
    check_mask("mask", mask, tokens_b)
    check_enough(tokens_b.shape[1], k)
    if form not in ("within", "cross"):
        raise ValueError(f"form must be 'within' or 'cross', got {form!r}")
    if isinstance(negatives, str) and negatives != "semi_hard":
        raise ValueError(f"negatives must be absent, 'semi_hard' or indices, got {negatives!r}")


def _check_indices(neighbors: Tensor, negatives: Tensor, shape: tuple[int, ...]) -> None:
    for name, index in (("neighbors", neighbors), ("negatives", negatives)):
        if index.shape != shape:
            raise ValueError(f"{name} must have shape {shape} (B, N, K), got {tuple(index.shape)}")
