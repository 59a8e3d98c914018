"""Pictures of structures on grids of tokens, and of how far a claim about structures reaches the tokens."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy import ndimage

from toposlearn.anatomy import STRUCTURES, LabelMap, structure
from toposlearn.explore.curves import draw_course
from toposlearn.explore.slices import AXIS_NAMES, STRUCTURE_COLORS
from toposlearn.explore.structures import COLORS, FAINT, Labels, labels_at, paint
from toposlearn.relations.frame import SIDES
from toposlearn.studies.resolution.measure import CELLS, NUCLEI
from toposlearn.studies.resolution.tokens import BOX, HeadPoints, head_points, tokens_on_box

_LOBES = {  # pale, so that the nuclei stand out
    "frontal-cortex": "#EFE6C8",
    "parietal-cortex": "#D5E3EE",
    "temporal-cortex": "#E4D9EA",
    "occipital-cortex": "#DCEBD9",
    "cingulate-cortex": "#F3D9D0",
    "insula": "#C9C9C9",
}
_COLORS = {each.label: (_LOBES | STRUCTURE_COLORS).get(each.name, FAINT) for each in STRUCTURES}
_READINGS = {
    "home": ("one token each: its home", "#D55E00", "o-"),
    "mean": ("all its tokens, by their true shares", "#0072B2", "s-"),
}
_MEASURES = {
    "order": "neighbor order (Somers' D)",
    "neighbors": "5 nearest structures (weighted Jaccard)",
    "medial": "thalamus, pallidum, putamen\nin order from the middle (share)",
}
_EXTENT = (-BOX / 2, BOX / 2, -BOX / 2, BOX / 2)  # mm
_TICKS = np.arange(-BOX / 2, BOX / 2) + 0.5  # mm, centers of the pixels of a slice


def plot_token_grids(label_map: LabelMap) -> Figure:
    """A coronal slice with outlines of the nuclei, and on each grid: the structure that fills most of a cell.

    A cell is a cube: what fills most of it may lie in front of the slice or behind it.
    """
    head = head_points(label_map)
    nuclei = [row for row, each in enumerate(head.structures) if each.name in ("thalamus", "putamen")]
    at = float(head.centers[nuclei, 1].mean())
    true = _box_slice(label_map, head, at)
    figure, axes = plt.subplots(2, 3, figsize=(10.2, 7.6), layout="constrained", sharex=True, sharey=True)
    _draw_labels(axes.flat[0], true, "the labels, 1 mm")
    for ax, count in zip(axes.flat[1:], CELLS, strict=True):
        _draw_grid(ax, head, count, at)
        _draw_outlines(ax, true)
    for ax in axes[1]:
        ax.set_xlabel(AXIS_NAMES[0])
    for ax in axes[:, 0]:
        ax.set_ylabel(AXIS_NAMES[2])
    shown = [name for name in STRUCTURE_COLORS if np.isin(true, _labels_of(name)).any()]
    handles = [Patch(color=STRUCTURE_COLORS[name], label=name) for name in shown]
    handles.append(Patch(facecolor=_LOBES["frontal-cortex"], edgecolor="0.6", label="cortex, one tint per lobe"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def _draw_grid(ax: Axes, head: HeadPoints, count: int, at: float) -> None:
    """The layer of tokens in the plane `at` mm, and the borders between them."""
    tokens = tokens_on_box(head, count)
    layer = int((at / BOX + 0.5) * count)
    plane = tokens.dominant.reshape((count,) * 3)[:, layer].T  # (up, across), rows upwards
    labels = np.array([each.label for each in tokens.structures] + [0])[plane]  # -1 is the last: nothing
    _draw_labels(ax, labels, f"{count}³ tokens of {BOX / count:g} mm")
    for border in np.linspace(-BOX / 2, BOX / 2, count + 1):
        ax.axvline(border, color="0.55", lw=0.5)
        ax.axhline(border, color="0.55", lw=0.5)


def _labels_of(name: str) -> list[int]:
    return [structure(name, side).label for side in SIDES]


def _box_slice(label_map: LabelMap, head: HeadPoints, at: float) -> Labels:
    """Labels (rows upwards, columns across) of the coronal plane `at` mm in front of the middle, 1 mm per pixel."""
    points = np.stack(np.broadcast_arrays(_TICKS[None], at, _TICKS[:, None]), axis=-1) + head.middle
    return labels_at(label_map, points)


def _draw_labels(ax: Axes, labels: Labels, title: str) -> None:
    ax.imshow(paint(labels, _COLORS), extent=_EXTENT, origin="lower", interpolation="nearest")
    ax.set_title(title, size=10)


def _draw_outlines(ax: Axes, labels: Labels) -> None:
    brain = ndimage.binary_fill_holes(ndimage.binary_closing(labels > 0, iterations=8))
    ax.contour(_TICKS, _TICKS, brain, levels=[0.5], colors="0.35", linewidths=0.8)
    for name in NUCLEI:
        inside = np.isin(labels, _labels_of(name))
        if inside.any():
            ax.contour(_TICKS, _TICKS, inside, levels=[0.5], colors="k", linewidths=1.0)


def plot_resolution(summary: pd.DataFrame, others: pd.DataFrame) -> Figure:
    """Agreement of tokens with the anatomy against their size: a `resolution_summary` with intervals and the null.

    `others`, a `resolution_table` of atlases, is drawn as open marks.
    """
    figure, axes = plt.subplots(1, len(_MEASURES), figsize=(12.0, 4.0), layout=ConstrainedLayoutEngine(w_pad=0.12))
    for ax, (measure, label) in zip(axes, _MEASURES.items(), strict=True):
        for how, (_, color, style) in _READINGS.items():
            rows = summary[(summary["measure"] == measure) & (summary["how"] == how)].sort_values("cells")
            rows = rows.set_index(np.log2(rows["mm"]))
            draw_course(ax, rows.to_dict("index"), fmt=style, color=color, capsize=3)
            ax.plot(rows.index, rows["null"], ":", color=color)
            means = others[others["how"] == how].groupby(["person", "mm"])[measure].mean().reset_index()
            ax.plot(np.log2(means["mm"]), means[measure], "D", color=color, mfc="none", ms=7, alpha=0.7)
        _size_axis(ax, summary[["mm", "cells"]].drop_duplicates())
        ax.set(ylabel=label, ylim=(-0.02, 1.03))
    handles = [Line2D([], [], color=color, marker=style[0], label=text) for text, color, style in _READINGS.values()]
    handles.append(Line2D([], [], color="0.4", ls=":", label="names permuted within a side"))
    handles.append(Line2D([], [], color="0.4", marker="D", mfc="none", ls="", label="atlases"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    return figure


def plot_parting(table: pd.DataFrame) -> Figure:
    """Share of poses in which two nuclei have homes of their own (`parting_table`), against the size of a token.

    Line: mean over people, with all of them as a band. Dashed: two mere points as far apart.
    """
    figure, ax = plt.subplots(figsize=(7.6, 4.4), layout="constrained")
    for (pair, rows), color in zip(table.groupby("pair", sort=False), COLORS[:3], strict=True):
        groups = rows.groupby("mm")
        parted = groups["parted"].agg(["mean", "min", "max"])
        places = np.log2(parted.index)
        ax.fill_between(places, parted["min"], parted["max"], color=color, alpha=0.15, lw=0)
        ax.plot(places, parted["mean"], "o-", color=color, ms=4, label=pair)
        ax.plot(places, groups["points"].mean(), "--", color=color, lw=1)
    ax.plot([], [], "--", color="0.4", lw=1, label="two points as far apart")
    _size_axis(ax, table[table["cells"].isin((2, *CELLS, 24))][["mm", "cells"]].drop_duplicates())
    ax.set(ylabel="share of poses with two homes", ylim=(0, 1.03))
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
