"""Matches by entropic optimal transport (Sinkhorn, Cuturi 2013), some to "no match" (the dustbin, Sarlin et al. 2020).

Tokens compete: where many are nearest to one (a hub), the others get their next best; mutual nearest neighbors leave
these without a match. In the log domain small temperatures neither overflow nor vanish. No gradient passes.
"""

import torch
from torch import Tensor

from toposlearn.topology.distances import Mask, pairwise_distance, row_blocks, usable_tokens

_NO_MASS = -1e9  # logarithm of no mass: finite, so that no difference of two of them is undefined


@torch.no_grad()
def sinkhorn_both_ways(
    tokens_a: Tensor,
    tokens_b: Tensor,
    mask_a: Mask = None,
    mask_b: Mask = None,
    *,
    temperature: float = 0.05,
    dustbin: float = 0.25,
    iterations: int = 10,
) -> tuple[Tensor, Tensor]:
    """The token of b that gets the largest part of each token of a (B, N), and of a for each of b (B, M), or -1.

    Tokens are (B, N, F) and (B, M, F), masks (B, N) and (B, M). ``temperature`` is the cosine similarity that counts as
    a difference (small is sharp), ``dustbin`` the one below which no match is the better answer. Each of the iterations
    goes over rows and over columns.
    """
    usable_a, usable_b = usable_tokens(tokens_a, mask_a, "mask_a"), usable_tokens(tokens_b, mask_b, "mask_b")
    a, b = (t.masked_fill(~u[..., None], 0) for t, u in ((tokens_a, usable_a), (tokens_b, usable_b)))
    plan = transport_plan(1 - pairwise_distance(a, b), usable_a, usable_b, temperature, dustbin, iterations)
    there, back = plan.argmax(2)[:, :-1], plan.argmax(1)[:, :-1]
    there = there.masked_fill((there == b.shape[1]) | ~usable_a, -1)
    return there, back.masked_fill((back == a.shape[1]) | ~usable_b, -1)


def transport_plan(
    similarity: Tensor, usable_a: Tensor, usable_b: Tensor, temperature: float, dustbin: float, iterations: int
) -> Tensor:
    """Log mass (B, N + 1, M + 1) from each token of a to each of b, by their similarity (B, N, M).

    A usable token (B, N), (B, M) has mass 1. The last row and column are the dustbins, which can take all of the other
    side.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
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
    """Log of the mass (B, N + 1): 1 for a token that counts; the dustbin has as much as the other side."""
    tokens = torch.zeros(own.shape, device=own.device).masked_fill(~own, _NO_MASS)
    return torch.cat([tokens, other.sum(1, keepdim=True).clamp_min(1).float().log()], 1)
