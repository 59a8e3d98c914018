"""Kernels of the alignment losses: gathered distances, the choice of negatives, means over valid entries, precision.

An index of -1 means "none". Values and indices may hold anything where ``valid`` is false; none of it reaches the loss.
"""

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from toposlearn.topology.distances import Metric, as_float, at_index, flags_at, flat_places, paired_distance
from toposlearn.topology.neighbors import semi_hard_negatives, uniform_negatives

Negatives = Tensor | Literal["uniform", "semi_hard", "unmatched"] | None  # None: "uniform"


class Triplets(NamedTuple):
    """Triplets of R rows (subjects, or pairs of them), with N anchors each and K positives per anchor."""

    anchors: Tensor  # (R, N) long, the token where each anchor is read, -1 where it is left out
    positives: Tensor  # (R, N, K) long, tokens that should be near
    negatives: Tensor  # (R, N, K) long, tokens that should be far
    d_positive: Tensor  # (R, N, K), distance of anchor and positive
    d_negative: Tensor  # (R, N, K), distance of anchor and negative
    valid: Tensor  # (R, N, K) bool, triplets that exist
    broken: Tensor  # scalar 0, or NaN when a token that counts is not finite: without neighbors, it shows only here


def make_triplets(
    read: Tensor,
    vectors: Tensor,
    anchors: Tensor,
    positives: Tensor,
    negatives: Negatives,
    counts: Tensor,
    broken: Tensor,
    metric: Metric,
    generator: torch.Generator | None,
    subjects: Tensor | None = None,
) -> Triplets:
    """Choose the negatives, unless they are given, and measure all distances from the embedded anchors (R, N, F).

    Positives and negatives are places in the vectors (B, M, F) of each row's subject (R,), absent: of its own number;
    ``counts`` (R, M) bool are the tokens that may be one.
    """
    if isinstance(negatives, str) and negatives == "semi_hard":
        of_row = vectors if subjects is None else vectors[subjects]
        negatives = semi_hard_negatives(read, of_row, positives, anchors[..., None], counts, metric)
    elif not isinstance(negatives, Tensor):
        negatives = _draw_negatives(negatives, anchors, positives, counts, generator)
    places = torch.cat([positives, negatives], -1)
    if metric == "euclidean":
        distances = paired_distance(read[:, :, None], at_index(vectors, places, subjects), metric)
    else:
        places = flat_places(places, vectors.shape[1], subjects)
        flat = [each.flatten(0, 1) for each in (read, vectors, places)]
        products: Tensor = _GatheredDots.apply(*flat)  # type: ignore[no-untyped-call]
        distances = 1 - products.view(places.shape)
    d_positive, d_negative = distances.chunk(2, -1)
    valid = (anchors >= 0)[..., None] & flags_at(counts, positives) & flags_at(counts, negatives)
    return Triplets(anchors, positives, negatives, d_positive, d_negative, valid, broken)


def _draw_negatives(
    how: str | None, anchors: Tensor, positives: Tensor, counts: Tensor, generator: torch.Generator | None
) -> Tensor:
    """Negatives (R, N, K): neither anchor nor positive, or, if "unmatched", no anchor's match."""
    n, k = counts.shape[1], positives.shape[-1]
    if how != "unmatched":
        return uniform_negatives(torch.cat([anchors[..., None], positives], -1), n, k, counts, generator)
    matched = torch.zeros(len(counts), n + 1, dtype=torch.bool, device=counts.device)  # the last: no match
    matched = matched.scatter(1, torch.where(anchors < 0, n, anchors), True)[:, :n]
    return uniform_negatives(positives[..., :0], n, k, counts & ~matched, generator)


class _GatheredDots(torch.autograd.Function):
    """Products (T, C) of anchors (T, F) with the vectors (V, F) at places (T, C), without gathering these.

    Gathering is most of the time and memory of a loss. The kernels of `torch.nn.functional.embedding_bag` read the
    vectors in place: a weighted sum of vectors is one pass of the gradient here, and the gradient of its weights is the
    product. (That operator is not public: the tests against the plain form would show a change.)
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
        if ctx.needs_input_grad[1]:  # every anchor that reads a vector sends it a gradient: a sum, sorted by vector
            place, order = places.flatten().sort(stable=True)
            starts = torch.searchsorted(place, torch.arange(len(vectors), device=place.device))
            readers, weights = order // places.shape[1], gradient.flatten()[order]
            to_vectors = embedding_bag(readers, anchors, starts, mode="sum", per_sample_weights=weights)
        return to_anchors, to_vectors, None


def valid_mean(values: Tensor, valid: Tensor, dim: int | tuple[int, ...] = -1) -> tuple[Tensor, Tensor]:
    """Mean of ``values`` over the valid entries along ``dim`` (0 where there is none), and whether there was any."""
    count = valid.sum(dim)
    return torch.where(valid, values, 0).sum(dim) / count.clamp_min(1), count > 0


def counted(tokens_a: Tensor, tokens_b: Tensor, mask_a: Tensor, mask_b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Both tokens in one precision with zeros outside their masks, and `Triplets.broken`."""
    dtype = torch.promote_types(as_float(tokens_a[:0]).dtype, as_float(tokens_b[:0]).dtype)
    a, b = (t.to(dtype).masked_fill(~mask[..., None], 0) for t, mask in ((tokens_a, mask_a), (tokens_b, mask_b)))
    ends = [end * 0 for side in (a, b) for end in torch.aminmax(side.detach())]
    return a, b, torch.stack(ends).sum()


def check_enough(n: int, k: int) -> None:
    """Raise ValueError when N tokens cannot give an anchor, K neighbors and a negative."""
    if n < k + 2:
        needed = f"k + 2 = {k + 2} (the anchor, k = {k} neighbors, one negative)"
        raise ValueError(f"tokens must number at least {needed}, got N = {n}: use a finer token level or a smaller k")


def check_shape(shape: tuple[int, ...], **indices: Negatives) -> None:
    """Raise ValueError for indices of another shape than (B, N, K). What is no tensor is skipped."""
    for name, index in indices.items():
        if isinstance(index, Tensor) and index.shape != shape:
            raise ValueError(f"{name} must have shape {shape} (B, N, K), got {tuple(index.shape)}")
