"""How right matches are, where the truth is known: errors in mm and shares, one number per subject or pair of people.

Notation: B subjects (or pairs of them), N and M tokens, F features; positions in mm. A match is an index into b's
tokens, or -1 for none. Measures are NaN where nothing is matched.
"""

from __future__ import annotations

import torch
from torch import Tensor

from toposlearn.topology.correspondence import nearest_matches


def matched_fraction(matches: Tensor, mask: Tensor | None = None) -> Tensor:
    """Share (B,) of the tokens that count, mask (B, N), whose match (B, N) is not -1. Random features: about 0.5."""
    mask = torch.ones_like(matches, dtype=torch.bool) if mask is None else mask
    return ((matches >= 0) & mask).sum(1) / mask.sum(1)


def match_error(matches: Tensor, positions_a: Tensor, positions_b: Tensor) -> Tensor:
    """Distance in mm between a token's target and where its match lies, averaged over the matched tokens.

    Args:
        matches: (B, N) long, indices into b or -1 (left out).
        positions_a: (B, N, 3), mm: where each token of a truly is, in the space of ``positions_b``.
        positions_b: (B, M, 3), mm: where each token of b is, in a space common to both.

    Returns:
        Mean error (B,), mm.
    """
    matched = matches >= 0
    return torch.where(matched, _misses(matches, positions_a, positions_b), 0).sum(1) / matched.sum(1)


def match_precision(matches: Tensor, positions_a: Tensor, positions_b: Tensor, within_mm: float) -> Tensor:
    """Share (B,) of the matched tokens whose match lies within so many mm of the truth; arguments of `match_error`.

    Raises:
        ValueError: a distance below zero.
    """
    if within_mm < 0:
        raise ValueError(f"within_mm must be a distance of at least 0 mm, got {within_mm}")
    matched = matches >= 0
    right = matched & (_misses(matches, positions_a, positions_b) <= within_mm)
    return right.sum(1) / matched.sum(1)


def _misses(matches: Tensor, positions_a: Tensor, positions_b: Tensor) -> Tensor:
    """Distance (B, N) of each token's match from the token's true place; without meaning where there is no match."""
    found = positions_b.gather(1, matches.clamp_min(0)[..., None].expand(-1, -1, 3))
    distance: Tensor = torch.linalg.vector_norm(found - positions_a, dim=-1)
    return distance


def correspondence_error(
    tokens_a: Tensor,
    tokens_b: Tensor,
    positions_a: Tensor,
    positions_b: Tensor,
    mask_a: Tensor | None = None,
    mask_b: Tensor | None = None,
) -> Tensor:
    """`match_error` of the best (nearest by cosine) match of every token of a that counts: (B,), mm."""
    return match_error(nearest_matches(tokens_a, tokens_b, mask_a, mask_b), positions_a, positions_b)


def floor_error(
    positions_a: Tensor, positions_b: Tensor, mask_a: Tensor | None = None, mask_b: Tensor | None = None
) -> Tensor:
    """The lowest `correspondence_error` any features could reach on these grids: the nearest token, (B,), mm."""
    best = nearest_matches(positions_a, positions_b, mask_a, mask_b, metric="euclidean")
    return match_error(best, positions_a, positions_b)
