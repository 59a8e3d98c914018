"""Pictures of structures: slices of several people in their own frames, and their neighborhood graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from toposlearn.anatomy import LabelMap
from toposlearn.relations.frame import Array, frame_of
from toposlearn.relations.layout import Layout

Plane = Literal["coronal", "axial", "sagittal"]
Labels = npt.NDArray[np.integer]

# Own axes (0 right, 1 anterior, 2 superior) that run to the right and up in each picture.
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
FAINT = "#CACDD3"  # every other labeled voxel


def own_slice(
    label_map: LabelMap, plane: Plane = "coronal", at: float = 0.0, extent: float = 80.0, step: float = 0.5
) -> Labels:
    """Labels on a plane of the person's own frame, `at` mm from its origin, as an image (rows from top to bottom).

    The image covers `extent` mm on each side of the origin; the nearest voxel is taken.

    Raises:
        ValueError: unknown plane.
    """
    if plane not in PLANE_AXES:
        raise ValueError(f"plane must be one of {', '.join(PLANE_AXES)}, got {plane!r}")
    across, up = PLANE_AXES[plane]
    ticks = np.arange(-extent, extent + step / 2, step)
    own = np.zeros((len(ticks), len(ticks), 3))
    own[..., across] = ticks[None, :]
    own[..., up] = ticks[::-1, None]
    own[..., 3 - across - up] = at
    frame = frame_of(label_map)
    world = own @ frame.axes + frame.origin  # inverse of Frame.coordinates, as axes are orthonormal
    inverse = np.linalg.inv(label_map.affine)
    voxels = np.rint(world @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
    inside = ((voxels >= 0) & (voxels < label_map.labels.shape)).all(axis=-1)
    image = np.zeros(inside.shape, dtype=label_map.labels.dtype)
    image[inside] = label_map.labels[tuple(voxels[inside].T)]
    return image


def plot_people(
    subjects: Mapping[str, LabelMap],
    structures: Sequence[str] = ("thalamus", "pallidum", "putamen"),
    plane: Plane = "coronal",
    at: float = 6.0,
    extent: float = 80.0,
    columns: int = 3,
) -> Figure:
    """The same slice of every person's own frame, `structures` in color, everything else gray.

    The dashed line is the mid-sagittal plane. The person's left is on the left (not the radiological view).
    """
    rows = -(-len(subjects) // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(3.1 * columns, 3.2 * rows),
        squeeze=False,
        layout="constrained",
        sharex=True,
        sharey=True,
    )
    for ax in axes.flat:
        ax.set_visible(False)
    for ax, (name, label_map) in zip(axes.flat, subjects.items(), strict=False):
        ax.set_visible(True)
        _draw_slice(ax, slice_colors(label_map, plane, at, extent, structures), plane, extent)
        ax.set_title(name)
    _label_outer(list(axes.flat)[: len(subjects)], columns, plane)
    handles = [Line2D([], [], marker="s", ls="", color=_color(name), label=name) for name in structures]
    figure.legend(handles=handles, loc="outside lower center", ncols=columns + 1, frameon=False)
    return figure


def _draw_slice(ax: Axes, image: Array, plane: Plane, extent: float) -> None:
    ax.imshow(image, extent=(-extent, extent, -extent, extent), interpolation="nearest")
    ax.set_aspect("equal")
    if plane != "sagittal":
        ax.axvline(0, color="0.35", lw=0.8, ls="--")
        ax.text(0.03, 0.04, "L", transform=ax.transAxes, color="0.35")
        ax.text(0.97, 0.04, "R", transform=ax.transAxes, color="0.35", ha="right")
    for spine in ax.spines.values():
        spine.set_visible(False)


def _label_outer(axes: list[Axes], columns: int, plane: Plane) -> None:
    across, up = PLANE_AXES[plane]
    for index, ax in enumerate(axes):
        lowest, leftmost = index + columns >= len(axes), index % columns == 0
        ax.tick_params(bottom=lowest, labelbottom=lowest, left=leftmost, labelleft=leftmost)
        if lowest:
            ax.set_xlabel(AXIS_NAMES[across])
        if leftmost:
            ax.set_ylabel(AXIS_NAMES[up])


def slice_colors(label_map: LabelMap, plane: Plane, at: float, extent: float, structures: Sequence[str]) -> Array:
    """RGB image (H, W, 3) of `own_slice`: named structures in their color, others gray, background white."""
    named = {label: each.name for label, each in label_map.structures.items() if each.name in structures}
    return paint(own_slice(label_map, plane, at, extent), {label: _color(name) for label, name in named.items()})


def paint(image: Labels, colors: Mapping[int, str]) -> Array:
    """RGB image (H, W, 3) of labels (H, W): `colors` by label, other structures faint, background white."""
    lookup = np.tile(to_rgb(FAINT), (max(int(image.max()), *colors, 0) + 1, 1))
    lookup[0] = 1.0
    for label, color in colors.items():
        lookup[label] = to_rgb(color)
    return np.asarray(lookup[image], dtype=np.float64)


def _color(name: str) -> str:
    return STRUCTURE_COLORS.get(name, "#444444")


def plot_shared_graph(subjects: Sequence[Layout], shared: pd.DataFrame, plane: Plane = "axial") -> Figure:
    """Neighborhood graph of all people at once, structures at their mean centroid, seen along one own axis.

    Small dots are single people. A dark edge is in the graph of all people, a pale one in some (`shared`, the table of
    `toposlearn.relations.graphs.shared_edges`; an edge counts in its stronger direction).
    """
    across, up = PLANE_AXES[plane]
    centers = {name: _centers(subjects, name)[:, [across, up]] for name in shared.index}  # each (people, 2)
    figure, ax = plt.subplots(figsize=(7.8, 6.4), layout="compressed")
    strength = np.maximum(shared.to_numpy(), shared.to_numpy().T)
    for i, j in np.argwhere(np.triu(strength, k=1) > 0).tolist():
        ends = np.stack([centers[shared.index[i]].mean(axis=0), centers[shared.index[j]].mean(axis=0)])
        in_all = strength[i, j] == 1
        ax.plot(*ends.T, color="0.3" if in_all else "0.6", lw=1.2, ls="-" if in_all else ":")
    for name, points in centers.items():
        _draw_node(ax, name, points)
    ax.axvline(0, color="0.35", lw=0.8, ls="--")
    ax.set_aspect("equal")
    ax.set_xlabel(AXIS_NAMES[across])
    ax.set_ylabel(AXIS_NAMES[up])
    lines = [Line2D([], [], color="0.3", lw=1.2), Line2D([], [], color="0.6", lw=1.2, ls=":")]
    nuclei = [name for name in STRUCTURE_COLORS if f"right-{name}" in centers]
    dots = [Line2D([], [], marker="o", ls="", ms=8, color=STRUCTURE_COLORS[name]) for name in nuclei]
    labels = [f"edge in all {len(subjects)}", "edge in some", *nuclei]
    ax.margins(x=0.12)  # room for the names
    ax.legend(lines + dots, labels, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return figure


def _centers(subjects: Sequence[Layout], name: str) -> Array:
    """Centroid (people, 3) of a structure, in each person's own frame."""
    rows = [[structure.full_name for structure in subject.structures].index(name) for subject in subjects]
    return np.stack([subject.centers[row] for subject, row in zip(subjects, rows, strict=True)])


def _draw_node(ax: Axes, name: str, points: Array) -> None:
    base = name.removeprefix("left-").removeprefix("right-")
    color = STRUCTURE_COLORS.get(base, "0.6")
    ax.scatter(points[:, 0], points[:, 1], s=9, color=color, alpha=0.5, zorder=3, lw=0)
    mean = points.mean(axis=0)
    ax.scatter(mean[0], mean[1], s=90, color=color, edgecolors="white", zorder=4)
    if name.startswith("right-") and base not in STRUCTURE_COLORS:
        box = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.75}
        text = base.removesuffix("-cortex")
        ax.annotate(text, (mean[0], mean[1]), (7, 4), textcoords="offset points", size=8, zorder=5, bbox=box)
