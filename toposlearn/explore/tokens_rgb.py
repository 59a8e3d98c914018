"""Tokens as colors: three principal components become red, green and blue, with one basis for all people.

With one basis equal features have equal colors, in two people or two modalities. The reverse does not hold: three
components leave most of the variance of the features out, so a figure of colors states the share that they hold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.explore.slices import Panel, Plane, Spacing, Volume, plot_panels
from toposlearn.topology.distances import embed

_CLIPPED = 2.0  # percent of the tokens at each end of a color


@dataclass(frozen=True, eq=False)
class Basis:
    """Principal directions and the range (3,) of each, fitted once."""

    pca: PCA
    low: Float64s
    high: Float64s

    @property
    def explained(self) -> float:
        """Share of the variance of the tokens (unit length) that the three colors hold; to be stated beside them."""
        return float(self.pca.explained_variance_ratio_.sum())

    def colors(self, tokens: Tensor) -> Float64s:
        """Colors (..., N, 3) in [0, 1] of tokens (..., N, F)."""
        scaled = (self.pca.transform(_unit_rows(tokens)) - self.low) / (self.high - self.low)
        return np.asarray(np.clip(scaled, 0, 1).reshape(*tokens.shape[:-1], 3))


def share_in_words(explained: float) -> str:
    """The share that colors hold, for the title of a figure: ``23 % of the variance``."""
    return f"{explained:.0%}".replace("%", " % of the variance")


def fit_basis(*tokens: Tensor, masks: Sequence[Tensor] | None = None) -> Basis:
    """Fit one basis to all tokens, each (..., N, F), of unit length; `masks`, (..., N) for each, leave air out."""
    if not tokens or (masks is not None and len(masks) != len(tokens)):
        raise ValueError(f"fit_basis needs tokens, and one mask for each, got {len(tokens)} and {len(masks or ())}")
    parts = [_unit_rows(part) for part in tokens]
    if masks is not None:
        parts = [part[mask.reshape(-1).cpu().numpy()] for part, mask in zip(parts, masks, strict=True)]
    rows = np.concatenate(parts)
    if len(rows) < 4 or rows.shape[1] < 3:
        raise ValueError(f"three colors need at least 4 tokens of 3 features, got {len(rows)} of {rows.shape[1]}")
    pca = PCA(n_components=3, svd_solver="covariance_eigh").fit(rows)
    low, high = np.percentile(pca.transform(rows), [_CLIPPED, 100 - _CLIPPED], axis=0)
    return Basis(pca, low, np.maximum(high, low + 1e-9))


def _unit_rows(tokens: Tensor) -> Float64s:
    """Tokens (..., N, F) as unit rows (R, F)."""
    rows: Float64s = embed(tokens.detach().cpu(), "cosine").double().numpy()
    return rows.reshape(-1, tokens.shape[-1])


def to_voxels(values: Volume, stride: int, shape: Sequence[int]) -> Float64s:
    """Values of tokens (N,) or (N, C) on the voxels (D, H, W) or (D, H, W, C): each token fills its block."""
    array = np.asarray(values)
    grid = tuple(size // stride for size in shape)
    if len(array) != np.prod(grid):
        raise ValueError(f"{len(array)} tokens do not fill a volume {tuple(shape)} in steps of {stride} voxels")
    blocks = array.reshape(*grid, *array.shape[1:])
    for axis in range(3):
        blocks = blocks.repeat(stride, axis=axis)
    return blocks


def color_overlay(colors: Volume, stride: int, shape: Sequence[int], mask: Tensor | None = None) -> Float64s:
    """Token colors (N, 3) as RGBA (D, H, W, 4); tokens outside `mask` (N,) are clear."""
    array = np.asarray(colors)
    opacity = np.ones(len(array)) if mask is None else np.asarray(mask)
    return to_voxels(np.column_stack([array, opacity]), stride, shape)


def plot_token_colors(
    volumes: Mapping[str, Volume],
    rows: Mapping[str, Mapping[str, Volume]],
    *,
    stride: int,
    spacing: Spacing = 3.0,
    masks: Mapping[str, Tensor] | None = None,
    plane: Plane = "axial",
    at: Mapping[str, float] | None = None,
    explained: Mapping[str, float] | None = None,
    title: str = "",
) -> Figure:
    """The images in the first row, below them the colors of their tokens, one row per network.

    Columns are people or modalities: `volumes` are column -> image (D, H, W) with `spacing` mm and `stride` voxels per
    token, `rows` are network -> column -> colors (N, 3) from *one* basis (`Basis.colors`). Tokens outside `masks`,
    column -> (N,), are left out; `explained`, network -> `Basis.explained`, is written above its row. The slices lie at
    `at`, column -> mm from the center.
    """
    heights = dict.fromkeys(volumes, 0.0) | dict(at or {})
    panels = [Panel(volume, plane, heights[name], spacing, title=name) for name, volume in volumes.items()]
    for network, colors in rows.items():
        heading = network if explained is None else f"{network} ({share_in_words(explained[network])})"
        for name, volume in volumes.items():
            overlay = color_overlay(colors[name], stride, np.shape(volume), None if masks is None else masks[name])
            panels.append(Panel(volume, plane, heights[name], spacing, overlay, heading))
    return plot_panels(panels, len(volumes), title)
