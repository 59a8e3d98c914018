"""How much of feature space tokens use: numbers that tell a collapse, one per subject.

Notation: B subjects, N tokens, F features. Nothing here looks at where a token lies.
"""

from __future__ import annotations

import torch
from torch import Tensor

from toposlearn.topology.distances import as_float, check_mask, check_tokens, embed, full_precision


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


@torch.no_grad()
def collapse(tokens: Tensor, mask: Tensor | None = None) -> Tensor:
    """How much of the tokens (B, N, F) is one common vector: the squared length of the mean unit token.

    It is the mean cosine similarity over all pairs of tokens, each with itself included.

    Returns:
        (B,) in [0, 1]: 1 when all tokens point the same way, 1 / N on average for independent random ones, N the tokens
        of the mask (B, N). NaN where none counts.
    """
    check_tokens(tokens=tokens)
    check_mask("mask", mask, tokens)
    counts = torch.ones_like(tokens[..., 0], dtype=torch.bool) if mask is None else mask
    with full_precision(tokens):
        units = embed(tokens, "cosine").masked_fill(~counts[..., None], 0)
        mean = units.sum(1) / counts.sum(1, keepdim=True)
        squared: Tensor = mean.square().sum(-1)
        return squared
