"""Slices of volumes: planes with overlays, orientation letters and a scale in mm.

Volumes are (D, H, W) in RAS order: indices grow to the right, to the front and upwards. Millimeters are measured from
the volume's center. The person's left is on the left (not the radiological view).
"""

import colorsys
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from toposlearn.anatomy import STRUCTURES
from toposlearn.arrays import Float32s, Float64s

Volume = Tensor | NDArray[Any]
Spacing = float | Sequence[float]
Plane = Literal["coronal", "axial", "sagittal"]

PLANES: tuple[Plane, ...] = ("sagittal", "coronal", "axial")  # in the order of the axes that they cut
# Axes (0 right, 1 anterior, 2 superior) that run to the right and up in each picture.
PLANE_AXES: Mapping[str, tuple[int, int]] = {"coronal": (0, 2), "axial": (0, 1), "sagittal": (1, 2)}
AXIS_NAMES = ("left – right (mm)", "back – front (mm)", "down – up (mm)")
# Okabe-Ito colors, distinct also for most color-blind readers.
STRUCTURE_COLORS: dict[str, str] = {
    "thalamus": "#D55E00",
    "putamen": "#0072B2",
    "pallidum": "#56B4E9",
    "caudate": "#009E73",
    "hippocampus": "#CC79A7",
    "amygdala": "#E69F00",
    "accumbens": "#8C6D1F",
}
CROSS: Mapping[str, Any] = {"color": "#F0E442", "ms": 16, "mew": 2}  # marks a place on a slice
TONES = ((0.45, 0.95), (0.9, 0.85), (0.65, 0.5))  # saturation and value of structures without a color of their own
_WAYS = (("left", "right"), ("back", "front"), ("down", "up"))  # along each axis
_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))
_BRIGHT = 0.998  # quantile shown as white


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture: the plane `at` mm from the center of a volume (D, H, W), and an overlay (D, H, W, 4) of RGBA."""

    volume: Volume
    plane: Plane = "axial"
    at: float = 0.0
    spacing: Spacing = 3.0  # mm
    overlay: Volume | None = None
    title: str = ""


def steps_of(spacing: Spacing) -> Float64s:
    """Spacing (3,) in mm along each axis."""
    return np.broadcast_to(np.asarray(spacing, dtype=float), 3)


def plane_points(plane: Plane, across: ArrayLike, up: ArrayLike, point: ArrayLike) -> Float64s:
    """Points (rows upwards, columns, 3) of the plane through a point, at ticks `across` and `up` in mm."""
    if plane not in PLANE_AXES:
        raise ValueError(f"plane must be one of {', '.join(PLANE_AXES)}, got {plane!r}")
    points = np.empty((np.size(up), np.size(across), 3))
    points[:] = point
    points[..., PLANE_AXES[plane][0]], points[..., PLANE_AXES[plane][1]] = np.meshgrid(across, up)
    return points


def cut(volume: Volume, plane: Plane, at: float, spacing: Spacing) -> NDArray[Any]:
    """The plane `at` mm from the center of (D, H, W) or (D, H, W, C), as an image: rows upwards, columns across."""
    if plane not in PLANE_AXES:
        raise ValueError(f"plane must be one of {', '.join(PLANES)}, got {plane!r}")
    array = np.asarray(volume)
    if array.ndim not in (3, 4):
        raise ValueError(f"volume must be (D, H, W) or (D, H, W, C), got shape {array.shape}")
    axis = PLANES.index(plane)
    size, step = array.shape[axis], steps_of(spacing)[axis]
    index = round(at / step + (size - 1) / 2)
    if not 0 <= index < size:
        raise ValueError(f"at must lie within {size * step / 2:g} mm of the center of the {plane} axis, got {at:g} mm")
    return np.swapaxes(np.take(array, index, axis=axis), 0, 1)


def place_in_words(plane: Plane, at: float) -> str:
    """Plane and place (mm), as in ``axial, 12 mm up``."""
    return f"{plane}, {abs(at):.0f} mm {_WAYS[PLANES.index(plane)][int(at >= 0)]}"


def center_of(mask: Volume, spacing: Spacing = 3.0) -> tuple[float, float, float]:
    """Centroid (right, front, up) of a mask (D, H, W), mm from the volume's center."""
    inside = np.argwhere(np.asarray(mask)).mean(axis=0)
    first, second, third = ((inside - (np.asarray(mask.shape) - 1) / 2) * steps_of(spacing)).tolist()
    return first, second, third


def extent_of(shape: Sequence[int], plane: Plane, spacing: Spacing) -> tuple[float, float, float, float]:
    """Left, right, lower and upper edge of a plane in mm from the center."""
    half = (np.asarray(shape[:3]) * steps_of(spacing) / 2).tolist()
    across, up = PLANE_AXES[plane]
    return -half[across], half[across], -half[up], half[up]


def mask_overlay(mask: Volume, color: str = "#E69F00", alpha: float = 0.45) -> Float32s:
    """A mask (D, H, W) as RGBA (D, H, W, 4): `color` inside, nothing outside."""
    inside = np.asarray(mask) > 0
    return np.asarray(np.where(inside[..., None], (*to_rgb(color), alpha), 0), dtype=np.float32)


def label_overlay(labels: Volume, alpha: float = 0.5) -> Float32s:
    """Structure labels (D, H, W) as RGBA: one color per structure, the same on both sides; 0 stays clear."""
    array = np.asarray(labels).astype(int)
    names, colors = {structure.label: structure.name for structure in STRUCTURES}, _structure_colors()
    lookup = np.zeros((int(array.max()) + 1, 4), dtype=np.float32)
    for label in np.unique(array[array > 0]).tolist():
        name = names.get(label, str(label))  # outside the vocabulary the hue depends on the label alone
        color = colors.get(name) or colorsys.hsv_to_rgb(sum(map(ord, name)) * 0.618 % 1, *TONES[0])
        lookup[label] = (*color, alpha)
    return np.asarray(lookup[array])


@cache
def _structure_colors() -> dict[str, tuple[float, float, float]]:
    """Name -> color of every structure: its own, or in turn the one of many that is farthest from all taken so far."""
    many = [colorsys.hsv_to_rgb(hue / 24, *tone) for hue in range(24) for tone in TONES]
    colors = {name: to_rgb(color) for name, color in STRUCTURE_COLORS.items()}
    for name in dict.fromkeys(structure.name for structure in STRUCTURES):
        colors.setdefault(name, max(many, key=lambda one: min(math.dist(one, taken) for taken in colors.values())))
    return colors


def heat_overlay(
    values: Volume, low: float, high: float, *, shown: Volume | None = None, alpha: float = 0.7
) -> Float32s:
    """Values (D, H, W) as RGBA from `low` to `high`; clear outside `shown` (D, H, W)."""
    scaled = (np.asarray(values, dtype=float) - low) / max(high - low, 1e-12)
    colors = np.asarray(colormaps["magma"](np.clip(scaled, 0, 1)), dtype=np.float32)
    colors[..., 3] = alpha if shown is None else alpha * (np.asarray(shown) > 0)
    return colors


def draw_panel(ax: Axes, panel: Panel) -> None:
    """Draw one panel: gray values, overlay, orientation letters, a scale in mm."""
    volume = np.asarray(panel.volume)
    extent = extent_of(volume.shape, panel.plane, panel.spacing)
    white = max(float(np.quantile(volume, _BRIGHT)), 1e-6)
    view: dict[str, Any] = {"extent": extent, "origin": "lower", "interpolation": "nearest"}
    ax.imshow(cut(volume, panel.plane, panel.at, panel.spacing), cmap="gray", vmin=0, vmax=white, **view)
    if panel.overlay is not None:
        ax.imshow(cut(panel.overlay, panel.plane, panel.at, panel.spacing), **view)
    write_letters(ax, panel.plane)
    ax.set_title(panel.title or f"{panel.plane}, {panel.at:+.0f} mm", size=10)
    ax.tick_params(labelsize=8)


def write_letters(ax: Axes, plane: Plane) -> None:
    """Write letters at the edges of a plane: left, right, posterior, anterior, inferior, superior."""
    places = (((0.03, 0.5), (0.97, 0.5)), ((0.5, 0.03), (0.5, 0.97)))
    style: dict[str, Any] = {"color": "0.85", "size": 9, "ha": "center", "va": "center", "weight": "bold"}
    for axis, ends in zip(PLANE_AXES[plane], places, strict=True):
        for letter, (x, y) in zip(_LETTERS[axis], ends, strict=True):
            ax.text(x, y, letter, transform=ax.transAxes, **style)


def plot_panels(panels: Sequence[Panel], columns: int, title: str = "", *, size: float = 2.9) -> Figure:
    """Panels of `size` inches in rows of `columns`; axes are labeled only where they differ from their neighbor's."""
    if not panels or columns < 1:
        raise ValueError(f"panels and columns must not be empty, got {len(panels)} panels in {columns} columns")
    rows = -(-len(panels) // columns)
    inches = size * columns + 0.4, (size + 0.3) * rows + 0.5
    figure, axes = plt.subplots(rows, columns, figsize=inches, squeeze=False, layout="compressed")
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for index, (ax, panel) in enumerate(zip(axes.flat, panels, strict=False)):
        draw_panel(ax, panel)
        below = panels[index + columns].plane if index + columns < len(panels) else None
        beside = panels[index - 1].plane if index % columns else None
        label_edges(ax, panel.plane, below, beside, size=8)
    if title:
        figure.suptitle(title, size=11)
    return figure


def label_edges(ax: Axes, plane: Plane, below: Plane | None, beside: Plane | None, **style: Any) -> None:
    """Label the axes of a plane that the planes below it and to the left of it do not share."""
    across, up = PLANE_AXES[plane]
    lowest = below is None or PLANE_AXES[below][0] != across
    leftmost = beside is None or PLANE_AXES[beside][1] != up
    ax.tick_params(bottom=lowest, labelbottom=lowest, left=leftmost, labelleft=leftmost)
    if lowest:
        ax.set_xlabel(AXIS_NAMES[across], **style)
    if leftmost:
        ax.set_ylabel(AXIS_NAMES[up], **style)


def plot_slices(volume: Volume, *, spacing: Spacing = 3.0, title: str = "") -> Figure:
    """The three planes of a volume (D, H, W) through its center."""
    return plot_panels(orthogonal(volume, at=(0.0, 0.0, 0.0), spacing=spacing), 3, title)


def orthogonal(
    volume: Volume, *, at: Sequence[float], spacing: Spacing = 3.0, overlay: Volume | None = None, name: str = ""
) -> list[Panel]:
    """The panels of the three planes through a point (right, front, up), mm from the center."""
    start = f"{name}: " if name else ""
    titles = [f"{start}{plane}, {place:+.0f} mm" for plane, place in zip(PLANES, at, strict=True)]
    return [Panel(volume, plane, float(at[axis]), spacing, overlay, titles[axis]) for axis, plane in enumerate(PLANES)]


def plot_row(
    volumes: Mapping[str, Volume],
    *,
    at: float = 0.0,
    spacing: Spacing = 3.0,
    overlays: Mapping[str, Volume] | None = None,
    title: str = "",
    columns: int | None = None,
) -> Figure:
    """The same axial plane of several volumes side by side, e.g. modality -> (D, H, W); an overlay for those named."""
    over = overlays or {}
    unknown = sorted(set(over) - set(volumes))
    if unknown:
        raise ValueError(f"overlays {', '.join(unknown)} belong to no volume: there are {', '.join(volumes)}")
    panels = [Panel(volume, "axial", at, spacing, over.get(name), name) for name, volume in volumes.items()]
    return plot_panels(panels, columns or len(panels), title)
