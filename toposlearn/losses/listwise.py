"""Intra-instance loss over all tokens at once: who is next to whom, as a distribution instead of triplets.

For each anchor i of a, every token j of b is weighted by how near its place is to that of i, and the similarities of
the features must give the same weights:

    w_ij = softmax_j( -|x_i - x_j|² / (2 radius²) )
    L    = - mean_i sum_j w_ij log softmax_j( -d(a_i, b_j) / temperature )

The graph is that of places in a, in mm, not of features. This is the listwise ranking of Cao et al. 2007
(doi:10.1145/1273496.1273513); as the radius goes to 0 it is the contrast of places of SAM (Yan et al. 2020,
arXiv:2012.02383). One direction only; `TacoLoss` takes both.
"""

import torch
from torch import Tensor

from toposlearn.losses.kernels import counted, valid_mean
from toposlearn.topology.distances import Mask, Metric, as_float, embed, full_mask, no_autocast, pairwise_distance

_BEYOND = -1e9  # logit of a token that does not count


def neighborhoods(positions: Tensor, radius: float = 8.0, mask: Mask = None) -> Tensor:
    """The weights w (B, N, N) of tokens at `positions` (B, N, 3) mm; rows sum to one.

    `radius` is the standard deviation of a neighborhood, mm. Tokens outside the mask (B, N) have no weight.
    """
    if radius <= 0:
        raise ValueError(f"radius must be positive (mm), got {radius}")
    counts = full_mask(mask, positions)
    x = as_float(positions)
    x = (x - x.mean(1, keepdim=True)) / radius
    column = _beyond(counts, x) - x.square().sum(-1)[:, None] / 2  # what |x_i|² adds is the same in a whole row
    return torch.baddbmm(column, x, x.mT).softmax(-1)


def listwise_loss(
    tokens_a: Tensor,
    tokens_b: Tensor,
    wanted: Tensor,
    *,
    temperature: float = 0.1,
    mask: Mask = None,
    metric: Metric = "cosine",
) -> Tensor:
    """Listwise loss that asks the features of b to lie around each anchor of a as their places do, a scalar.

    The mean runs over a subject's tokens that count, then over subjects. A subject of whom fewer than two count is left
    out; when none is left the result is an exact zero with a zero gradient. A NaN in a token that counts makes it NaN.
    It is float32 (float64 for float64 tokens), also under autocast. Both tokens take a gradient. It holds a few
    (B, N, N) matrices: 8 MB each for 2 subjects of 1024 tokens.

    Args:
        tokens_a: (B, N, F), the anchors.
        tokens_b: (B, N, F), the same places in another modality.
        wanted: (B, N, N), the `neighborhoods` of the places, under the same mask.
        temperature: distance of features, in the metric's unit, that counts as a difference.
        mask: (B, N) bool, tokens that count. A masked token is no anchor and no neighbor, and may hold anything.
        metric: ``"cosine"`` or ``"euclidean"``, of features.
    """
    if tokens_a.shape != tokens_b.shape or tokens_a.ndim != 3:
        shapes = f"{tuple(tokens_a.shape)} and {tuple(tokens_b.shape)}"
        raise ValueError(f"tokens_a and tokens_b must both have shape (B, N, F), place by place the same, got {shapes}")
    batch, n, _ = tokens_a.shape
    if wanted.shape != (batch, n, n):
        raise ValueError(f"wanted must have shape {(batch, n, n)} (B, N, N), got {tuple(wanted.shape)}")
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    counts = full_mask(mask, tokens_b)  # (B, N)
    with no_autocast(tokens_b):
        a, b, broken = counted(tokens_a, tokens_b, counts, counts)
        if metric == "cosine":  # the distance is 1 - cos, and the 1 changes no softmax
            logits = torch.baddbmm(_beyond(counts, b), embed(a, metric), embed(b, metric).mT, alpha=1 / temperature)
        else:
            logits = _beyond(counts, b) - pairwise_distance(a, b, metric) / temperature
        per_anchor = -(wanted.to(logits) * logits.log_softmax(-1)).sum(-1)  # (B, N)
        per_subject, kept = valid_mean(per_anchor, counts & (counts.sum(1, keepdim=True) >= 2))
        return valid_mean(per_subject, kept)[0] + broken


def _beyond(counts: Tensor, like: Tensor) -> Tensor:
    """(B, 1, N), what is added to the logits of tokens: they are not chosen where they do not count."""
    return torch.zeros_like(like[..., 0]).masked_fill(~counts, _BEYOND)[:, None]
