"""Intra-instance loss: one person, two registered modalities. Neighbors in a must be near each other in b.

For each anchor i, its K nearest tokens in a are the positives j, and n is drawn outside them:

    L = mean relu( d_b(i, j) - d_b(i, n) + margin )

One direction only; `TacoLoss` takes both. The graph of a takes no gradient.
"""

from typing import Literal

import torch
from torch import Tensor

from toposlearn.losses.kernels import Negatives, Triplets, check_enough, check_shape, counted, make_triplets, valid_mean
from toposlearn.topology.distances import Mask, Metric, embed, full_mask, no_autocast, pairwise_distance
from toposlearn.topology.neighbors import nearest_neighbors, sample_negatives

Form = Literal["within", "cross"]


def plain_intra_loss(
    tokens_a: Tensor,
    tokens_b: Tensor,
    k: int = 5,
    margin: float = 0.05,
    negatives: Tensor | None = None,
    form: Form = "within",
    metric: Metric = "cosine",
) -> Tensor:
    """The equation as it stands, in O(N²) memory: every token counts. The reference of `intra_instance_loss`."""
    anchors = tokens_b if form == "within" else tokens_a.detach()
    d_a = pairwise_distance(tokens_a.detach(), metric=metric)  # (B, N, N)
    d_b = pairwise_distance(anchors, tokens_b, metric)  # (B, N, N)
    d_a.diagonal(dim1=1, dim2=2).fill_(torch.inf)  # a token is not its own neighbor
    positives = d_a.topk(k, largest=False).indices  # j in N_K(i): (B, N, K)
    if negatives is None:
        negatives = sample_negatives(positives, d_a.shape[1], k)  # n outside N_K(i) and i: (B, N, K)
    d_positive, d_negative = d_b.gather(2, positives), d_b.gather(2, negatives)
    return torch.relu(d_positive - d_negative + margin).mean()


def intra_instance_loss(
    tokens_a: Tensor,
    tokens_b: Tensor,
    *,
    k: int = 5,
    margin: float = 0.05,
    mask: Mask = None,
    negatives: Negatives = "uniform",
    form: Form = "within",
    metric: Metric = "cosine",
    generator: torch.Generator | None = None,
    neighbors: Tensor | None = None,
) -> Tensor:
    """Triplet loss that asks b to respect the neighborhood graph of a (TACO, intra-instance term), a scalar.

    The mean runs over a subject's anchors and their K positives, then over subjects. A subject whose mask leaves fewer
    than K + 2 tokens is left out; when none is left the result is an exact zero with a zero gradient. A NaN in a token
    that counts makes it NaN. It is float32 (float64 for float64 tokens), also under autocast. The released code's
    margin is 0.05 whatever is configured.

    Args:
        tokens_a: (B, N, F), gives the graph.
        tokens_b: (B, N, F), the same places in another modality; takes the gradient.
        k: neighbors K.
        margin: how much nearer than the negative a positive must be, in the metric's unit.
        mask: (B, N) bool, tokens that count. A masked token is no anchor, positive or negative, and may hold anything.
        negatives: ``"uniform"`` (or None), drawn outside N_K(i) and i; ``"semi_hard"``, the nearest of these in b that
            is farther than the positive; or (B, N, K) long, where -1 drops a triplet.
        form: ``"within"`` reads anchor, positive and negative in b; ``"cross"`` reads the anchor in a.
        metric: ``"cosine"`` or ``"euclidean"``.
        generator: source of randomness of the negatives.
        neighbors: (B, N, K) long, the graph of a when it is already known.
    """
    triplets = intra_triplets(tokens_a, tokens_b, k, mask, negatives, form, metric, generator, neighbors)
    d_positive, d_negative = triplets.d_positive, triplets.d_negative
    hinge = torch.relu(d_positive - d_negative + margin)  # (B, N, K)
    per_subject, kept = valid_mean(hinge, triplets.valid, dim=(1, 2))
    return valid_mean(per_subject, kept)[0] + triplets.broken


def intra_triplets(
    tokens_a: Tensor,
    tokens_b: Tensor,
    k: int = 5,
    mask: Mask = None,
    negatives: Negatives = "uniform",
    form: Form = "within",
    metric: Metric = "cosine",
    generator: torch.Generator | None = None,
    neighbors: Tensor | None = None,
) -> Triplets:
    """The triplets of `intra_instance_loss`; same arguments."""
    if tokens_a.shape != tokens_b.shape or tokens_a.ndim != 3:
        shapes = f"{tuple(tokens_a.shape)} and {tuple(tokens_b.shape)}"
        raise ValueError(f"tokens_a and tokens_b must both have shape (B, N, F), place by place the same, got {shapes}")
    check_enough(tokens_b.shape[1], k)
    if form not in ("within", "cross"):
        raise ValueError(f"form must be 'within' or 'cross', got {form!r}")
    if isinstance(negatives, str) and negatives not in ("uniform", "semi_hard"):
        raise ValueError(f"negatives must be 'uniform', 'semi_hard' or indices, got {negatives!r}")
    counts = full_mask(mask, tokens_b)  # (B, N)
    check_shape((*counts.shape, k), neighbors=neighbors, negatives=negatives)
    with no_autocast(tokens_b):
        a, b, broken = counted(tokens_a, tokens_b, counts, counts)
        enough = counts.sum(1, keepdim=True) >= k + 2
        anchors = torch.arange(b.shape[1], device=b.device).expand(counts.shape).masked_fill(~(counts & enough), -1)
        positives = nearest_neighbors(a, k, counts, metric) if neighbors is None else neighbors  # (B, N, K)
        vectors = embed(b, metric)
        read = vectors if form == "within" else embed(a.detach(), metric)
        return make_triplets(read, vectors, anchors, positives, negatives, counts, broken, metric, generator)
