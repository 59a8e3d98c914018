"""Structures on grids of tokens, as pictures: what each cell holds, and how far a claim about structures reaches it."""

from __future__ import annotations

from collections.abc import Sequence

import nibabel as nib
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray
from scipy import ndimage

from toposlearn.anatomy import STRUCTURES, LabelMap, structure
from toposlearn.explore.structures import FAINT, STRUCTURE_COLORS, paint
from toposlearn.relations.frame import SIDES
from toposlearn.studies.resolution.token_resolution import CELLS, NUCLEI
from toposlearn.studies.resolution.token_structures import BOX, HeadPoints, TokenStructures, head_points, tokens_on_box

_LOBES = {  # pale, so that the nuclei stand out
    "frontal-cortex": "#EFE6C8",
    "parietal-cortex": "#D5E3EE",
    "temporal-cortex": "#E4D9EA",
    "occipital-cortex": "#DCEBD9",
    "cingulate-cortex": "#F3D9D0",
    "insula": "#C9C9C9",
}
_READINGS = {
    "home": ("one token each: its home", "#D55E00", "o-"),
    "mean": ("all its tokens, by their true shares", "#0072B2", "s-"),
}
_MEASURES = {
    "order": "neighbor order (Somers' D)",
    "neighbors": "5 nearest structures (weighted Jaccard)",
    "medial": "thalamus, pallidum, putamen\nin order from the middle (share)",
}
_PAIR_COLORS = ("#D55E00", "#0072B2", "#009E73")


def plot_token_grids(label_map: LabelMap, cells: Sequence[int] = CELLS, box: float = BOX) -> Figure:
    """A coronal slice, and the same slice as each grid sees it: cells in the color of the structure that fills most.

    A cell is a cube: what fills most of it may lie in front of the slice or behind it. Lines: where the nuclei are.
    """
    head = head_points(label_map)
    at = float(np.mean([_center(head, name)[1] for name in ("thalamus", "putamen")]))
    true = _box_slice(label_map, head, at, box)
    rows = -(-(len(cells) + 1) // 3)
    figure, axes = plt.subplots(
        rows, 3, figsize=(10.2, 3.5 * rows + 0.6), squeeze=False, layout="constrained", sharex=True, sharey=True
    )
    _draw_labels(axes.flat[0], true, box, "the labels, 1 mm")
    for ax, count in zip(axes.flat[1:], cells, strict=False):
        _draw_grid(ax, tokens_on_box(head, count, box), count, at, box)
        _draw_outlines(ax, true, box)
    for ax in axes.flat[len(cells) + 1 :]:
        ax.set_visible(False)
    for row in axes:
        row[0].set_ylabel("down – up (mm)")
    for ax in axes[-1]:
        ax.set_xlabel("left – right (mm)")
    _name_structures(figure, true)
    return figure


def _draw_grid(ax: Axes, tokens: TokenStructures, count: int, at: float, box: float) -> None:
    """The layer of tokens that the plane `at` mm cuts, and the borders between them."""
    layer = int((at / box + 0.5) * count)
    plane = tokens.dominant.reshape((count,) * 3)[:, layer].T  # (up, across), rows upwards
    labels = np.array([each.label for each in tokens.structures] + [0])[plane]  # -1 is the last: nothing
    _draw_labels(ax, labels, box, f"{count}³ tokens of {box / count:g} mm")
    for border in np.linspace(-box / 2, box / 2, count + 1):
        ax.axvline(border, color="0.55", lw=0.5)
        ax.axhline(border, color="0.55", lw=0.5)


def _name_structures(figure: Figure, labels: NDArray[np.int16]) -> None:
    names = [
        name for name in STRUCTURE_COLORS if np.isin(labels, [structure(name, side).label for side in SIDES]).any()
    ]
    handles = [Patch(color=STRUCTURE_COLORS[name], label=name) for name in names]
    handles.append(Patch(facecolor=_LOBES["frontal-cortex"], edgecolor="0.6", label="cortex, a tint a lobe"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)


def _center(head: HeadPoints, name: str) -> NDArray[np.float64]:
    rows = [head.structures.index(structure(name, side)) for side in SIDES]
    return np.asarray(head.centers[rows].mean(axis=0))


def _box_slice(label_map: LabelMap, head: HeadPoints, at: float, box: float) -> NDArray[np.int16]:
    """Labels (rows upwards, columns across) of the coronal plane `at` mm in front of the middle, 1 mm a pixel."""
    ticks = np.arange(-box / 2, box / 2) + 0.5
    points = np.stack(np.broadcast_arrays(ticks[None], at, ticks[:, None]), axis=-1) + head.middle
    voxels = np.rint(nib.affines.apply_affine(np.linalg.inv(label_map.affine), points)).astype(int)
    inside = ((voxels >= 0) & (voxels < label_map.labels.shape)).all(axis=-1)
    image = np.zeros(inside.shape, dtype=np.int16)
    image[inside] = label_map.labels[tuple(voxels[inside].T)]
    return image


def _draw_labels(ax: Axes, labels: NDArray[np.int16], box: float, title: str) -> None:
    colors = {each.label: (_LOBES | STRUCTURE_COLORS).get(each.name, FAINT) for each in STRUCTURES}
    half = box / 2
    ax.imshow(paint(labels, colors), extent=(-half, half, -half, half), origin="lower", interpolation="nearest")
    ax.set_title(title, size=10)


def _draw_outlines(ax: Axes, labels: NDArray[np.int16], box: float) -> None:
    ticks = np.arange(-box / 2, box / 2) + 0.5
    brain = ndimage.binary_fill_holes(ndimage.binary_closing(labels > 0, iterations=8))
    ax.contour(ticks, ticks, brain, levels=[0.5], colors="0.35", linewidths=0.8)
    for name in NUCLEI:
        inside = np.isin(labels, [structure(name, side).label for side in SIDES])
        if inside.any():
            ax.contour(ticks, ticks, inside, levels=[0.5], colors="k", linewidths=1.0)


def plot_resolution(summary: pd.DataFrame, others: pd.DataFrame | None = None) -> Figure:
    """Agreement of tokens with the anatomy against the size of a token, with intervals over people and the null.

    Args:
        summary: of `toposlearn.studies.resolution.token_resolution.resolution_summary`.
        others: a `resolution_table` of heads that are no people, such as atlases: open marks.
    """
    figure, axes = plt.subplots(1, len(_MEASURES), figsize=(12.0, 4.0), layout=ConstrainedLayoutEngine(w_pad=0.12))
    for ax, (measure, label) in zip(axes, _MEASURES.items(), strict=True):
        for how, (_, color, style) in _READINGS.items():
            rows = summary[(summary["measure"] == measure) & (summary["how"] == how)].sort_values("cells")
            places = np.log2(rows["mm"])
            ends = np.abs(rows[["low", "high"]].to_numpy().T - rows["value"].to_numpy())
            ax.errorbar(places, rows["value"], ends, fmt=style, color=color, ms=5, capsize=3)
            ax.plot(places, rows["null"], ":", color=color)
            if others is not None:
                means = others[others["how"] == how].groupby(["person", "mm"])[measure].mean().reset_index()
                ax.plot(np.log2(means["mm"]), means[measure], "D", color=color, mfc="none", ms=7, alpha=0.7)
        _size_axis(ax, summary[["mm", "cells"]].drop_duplicates())
        ax.set_ylabel(label)
        ax.set_ylim(-0.02, 1.03)
    handles = [Line2D([], [], color=color, marker=style[0], label=text) for text, color, style in _READINGS.values()]
    handles.append(Line2D([], [], color="0.4", ls=":", label="names permuted within a side"))
    if others is not None:
        handles.append(Line2D([], [], color="0.4", marker="D", mfc="none", ls="", label="atlases"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    return figure


def plot_parting(table: pd.DataFrame) -> Figure:
    """Share of poses in which two nuclei have homes of their own, against the size of a token.

    Line: mean over people, with all of them as a band. Dashed: two mere points as far apart, on a grid that lies
    anywhere.

    Args:
        table: of `toposlearn.studies.resolution.token_resolution.parting_table`.
    """
    figure, ax = plt.subplots(figsize=(7.6, 4.4), layout="constrained")
    pairs = list(dict.fromkeys(table["pair"]))
    for pair, color in zip(pairs, _PAIR_COLORS, strict=False):
        groups = table[table["pair"] == pair].groupby("mm")
        parted = groups["parted"].agg(["mean", "min", "max"])
        places = np.log2(parted.index)
        ax.fill_between(places, parted["min"], parted["max"], color=color, alpha=0.15, lw=0)
        ax.plot(places, parted["mean"], "o-", color=color, ms=4, label=pair)
        ax.plot(places, groups["points"].mean(), "--", color=color, lw=1)
    ax.plot([], [], "--", color="0.4", lw=1, label="two points as far apart")
    _size_axis(ax, table[table["cells"].isin((2, *CELLS, 24))][["mm", "cells"]].drop_duplicates())
    ax.set_ylabel("share of poses with two homes")
    ax.set_ylim(0, 1.03)
    ax.legend(frameon=False, loc="lower right")
    return figure


def _size_axis(ax: Axes, sizes: pd.DataFrame) -> None:
    """An axis of token sizes, large to the left, with the number of tokens beneath."""
    labels = [f"{mm:g}\n{cells:g}³" for mm, cells in zip(sizes["mm"], sizes["cells"], strict=True)]
    ax.set_xticks(np.log2(sizes["mm"]), labels)
    ax.invert_xaxis()
    ax.set_xlabel("size of a token (mm), and tokens")
    ax.grid(color="0.92")
    ax.set_axisbelow(True)
