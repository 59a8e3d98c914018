"""Pseudo-correspondences: which token of one person is which token of another, guessed from the features alone.

Notation: B subjects (or pairs of them), N and M tokens, F features. A match is an index into the other's tokens, or -1.
Independent random features already give about 50 % mutual matches, right only by chance: 0.5 is the null, not a
success. Gates (`gate_matches`) keep the trustworthy part. No gradient passes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from toposlearn.topology.distances import (
    Metric,
    check_mask,
    check_tokens,
    distance_matrix,
    embed,
    full_precision,
    paired_distance,
    usable_tokens,
)
from toposlearn.topology.neighbors import draw_outside, row_blocks


def nearest_matches(
    tokens_a: Tensor,
    tokens_b: Tensor,
    mask_a: Tensor | None = None,
    mask_b: Tensor | None = None,
    metric: Metric = "cosine",
) -> Tensor:
    """The nearest token of b for each token of a; equal distances: lowest index.

    Args:
        tokens_a: (B, N, F).
        tokens_b: (B, M, F).
        mask_a: (B, N) bool, tokens that count; the others get -1.
        mask_b: (B, M) bool, tokens that may be found.
        metric: ``"cosine"`` or ``"euclidean"``.

    Returns:
        Indices into b (B, N), long, or -1 where b has no token that counts.
    """
    return _two_way_matches(tokens_a, tokens_b, mask_a, mask_b, metric)[0]


def mutual_matches(
    tokens_a: Tensor, tokens_b: Tensor, mask_a: Tensor | None = None, mask_b: Tensor | None = None
) -> Tensor:
    """Mutual nearest neighbors: u and v match when each is the other's nearest by cosine distance.

    Args:
        tokens_a: (B, N, F).
        tokens_b: (B, M, F).
        mask_a: (B, N) bool, tokens of a that count. The others, and tokens that are not finite, never match.
        mask_b: (B, M) bool, the same for b.

    Returns:
        Indices into b (B, N), long, or -1. No token of b is matched twice.
    """
    forward, backward = _two_way_matches(tokens_a, tokens_b, mask_a, mask_b, "cosine")
    index = torch.arange(forward.shape[1], device=forward.device)
    mutual = (forward >= 0) & (backward.gather(1, forward.clamp_min(0)) == index)
    return forward.masked_fill(~mutual, -1)


@torch.no_grad()
def _two_way_matches(
    tokens_a: Tensor, tokens_b: Tensor, mask_a: Tensor | None, mask_b: Tensor | None, metric: Metric
) -> tuple[Tensor, Tensor]:
    """Nearest in b of each a (B, N), nearest in a of each b (B, M), from one pass over blocks of the matrix."""
    check_tokens(tokens_a=tokens_a, tokens_b=tokens_b)
    check_mask("mask_a", mask_a, tokens_a)
    check_mask("mask_b", mask_b, tokens_b)
    usable_a, usable_b = usable_tokens(tokens_a, mask_a), usable_tokens(tokens_b, mask_b)
    with full_precision(tokens_a):
        a, b = embed(tokens_a, metric), embed(tokens_b, metric)
        forward = []
        nearest = b.new_full(b.shape[:2], torch.inf)
        backward = torch.full(b.shape[:2], -1, device=b.device)
        for rows in row_blocks(a, b):
            distances = distance_matrix(a[:, rows], b, metric)
            distances.masked_fill_(~usable_a[:, rows, None], torch.inf).masked_fill_(~usable_b[:, None], torch.inf)
            value, index = distances.min(2)
            forward.append(index.masked_fill(~torch.isfinite(value), -1))
            value, index = distances.min(1)
            backward = torch.where(value < nearest, index + rows.start, backward)
            nearest = torch.minimum(nearest, value)
    return torch.cat(forward, 1), backward


def random_matches(mask_a: Tensor, mask_b: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """The null: each token of a (B, N) that counts gets a token of b (B, M) drawn uniformly; the others -1."""
    drawn = draw_outside(mask_a.new_empty((*mask_a.shape, 0), dtype=torch.long), mask_b.shape[1], 1, mask_b, generator)
    return drawn[..., 0].masked_fill(~mask_a, -1)


def invert_matches(matches: Tensor, m: int) -> Tensor:
    """Mutual matches a -> b (B, N) read the other way, b -> a (B, M), -1 where there is none."""
    batch, n = matches.shape
    inverse = torch.full((batch, m + 1), -1, device=matches.device)  # the last column takes the unmatched
    source = torch.arange(n, device=matches.device).expand(batch, n)
    return inverse.scatter(1, torch.where(matches < 0, m, matches), source)[:, :m]


@torch.no_grad()
def gate_matches(
    matches: Tensor,
    tokens_a: Tensor,
    tokens_b: Tensor,
    min_similarity: float | None = None,
    ratio: float | None = None,
    mask_b: Tensor | None = None,
) -> Tensor:
    """Keep the matches that can be trusted, set the others to -1.

    Args:
        matches: (B, N) long, indices into b or -1.
        tokens_a: (B, N, F).
        tokens_b: (B, M, F).
        min_similarity: cosine similarity a match must reach.
        ratio: distance to the match over distance to the nearest other token of b must stay below this (Lowe, 2004).
        mask_b: (B, M) bool, tokens of b that count as "other" in the ratio.

    Returns:
        Matches (B, N), long.
    """
    check_tokens(tokens_a=tokens_a, tokens_b=tokens_b)
    check_mask("mask_b", mask_b, tokens_b)
    with full_precision(tokens_a):
        a, b = embed(tokens_a, "cosine"), embed(tokens_b, "cosine")
        found = b.gather(1, matches.clamp_min(0)[..., None].expand_as(a))
        distance = paired_distance(a, found, "cosine").clamp(0, 2)
        keep = matches >= 0
        if min_similarity is not None:
            keep = keep & (1 - distance >= min_similarity)
        if ratio is not None:
            keep = keep & (distance < ratio * _nearest_other(matches, a, b, usable_tokens(tokens_b, mask_b)))
    return matches.masked_fill(~keep, -1)


def _nearest_other(matches: Tensor, a: Tensor, b: Tensor, usable: Tensor) -> Tensor:
    """Distance (B, N) of each a to the nearest usable token of b that is not its match."""
    blocks = []
    for rows in row_blocks(a, b):
        distances = distance_matrix(a[:, rows], b, "cosine")
        distances.masked_fill_(~usable[:, None], torch.inf)
        distances.scatter_(2, matches[:, rows].clamp_min(0)[..., None], torch.inf)
        blocks.append(distances.amin(2))
    return torch.cat(blocks, 1)
