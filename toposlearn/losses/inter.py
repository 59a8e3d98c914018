"""Inter-instance loss: two people, no registration. Where their tokens match, their neighborhoods must agree.

For every ordered pair of people (p, q), each match u -> m(u) and each neighbor u' of u that is matched too:

    L = mean relu( d_q(m(u), m(u')) - d_q(m(u), n) + margin )

Only the matched part of the graph counts: a *partial* ranking. One direction only (p in modality a, q in modality b):
`TacoLoss` takes both. Graph and matches take no gradient.
"""

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from toposlearn.losses.kernels import Negatives, Triplets, check_enough, check_shape, counted, make_triplets, valid_mean
from toposlearn.topology import pairwise_distance
from toposlearn.topology.correspondence import Pairs, mutual_matches, ordered_pairs
from toposlearn.topology.distances import Mask, Metric, at_index, check_tokens, embed, flags_at, full_mask, no_autocast
from toposlearn.topology.neighbors import nearest_neighbors, uniform_negatives

SubjectIds = Sequence[Hashable] | Tensor


def plain_inter_loss(
    tokens_a: Tensor,
    tokens_b: Tensor,
    k: int = 5,
    margin: float = 0.4,
    negatives: Tensor | None = None,
    matches: Tensor | None = None,
    metric: Metric = "cosine",
) -> Tensor:
    """The equation as it stands, in O(N²) memory: every token counts. The reference of `inter_instance_loss`."""
    p, q = ordered_pairs(len(tokens_b))  # (P,)
    d_a, d_b = pairwise_distance(tokens_a.detach(), metric=metric), pairwise_distance(tokens_b, metric=metric)
    d_a.diagonal(dim1=1, dim2=2).fill_(torch.inf)  # a token is not its own neighbor
    neighbors = d_a.topk(k, largest=False).indices[p]  # u' in N_K(u): (P, N, K)
    if matches is None:
        d_pq = pairwise_distance(tokens_a.detach()[p], tokens_b.detach()[q], metric)  # (P, N, N)
        there, back = d_pq.argmin(2), d_pq.argmin(1)
        mutual = back.gather(1, there) == torch.arange(there.shape[1], device=there.device)
        matches = there.masked_fill(~mutual, -1)  # m(u), or -1: (P, N)
    positives = matches.gather(1, neighbors.flatten(1)).view_as(neighbors)  # m(u'): (P, N, K)
    if negatives is None:  # n outside m(u) and m(N_K(u)): (P, N, K)
        negatives = uniform_negatives(torch.cat([matches[..., None], positives], -1), d_b.shape[1], k)
    valid = (matches >= 0)[..., None] & (positives >= 0) & (negatives >= 0)
    of_q, anchors = q[:, None, None], matches[..., None]
    d_positive, d_negative = d_b[of_q, anchors, positives], d_b[of_q, anchors, negatives]
    hinge = torch.relu(d_positive - d_negative + margin).masked_fill(~valid, torch.nan)
    return hinge.nanmean(2).nanmean(1).nanmean()  # over neighbors, then anchors, then pairs that keep any


def inter_instance_loss(
    tokens_a: Tensor,
    tokens_b: Tensor,
    *,
    subject_ids: SubjectIds | None = None,
    k: int = 5,
    margin: float = 0.4,
    mask_a: Mask = None,
    mask_b: Mask = None,
    matches: Tensor | None = None,
    negatives: Negatives = "uniform",
    generator: torch.Generator | None = None,
    neighbors: Tensor | None = None,
    metric: Metric = "cosine",
) -> Tensor:
    """Partial ranking loss over pseudo-correspondences between people (TACO, inter-instance term), a scalar.

    The mean runs over an anchor's matched neighbors, then over the anchors that keep any, then over the ordered pairs
    that keep any anchor: P = B (B - 1), as in `ordered_pairs`. A pair in which a mask leaves fewer than K + 2 tokens is
    left out; when none is left the result is an exact zero with a zero gradient. A NaN in a token that counts makes it
    NaN. It is float32 (float64 for float64 tokens), also under autocast.

    Args:
        tokens_a: (B, N, F), people p: gives graph and matches.
        tokens_b: (B, N, F), people q: takes the gradient.
        subject_ids: one per subject; pairs with the same one are left out. Absent: all differ.
        k: neighbors K.
        margin: how much nearer than the negative a positive must be, in the metric's unit.
        mask_a: (B, N) bool, tokens of a that count; the others are no anchor, positive or match, and may hold anything.
        mask_b: (B, N) bool, the same for b, negatives included.
        matches: (B, B, N) with ``matches[p, q, u]`` an index into q's tokens or -1, or the same by pair (P, N). Absent:
            mutual nearest neighbors. No gate is applied here: see `toposlearn.topology.gate_matches`.
        negatives: ``"uniform"`` (or None), K per anchor from q's tokens outside m(u) and m(N_K(u)); ``"semi_hard"``,
            the nearest of these that is farther than the positive; ``"unmatched"``, from q's tokens without a match
            (the released code's choice: they can be true neighbors); or indices into q's tokens, (B, B, N, K) or
            (P, N, K), where -1 drops a triplet.
        generator: source of randomness of the negatives.
        neighbors: (B, N, K) long, the graph of a when it is already known.
        metric: ``"cosine"`` or ``"euclidean"``, of graph, matches and ranking.
    """
    pairs = ordered_pairs(len(tokens_b), tokens_b.device)
    triplets = inter_triplets(
        tokens_a, tokens_b, pairs, k, mask_a, mask_b, matches, negatives, generator, neighbors, metric
    )
    valid = triplets.valid & _differ(subject_ids, pairs, len(tokens_b))[:, None, None]
    d_positive, d_negative = triplets.d_positive, triplets.d_negative
    hinge = torch.relu(d_positive - d_negative + margin)  # (P, N, K)
    per_anchor, has_positive = valid_mean(hinge, valid)
    per_pair, has_anchor = valid_mean(per_anchor, has_positive)
    return valid_mean(per_pair, has_anchor)[0] + triplets.broken


def inter_triplets(
    tokens_a: Tensor,
    tokens_b: Tensor,
    pairs: Pairs,
    k: int = 5,
    mask_a: Mask = None,
    mask_b: Mask = None,
    matches: Tensor | None = None,
    negatives: Negatives = "uniform",
    generator: torch.Generator | None = None,
    neighbors: Tensor | None = None,
    metric: Metric = "cosine",
) -> Triplets:
    """The triplets of `inter_instance_loss` for pairs (P,), (P,) of a subject of a and one of b; same arguments."""
    check_tokens(tokens_a=tokens_a, tokens_b=tokens_b)
    if tokens_a.shape[1] != tokens_b.shape[1]:
        raise ValueError(f"tokens_a and tokens_b must have one N, got {tokens_a.shape[1]} and {tokens_b.shape[1]}")
    check_enough(tokens_b.shape[1], k)
    if isinstance(negatives, str) and negatives not in ("uniform", "semi_hard", "unmatched"):
        raise ValueError(f"negatives must be 'uniform', 'semi_hard', 'unmatched' or indices, got {negatives!r}")
    counts_a, counts_b = full_mask(mask_a, tokens_a, "mask_a"), full_mask(mask_b, tokens_b, "mask_b")
    (p, q), (batch, n, _) = pairs, tokens_b.shape
    check_shape((batch, n, k), neighbors=neighbors)
    with no_autocast(tokens_b):
        a, b, broken = counted(tokens_a, tokens_b, counts_a, counts_b)
        counts_p, counts_q = counts_a[p], counts_b[q]  # (P, N)
        kept = counts_p & ((counts_p.sum(1) >= k + 2) & (counts_q.sum(1) >= k + 2))[:, None]
        graph = nearest_neighbors(a, k, counts_a, metric) if neighbors is None else neighbors
        if matches is None:
            matches = mutual_matches(a, b, counts_a, counts_b, metric, pairs)
        anchors = _by_pair(matches, pairs, "matches", (batch, n))
        anchors = anchors.masked_fill(~(kept & flags_at(counts_q, anchors)), -1)  # m(u): (P, N)
        near = graph[p]  # u': (P, N, K)
        positives = anchors.gather(1, near.clamp_min(0).flatten(1)).view_as(near).masked_fill(near < 0, -1)  # m(u')
        if isinstance(negatives, Tensor):
            negatives = _by_pair(negatives, pairs, "negatives", (batch, n, k))
        vectors = embed(b, metric)
        read = at_index(vectors, anchors[..., None], q)[:, :, 0]  # (P, N, F)
        return make_triplets(read, vectors, anchors, positives, negatives, counts_q, broken, metric, generator, q)


def _by_pair(index: Tensor, pairs: Pairs, name: str, shape: tuple[int, ...]) -> Tensor:
    """Indices (B, *shape) or (P, *shape[1:]) as (P, *shape[1:])."""
    by_subject, by_pair = (shape[0], *shape), (len(pairs[0]), *shape[1:])
    if index.shape not in (by_subject, by_pair):
        wanted = f"{by_subject} (subjects p, q) or {by_pair} (ordered pairs)"
        raise ValueError(f"{name} must have shape {wanted}, got {tuple(index.shape)}")
    return index[pairs] if index.shape == by_subject else index


def _differ(subject_ids: SubjectIds | None, pairs: Pairs, b: int) -> Tensor:
    """Whether the two subjects of each pair differ (P,)."""
    p, q = pairs
    if subject_ids is None:
        return torch.ones_like(p, dtype=torch.bool)
    if len(subject_ids) != b:
        raise ValueError(f"subject_ids must name {b} subjects, one per batch entry, got {len(subject_ids)}")
    if not isinstance(subject_ids, Tensor):
        subject_ids = torch.tensor([list(subject_ids).index(name) for name in subject_ids])
    ids = subject_ids.to(p.device)
    return ids[p] != ids[q]
