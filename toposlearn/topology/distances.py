"""Distances between tokens, in float32 whatever the precision of the network: B subjects, N or M tokens, F features.

``"cosine"`` is 1 - cos, in [0, 2]; ``"euclidean"`` is the length of the difference, in the unit of the features.
"""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

Metric = Literal["cosine", "euclidean"]
Mask = Tensor | None  # (B, N) bool, tokens that count; None: all

# Values held at once. A processor is fastest within its cache (4 MiB), a GPU with few large blocks (256 MiB).
_BLOCK = {"cpu": 2**20, "elsewhere": 2**26}
_FAR = 5.0  # cosine distance to a token that does not count: above every possible distance
_SHORTEST = 1e-6  # vectors shorter than this have no direction: cosine 0 to everything, gradient finite


def pairwise_distance(a: Tensor, b: Tensor | None = None, metric: Metric = "cosine") -> Tensor:
    """Distances (B, N, M) of each token of ``a`` (B, N, F) to each token of ``b`` (B, M, F), absent: of ``a`` itself.

    They are float32 (float64 for float64 tokens), also under autocast. A zero vector is at cosine distance 1 from all.
    """
    b = a if b is None else b
    check_tokens(a=a, b=b)
    with no_autocast(a):
        return distance_matrix(embed(a, metric), embed(b, metric), metric)


def embed(tokens: Tensor, metric: Metric) -> Tensor:
    """Tokens (..., F) ready for many distances: unit vectors for ``"cosine"``, unchanged for ``"euclidean"``."""
    if metric not in ("cosine", "euclidean"):
        raise ValueError(f"metric must be 'cosine' or 'euclidean', got {metric!r}")
    tokens = as_float(tokens)
    if metric == "euclidean":
        return tokens
    length = torch.linalg.vector_norm(tokens, dim=-1, keepdim=True)
    return tokens * torch.where(length < _SHORTEST, torch.ones_like(length), length).reciprocal()


def distance_matrix(a: Tensor, b: Tensor, metric: Metric) -> Tensor:
    """Distances (B, N, M) between embedded tokens (B, N, F) and (B, M, F)."""
    if metric == "euclidean":
        # The matrix-product shortcut loses three digits where points are close: mm matter here.
        return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    return torch.baddbmm(a.new_ones(1), a, b.transpose(1, 2), alpha=-1).clamp_(0, 2)


def distance_blocks(
    a: Tensor, b: Tensor, metric: Metric, usable_b: Tensor, usable_a: Mask = None
) -> Iterator[tuple[slice, Tensor]]:
    """Rows of ``a``, and their distances (B, R, M), between embedded tokens (B, N, F) and (B, M, F), block by block.

    The caller may change the distances. Those of tokens that do not count, false in ``usable_a`` (B, N) or ``usable_b``
    (B, M), are above all others, but finite.
    """
    far = _FAR if metric == "cosine" else torch.finfo(a.dtype).max / 4
    out_a, out_b = ~full_mask(usable_a, a), ~usable_b
    beyond_a, beyond_b = far * out_a.to(a.dtype), far * out_b.to(a.dtype)
    a, b = a.masked_fill(out_a[..., None], 0), b.masked_fill(out_b[..., None], 0)  # a NaN wins every comparison
    for rows in row_blocks(a, b):
        if metric == "cosine":  # the product adds what sets a row apart, the lower bound what sets a column apart
            distances = torch.baddbmm(1 + beyond_a[:, rows, None], a[:, rows], b.transpose(1, 2), alpha=-1)
        else:
            distances = distance_matrix(a[:, rows], b, metric).add_(beyond_a[:, rows, None])
        yield rows, torch.maximum(distances, beyond_b[:, None], out=distances)


def row_blocks(a: Tensor, b: Tensor) -> list[slice]:
    """Slices of the rows of ``a`` (B, N, F) that keep the distances to ``b`` (B, M, F) within a bound of memory."""
    bound = _BLOCK.get(a.device.type, _BLOCK["elsewhere"])
    step = max(1, bound // max(1, b.shape[0] * b.shape[1]))
    return [slice(start, min(start + step, a.shape[1])) for start in range(0, a.shape[1], step)]


def paired_distance(a: Tensor, b: Tensor, metric: Metric) -> Tensor:
    """Distances (...) between embedded tokens (..., F) and (..., F), pair by pair (broadcasting)."""
    if metric == "euclidean":
        length: Tensor = torch.linalg.vector_norm(a - b, dim=-1)
        return length
    return 1 - (a * b).sum(-1)


def at_index(values: Tensor, index: Tensor, subjects: Tensor | None = None) -> Tensor:
    """Values (B, M, F) of each row's subject (R,), absent: of its own number, at an index (R, ...): (R, ..., F)."""
    flat = flat_places(index, values.shape[1], subjects).flatten()
    return values.flatten(0, 1).index_select(0, flat).view(*index.shape, values.shape[-1])


def flat_places(index: Tensor, m: int, subjects: Tensor | None = None) -> Tensor:
    """An index (R, ...) of the M values of a row's subject as one of the B M values in one list; -1 reads the first."""
    if subjects is None:
        subjects = torch.arange(len(index), device=index.device)
    return index.clamp_min(0) + subjects.view(-1, *[1] * (index.ndim - 1)) * m


def flags_at(flags: Tensor, index: Tensor) -> Tensor:
    """Flags (R, M) bool at an index (R, ...); false where it is -1."""
    return flags.gather(1, index.clamp_min(0).flatten(1)).view_as(index) & (index >= 0)


def as_float(tokens: Tensor) -> Tensor:
    """Float32, or float64 when that is what comes in."""
    return tokens if tokens.dtype == torch.float64 else tokens.float()


def no_autocast(tokens: Tensor) -> torch.autocast:
    """Context in which autocast is off on the tokens' device."""
    return torch.autocast(tokens.device.type, enabled=False)


def full_mask(mask: Mask, tokens: Tensor, name: str = "mask") -> Tensor:
    """The mask (B, N), or one that is true for every token (B, N, ...); ValueError unless it is bool and fits."""
    if mask is None:
        return torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    if mask.dtype != torch.bool or mask.shape != tokens.shape[:2]:
        wanted, seen = tuple(tokens.shape[:2]), tuple(mask.shape)
        raise ValueError(f"{name} must be a bool tensor of shape {wanted} (B, N), got {mask.dtype} of shape {seen}")
    return mask


def usable_tokens(tokens: Tensor, mask: Mask, name: str = "mask") -> Tensor:
    """Tokens (B, N) that may take part in a graph or a match: inside the mask, which is checked, and finite."""
    return full_mask(mask, tokens, name) & torch.isfinite(tokens).all(-1)


def check_tokens(**tokens: Tensor) -> None:
    """Raise ValueError unless all are (B, N, F) with one B and one F."""
    for name, value in tokens.items():
        if value.ndim != 3:
            raise ValueError(f"{name} must have shape (B, N, F), got {tuple(value.shape)}")
    if len({(value.shape[0], value.shape[2]) for value in tokens.values()}) > 1:
        shapes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in tokens.items())
        raise ValueError(f"tokens must agree in subjects B and features F, got {shapes}")
