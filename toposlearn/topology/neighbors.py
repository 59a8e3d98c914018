"""The neighborhood graph of tokens, and negatives: tokens from outside a neighborhood. -1 means "there is none".

B subjects, N tokens, F features, K neighbors. No function here takes a gradient or waits for the device.
"""

import torch
from torch import Tensor

from toposlearn.topology.distances import (
    Mask,
    Metric,
    check_tokens,
    distance_blocks,
    embed,
    flags_at,
    no_autocast,
    usable_tokens,
)


@torch.no_grad()
def nearest_neighbors(tokens: Tensor, k: int, mask: Mask = None, metric: Metric = "cosine") -> Tensor:
    """The K < N nearest other tokens of each token (B, N, F), nearest first: (B, N, K) long, -1 where there are fewer.

    A token is excluded from its own neighbors by index, so a duplicate of it counts. Equal distances: lowest index.
    Tokens outside the mask (B, N), and those that are not finite, neither are nor have neighbors.
    """
    check_tokens(tokens=tokens)
    n = tokens.shape[1]
    if not 1 <= k < n:
        raise ValueError(f"k must be between 1 and N - 1 = {n - 1} (a token is not its own neighbor), got {k}")
    usable = usable_tokens(tokens, mask)
    with no_autocast(tokens):
        vectors, blocks = embed(tokens, metric), []
        for rows, distances in distance_blocks(vectors, vectors, metric, usable):
            distances.diagonal(offset=rows.start, dim1=1, dim2=2).fill_(torch.inf)
            blocks.append(_lowest(distances, k, usable[:, rows]))
    neighbors = torch.cat(blocks, 1)
    return neighbors.masked_fill(~(flags_at(usable, neighbors) & usable[..., None]), -1)


def _lowest(distances: Tensor, k: int, usable: Tensor) -> Tensor:
    """Indices of the K lowest entries of each row (B, R, M), lowest first; of equal entries, the first.

    `torch.topk` promises nothing about equal values. Within the K they are put in order; where the K-th equals the next
    in a row that counts (B, R), K passes of `torch.min` decide, which promises the first.
    """
    if _may_ask(distances) and k < distances.shape[-1]:
        value, index = distances.topk(k + 1, largest=False)
        if not bool(((value[..., k - 1] == value[..., k]) & usable).any()):
            index, order = index[..., :k].sort(-1)
            order = value[..., :k].gather(-1, order).sort(dim=-1, stable=True).indices
            return index.gather(-1, order)
    lowest = []
    for _ in range(k):
        index = distances.min(-1, keepdim=True).indices
        distances.scatter_(-1, index, torch.inf)
        lowest.append(index)
    return torch.cat(lowest, -1)


def _may_ask(tensor: Tensor) -> bool:
    """Whether a value may be read: on another device than a processor, reading it would wait for the device."""
    return tensor.is_cpu and not torch.compiler.is_compiling()


def sample_negatives(
    exclude: Tensor, n: int, k: int, mask: Mask = None, generator: torch.Generator | None = None
) -> Tensor:
    """K tokens per anchor (B, N, K), drawn uniformly and independently from the ``n`` tokens; -1 if none is allowed.

    Allowed are tokens of the mask (B, n), except the anchor itself (row i is token i) and what it must not draw,
    ``exclude`` (B, N, E) long, where -1 and repetitions are ignored.
    """
    if exclude.ndim != 3 or exclude.shape[1] > n:
        raise ValueError(f"exclude must have shape (B, N, E) with N <= n = {n}, got {tuple(exclude.shape)}")
    anchor = torch.arange(exclude.shape[1], device=exclude.device)[:, None].expand(*exclude.shape[:2], 1)
    return uniform_negatives(torch.cat([exclude, anchor], -1), n, k, mask, generator)


@torch.no_grad()
def uniform_negatives(
    exclude: Tensor, n: int, k: int, mask: Mask = None, generator: torch.Generator | None = None
) -> Tensor:
    """`sample_negatives` for rows that are not tokens: only ``exclude`` (B, R, E) is excluded."""
    batch, device = exclude.shape[0], exclude.device
    mask = torch.ones(batch, n, dtype=torch.bool, device=device) if mask is None else mask
    if mask.shape != (batch, n):
        raise ValueError(f"mask must have shape {(batch, n)} (B, n), got {tuple(mask.shape)}")
    barred = _barred_ranks(exclude, mask)
    allowed = mask.sum(1)[:, None, None] - (barred < n).sum(-1, keepdim=True)  # (B, R, 1)
    source = device if generator is None else generator.device
    shape = (*exclude.shape[:2], k)  # integers in [0, 2^62), so that a remainder is uniform too, to within 1e-14
    draw = torch.randint(2**62, shape, generator=generator, device=source).to(device) % allowed.clamp_min(1)
    # The r-th allowed rank is r plus the number of barred ranks before it: those with barred[e] - e <= r.
    gaps = barred - torch.arange(barred.shape[-1], device=device)
    rank = draw + torch.searchsorted(gaps, draw, right=True)
    order = torch.argsort(mask, dim=1, descending=True, stable=True)  # rank -> token: the mask's tokens come first
    token = order.gather(1, rank.clamp_max(n - 1).flatten(1)).view_as(rank)
    return token.masked_fill(allowed < 1, -1)


def _barred_ranks(exclude: Tensor, mask: Tensor) -> Tensor:
    """Excluded tokens (B, R, E) as sorted ranks among the mask's tokens, without repetition, padded beyond any rank."""
    padding = 2 * mask.shape[1] + exclude.shape[-1]
    rank = (mask.cumsum(1) - 1).gather(1, exclude.clamp_min(0).flatten(1)).view_as(exclude)
    rank = rank.masked_fill(~flags_at(mask, exclude), padding).sort(-1).values
    repeated = rank == torch.nn.functional.pad(rank, (1, 0), value=-1)[..., :-1]
    return rank.masked_fill(repeated, padding).sort(-1).values


@torch.no_grad()
def semi_hard_negatives(
    anchors: Tensor,
    tokens: Tensor,
    positives: Tensor,
    exclude: Tensor,
    mask: Mask = None,
    metric: Metric = "cosine",
) -> Tensor:
    """For each positive the nearest allowed token that is farther from the anchor than it (Schroff et al., 2015).

    Anchors are (R, N, F); positives, (R, N, K) long, and the result (R, N, K) are indices into the tokens (R, M, F), -1
    where there is no positive or nothing is allowed. Where no allowed token is farther, the result is the farthest.
    Tokens of the mask (R, M) are allowed, except an anchor's positives and ``exclude`` (R, N, E), where -1 is ignored.
    """
    usable = usable_tokens(tokens, mask)
    barred = torch.cat([positives, exclude], -1)
    with no_autocast(tokens):
        a, b, blocks = embed(anchors, metric), embed(tokens, metric), []
        for rows, distances in distance_blocks(a, b, metric, usable):
            blocks.append(_semi_hard(distances, positives[:, rows], barred[:, rows], usable))
    return torch.cat(blocks, 1)


def _semi_hard(distances: Tensor, positives: Tensor, barred: Tensor, usable: Tensor) -> Tensor:
    """`semi_hard_negatives` of a block of rows, from its distances (R, N, M), in K passes over them."""
    reached = distances.gather(2, positives.clamp_min(0))
    allowed = usable[:, None].repeat(1, distances.shape[1], 1)
    dropped = torch.where(barred < 0, barred.amax(-1, keepdim=True), barred)  # -1 bars what another bars already
    allowed.scatter_(2, dropped.clamp_min(0), (dropped < 0) & allowed[..., :1])
    farthest = distances.masked_fill(~allowed, -torch.inf).max(-1).indices
    negatives = []
    for reach in reached.unbind(-1):
        value, index = distances.masked_fill(~allowed | (distances <= reach[..., None]), torch.inf).min(-1)
        negatives.append(torch.where(torch.isfinite(value), index, farthest))
    return torch.stack(negatives, -1).masked_fill((positives < 0) | ~allowed.any(-1, keepdim=True), -1)
