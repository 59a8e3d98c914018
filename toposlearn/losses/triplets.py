"""What both alignment terms share: gathering tokens, the hinge of a triplet, and means over what is valid.

Indices and masks of these functions may hold anything where ``valid`` is false; no value there reaches the result.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from toposlearn.topology.distances import Metric, as_float, paired_distance


def gather_tokens(tokens: Tensor, index: Tensor, subjects: Tensor | None = None) -> Tensor:
    """Tokens (B, N, F) at the places (R, N, K): (R, N, K, F). Places of -1 give the first token.

    Row r is read in subject r, or in subject ``subjects[r]`` when these are given (R,).
    """
    flat = _flat_places(index, tokens.shape[1], subjects)
    return tokens.reshape(-1, tokens.shape[-1]).index_select(0, flat.flatten()).view(*index.shape, -1)


def gather_flags(flags: Tensor, index: Tensor) -> Tensor:
    """Flags (B, N) bool at the places (B, R, K); false where the place is -1."""
    return flags.gather(1, index.clamp_min(0).flatten(1)).view_as(index) & (index >= 0)


def triplet_hinge(
    anchors: Tensor,
    vectors: Tensor,
    positives: Tensor,
    negatives: Tensor,
    margin: float,
    metric: Metric,
    subjects: Tensor | None = None,
) -> Tensor:
    """relu(d(anchor, positive) - d(anchor, negative) + margin) (R, N, K), for embedded tokens.

    Args:
        anchors: (R, N, F).
        vectors: (B, M, F), where positives and negatives are read.
        positives: (R, N, K) long, places in the vectors of the row's subject; -1 reads the first.
        negatives: (R, N, K) long.
        margin: in the metric's unit.
        metric: of the distance.
        subjects: (R,) subject of each row; its own number when absent.
    """
    if metric == "euclidean":
        read = [gather_tokens(vectors, index, subjects) for index in (positives, negatives)]
        nearer, farther = (paired_distance(anchors[:, :, None], each, metric) for each in read)
        return torch.relu(nearer - farther + margin)
    places = _flat_places(torch.cat([positives, negatives], -1), vectors.shape[1], subjects)
    similar: Tensor = _GatheredDots.apply(  # type: ignore[no-untyped-call]
        anchors.flatten(0, 1), vectors.flatten(0, 1), places.flatten(0, 1)
    )
    nearer, farther = similar.view(places.shape).chunk(2, -1)
    return torch.relu(farther - nearer + margin)


class _GatheredDots(torch.autograd.Function):
    """Products (T, C) of anchors (T, F) with the vectors (V, F) at places (T, C), without gathering these.

    To gather is to write T x C x F numbers, several times over: most of the time and memory of a loss. The kernels of
    `torch.nn.functional.embedding_bag` read them where they are: a weighted sum of vectors is a pass of the gradient
    here, and the gradient of its weights is the product wanted. (That operator is not public: the tests against loops
    would tell if it changed.)
    """

    @staticmethod
    def forward(ctx: Any, anchors: Tensor, vectors: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(anchors, vectors, places)
        count, width = places.shape
        bag = torch.arange(count, device=places.device)
        product: Tensor = torch.ops.aten._embedding_bag_per_sample_weights_backward(
            anchors, vectors, places.flatten(), bag * width, bag.repeat_interleave(width), 0
        )
        return product.view(count, width)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        anchors, vectors, places = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        to_anchors = to_vectors = None
        if ctx.needs_input_grad[0]:
            to_anchors = embedding_bag(places, vectors, mode="sum", per_sample_weights=gradient)
        if ctx.needs_input_grad[1]:  # whoever reads a vector sends it a gradient: the same sum, sorted by vector
            place, order = places.flatten().sort(stable=True)
            starts = torch.searchsorted(place, torch.arange(len(vectors), device=place.device))
            readers, weights = order // places.shape[1], gradient.flatten()[order]
            to_vectors = embedding_bag(readers, anchors, starts, mode="sum", per_sample_weights=weights)
        return to_anchors, to_vectors, None


def _flat_places(index: Tensor, n: int, subjects: Tensor | None) -> Tensor:
    """Places (R, N, C) of the row's subject as places among the tokens of all subjects, one after another."""
    if subjects is None:
        subjects = torch.arange(len(index), device=index.device)
    return index.clamp_min(0) + subjects.view(-1, 1, 1) * n


def valid_mean(values: Tensor, valid: Tensor, dim: int | tuple[int, ...] = -1) -> tuple[Tensor, Tensor]:
    """Mean of ``values`` over the valid entries along ``dim`` (0 where there is none), and whether there was any."""
    count = valid.sum(dim)
    total = torch.where(valid, values, 0).sum(dim)
    return total / count.clamp_min(1), count > 0


def counted(tokens: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Tokens (B, N, F) in float32 with zeros outside the mask, and the mask itself (B, N), all true when absent."""
    if mask is None:
        return as_float(tokens), torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    return as_float(tokens).masked_fill(~mask[..., None], 0), mask


def zero_unless_broken(tokens_a: Tensor, tokens_b: Tensor) -> Tensor:
    """A zero without gradient; NaN when either holds a value that is not finite.

    Added to a loss, it lets no broken token go unseen: a NaN never has a neighbor or a match, so it would otherwise
    drop out of the mean.
    """
    ends = [end for tokens in (tokens_a, tokens_b) for end in torch.aminmax(tokens.detach())]
    return torch.stack([end.to(tokens_b) * 0 for end in ends]).sum()


def in_one_precision(tokens_a: Tensor, tokens_b: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float32, or in float64 when either is."""
    dtype = torch.promote_types(as_float(tokens_a[:0]).dtype, as_float(tokens_b[:0]).dtype)
    return tokens_a.to(dtype), tokens_b.to(dtype)


def check_enough(n: int, k: int) -> None:
    """Raise ValueError when N tokens cannot give an anchor, K neighbors and a negative."""
    if n < k + 2:
        raise ValueError(
            f"tokens must number at least k + 2 = {k + 2} (the anchor, k = {k} neighbors, one negative), got N = {n}: "
            "use a finer token level or a smaller k"
        )
