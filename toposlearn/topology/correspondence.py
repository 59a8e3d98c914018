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
    distance_blocks,
    embed,
    full_precision,
    paired_distance,
    usable_tokens,
)
from toposlearn.topology.neighbors import draw_outside


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
    return matches_both_ways(tokens_a, tokens_b, mask_a, mask_b, metric)[0]


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
    return keep_mutual(*matches_both_ways(tokens_a, tokens_b, mask_a, mask_b))


def keep_mutual(there: Tensor, back: Tensor) -> Tensor:
    """Of the matches a -> b (B, N) those that b -> a (B, M) confirms, the others -1."""
    index = torch.arange(there.shape[1], device=there.device)
    confirmed = (there >= 0) & (back.gather(1, there.clamp_min(0)) == index)
    return there.masked_fill(~confirmed, -1)


@torch.no_grad()
def matches_both_ways(
    tokens_a: Tensor,
    tokens_b: Tensor,
    mask_a: Tensor | None = None,
    mask_b: Tensor | None = None,
    metric: Metric = "cosine",
    pairs: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Nearest in b of each a (B, N), nearest in a of each b (B, M), from one pass over blocks of the matrix.

    Arguments as in `nearest_matches`. With ``pairs`` (P,) and (P,), subject p of a is compared with subject q of b for
    each of the P pairs; otherwise every subject with itself.
    """
    check_tokens(tokens_a=tokens_a, tokens_b=tokens_b)
    check_mask("mask_a", mask_a, tokens_a)
    check_mask("mask_b", mask_b, tokens_b)
    usable_a, usable_b = usable_tokens(tokens_a, mask_a), usable_tokens(tokens_b, mask_b)
    with full_precision(tokens_a):
        a, b = embed(tokens_a, metric), embed(tokens_b, metric)
        if pairs is not None:
            a, usable_a, b, usable_b = a[pairs[0]], usable_a[pairs[0]], b[pairs[1]], usable_b[pairs[1]]
        there = []
        best = b.new_full(b.shape[:2], torch.inf)
        back = torch.zeros(b.shape[:2], dtype=torch.long, device=b.device)
        for rows, distances in distance_blocks(a, b, metric, usable_a=usable_a, usable_b=usable_b):
            there.append(distances.min(2).indices)
            value, index = distances.min(1)
            back = torch.where(value < best, index + rows.start, back)
            best = torch.minimum(best, value)
    return _if_usable(torch.cat(there, 1), usable_a, usable_b), _if_usable(back, usable_b, usable_a)


def _if_usable(matches: Tensor, usable: Tensor, usable_there: Tensor) -> Tensor:
    """Matches (B, N) between tokens that count, (B, N) and (B, M); the others -1."""
    return matches.masked_fill(~(usable & usable_there.gather(1, matches)), -1)


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
    *,
    max_distance: float | None = None,
    positions_a: Tensor | None = None,
    positions_b: Tensor | None = None,
) -> Tensor:
    """Keep the matches that can be trusted, set the others to -1.

    Args:
        matches: (B, N) long, indices into b or -1.
        tokens_a: (B, N, F).
        tokens_b: (B, M, F).
        min_similarity: cosine similarity a match must reach.
        ratio: distance to the match over distance to the nearest other token of b must stay below this (Lowe, 2004).
        mask_b: (B, M) bool, tokens of b that count as "other" in the ratio.
        max_distance: mm that a token and its match may lie apart: a spatial prior.
        positions_a: (B, N, 3), mm, in a frame common to both people (see `centered_positions`).
        positions_b: (B, M, 3), the same for b.

    Returns:
        Matches (B, N), long.

    Raises:
        ValueError: shapes that do not fit, or a spatial prior without positions.
    """
    check_tokens(tokens_a=tokens_a, tokens_b=tokens_b)
    check_mask("mask_b", mask_b, tokens_b)
    keep = matches >= 0
    with full_precision(tokens_a):
        a, b = embed(tokens_a, "cosine"), embed(tokens_b, "cosine")
        distance = paired_distance(a, _at(b, matches), "cosine").clamp(0, 2)
        if min_similarity is not None:
            keep = keep & (1 - distance >= min_similarity)
        if ratio is not None:
            keep = keep & (distance < ratio * _nearest_other(matches, a, b, usable_tokens(tokens_b, mask_b)))
        if max_distance is not None:
            if positions_a is None or positions_b is None:
                raise ValueError("max_distance needs positions_a and positions_b")
            keep = keep & (paired_distance(positions_a, _at(positions_b, matches), "euclidean") <= max_distance)
    return matches.masked_fill(~keep, -1)


def _at(values: Tensor, matches: Tensor) -> Tensor:
    """Values (B, M, F) at the matches (B, N), those of the first token where there is none."""
    return values.gather(1, matches.clamp_min(0)[..., None].expand(-1, -1, values.shape[-1]))


def _nearest_other(matches: Tensor, a: Tensor, b: Tensor, usable: Tensor) -> Tensor:
    """Distance (B, N) of each a to the nearest usable token of b that is not its match; far without one."""
    blocks = []
    for rows, distances in distance_blocks(a, b, "cosine", usable_b=usable):
        distances.scatter_(2, matches[:, rows].clamp_min(0)[..., None], torch.inf)
        blocks.append(distances.amin(2))
    return torch.cat(blocks, 1)
