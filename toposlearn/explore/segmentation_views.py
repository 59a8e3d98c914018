"""An image, its true labels and predicted ones, side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import AbstractPathEffect, withStroke
from nibabel.affines import voxel_sizes
from numpy.typing import NDArray

from toposlearn.anatomy.label_names import split_side
from toposlearn.arrays import Float32s, Float64s
from toposlearn.explore.slices import (
    AXIS_NAMES,
    PLANE_AXES,
    PLANES,
    Plane,
    cut,
    extent_of,
    place_in_words,
    write_letters,
)
from toposlearn.images import to_ras

# Okabe-Ito colors, distinct also for most color-blind readers, and a dark red.
COLORS = ("#E69F00", "#56B4E9", "#D55E00", "#F0E442", "#009E73", "#CC79A7", "#0072B2", "#882255")
ERRORS = {
    "missed: background predicted": "#D55E00",
    "added: background in the truth": "#56B4E9",
    "another class than the truth": "#F0E442",
}
DIFFERENCES = "where they differ"
ALPHA = 0.75
MARGIN = 9.0  # mm around what is shown
CLOSE = (0.3, 0.67)  # label maps are enlarged if they fill less than the second share of a picture, down to the first
STROKE: list[AbstractPathEffect] = [withStroke(linewidth=2.4, foreground="black")]
OUTLINE: Mapping[str, Any] = {"color": "white", "lw": 1.1, "path_effects": STROKE}
FINE = 5  # parts of a voxel's side, for outlines with corners
Labels = NDArray[Any]


@dataclass(frozen=True, eq=False)
class _Slice:
    """One plane: gray values and label maps, (rows upwards, columns), and how far its edges are away in mm."""

    plane: Plane
    place: str  # in words
    extent: tuple[float, float, float, float]
    gray: Float32s
    labels: Mapping[str, Labels]  # ``truth``, if there is one, and ``prediction``


def plot_segmentation(
    image: NDArray[Any],
    truth: Labels | None,
    predicted: Labels,
    names: Mapping[int, str],
    affine: Float64s,
    *,
    dice: Mapping[str, float] | None = None,
    planes: Sequence[Plane] = (),
    title: str = "",
    size: float = 2.9,
) -> Figure:
    """Image, truth and prediction, (X, Y, Z) on one grid of `affine` (4, 4), where most of the truth is.

    `names` are label -> name of the classes, whose colors are those of their places among them. Of up to eight classes
    the truth is outlined on the prediction; of more, colors repeat and a panel shows where the two differ. Label maps
    that fill a small part of the image are enlarged. `dice` are name -> Dice, for the title. `planes`: a row each
    (default: one, across the longest side of the voxels, or axial). The longer side of a panel has `size` inches.
    ValueError: other shapes, labels that are not whole numbers.
    """
    labels = {"prediction": predicted} if truth is None else {"truth": truth, "prediction": predicted}
    _check(image, labels, affine)
    turned, ras = to_ras(image, affine)
    maps = {name: to_ras(each, affine)[0] for name, each in labels.items()}
    spacing = voxel_sizes(ras)
    rows = [_slice(_gray(turned), maps, plane, spacing) for plane in planes or (_plane_across(spacing),)]
    own = _own_colors(rows, names)
    many = len(own) > len(COLORS)
    windows = [_window(row, row.gray > 0.1) for row in rows]
    figure, axes = _grid(windows, 1 + len(maps) + (many and truth is not None), size, _heading(title, dice))
    for row, window, panels in zip(rows, windows, axes, strict=True):
        _draw_row(panels, row, window, _repeated(row.labels.values(), names) if many else own)
        if truth is not None and not many:
            _outline(panels[2], row)
    _add_legend(figure, rows, names, own)
    return figure


def _check(image: NDArray[Any], labels: Mapping[str, Labels], affine: Float64s) -> None:
    if image.ndim != 3:
        raise ValueError(f"image must be (X, Y, Z), got shape {image.shape}: choose one channel")
    if np.shape(affine) != (4, 4) or not np.linalg.det(affine):
        raise ValueError(f"affine must be an invertible (4, 4) matrix, got shape {np.shape(affine)}")
    for name, each in labels.items():
        if each.shape != image.shape:
            seen = f"{name} has shape {each.shape} and the image {image.shape}"
            raise ValueError(f"{seen}: resample it to the grid of the image")
        if each.dtype.kind not in "iub":
            raise ValueError(f"{name} holds {each.dtype}, but labels are whole numbers: round it, or take the argmax")


def _gray(image: NDArray[Any]) -> Float32s:
    """Brightness 0 to 1: the first percentile is black, the 99.8th white; NaN and infinite voxels are 0."""
    image = np.nan_to_num(image, posinf=0, neginf=0)
    low, high = np.percentile(image, (1, 99.8))
    return np.asarray(np.clip((image - low) / max(high - low, 1e-9), 0, 1), np.float32)


def _plane_across(spacing: Float64s) -> Plane:
    """The plane in which voxels are smallest; the axial one where they are alike."""
    return PLANES[int(spacing.argmax())] if spacing.max() > 1.3 * spacing.min() else "axial"


def _slice(gray: Float32s, maps: Mapping[str, Labels], plane: Plane, spacing: Float64s) -> _Slice:
    """The slice across which most of the first label map is that is not empty; all in RAS order."""
    axis = PLANES.index(plane)
    index = _richest(next((each for each in maps.values() if each.any()), maps["prediction"]), axis)
    at = (index - (gray.shape[axis] - 1) / 2) * spacing[axis]
    flat = {name: cut(each, plane, at, spacing.tolist()) for name, each in maps.items()}
    extent = extent_of(gray.shape, plane, spacing.tolist())
    return _Slice(plane, place_in_words(plane, at), extent, cut(gray, plane, at, spacing.tolist()), flat)


def _richest(labels: Labels, axis: int) -> int:
    """The index with most labels, each weighted by 1 / √(its voxels), since small ones count too; else the middle."""
    places = labels.nonzero()
    if not len(places[0]):
        return int(labels.shape[axis]) // 2
    _, which, count = np.unique(labels[places], return_inverse=True, return_counts=True)
    return int(np.bincount(places[axis], weights=count[which] ** -0.5).argmax())


Window = tuple[float, float, float, float]  # left, right, lower and upper edge, mm


def _window(row: _Slice, mask: NDArray[np.bool_]) -> Window:
    """The box around a mask and all labels of a slice, with a margin."""
    inside = np.any([mask, *(each > 0 for each in row.labels.values())], axis=0)
    left, right, low, high = row.extent
    edges: list[float] = []
    for start, end, along in ((left, right, inside.any(axis=0)), (low, high, inside.any(axis=1))):
        found = np.flatnonzero(along) if along.any() else np.arange(len(along))
        step = (end - start) / len(along)
        edges += [start + step * found[0] - MARGIN, start + step * (found[-1] + 1) + MARGIN]
    return edges[0], edges[1], edges[2], edges[3]


def _zoomed(row: _Slice, window: Window) -> tuple[Window, float]:
    """A part of the window around the labels, of the same proportions, and its size relative to the window, up to 1."""
    if not any(each.any() for each in row.labels.values()):
        return window, 1.0
    close, parts = _window(row, np.zeros(row.gray.shape, bool)), ((0, 1), (2, 3))
    share = max(CLOSE[0], *((close[b] - close[a]) / (window[b] - window[a]) for a, b in parts))
    if share > CLOSE[1]:
        return window, 1.0
    half = [share * (window[b] - window[a]) / 2 for a, b in parts]
    x, y = ((close[a] + close[b]) / 2 for a, b in parts)
    return (x - half[0], x + half[0], y - half[1], y + half[1]), share


def _grid(windows: Sequence[Window], columns: int, size: float, title: str) -> tuple[Figure, NDArray[Any]]:
    """A figure and its axes (rows, columns), each as large as its window demands."""
    sides = np.array([(right - left, high - low) for left, right, low, high in windows])
    sides *= size / sides.max()
    inches = columns * (sides[:, 0].max() + 0.08) + 0.9, (sides[:, 1] + 0.75).sum() + 0.6 + 0.2 * title.count("\n")
    figure, axes = plt.subplots(
        len(windows), columns, figsize=inches, squeeze=False, layout="compressed", height_ratios=sides[:, 1].tolist()
    )
    figure.suptitle(title, size=11)
    return figure, axes


def _draw_row(axes: Sequence[Axes], row: _Slice, window: Window, colors: Mapping[int, str]) -> None:
    """Draw the image, the label maps, and their differences where there is room for them."""
    overlays = {"image": None, **{name: _colored(each, colors) for name, each in row.labels.items()}}
    if len(axes) > len(overlays):
        overlays[DIFFERENCES] = _differences(*row.labels.values())
    close, share = _zoomed(row, window)
    view: dict[str, Any] = {"extent": row.extent, "origin": "lower", "interpolation": "nearest"}
    for ax, (name, overlay) in zip(axes, overlays.items(), strict=True):
        ax.imshow(row.gray, cmap="gray", vmin=0, vmax=1, **view)
        if overlay is not None:
            ax.imshow(overlay, **view)
        enlarged = overlay is not None and share < 1
        left, right, low, high = close if enlarged else window
        ax.set(xlim=(left, right), ylim=(low, high), facecolor="black")
        ax.set_title(f"{name}, {1 / share:.1f} × larger" if enlarged else name, size=10)
        ax.tick_params(labelsize=8, left=overlay is None, labelleft=overlay is None)
        ax.tick_params(bottom=not enlarged, labelbottom=not enlarged)
        ax.set_xlabel("" if enlarged else AXIS_NAMES[PLANE_AXES[row.plane][0]], size=8)
        write_letters(ax, row.plane)
        for letter in ax.texts:
            letter.set_path_effects(STROKE)
    axes[0].set_ylabel(f"{row.place}\n{AXIS_NAMES[PLANE_AXES[row.plane][1]]}", size=8)
    if share < 1:
        corner, sides = (close[0], close[2]), (close[1] - close[0], close[3] - close[2])
        axes[0].add_patch(Rectangle(corner, *sides, fill=False, edgecolor="white", lw=0.8))


def _outline(ax: Axes, row: _Slice) -> None:
    """Draw the borders of the labels of the truth, along the edges of voxels."""
    truth = np.kron(row.labels["truth"], np.ones((FINE, FINE), int))
    for label in np.unique(truth[truth > 0]):
        lines = ax.contour(truth == label, levels=[0.5], colors=OUTLINE["color"], extent=row.extent, origin="lower")
        lines.set(linewidth=OUTLINE["lw"], path_effects=STROKE)


def _own_colors(rows: Sequence[_Slice], names: Mapping[int, str]) -> dict[int, str]:
    """Label -> color; labels without a name come after those with one."""
    found = {int(label) for row in rows for each in row.labels.values() for label in np.unique(each)}
    return {label: COLORS[place % len(COLORS)] for place, label in enumerate([*names, *sorted(found - {0, *names})])}


def _repeated(maps: Iterable[Labels], names: Mapping[int, str]) -> dict[int, str]:
    """Label -> color on a slice: both sides of a structure have one, and neighbors different ones where possible."""
    flat = np.stack(list(maps))  # (maps, rows, columns)
    labels, where = np.unique(flat, return_inverse=True)
    bare = [split_side(names.get(label, str(label)))[0] if label else "" for label in labels.tolist()]
    structures, of = np.unique(bare, return_inverse=True)
    where, (rows, columns) = of[where.reshape(flat.shape)], flat.shape[1:]
    borders = np.zeros((len(structures),) * 2)  # how often two structures lie one or two voxels apart
    for down, right in ((1, 0), (0, 1), (2, 0), (0, 2)):
        np.add.at(borders, (where[:, down:, right:], where[:, : rows - down, : columns - right]), 1)
    borders += borders.T
    taken, used = np.zeros((len(structures), len(COLORS))), np.zeros(len(COLORS))
    color = np.zeros(len(structures), int)
    for structure in np.bincount(where.ravel()).argsort()[::-1]:  # the largest first
        if structures[structure]:
            color[structure] = np.lexsort((used, taken[structure]))[0]
            taken[:, color[structure]] += borders[structure]
            used[color[structure]] += 1
    return {label: COLORS[color[place]] for label, place in zip(labels.tolist(), of, strict=True)}


def _colored(labels: Labels, colors: Mapping[int, str]) -> Float32s:
    """Labels (rows, columns) as RGBA (rows, columns, 4); 0 stays clear."""
    values, where = np.unique(labels, return_inverse=True)
    table = [(*to_rgb(colors[value]), ALPHA) if value else (0, 0, 0, 0) for value in values.tolist()]
    return np.array(table, np.float32)[where.reshape(labels.shape)]


def _differences(truth: Labels, predicted: Labels) -> Float32s:
    """RGBA (rows, columns, 4) of the voxels of each of `ERRORS`; the others are darkened."""
    wrong, there, found = truth != predicted, truth != 0, predicted != 0
    overlay = np.full((*truth.shape, 4), (0, 0, 0, 0.5), np.float32)
    for mask, color in zip((wrong & ~found, wrong & ~there, wrong & there & found), ERRORS.values(), strict=True):
        overlay[mask] = (*to_rgb(color), 1)
    return overlay


def _heading(title: str, dice: Mapping[str, float] | None) -> str:
    """The title, with the Dice of up to four classes, or of more the mean; unknown ones (NaN) are left out."""
    known = {name: value for name, value in (dice or {}).items() if not math.isnan(value)}
    if not known:
        return title
    words = "Dice: " + ", ".join(f"{name} {value:.2f}" for name, value in known.items())
    if len(known) > 4:
        words = f"mean Dice {np.mean(list(known.values())):.2f} over {len(known)} classes"
    return f"{title}\n{words}" if title else words


def _add_legend(figure: Figure, rows: Sequence[_Slice], names: Mapping[int, str], colors: Mapping[int, str]) -> None:
    """Name the colors that are drawn, or note that they are too many."""
    compared, many = "truth" in rows[0].labels, len(colors) > len(COLORS)
    drawn = {int(label) for row in rows for each in row.labels.values() for label in np.unique(each)}
    shown = {names.get(label, f"label {label}"): color for label, color in colors.items() if label in drawn}
    if many:
        shown = ERRORS if compared else {}
    handles: list[Any] = [Patch(facecolor=color, edgecolor="0.4", label=name) for name, color in shown.items()]
    if compared and not many:
        handles.append(Line2D([], [], label="outline of the truth", **OUTLINE))
    note = f"{len(colors)} classes: colors repeat, but neighbors differ" if many else None
    if handles or note:
        look: dict[str, Any] = {"loc": "outside lower center", "ncols": 4, "fontsize": 8, "title_fontsize": 8}
        figure.legend(handles=handles, title=note, frameon=False, **look)
