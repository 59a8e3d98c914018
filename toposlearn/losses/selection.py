"""Which tokens a loss compares: foreground first, at most so many, since the cost grows with their square."""

from __future__ import annotations

import torch
from torch import Tensor


def select_tokens(
    tokens_a: Tensor, tokens_b: Tensor, mask: Tensor | None, count: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Keep `count` tokens, the same places in both modalities; more foreground than that is thinned at random.

    The number is fixed so that shapes do not depend on the data and a GPU is never waited for.

    Args:
        tokens_a: (B, N, F).
        tokens_b: (B, N, F).
        mask: (B, N) bool, foreground, or None.
        count: tokens kept, M = min(count, N).
        generator: source of randomness.

    Returns:
        Tokens (B, M, F) of both, and the mask (B, M): air fills up where there is too little foreground.
    """
    b, n, _ = tokens_a.shape
    if count >= n:
        return tokens_a, tokens_b, mask
    priority = torch.rand(b, n, generator=generator, device=tokens_a.device)
    if mask is not None:
        priority = priority + mask
    index = priority.topk(count, dim=1).indices.sort(dim=1).values
    places = index[..., None]
    kept = None if mask is None else mask.gather(1, index)
    return (
        tokens_a.gather(1, places.expand(-1, -1, tokens_a.shape[-1])),
        tokens_b.gather(1, places.expand(-1, -1, tokens_b.shape[-1])),
        kept,
    )
