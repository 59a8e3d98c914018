"""What both alignment terms share: gathering tokens, the hinge of a triplet, and means over what is valid.

Indices and masks of these functions may hold anything where ``valid`` is false; no value there reaches the result.
"""

from __future__ import annotations

import torch
from torch import Tensor

from toposlearn.topology.distances import Metric, as_float, paired_distance


def gather_tokens(tokens: Tensor, index: Tensor, subjects: Tensor | None = None) -> Tensor:
    """Tokens (B, N, F) at the places (R, N, K): (R, N, K, F). Places of -1 give the first token.

    Row r is read in subject r, or in subject ``subjects[r]`` when these are given (R,).
    """
    if subjects is None:
        subjects = torch.arange(len(tokens), device=tokens.device)
    flat = index.clamp_min(0) + subjects.view(-1, 1, 1) * tokens.shape[1]
    return tokens.reshape(-1, tokens.shape[-1]).index_select(0, flat.flatten()).view(*index.shape, -1)


def gather_flags(flags: Tensor, index: Tensor) -> Tensor:
    """Flags (B, N) bool at the places (B, R, K); false where the place is -1."""
    return flags.gather(1, index.clamp_min(0).flatten(1)).view_as(index) & (index >= 0)


def triplet_hinge(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float, metric: Metric) -> Tensor:
    """relu(d(anchor, positive) - d(anchor, negative) + margin) for embedded tokens (..., F)."""
    closer = paired_distance(anchor, positive, metric) - paired_distance(anchor, negative, metric)
    return torch.relu(closer + margin)


def valid_mean(values: Tensor, valid: Tensor, dim: int | tuple[int, ...] = -1) -> tuple[Tensor, Tensor]:
    """Mean of ``values`` over the valid entries along ``dim`` (0 where there is none), and whether there was any."""
    count = valid.sum(dim)
    total = torch.where(valid, values, 0).sum(dim)
    return total / count.clamp_min(1), count > 0


def counted(tokens: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Tokens (B, N, F) in float32 with zeros outside the mask, and the mask itself (B, N), all true when absent."""
    if mask is None:
        return as_float(tokens), torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    return as_float(tokens).masked_fill(~mask[..., None], 0), mask


def zero_of(tokens_a: Tensor, tokens_b: Tensor) -> Tensor:
    """A zero with a zero gradient with respect to ``tokens_b``; NaN when either holds a value that is not finite.

    Added to a loss, it keeps the graph connected when nothing else does, and lets no broken token go unseen: a NaN
    never has a neighbor or a match, so it would otherwise drop out of the mean.
    """
    return (tokens_b * 0).sum() + (tokens_a.detach() * 0).sum()


def check_enough(n: int, k: int) -> None:
    """Raise ValueError when N tokens cannot give an anchor, K neighbors and a negative."""
    if n < k + 2:
        raise ValueError(
            f"tokens must number at least k + 2 = {k + 2} (the anchor, k = {k} neighbors, one negative), got N = {n}: "
            "use a finer token level or a smaller k"
        )
