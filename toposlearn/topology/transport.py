"""Matches by entropic optimal transport: every token is asked at once, and may answer "nobody" (the dustbin).

Sinkhorn's iterations in the log domain (Cuturi, 2013; the dustbin after SuperGlue, Sarlin et al., 2020), under which
small temperatures neither overflow nor vanish. Tokens compete: where many want one (a hub), the others are sent on to
their next best, whom mutual nearest neighbors leave without a match. Holds the whole matrix of similarities. No
gradient passes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from toposlearn.topology.correspondence import keep_mutual
from toposlearn.topology.distances import (
    check_mask,
    check_tokens,
    distance_matrix,
    embed,
    full_precision,
    row_blocks,
    usable_tokens,
)

_NOTHING = -1e9  # logarithm of no mass: finite, so that no difference of two of them is undefined


@torch.no_grad()
def transport_plan(
    tokens_a: Tensor,
    tokens_b: Tensor,
    mask_a: Tensor | None = None,
    mask_b: Tensor | None = None,
    *,
    temperature: float = 0.05,
    dustbin: float = 0.25,
    iterations: int = 10,
) -> Tensor:
    """Logarithm of how much of each token of a goes to each token of b; the last row and column are the dustbins.

    A token that counts has mass 1; the dustbin of a side can take all of the other side.

    Args:
        tokens_a: (B, N, F).
        tokens_b: (B, M, F).
        mask_a: (B, N) bool, tokens that count.
        mask_b: (B, M) bool.
        temperature: cosine similarity that counts as a difference; small is sharp.
        dustbin: cosine similarity at which a token would as soon match nobody.
        iterations: of Sinkhorn, each over rows and over columns.

    Returns:
        (B, N + 1, M + 1), float32.
    """
    check_tokens(tokens_a=tokens_a, tokens_b=tokens_b)
    check_mask("mask_a", mask_a, tokens_a)
    check_mask("mask_b", mask_b, tokens_b)
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    usable_a, usable_b = usable_tokens(tokens_a, mask_a), usable_tokens(tokens_b, mask_b)
    with full_precision(tokens_a):
        a, b = (
            embed(tokens, "cosine").masked_fill(~usable[..., None], 0)
            for tokens, usable in ((tokens_a, usable_a), (tokens_b, usable_b))
        )
        similarity = 1 - distance_matrix(a, b, "cosine")
        score = torch.nn.functional.pad(similarity, (0, 1, 0, 1), value=dustbin) / temperature
        mass_a, mass_b = _log_mass(usable_a, usable_b), _log_mass(usable_b, usable_a)
        blocks = row_blocks(score, score.mT)  # a processor sums within its cache three times as fast
        column = torch.zeros_like(mass_b)
        for _ in range(iterations):
            parts = [torch.logsumexp(score[:, rows] + column[:, None], 2) for rows in blocks]
            row = mass_a - torch.cat(parts, 1)
            parts = [torch.logsumexp(score[:, rows] + row[:, rows, None], 1) for rows in blocks]
            column = mass_b - torch.logsumexp(torch.stack(parts), 0)
        return score + row[..., None] + column[:, None]


def _log_mass(own: Tensor, other: Tensor) -> Tensor:
    """Log of the mass (B, N + 1): 1 for a token that counts, and for the dustbin as much as the other side has."""
    tokens = torch.zeros(own.shape, device=own.device).masked_fill(~own, _NOTHING)
    return torch.cat([tokens, other.sum(1, keepdim=True).clamp_min(1).float().log()], 1)


def sinkhorn_matches(
    tokens_a: Tensor,
    tokens_b: Tensor,
    mask_a: Tensor | None = None,
    mask_b: Tensor | None = None,
    *,
    temperature: float = 0.05,
    dustbin: float = 0.25,
    iterations: int = 10,
) -> Tensor:
    """Tokens that get the largest part of each other, dustbins included: indices into b (B, N), long, or -1.

    Arguments as in `transport_plan`. No token of b is matched twice.
    """
    settings = {"temperature": temperature, "dustbin": dustbin}
    plan = transport_plan(tokens_a, tokens_b, mask_a, mask_b, iterations=iterations, **settings)
    there, back = plan.argmax(2)[:, :-1], plan.argmax(1)[:, :-1]
    usable_a, usable_b = usable_tokens(tokens_a, mask_a), usable_tokens(tokens_b, mask_b)
    there = there.masked_fill((there == tokens_b.shape[1]) | ~usable_a, -1)
    return keep_mutual(there, back.masked_fill(~usable_b, -1))
