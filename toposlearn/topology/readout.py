"""Places below the size of a token: features read at points, the expected place, and places that neighbors agree on.

S people, P points or queries, N tokens, F features; places in mm from the center of the volume.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from toposlearn.topology.correspondence import nearest_matches
from toposlearn.topology.distances import Metric, at_index, embed

TEMPERATURES = (0.01, 0.02, 0.04, 0.08, 0.16)
REACHES = (12.0, 18.0, 24.0, 36.0, 60.0)  # mm
_BLOCK = 2**22  # similarities held at once


def at_points(features: Tensor, points: Tensor, spacing: float) -> Tensor:
    """Features (S, P, F) at points (S, P, 3) of maps (S, F, d, h, w) with cells of `spacing` mm, trilinear.

    Beyond the edge is the edge value; a point that is NaN has features that are NaN.
    """
    half = torch.tensor(features.shape[2:], device=points.device) * spacing / 2
    known = points.isfinite().all(-1)
    grid = (points / half).nan_to_num().flip(-1)[:, :, None, None]  # W H D order
    read = F.grid_sample(features, grid.to(features), padding_mode="border", align_corners=False)
    return read[..., 0, 0].mT.masked_fill(~known[..., None], torch.nan)


def best_place(query: Tensor, tokens: Tensor, positions: Tensor, mask: Tensor, metric: Metric = "cosine") -> Tensor:
    """Center (S, P, 3) of the token nearest to each query (S, P, F), NaN for NaN; arguments of `soft_argmax`."""
    index = nearest_matches(query, tokens, None, mask, metric)
    return at_index(positions, index).masked_fill((index < 0)[..., None], torch.nan)


def soft_argmax(query: Tensor, tokens: Tensor, positions: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """Expected place (S, P, 3) of queries (S, P, F) among tokens (S, N, F) with centers (S, N, 3) and mask (S, N).

    The weights are a softmax of cosine similarity / `temperature`.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    wanted, known = embed(query, "cosine"), embed(tokens, "cosine").mT
    outside = torch.zeros_like(positions[..., 0]).masked_fill(~mask, -torch.inf)[:, None]
    known, outside = known.masked_fill(~mask[:, None], 0), outside.to(known)  # NaN outside the mask counts for nothing
    blocks = torch.split(wanted, max(1, _BLOCK // mask.numel()), dim=1)
    weights = (torch.baddbmm(outside, block, known, alpha=1 / temperature).softmax(2) for block in blocks)
    return torch.cat([weight @ positions for weight in weights], 1)


def fit_weights(points: Tensor, positions: Tensor, reach: float) -> Tensor:
    """Weights (P, N) that read values known at `positions` (N, 3) at points (P, 3), mm, by a fit around each point.

    It is local linear regression (Cleveland 1979, doi:10.1080/01621459.1979.10481038): an affine function of the
    position, fitted by least squares in which a position counts by a Gaussian of its distance, with the standard
    deviation `reach`, mm. Values that are an affine function of the position are read exactly; errors that neighbors
    do not share cancel.
    """
    if reach <= 0:
        raise ValueError(f"reach must be positive (mm), got {reach}")
    first = torch.tensor([1.0, 0.0, 0.0, 0.0]).to(points)
    rows = []
    for block in torch.split(points, max(1, _BLOCK // (4 * len(positions)))):
        near = (-torch.cdist(block, positions).square() / (2 * reach**2)).softmax(1)  # (P, N)
        offset = (positions - block[:, None]) / reach
        design = torch.cat([torch.ones_like(offset[..., :1]), offset], -1)  # (P, N, 4)
        normal = torch.einsum("pn,pni,pnj->pij", near, design, design)
        rows.append(near * (design @ (torch.linalg.pinv(normal, hermitian=True) @ first)[..., None])[..., 0])
    return torch.cat(rows)


def choose(error: Callable[[float], float], values: Sequence[float]) -> float:
    """The value of lowest error; `error` must be measured on people who are not judged afterwards."""
    return min(values, key=error)
