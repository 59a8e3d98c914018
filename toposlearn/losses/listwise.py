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
from toposlearn.topology.distances import Mask, Metric, full_mask, no_autocast, pairwise_distance

_BEYOND = -1e9  # logit of a token that does not count


def listwise_loss(
    tokens_a: Tensor,
    tokens_b: Tensor,
    positions: Tensor,
    *,
    radius: float = 6.0,
    temperature: float = 0.1,
    mask: Mask = None,
    metric: Metric = "cosine",
) -> Tensor:
    """Listwise loss that asks the features of b to lie around each anchor of a as their places do, a scalar.

    The mean runs over a subject's tokens that count, then over subjects. A subject of whom fewer than two count is left
    out; when none is left the result is an exact zero with a zero gradient. A NaN in a token that counts makes it NaN.
    It is float32 (float64 for float64 tokens), also under autocast. Both tokens take a gradient. It holds a few (B, N,
    N) matrices: 19 MB each for 2 subjects of 1536 tokens.

    Args:
        tokens_a: (B, N, F), the anchors.
        tokens_b: (B, N, F), the same places in another modality.
        positions: (B, N, 3), mm, places of the tokens in a.
        radius: standard deviation of the neighborhood, mm.
        temperature: distance of features, in the metric's unit, that counts as a difference.
        mask: (B, N) bool, tokens that count. A masked token is no anchor and no neighbor, and may hold anything.
        metric: ``"cosine"`` or ``"euclidean"``, of features.
    """
    if tokens_a.shape != tokens_b.shape or tokens_a.ndim != 3:
        shapes = f"{tuple(tokens_a.shape)} and {tuple(tokens_b.shape)}"
        raise ValueError(f"tokens_a and tokens_b must both have shape (B, N, F), place by place the same, got {shapes}")
    if positions.shape != (*tokens_a.shape[:2], 3):
        raise ValueError(
            f"positions must have shape {(*tokens_a.shape[:2], 3)} (B, N, 3), got {tuple(positions.shape)}"
        )
    if min(radius, temperature) <= 0:
        raise ValueError(f"radius and temperature must be positive, got {radius} and {temperature}")
    counts = full_mask(mask, tokens_b)  # (B, N)
    with no_autocast(tokens_b):
        a, b, broken = counted(tokens_a, tokens_b, counts, counts)
        beyond = torch.zeros_like(b[..., 0]).masked_fill(~counts, _BEYOND)[:, None]  # (B, 1, N)
        apart = pairwise_distance(positions.to(b), metric="euclidean")  # (B, N, N) mm
        wanted = (beyond - apart**2 / (2 * radius**2)).softmax(-1)  # w_ij
        given = (beyond - pairwise_distance(a, b, metric) / temperature).log_softmax(-1)
        per_anchor = -(wanted * given).sum(-1)  # (B, N)
        per_subject, kept = valid_mean(per_anchor, counts & (counts.sum(1, keepdim=True) >= 2))
        return valid_mean(per_subject, kept)[0] + broken
