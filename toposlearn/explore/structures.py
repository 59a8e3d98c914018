"""Slices of label maps in each head's own frame, for several people, and their shared neighborhood graph."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import ndimage

from toposlearn.anatomy import LabelMap
from toposlearn.arrays import Float64s
from toposlearn.explore.slices import AXIS_NAMES, STRUCTURE_COLORS, Plane, label_edges, plane_points
from toposlearn.explore.world import voxels_at
from toposlearn.relations.frame import frame_of
from toposlearn.relations.layout import Layout

Labels = npt.NDArray[np.integer]

# Okabe-Ito without its yellow, which is lost on white. The first is for the structure in question.
COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F")
FAINT = "#CACDD3"  # every other labeled voxel
_OTHER = "#444444"  # a named structure without a color of its own
_EXTENT = 80.0  # mm from the origin to the edges of a slice
_COLUMNS = 3
MANY = 6  # people, beyond whom figures show less of each
_ENDS = {"coronal": ("L", "R"), "axial": ("L", "R"), "sagittal": ("back", "front")}


def own_slice(
    label_map: LabelMap, plane: Plane = "coronal", at: float = 0.0, extent: float = _EXTENT, step: float = 0.5
) -> Labels:
    """Labels on a plane of the head's own frame, `at` mm from its origin, `extent` mm each way (rows downwards)."""
    ticks = np.arange(-extent, extent + step / 2, step)
    own, frame = plane_points(plane, ticks, ticks[::-1], at), frame_of(label_map)
    return labels_at(label_map, own @ frame.axes + frame.origin)  # world mm, as the axes are orthonormal


def labels_at(label_map: LabelMap, points: Float64s) -> Labels:
    """Labels of the voxels nearest to world points (..., 3) in mm; 0 outside the image."""
    voxels = np.moveaxis(voxels_at(label_map.affine, points), -1, 0)
    return np.asarray(ndimage.map_coordinates(label_map.labels, voxels, order=0, mode="grid-constant"))


def paint(image: Labels, colors: Mapping[int, str]) -> Float64s:
    """RGB image (H, W, 3) of labels (H, W): `colors` by label, other structures faint, background white."""
    lookup = np.tile(to_rgb(FAINT), (max(int(image.max()), *colors, 0) + 1, 1))
    lookup[0] = 1.0
    for label, color in colors.items():
        lookup[label] = to_rgb(color)
    return np.asarray(lookup[image], dtype=np.float64)


def slice_colors(label_map: LabelMap, plane: Plane, at: float, extent: float, structures: Sequence[str]) -> Float64s:
    """RGB image (H, W, 3) of `own_slice`: named structures in their color, others faint, background white."""
    named = {label: each.name for label, each in label_map.structures.items() if each.name in structures}
    colors = {label: STRUCTURE_COLORS.get(name, _OTHER) for label, name in named.items()}
    return paint(own_slice(label_map, plane, at, extent), colors)


def draw_own_slice(
    ax: Axes, label_map: LabelMap, plane: Plane, at: float, colors: Mapping[int, str], extent: float = 90.0
) -> None:
    """Draw `own_slice` with structures in `colors` (by label), all others faint, and letters at its ends."""
    image = paint(own_slice(label_map, plane, at, extent), colors)
    ax.imshow(image, extent=(-extent, extent, -extent, extent), interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    for x, word, side in zip((0.01, 0.99), _ENDS[plane], ("left", "right"), strict=True):
        ax.text(x, 0.02, word, transform=ax.transAxes, color="0.4", size=8, ha=side)


def show_around(ax: Axes, center: tuple[float, float], reach: float) -> None:
    """Zoom to `reach` mm around a point (across, up) in mm."""
    ax.set(xlim=(center[0] - reach, center[0] + reach), ylim=(center[1] - reach, center[1] + reach))


def plot_people(
    subjects: Mapping[str, LabelMap],
    structures: Sequence[str] = ("thalamus", "pallidum", "putamen"),
    plane: Plane = "coronal",
    at: float = 6.0,
) -> Figure:
    """The same slice of every head's own frame; dashed is the mid-sagittal plane, left is on the left."""
    rows = -(-len(subjects) // _COLUMNS)
    figure = plt.figure(figsize=(3.1 * _COLUMNS, 3.2 * rows), layout="constrained")
    axes = figure.subplots(rows, _COLUMNS, squeeze=False, sharex=True, sharey=True)
    for ax in axes.flat[len(subjects) :]:
        ax.set_visible(False)
    for index, (ax, (name, label_map)) in enumerate(zip(axes.flat, subjects.items(), strict=False)):
        image = slice_colors(label_map, plane, at, _EXTENT, structures)
        ax.imshow(image, extent=(-_EXTENT, _EXTENT, -_EXTENT, _EXTENT), interpolation="nearest")
        if plane != "sagittal":
            ax.axvline(0, color="0.35", lw=0.8, ls="--")
            for x, word, side in ((0.03, "L", "left"), (0.97, "R", "right")):
                ax.text(x, 0.04, word, transform=ax.transAxes, color="0.35", ha=side)
        ax.spines[:].set_visible(False)
        ax.set_title(name)
        below = plane if index + _COLUMNS < len(subjects) else None
        label_edges(ax, plane, below, plane if index % _COLUMNS else None)
    colors = {name: STRUCTURE_COLORS.get(name, _OTHER) for name in structures}
    handles = [Line2D([], [], marker="s", ls="", color=color, label=name) for name, color in colors.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=_COLUMNS + 1, frameon=False)
    return figure


def plot_shared_graph(subjects: Sequence[Layout], shared: pd.DataFrame) -> Figure:
    """Neighborhood graph of all people at once, structures at their mean centroid, seen from above.

    Small dots are single people. A dark edge is in the graph of all people, a pale one in some, of many people in half
    (`shared`, the table of `toposlearn.relations.graphs.shared_edges`; an edge counts in its stronger direction).
    """
    names = [[part.full_name for part in subject.structures] for subject in subjects]
    rows = list(zip(subjects, names, strict=True))
    centers = {  # (P, 2), in each head's own frame
        name: np.stack([subject.centers[known.index(name), :2] for subject, known in rows]) for name in shared.index
    }
    figure, ax = plt.subplots(figsize=(7.8, 6.4), layout="compressed")
    strength = np.maximum(shared.to_numpy(), shared.to_numpy().T)
    some = "half or more" if len(subjects) > MANY else "some"
    for i, j in np.argwhere(np.triu(strength, k=1) >= (0.5 if len(subjects) > MANY else 1e-9)).tolist():
        ends = np.stack([centers[shared.index[i]].mean(axis=0), centers[shared.index[j]].mean(axis=0)])
        in_all = strength[i, j] == 1
        ax.plot(*ends.T, color="0.3" if in_all else "0.6", lw=1.2, ls="-" if in_all else ":")
    for name, points in centers.items():
        _draw_node(ax, name, points)
    ax.axvline(0, color="0.35", lw=0.8, ls="--")
    ax.set(aspect="equal", xlabel=AXIS_NAMES[0], ylabel=AXIS_NAMES[1])
    lines = [Line2D([], [], color="0.3", lw=1.2), Line2D([], [], color="0.6", lw=1.2, ls=":")]
    nuclei = [name for name in STRUCTURE_COLORS if f"right-{name}" in centers]
    dots = [Line2D([], [], marker="o", ls="", ms=8, color=STRUCTURE_COLORS[name]) for name in nuclei]
    labels = [f"edge in all {len(subjects)}", f"edge in {some}", *nuclei]
    ax.margins(x=0.12)  # room for the names
    ax.legend(lines + dots, labels, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return figure


def _draw_node(ax: Axes, name: str, points: Float64s) -> None:
    base = name.removeprefix("left-").removeprefix("right-")
    color = STRUCTURE_COLORS.get(base, "0.6")
    ax.scatter(points[:, 0], points[:, 1], s=9, color=color, alpha=0.5, zorder=3, lw=0)
    mean = points.mean(axis=0)
    ax.scatter(mean[0], mean[1], s=90, color=color, edgecolors="white", zorder=4)
    if name.startswith("right-") and base not in STRUCTURE_COLORS:
        box = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.75}
        text = base.removesuffix("-cortex")
        ax.annotate(text, (mean[0], mean[1]), (7, 4), textcoords="offset points", size=8, zorder=5, bbox=box)
