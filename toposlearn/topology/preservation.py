"""What a representation keeps of the anatomy: numbers on tokens, one per subject (or pair of subjects).

Notation: B subjects, N and M tokens, F features, K neighbors; positions in mm. Measures are NaN where no token counts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from toposlearn.topology.correspondence import nearest_matches
from toposlearn.topology.distances import Metric, as_float, check_mask, check_tokens, full_precision
from toposlearn.topology.neighbors import nearest_neighbors


@torch.no_grad()
def neighbor_overlap(
    tokens_a: Tensor, tokens_b: Tensor, k: int = 5, mask: Tensor | None = None, metric: Metric = "cosine"
) -> Tensor:
    """Share of a token's K neighbors in ``tokens_a`` (B, N, F) that are its neighbors in ``tokens_b`` too.

    Token i of both must be the same place. Unrelated features give K / (N - 1) on average, N the tokens that count.

    Returns:
        Overlap (B,) in [0, 1], the mean over the tokens of the mask (B, N).
    """
    check_tokens(tokens_a=tokens_a, tokens_b=tokens_b)
    a = nearest_neighbors(tokens_a, k, mask, metric)
    b = nearest_neighbors(tokens_b, k, mask, metric)
    shared = ((a[..., :, None] == b[..., None, :]) & (a[..., :, None] >= 0)).any(-1)
    return shared.sum((1, 2)) / (a >= 0).sum((1, 2))


@torch.no_grad()
def neighbor_distance(
    tokens: Tensor, positions: Tensor, k: int = 5, mask: Tensor | None = None, metric: Metric = "cosine"
) -> Tensor:
    """How far apart in the head the neighbors of feature space are: mean distance (B,), in the unit of the positions.

    Args:
        tokens: (B, N, F).
        positions: (B, N, 3), mm.
        k: neighbors K.
        mask: (B, N) bool, tokens that count.
        metric: distance between tokens.
    """
    graph = nearest_neighbors(tokens, k, mask, metric)
    batch, n, _ = graph.shape
    found = positions.gather(1, graph.clamp_min(0).view(batch, n * k, 1).expand(-1, -1, 3)).view(batch, n, k, 3)
    apart = torch.linalg.vector_norm(found - positions[:, :, None], dim=-1)
    return torch.where(graph >= 0, apart, 0).sum((1, 2)) / (graph >= 0).sum((1, 2))


def matched_fraction(matches: Tensor, mask: Tensor | None = None) -> Tensor:
    """Share (B,) of the tokens that count, mask (B, N), whose match (B, N) is not -1. Random features: about 0.5."""
    mask = torch.ones_like(matches, dtype=torch.bool) if mask is None else mask
    return ((matches >= 0) & mask).sum(1) / mask.sum(1)


@torch.no_grad()
def effective_rank(tokens: Tensor, mask: Tensor | None = None) -> Tensor:
    """Directions the centered tokens (B, N, F) use: exp of the entropy of their singular values (Roy & Vetterli, 2007).

    Returns:
        (B,) between 1 (collapse: constant tokens, or all on one line) and F.
    """
    check_tokens(tokens=tokens)
    check_mask("mask", mask, tokens)
    counts = torch.ones_like(tokens[..., 0], dtype=torch.bool) if mask is None else mask
    with full_precision(tokens):
        tokens = as_float(tokens).masked_fill(~counts[..., None], 0)
        center = tokens.sum(1, keepdim=True) / counts.sum(1)[:, None, None]
        singular = torch.linalg.svdvals((tokens - center).masked_fill(~counts[..., None], 0))
        share = singular / singular.sum(-1, keepdim=True).clamp_min(torch.finfo(singular.dtype).tiny)
        entropy: Tensor = torch.special.entr(share).sum(-1)
        return entropy.exp()


def match_error(matches: Tensor, positions_a: Tensor, positions_b: Tensor) -> Tensor:
    """Distance in mm between a token's target and where its match lies, averaged over the matched tokens.

    Args:
        matches: (B, N) long, indices into b or -1 (left out).
        positions_a: (B, N, 3), mm: where each token of a truly is, in the space of ``positions_b``.
        positions_b: (B, M, 3), mm: where each token of b is, in a space common to both.

    Returns:
        Mean error (B,), mm.
    """
    found = positions_b.gather(1, matches.clamp_min(0)[..., None].expand(-1, -1, 3))
    error = torch.linalg.vector_norm(found - positions_a, dim=-1)
    matched = matches >= 0
    return torch.where(matched, error, 0).sum(1) / matched.sum(1)


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
