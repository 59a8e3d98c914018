"""Which tokens a loss compares: foreground first, at most so many, since the cost grows with their square."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Values = Tensor | None


def select_tokens(
    values: Sequence[Values], mask: Tensor | None, count: int, generator: torch.Generator | None = None
) -> tuple[list[Values], Tensor | None]:
    """Keep `count` tokens, the same places of everything; more foreground than that is thinned at random.

    The number is fixed so that shapes do not depend on the data and a GPU is never waited for.

    Args:
        values: each (B, N, F), such as the tokens of two modalities; the first is not None.
        mask: (B, N) bool, foreground, or None.
        count: tokens kept, M = min(count, N).
        generator: source of randomness.

    Returns:
        Values (B, M, F), and the mask (B, M): air fills up where there is too little foreground.
    """
    first = values[0]
    assert first is not None
    b, n, _ = first.shape
    if count >= n:
        return list(values), mask
    source = first.device if generator is None else generator.device
    priority = torch.rand(b, n, generator=generator, device=source).to(first.device)
    if mask is not None:
        priority = priority + mask
    index = priority.topk(count, dim=1).indices.sort(dim=1).values
    places = index[..., None]
    kept = [None if each is None else each.gather(1, places.expand(-1, -1, each.shape[-1])) for each in values]
    return kept, None if mask is None else mask.gather(1, index)
