"""Inter-instance loss: two people, no registration. Where their tokens match, their neighborhoods must agree.

For every ordered pair of people (p, q), each match u -> m(u) and each neighbor u' of u that is matched too:

    L = mean relu( d_q(m(u), m(u')) - d_q(m(u), n) + margin )

Only the matched part of the graph speaks: a *partial* ranking. One direction only (p in modality a, q in modality b);
`TacoLoss` takes both. Graph and matches take no gradient.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Literal

import torch
from torch import Tensor

from toposlearn.losses.triplets import (
    check_enough,
    counted,
    gather_flags,
    gather_tokens,
    in_one_precision,
    triplet_hinge,
    valid_mean,
    zero_unless_broken,
)
from toposlearn.topology.correspondence import keep_mutual, matches_both_ways
from toposlearn.topology.distances import Metric, check_mask, check_tokens, embed, full_precision
from toposlearn.topology.neighbors import draw_outside, nearest_neighbors, semi_hard_negatives

SubjectIds = Sequence[Hashable] | Tensor


def inter_instance_loss(
    tokens_a: Tensor,
    tokens_b: Tensor,
    *,
    subject_ids: SubjectIds | None = None,
    k: int = 5,
    margin: float = 0.4,
    mask_a: Tensor | None = None,
    mask_b: Tensor | None = None,
    matches: Tensor | None = None,
    negatives: Tensor | Literal["semi_hard", "unmatched"] | None = None,
    generator: torch.Generator | None = None,
    neighbors: Tensor | None = None,
    metric: Metric = "cosine",
) -> Tensor:
    """Partial ranking loss over pseudo-correspondences between people (TACO, inter-instance term).

    The mean runs over an anchor's matched neighbors, then over the anchors that keep any, then over the ordered pairs
    that keep any anchor. A pair in which a mask leaves fewer than K + 2 tokens is left out; when none is left the
    result is an exact zero with a zero gradient. Pairs are ordered as `ordered_pairs` lists them: P = B (B - 1).

    Args:
        tokens_a: (B, N, F), people p: gives graph and matches.
        tokens_b: (B, N, F), people q: takes the gradient.
        subject_ids: one per subject; pairs with the same one are left out. Absent: all differ.
        k: neighbors K.
        margin: how much nearer than the negative a positive must be, in the metric's unit.
        mask_a: (B, N) bool, tokens of a that count; the others are no anchor, positive or match, and may hold anything.
        mask_b: (B, N) bool, the same for b, negatives included.
        matches: (B, B, N) with ``matches[p, q, u]`` an index into q's tokens or -1, or the same by pair (P, N). Mutual
            nearest neighbors when absent. No gate is applied here: see `toposlearn.topology.gate_matches`.
        negatives: absent, K per anchor from q's tokens outside m(u) and m(N_K(u)); ``"semi_hard"``, the nearest of
            these that is farther than the positive; ``"unmatched"``, from q's tokens without a match (the released
            code's choice: they can be true neighbors); or indices into q's tokens, (B, B, N, K) or (P, N, K), where -1
            drops a triplet.
        generator: source of randomness of the negatives.
        neighbors: (B, N, K) long, the graph of a when it is already known.
        metric: ``"cosine"`` or ``"euclidean"``, of graph, matches and ranking.

    Returns:
        Scalar, float32 (float64 for float64 tokens), computed so under autocast too. A NaN in a token that counts makes
        it NaN.

    Raises:
        ValueError: shapes that do not fit, N < K + 2, or an unknown way to draw negatives.
    """
    _check(tokens_a, tokens_b, k, mask_a, mask_b, negatives)
    with full_precision(tokens_b):
        tokens_a, tokens_b = in_one_precision(tokens_a, tokens_b)
        a, counts_a = counted(tokens_a, mask_a)
        b, counts_b = counted(tokens_b, mask_b)
        zero = zero_unless_broken(a, b)
        p, q = ordered_pairs(len(b), b.device)
        if len(p) == 0:
            return zero + 0 * b[:1, :1, :1].sum()  # nothing to compare, and still a gradient: of zeros
        graph = nearest_neighbors(a, k, mask_a, metric) if neighbors is None else neighbors
        if graph.shape != (*a.shape[:2], k):
            raise ValueError(f"neighbors must have shape {(*a.shape[:2], k)} (B, N, K), got {tuple(graph.shape)}")
        if matches is None:
            matches = match_pairs(a, b, mask_a, mask_b, metric)
        anchors = _by_pair(matches, (p, q), "matches", (len(b), a.shape[1]))
        anchors = anchors.masked_fill(~(counts_a[p] & gather_flags(counts_b[q], anchors)), -1)  # (P, N)
        positives = _match_of(graph[p], anchors)  # (P, N, K)
        vectors = embed(b, metric)
        read = gather_tokens(vectors, anchors[..., None], q)[:, :, 0]
        drawn = _negatives(negatives, anchors, positives, counts_b, (p, q), (read, vectors, metric), generator)
        losses = triplet_hinge(read, vectors, positives, drawn, margin, metric, q)
        valid = (anchors >= 0)[..., None] & (positives >= 0) & gather_flags(counts_b[q], drawn)
        valid = valid & _kept_pairs(subject_ids, counts_a, counts_b, k, (p, q))[:, None, None]
        return _mean_of_means(losses, valid) + zero


def ordered_pairs(b: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """First and second subject (P,), (P,) of all pairs p != q: (0, 1), (0, 2), ..., (1, 0), (1, 2), ..."""
    others = max(b - 1, 1)
    pair = torch.arange(b * (b - 1), device=device)
    first, rest = pair // others, pair % others
    return first, rest + (rest >= first)


def match_pairs(
    tokens_a: Tensor,
    tokens_b: Tensor,
    mask_a: Tensor | None = None,
    mask_b: Tensor | None = None,
    metric: Metric = "cosine",
) -> Tensor:
    """Mutual matches of every ordered pair of subjects, p's ``tokens_a`` with q's ``tokens_b``: (P, N)."""
    pairs = ordered_pairs(len(tokens_b), tokens_b.device)
    return keep_mutual(*matches_both_ways(tokens_a.detach(), tokens_b.detach(), mask_a, mask_b, metric, pairs))


def _by_pair(index: Tensor, pairs: tuple[Tensor, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
    """Indices (B, *shape) or (P, *shape[1:]) as (P, *shape[1:])."""
    by_subject, by_pair = (shape[0], *shape), (len(pairs[0]), *shape[1:])
    if index.shape == by_subject:
        return index[pairs]
    if index.shape == by_pair:
        return index
    raise ValueError(
        f"{name} must have shape {by_subject} (subjects p, q) or {by_pair} (ordered pairs), got {tuple(index.shape)}"
    )


def _match_of(index: Tensor, matches: Tensor) -> Tensor:
    """The match (P, N) of each token of (P, N, K), -1 where there is no such token or it has no match."""
    found = matches.gather(1, index.clamp_min(0).flatten(1)).view_as(index)
    return found.masked_fill(index < 0, -1)


def _negatives(
    negatives: Tensor | str | None,
    anchors: Tensor,
    positives: Tensor,
    counts: Tensor,
    pairs: tuple[Tensor, Tensor],
    read: tuple[Tensor, Tensor, Metric],
    generator: torch.Generator | None,
) -> Tensor:
    """Negatives (P, N, K) among q's tokens that count, (B, N); ``read``: vectors of anchors and of all, the metric."""
    n, k = positives.shape[1:]
    allowed = counts[pairs[1]]
    if isinstance(negatives, Tensor):
        return _by_pair(negatives, pairs, "negatives", (len(counts), n, k))
    if negatives is None:
        return draw_outside(torch.cat([anchors[..., None], positives], -1), n, k, allowed, generator)
    if negatives == "semi_hard":
        return semi_hard_negatives(read[0], read[1][pairs[1]], positives, anchors[..., None], allowed, read[2])
    matched = torch.zeros(len(allowed), n + 1, dtype=torch.bool, device=counts.device)  # the last: no match
    matched = matched.scatter(1, torch.where(anchors < 0, n, anchors), True)[:, :n]
    return draw_outside(positives[..., :0], n, k, allowed & ~matched, generator)


def _kept_pairs(
    subject_ids: SubjectIds | None, counts_a: Tensor, counts_b: Tensor, k: int, pairs: tuple[Tensor, Tensor]
) -> Tensor:
    """Pairs (P,) of different people who both have K + 2 tokens that count."""
    p, q = pairs
    kept = (counts_a.sum(1)[p] >= k + 2) & (counts_b.sum(1)[q] >= k + 2)
    if subject_ids is None:
        return kept
    if len(subject_ids) != len(counts_b):
        raise ValueError(f"subject_ids must name {len(counts_b)} subjects, one per batch entry, got {len(subject_ids)}")
    if not isinstance(subject_ids, Tensor):
        codes = {name: code for code, name in enumerate(dict.fromkeys(subject_ids))}
        subject_ids = torch.tensor([codes[name] for name in subject_ids])
    ids = subject_ids.to(kept.device)
    return kept & (ids[p] != ids[q])


def _mean_of_means(losses: Tensor, valid: Tensor) -> Tensor:
    """Over an anchor's positives, then over anchors that keep any, then over pairs that keep any anchor."""
    per_anchor, has_positive = valid_mean(losses, valid)
    per_pair, has_anchor = valid_mean(per_anchor, has_positive)
    return valid_mean(per_pair, has_anchor)[0]


def _check(
    tokens_a: Tensor,
    tokens_b: Tensor,
    k: int,
    mask_a: Tensor | None,
    mask_b: Tensor | None,
    negatives: Tensor | str | None,
) -> None:
    check_tokens(tokens_a=tokens_a, tokens_b=tokens_b)
    if tokens_a.shape[1] != tokens_b.shape[1]:
        raise ValueError(f"tokens_a and tokens_b must have one N, got {tokens_a.shape[1]} and {tokens_b.shape[1]}")
    check_mask("mask_a", mask_a, tokens_a)
    check_mask("mask_b", mask_b, tokens_b)
    check_enough(tokens_b.shape[1], k)
    if isinstance(negatives, str) and negatives not in ("semi_hard", "unmatched"):
        raise ValueError(f"negatives must be absent, 'semi_hard', 'unmatched' or indices, got {negatives!r}")
