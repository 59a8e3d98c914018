"""A token and its neighbors in two modalities, and a token and its match in another person, on slices in mm.

A token is drawn as its block: filled outline where the slice cuts it, dashed where it lies before or behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from torch import Tensor

from toposlearn.explore.slices import (
    Panel,
    Volume,
    heat_overlay,
    orthogonal,
    plot_panels,
)
from toposlearn.explore.structures import PLANE_AXES
from toposlearn.explore.tokens_rgb import to_voxels
from toposlearn.topology.correspondence import nearest_matches
from toposlearn.topology.distances import pairwise_distance
from toposlearn.topology.neighbors import nearest_neighbors
from toposlearn.topology.tokens import grid_positions

ANCHOR, SHARED, SINGLE = "#F0E442", "#00C896", "#E0489A"
TRUTH, MATCH, POSITION = "#F0E442", "#00C8FF", "#FF7F50"


def token_at(point: Sequence[float], shape: Sequence[int], stride: int, spacing: float) -> int:
    """Index of the token whose block holds a point (right, front, up) mm from the center of a volume (D, H, W).

    Raises:
        ValueError: the point lies outside the volume.
    """
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
    title: str = "",
) -> Figure:
    """A token and its K neighbors in each modality of one person, on the three planes through it.

    Args:
        volumes: modality -> image (D, H, W), two or more on one grid; a row each.
        tokens: modality -> (N, F).
        anchor: index of the token.
        stride: voxels a token.
        spacing: mm a voxel.
        k: neighbors.
        mask: (N,) bool, foreground tokens.
        title: what to see; by default how many neighbors the modalities share.
    """
    counted = None if mask is None else mask[None]
    found = {name: nearest_neighbors(part[None], k, counted)[0, anchor].tolist() for name, part in tokens.items()}
    shared = set.intersection(*(set(each) for each in found.values())) - {-1}
    centers = grid_positions(_shape(next(iter(volumes.values()))), stride, spacing).numpy()
    panels = [
        panel for name, image in volumes.items() for panel in orthogonal(image, at=centers[anchor], spacing=spacing)
    ]
    figure = plot_panels(panels, 3, title or f"{len(shared)} of {k} neighbors are the same in {' and '.join(volumes)}")
    half = stride * spacing / 2
    for row, (name, neighbors) in enumerate(found.items()):
        for panel, ax in zip(panels[3 * row : 3 * row + 3], figure.axes[3 * row : 3 * row + 3], strict=True):
            for index in neighbors:
                if index >= 0:
                    draw_block(ax, panel, centers[index], half, SHARED if index in shared else SINGLE)
            draw_block(ax, panel, centers[anchor], half, ANCHOR)
            ax.set_title(f"{name}: {panel.plane}, {panel.at:+.0f} mm", size=10)
    _add_legend(figure, {"the token": ANCHOR, "neighbor in every row": SHARED, "neighbor in this row only": SINGLE})
    return figure


def _shape(volume: Volume) -> tuple[int, int, int]:
    first, second, third = volume.shape
    return int(first), int(second), int(third)


def draw_block(ax: Axes, panel: Panel, center: NDArray[np.floating], half: float, color: str) -> bool:
    """A token's block, seen along the panel's normal, dashed where the slice does not cut it; true where it does."""
    across, up = PLANE_AXES[panel.plane]
    inside = bool(abs(center[3 - across - up] - panel.at) <= half)
    corner = float(center[across] - half), float(center[up] - half)
    style: dict[str, Any] = {"ls": "-", "lw": 1.8} if inside else {"ls": (0, (2, 1.5)), "lw": 1.0}
    ax.add_patch(Rectangle(corner, 2 * half, 2 * half, fill=False, ec=color, **style))
    return inside


def _add_legend(figure: Figure, colors: Mapping[str, str]) -> None:
    box: dict[str, Any] = {"marker": "s", "ls": "", "ms": 9, "mfc": "0.25", "mew": 1.8}
    handles = [Line2D([], [], mec=color, label=label, **box) for label, color in colors.items()]
    handles.append(Line2D([], [], color="0.4", ls=(0, (2, 1.5)), lw=1.2, label="before or behind the slice"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)


@dataclass(frozen=True, eq=False)
class Match:
    """Where a token of one person was found in another; indices of the other's tokens, errors in template mm."""

    anchor: int
    found: int  # most similar token
    truth: int  # nearest token to the true place: no token can do better; -1 where it is not known
    position: int  # token at the same grid position (the nearest foreground one)
    similarity: Tensor  # (M,), cosine of each of the other's tokens to the anchor
    errors: Mapping[str, float]  # of "found", "truth" and "position"; empty where the truth is not known


def find_match(
    anchor: int,
    tokens_a: Tensor,
    tokens_b: Tensor,
    template_a: Tensor,
    template_b: Tensor,
    positions: Tensor,
    mask_b: Tensor,
    known: bool = True,
) -> Match:
    """Match one token of a in b, beside the truth and what position alone would say.

    Args:
        anchor: index of a token of a.
        tokens_a: (N, F).
        tokens_b: (N, F).
        template_a: (N, 3), template mm of a's tokens.
        template_b: (N, 3), the same for b.
        positions: (N, 3), mm of token centers on the grid both share.
        mask_b: (N,) bool, foreground tokens of b.
        known: False where the templates of two people cannot be compared: neither truth nor errors.
    """
    one = slice(anchor, anchor + 1)
    pairs = {"found": (tokens_a, tokens_b), "truth": (template_a, template_b), "position": (positions, positions)}
    index = {
        name: int(
            nearest_matches(
                a[None, one], b[None], mask_b=mask_b[None], metric="cosine" if name == "found" else "euclidean"
            )
        )
        for name, (a, b) in pairs.items()
    }
    errors = {name: float((template_b[place] - template_a[anchor]).norm()) for name, place in index.items()}
    similarity = 1 - pairwise_distance(tokens_a[None, one], tokens_b[None])[0, 0]
    if not known:
        return Match(anchor, index["found"], -1, index["position"], similarity, {})
    return Match(anchor, index["found"], index["truth"], index["position"], similarity, errors)


def plot_match(
    volume_a: Volume,
    volume_b: Volume,
    match: Match,
    *,
    stride: int,
    spacing: float = 3.0,
    mask_b: Tensor | None = None,
    names: tuple[str, str] = ("person a", "person b"),
    title: str = "",
) -> Figure:
    """A token of one person above; below, in another, how similar each token is, and three answers to "where is it?".

    The planes of the lower row go through the true place, or where it is not known through the most similar token.

    Args:
        volume_a: (D, H, W).
        volume_b: (D, H, W).
        match: from `find_match`.
        stride: voxels a token.
        spacing: mm a voxel.
        mask_b: (N,) bool, foreground tokens of b.
        names: of the two people (and modalities).
        title: what to see; by default the errors in mm.
    """
    shape = _shape(volume_b)
    centers, half = grid_positions(shape, stride, spacing).numpy(), stride * spacing / 2
    heat = _similarity_overlay(match.similarity, stride, shape, mask_b)
    upper = orthogonal(volume_a, at=centers[match.anchor], spacing=spacing, name=names[0])
    shown = match.truth if match.errors else match.found
    lower = orthogonal(volume_b, at=centers[shown], spacing=spacing, overlay=heat, name=names[1])
    text = "the true place is not known"
    if errors := match.errors:
        text = f"match {errors['found']:.0f} mm off, position alone {errors['position']:.0f}"
        text += f", best token {errors['truth']:.0f}"
    figure = plot_panels([*upper, *lower], 3, title or text)
    answers = [(match.position, POSITION), (match.found, MATCH), (match.truth, TRUTH)][: 3 if errors else 2]
    for panel, ax in zip(upper, figure.axes[:3], strict=True):
        draw_block(ax, panel, centers[match.anchor], half, ANCHOR)
    for panel, ax in zip(lower, figure.axes[3:], strict=True):
        for index, color in answers:
            draw_block(ax, panel, centers[index], half, color)
    first = "the token, and its true place" if errors else "the token"
    _add_legend(figure, {first: TRUTH, "most similar": MATCH, "same position": POSITION})
    return figure


def _similarity_overlay(
    similarity: Tensor, stride: int, shape: Sequence[int], mask: Tensor | None
) -> NDArray[np.float32]:
    """Similarity (N,) as a heat map: from the median of the foreground tokens up, so that the peak stands out."""
    counted = torch.ones_like(similarity, dtype=torch.bool) if mask is None else mask
    low, high = float(similarity[counted].median()), float(similarity[counted].max())
    shown = to_voxels((counted & (similarity >= low)).numpy(), stride, shape)
    return heat_overlay(to_voxels(similarity.numpy(), stride, shape), low, high, shown=shown, alpha=0.55)
