"""A token and its neighbors, the weights of all tokens for it, and its match in another person, on slices in mm.

A token is drawn as its block: filled outline where the slice cuts it, dashed where it lies before or behind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from torch import Tensor

from toposlearn.arrays import Float32s, Float64s
from toposlearn.explore.slices import PLANE_AXES, Panel, Volume, heat_overlay, orthogonal, plot_panels
from toposlearn.explore.tokens_rgb import to_voxels
from toposlearn.topology.correspondence import nearest_matches
from toposlearn.topology.distances import pairwise_distance
from toposlearn.topology.neighbors import nearest_neighbors
from toposlearn.topology.tokens import grid_positions

ANCHOR, SHARED, SINGLE = "#F0E442", "#00C896", "#E0489A"
TRUTH, MATCH, POSITION = "#F0E442", "#00C8FF", "#FF7F50"
BOX: Mapping[str, Any] = {"marker": "s", "ls": "", "ms": 9, "mfc": "0.25", "mew": 1.8}  # a block in a legend


def token_at(point: Sequence[float], shape: Sequence[int], stride: int, spacing: float) -> int:
    """Index of the token whose block holds a point (right, front, up) mm from the center of a volume (D, H, W)."""
    voxel = np.asarray(point, dtype=float) / spacing + np.asarray(shape) / 2
    if (voxel < 0).any() or (voxel >= np.asarray(shape)).any():
        half = [size * spacing / 2 for size in shape]
        raise ValueError(f"point must lie within {half} mm of the center, got {tuple(point)}")
    return int(np.ravel_multi_index(tuple((voxel // stride).astype(int)), tuple(size // stride for size in shape)))


def plot_neighbors(
    volumes: Mapping[str, Volume],
    tokens: Mapping[str, Tensor],
    anchor: int,
    *,
    stride: int,
    spacing: float = 3.0,
    k: int = 5,
    mask: Tensor | None = None,
) -> Figure:
    """A token (index `anchor`) and its `k` neighbors in each modality of one person, on the three planes through it.

    The images (D, H, W) of all modalities lie on one grid, of `spacing` mm; `stride` is voxels per token. Their tokens
    are (N, F), and `mask` (N,) marks those of the foreground.
    """
    counted = None if mask is None else mask[None]
    neighbors = {name: nearest_neighbors(part[None], k, counted)[0, anchor].tolist() for name, part in tokens.items()}
    shared = set.intersection(*(set(each) for each in neighbors.values())) - {-1}
    centers = grid_positions(np.shape(next(iter(volumes.values()))), stride, spacing).numpy()
    rows = {name: orthogonal(volumes[name], at=centers[anchor], spacing=spacing, name=name) for name in volumes}
    marked = [(panel, neighbors[name]) for name, row in rows.items() for panel in row]
    title = f"{len(shared)} of {k} neighbors are the same in {' and '.join(volumes)}"
    figure = plot_panels([panel for panel, _ in marked], 3, title)
    half = stride * spacing / 2
    for ax, (panel, drawn) in zip(figure.axes, marked, strict=True):
        for index in drawn:
            if index >= 0:
                draw_block(ax, panel, centers[index], half, SHARED if index in shared else SINGLE)
        draw_block(ax, panel, centers[anchor], half, ANCHOR)
    name_blocks(figure, {"the token": ANCHOR, "neighbor in every row": SHARED, "neighbor in this row only": SINGLE})
    return figure


def plot_weights(
    volume: Volume,
    weights: Mapping[str, Tensor],
    anchor: int,
    *,
    mask: Tensor,
    stride: int,
    spacing: float = 3.0,
) -> Figure:
    """The weights that one anchor gives to the tokens of a head, one row of three planes per name.

    `weights`, name -> (M,), are those of the M tokens in `mask` (N,), and add up to one; `anchor` is an index among the
    M. The colors are logarithmic, and tokens of at most an equal share, 1 / M, are clear. `volume` is (D, H, W).
    """
    shape, share = np.shape(volume), 1 / int(mask.sum())
    centers = grid_positions(shape, stride, spacing)[mask].numpy()
    peak = max(float(each.max()) for each in weights.values())
    panels: list[Panel] = []
    for name, each in weights.items():
        shares = to_voxels(torch.ones(mask.shape).masked_scatter(mask, each / share), stride, shape)
        heat = heat_overlay(np.log(shares), 0, np.log(peak / share), shown=shares > 1, alpha=0.85)
        panels += orthogonal(volume, at=centers[anchor], spacing=spacing, overlay=heat, name=name)
    figure = plot_panels(panels, 3)
    axes = list(figure.axes)
    for ax, panel in zip(axes, panels, strict=True):
        draw_block(ax, panel, centers[anchor], stride * spacing / 2, ANCHOR)
    colors = ScalarMappable(LogNorm(share, peak), "magma")
    figure.colorbar(colors, ax=axes, label="weight, from an equal share up", shrink=0.8)
    name_blocks(figure, {"the anchor": ANCHOR}, dashed="")
    return figure


def draw_block(ax: Axes, panel: Panel, center: Float64s | Float32s, half: float, color: str, **style: Any) -> bool:
    """Draw a token's block, dashed where the slice does not cut it; true where it does."""
    across, up = PLANE_AXES[panel.plane]
    inside = bool(abs(center[3 - across - up] - panel.at) <= half)
    corner = float(center[across] - half), float(center[up] - half)
    line: dict[str, Any] = {"ls": "-", "lw": 1.8} if inside else {"ls": (0, (2, 1.5)), "lw": 1.0}
    ax.add_patch(Rectangle(corner, 2 * half, 2 * half, fill=False, ec=color, **line | style))
    return inside


def name_blocks(
    figure: Figure, colors: Mapping[str, str], dashed: str = "before or behind the slice", others: Sequence[Any] = ()
) -> None:
    """Add a legend: blocks by label -> color, the meaning of dashed lines (if any), and other marks."""
    handles = [Line2D([], [], mec=color, label=label, **BOX) for label, color in colors.items()]
    if dashed:
        handles.append(Line2D([], [], color="0.4", ls=(0, (2, 1.5)), lw=1.2, label=dashed))
    handles += others
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)


@dataclass(frozen=True, eq=False)
class Match:
    """Where a token of one person was found in another; indices of the other's tokens, errors in template mm."""

    anchor: int
    found: int  # most similar token
    truth: int | None  # nearest token to the true place: no token can do better; None where it is not known
    position: int  # token at the same position (the nearest foreground one)
    similarity: Tensor  # (M,), cosine of each of the other's tokens to the anchor
    errors: Mapping[str, float]  # of "found", "truth" and "position"; empty where the truth is not known

    @property
    def shown(self) -> int:
        """The token that the slices of the other go through: the true place, or the most similar."""
        return self.found if self.truth is None else self.truth

    @property
    def answers(self) -> list[tuple[int, str]]:
        """The three answers to "where is it?", as far as they are known, each with its color."""
        known = ((self.position, POSITION), (self.found, MATCH), (self.truth, TRUTH))
        return [(token, color) for token, color in known if token is not None]


def find_match(
    anchor: int,
    tokens: tuple[Tensor, Tensor],
    positions: tuple[Tensor, Tensor],
    mask_b: Tensor,
    truth: tuple[Tensor, Tensor] | None = None,
) -> Match:
    """Match the token `anchor` of a in b, beside the truth and the match by position alone.

    Of a and of b: tokens (N, F), positions (N, 3) in mm of token centers on the grid both share, or centered, and the
    truth (N, 3) in template mm, None where the same place has no common coordinates. `mask_b` (N,) is the foreground.
    """
    one = slice(anchor, anchor + 1)

    def nearest(pair: tuple[Tensor, Tensor], metric: Literal["cosine", "euclidean"]) -> int:
        return int(nearest_matches(pair[0][None, one], pair[1][None], mask_b=mask_b[None], metric=metric))

    found, position = nearest(tokens, "cosine"), nearest(positions, "euclidean")
    similarity = 1 - pairwise_distance(tokens[0][None, one], tokens[1][None])[0, 0]
    if truth is None:
        return Match(anchor, found, None, position, similarity, {})
    ends = {"found": found, "truth": nearest(truth, "euclidean"), "position": position}
    errors = {name: float((truth[1][index] - truth[0][anchor]).norm()) for name, index in ends.items()}
    return Match(anchor, found, ends["truth"], position, similarity, errors)


def plot_match(
    volume_a: Volume,
    volume_b: Volume,
    match: Match,
    *,
    stride: int,
    spacing: float = 3.0,
    mask_b: Tensor | None = None,
    names: tuple[str, str] = ("person a", "person b"),
) -> Figure:
    """A token of one person above; below, in another, how similar each token is, and three answers to "where is it?".

    The planes of the lower row go through the true place, or where it is not known through the most similar token.
    Volumes are (D, H, W) with `spacing` mm, `stride` is voxels per token, `mask_b` (N,) the foreground tokens of b.
    """
    shape = np.shape(volume_b)
    centers, half = grid_positions(shape, stride, spacing).numpy(), stride * spacing / 2
    heat = similarity_overlay(match.similarity, stride, shape, mask_b)
    upper = orthogonal(volume_a, at=centers[match.anchor], spacing=spacing, name=names[0])
    lower = orthogonal(volume_b, at=centers[match.shown], spacing=spacing, overlay=heat, name=names[1])
    text, label = "the true place is not known", "the token"
    if match.truth is not None:
        text = f"match {match.errors['found']:.0f} mm off, position alone {match.errors['position']:.0f}"
        text, label = f"{text}, best token {match.errors['truth']:.0f}", "the token, and its true place"
    figure = plot_panels([*upper, *lower], 3, text)
    for panel, ax in zip(upper, figure.axes[:3], strict=True):
        draw_block(ax, panel, centers[match.anchor], half, ANCHOR)
    for panel, ax in zip(lower, figure.axes[3:], strict=True):
        for index, color in match.answers:
            draw_block(ax, panel, centers[index], half, color)
    name_blocks(figure, {label: TRUTH, "most similar": MATCH, "same position": POSITION})
    return figure


def similarity_overlay(similarity: Tensor, stride: int, shape: Sequence[int], mask: Tensor | None) -> Float32s:
    """Similarity (N,) as a heat map: from the median of the foreground tokens up, so that the peak stands out."""
    counted = torch.ones_like(similarity, dtype=torch.bool) if mask is None else mask
    low, high = float(similarity[counted].median()), float(similarity[counted].max())
    shown = to_voxels((counted & (similarity >= low)).numpy(), stride, shape)
    return heat_overlay(to_voxels(similarity.numpy(), stride, shape), low, high, shown=shown, alpha=0.55)
