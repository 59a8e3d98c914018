"""Pseudo-correspondences of two people's tokens, estimated from the features alone; gates for them; their accuracy.

B subjects (or pairs of them), N and M tokens, F features; positions in mm. A match is an index into the other's tokens,
or -1. Random features already give about 50 % mutual matches: 0.5 is the null, not a success. No gradient passes.
"""

import torch
from torch import Tensor

from toposlearn.topology.distances import (
    Mask,
    Metric,
    at_index,
    check_tokens,
    distance_blocks,
    embed,
    flags_at,
    full_mask,
    no_autocast,
    paired_distance,
    usable_tokens,
)
from toposlearn.topology.neighbors import uniform_negatives

Pairs = tuple[Tensor, Tensor]


def ordered_pairs(b: int, device: torch.device | None = None) -> Pairs:
    """First and second subject (P,), (P,) of all pairs p != q: (0, 1), (0, 2), ..., (1, 0), (1, 2), ..."""
    others = max(b - 1, 1)
    pair = torch.arange(b * (b - 1), device=device)
    first, rest = pair // others, pair % others
    return first, rest + (rest >= first)


def reverse_pairs(b: int, device: torch.device | None = None) -> Tensor:
    """For each of the `ordered_pairs` (p, q), the place (P,) of (q, p) among them."""
    p, q = ordered_pairs(b, device)
    return q * (b - 1) + p - (p > q).long()


def nearest_matches(
    tokens_a: Tensor, tokens_b: Tensor, mask_a: Mask = None, mask_b: Mask = None, metric: Metric = "cosine"
) -> Tensor:
    """Index (B, N) of the nearest token of b (B, M, F) for each token of a (B, N, F); equal distances: lowest index.

    It is -1 for tokens outside ``mask_a`` (B, N), and where ``mask_b`` (B, M) leaves none.
    """
    return matches_both_ways(tokens_a, tokens_b, mask_a, mask_b, metric)[0]


def mutual_matches(
    tokens_a: Tensor,
    tokens_b: Tensor,
    mask_a: Mask = None,
    mask_b: Mask = None,
    metric: Metric = "cosine",
    pairs: Pairs | None = None,
) -> Tensor:
    """Mutual nearest neighbors: u and v match when each is the other's nearest; arguments of `matches_both_ways`.

    Indices into b (B, N), long, each at most once; -1 without a match, as outside the masks and where not finite.
    """
    return keep_mutual(*matches_both_ways(tokens_a, tokens_b, mask_a, mask_b, metric, pairs))


def keep_mutual(there: Tensor, back: Tensor) -> Tensor:
    """Of the matches a -> b (B, N) those that b -> a (B, M) confirms, the others -1."""
    index = torch.arange(there.shape[1], device=there.device)
    confirmed = (there >= 0) & (back.gather(1, there.clamp_min(0)) == index)
    return there.masked_fill(~confirmed, -1)


@torch.no_grad()
def matches_both_ways(
    tokens_a: Tensor,
    tokens_b: Tensor,
    mask_a: Mask = None,
    mask_b: Mask = None,
    metric: Metric = "cosine",
    pairs: Pairs | None = None,
) -> tuple[Tensor, Tensor]:
    """Nearest in b of each a (B, N), nearest in a of each b (B, M), from one pass over blocks of the matrix.

    Tokens (B, N, F) and (B, M, F), masks (B, N) and (B, M) as in `nearest_matches`. With ``pairs`` (P,) and (P,),
    subject p of a is compared with subject q of b for each of the P pairs; otherwise every subject with itself.
    """
    check_tokens(tokens_a=tokens_a, tokens_b=tokens_b)
    usable_a, usable_b = usable_tokens(tokens_a, mask_a, "mask_a"), usable_tokens(tokens_b, mask_b, "mask_b")
    with no_autocast(tokens_a):
        a, b = embed(tokens_a, metric), embed(tokens_b, metric)
        if pairs is not None:
            a, usable_a, b, usable_b = a[pairs[0]], usable_a[pairs[0]], b[pairs[1]], usable_b[pairs[1]]
        there = []
        best = b.new_full(b.shape[:2], torch.inf)
        back = torch.zeros(b.shape[:2], dtype=torch.long, device=b.device)
        for rows, distances in distance_blocks(a, b, metric, usable_b, usable_a):
            there.append(distances.min(2).indices)
            value, index = distances.min(1)
            back = torch.where(value < best, index + rows.start, back)
            best = torch.minimum(best, value)
    return _if_usable(torch.cat(there, 1), usable_a, usable_b), _if_usable(back, usable_b, usable_a)


def _if_usable(matches: Tensor, usable: Tensor, usable_there: Tensor) -> Tensor:
    """Matches (B, N) between tokens that count, (B, N) and (B, M); the others -1."""
    return matches.masked_fill(~(usable & flags_at(usable_there, matches)), -1)


def random_matches(mask_a: Tensor, mask_b: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """The null: each token of a (B, N) that counts gets a token of b (B, M) drawn uniformly; the others -1."""
    nothing = mask_a.new_empty((*mask_a.shape, 0), dtype=torch.long)
    return uniform_negatives(nothing, mask_b.shape[1], 1, mask_b, generator)[..., 0].masked_fill(~mask_a, -1)


@torch.no_grad()
def gate_matches(
    matches: Tensor,
    tokens_a: Tensor,
    tokens_b: Tensor,
    min_similarity: float | None = None,
    ratio: float | None = None,
    mask_b: Mask = None,
    *,
    max_distance: float | None = None,
    positions_a: Tensor | None = None,
    positions_b: Tensor | None = None,
) -> Tensor:
    """Keep the matches (B, N) of tokens (B, N, F) in b (B, M, F) that can be trusted, set the others to -1.

    A match must have a cosine similarity of at least ``min_similarity``; its distance must be below ``ratio`` times
    that to the nearest other token of b that counts, ``mask_b`` (B, M) (Lowe, 2004); and it must lie within
    ``max_distance`` mm: a spatial prior, which needs positions (B, N, 3) and (B, M, 3), mm in a frame common to both
    people (see `toposlearn.topology.tokens.common_frame`).
    """
    check_tokens(tokens_a=tokens_a, tokens_b=tokens_b)
    usable_b = usable_tokens(tokens_b, mask_b, "mask_b")
    keep = matches >= 0
    with no_autocast(tokens_a):
        a, b = embed(tokens_a, "cosine"), embed(tokens_b, "cosine")
        distance = paired_distance(a, at_index(b, matches), "cosine").clamp(0, 2)
        if min_similarity is not None:
            keep = keep & (1 - distance >= min_similarity)
        if ratio is not None:
            others = []  # distance to the nearest usable token of b that is not the match; far without one
            for rows, distances in distance_blocks(a, b, "cosine", usable_b):
                distances.scatter_(2, matches[:, rows].clamp_min(0)[..., None], torch.inf)
                others.append(distances.amin(2))
            keep = keep & (distance < ratio * torch.cat(others, 1))
        if max_distance is not None:
            if positions_a is None or positions_b is None:
                raise ValueError("max_distance needs positions_a and positions_b")
            keep = keep & (_miss(matches, positions_a, positions_b) <= max_distance)
    return matches.masked_fill(~keep, -1)


def _miss(matches: Tensor, positions_a: Tensor, positions_b: Tensor) -> Tensor:
    """Distance (B, N) between each token's position and its match's; without meaning where there is no match."""
    return paired_distance(positions_a, at_index(positions_b, matches), "euclidean")


def matched_fraction(matches: Tensor, mask: Mask = None) -> Tensor:
    """Share (B,) of the tokens that count, mask (B, N), whose match (B, N) is not -1. Random features: about 0.5."""
    mask = full_mask(mask, matches)
    return ((matches >= 0) & mask).sum(1) / mask.sum(1)


def match_error(matches: Tensor, positions_a: Tensor, positions_b: Tensor) -> Tensor:
    """Mean distance (B,) in mm of the matches (B, N) from their tokens' true places; NaN for a subject without matches.

    The true place of each token of a, (B, N, 3), and the place of each token of b, (B, M, 3), are in one common space.
    """
    matched = matches >= 0
    return torch.where(matched, _miss(matches, positions_a, positions_b), 0).sum(1) / matched.sum(1)


def match_precision(matches: Tensor, positions_a: Tensor, positions_b: Tensor, within_mm: float) -> Tensor:
    """Share (B,) of the matches that lie within so many mm of the true place; arguments of `match_error`."""
    if within_mm < 0:
        raise ValueError(f"within_mm must be a distance of at least 0 mm, got {within_mm}")
    matched = matches >= 0
    return (matched & (_miss(matches, positions_a, positions_b) <= within_mm)).sum(1) / matched.sum(1)


def correspondence_error(
    tokens_a: Tensor,
    tokens_b: Tensor,
    positions_a: Tensor,
    positions_b: Tensor,
    mask_a: Mask = None,
    mask_b: Mask = None,
) -> Tensor:
    """`match_error` of the best (nearest by cosine) match of every token of a that counts: (B,), mm."""
    return match_error(nearest_matches(tokens_a, tokens_b, mask_a, mask_b), positions_a, positions_b)


def floor_error(positions_a: Tensor, positions_b: Tensor, mask_a: Mask = None, mask_b: Mask = None) -> Tensor:
    """The lowest `correspondence_error` that any features could reach on these grids: the nearest token, (B,), mm."""
    return match_error(nearest_matches(positions_a, positions_b, mask_a, mask_b, "euclidean"), positions_a, positions_b)
