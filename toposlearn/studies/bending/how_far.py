"""How far relations hold, as pictures: kept against amount, which break first, and what an amount looks like."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from toposlearn.explore.structures import STRUCTURE_COLORS, own_slice, paint
from toposlearn.studies.bending.breaking import cohort_range, first_to_break, kept_curves
from toposlearn.studies.bending.changes import CHANGES, Scene
from toposlearn.studies.bending.growing import Changed, grow
from toposlearn.studies.bending.relations_kept import Kept

COLORS = {
    "medial": "#D55E00",
    "anterior": "#0072B2",
    "superior": "#009E73",
    "adjacent": "#CC79A7",
    "apart": "#56B4E9",
}
LABELS = {
    "medial": "who is medial",
    "anterior": "who is in front",
    "superior": "who is above",
    "adjacent": "neighbors stay so",
    "apart": "others stay apart",
}
_COHORT = "#F0E442"
_STRIP_COLORS = {**STRUCTURE_COLORS, "lateral-ventricle": "#222222", "third-ventricle": "#222222"}
_TISSUES = {"cerebral-white-matter": "#F4F4F2", "cerebellum-white-matter": "#F4F4F2"}


def plot_kept(found: Kept, columns: int = 3, lowest: float = 70.0) -> Figure:
    """Relations kept (%) against the amount: a panel a change, a line a kind of relation with its 95 % interval.

    The yellow range is what the cohort's own people have. `lowest` is where the axis begins, in percent.
    """
    curves = kept_curves(found)
    changes = list(curves["change"].unique())
    rows = -(-len(changes) // columns)
    size = 3.5 * columns + 0.4, 2.6 * rows + 1.1
    figure, axes = plt.subplots(rows, columns, figsize=size, sharey=True, squeeze=False, layout="constrained")
    for ax in axes.flat[len(changes) :]:
        ax.set_visible(False)
    for ax, change in zip(axes.flat, changes, strict=False):
        _draw_change(ax, found, curves[curves["change"] == change], str(change))
        ax.set_ylim(lowest, 101.5)
    for ax in axes[:, 0]:
        ax.set_ylabel("relations kept, %")
    handles: list[Artist] = [Line2D([], [], color=color, lw=2, label=LABELS[name]) for name, color in COLORS.items()]
    handles.append(Patch(color=_COHORT, alpha=0.45, label="people of the cohort"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
    return figure


def _draw_change(ax: Axes, found: Kept, curves: pd.DataFrame, change: str) -> None:
    low, high = cohort_range(found, change)
    ax.axvspan(low, high, color=_COHORT, alpha=0.45, lw=0) if high > low else ax.axvline(low, color=_COHORT, lw=4)
    for name, part in curves.groupby("relation", sort=False):
        color = COLORS[str(name)]
        ax.fill_between(part["at"], 100 * part["low"], 100 * part["high"], color=color, alpha=0.18, lw=0)
        ax.plot(part["at"], 100 * part["share"], color=color, lw=1.6, marker="o", ms=2.5)
    ax.set_title(CHANGES[change].title, size=10)
    ax.set_xlabel(CHANGES[change].unit, size=9)
    ax.grid(color="0.92")
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def plot_first_to_break(found: Kept, change: str, count: int = 14, title: str = "") -> Figure:
    """The first directions to break, and beside them all: margin in the template against where half the draws broke."""
    table = first_to_break(found, change)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11.4, 0.25 * count + 1.6), layout="constrained")
    _draw_first(left, table.head(count), CHANGES[change].unit)
    _draw_margins(right, table, found, change)
    figure.suptitle(title, size=11)
    return figure


def _draw_first(ax: Axes, table: pd.DataFrame, unit: str) -> None:
    """A row a relation: from where it broke first to where it is broken in half of the draws."""
    heights = np.arange(len(table))
    half = table["half"].replace(np.inf, np.nan)
    ax.hlines(heights, table["first"], half.fillna(table["first"]), color="0.75", lw=3)
    ax.scatter(table["first"], heights, s=16, color="0.55", zorder=3, label="in one draw")
    ax.scatter(
        half, heights, s=34, color=[COLORS[name] for name in table["relation"]], zorder=4, label="in half of them"
    )
    ax.set_yticks(heights, [_sentence(row) for row in table.to_dict("records")], size=8)
    ax.set_ylim(len(table) - 0.4, -0.6)
    ax.set_xlim(left=0)
    ax.set_title("the first to break (margin in the template)", size=10)
    ax.set_xlabel(unit, size=9)
    ax.legend(title="broken", title_fontsize=8, frameon=False, fontsize=8, loc="upper right")
    ax.grid(axis="x", color="0.92")
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


_WORDS = {"medial": "medial to", "anterior": "in front of", "superior": "above"}


def _sentence(row: Mapping[Hashable, Any]) -> str:
    """``L hippocampus medial to frontal cortex (1.0 mm)``."""
    a, b = (row[f"structure_{end}"].removeprefix("cerebral-").replace("-", " ") for end in "ab")
    sides = {"left": "L ", "right": "R ", "midline": ""}
    other = sides[row["side_b"]] if row["side_a"] == "midline" else ""
    return f"{sides[row['side_a']]}{a} {_WORDS[row['relation']]} {other}{b} ({row['margin_mm']:.1f} mm)"


def _draw_margins(ax: Axes, table: pd.DataFrame, found: Kept, change: str) -> None:
    """Each direction once: margin against breaking point; on the right edge those that half the draws never broke."""
    broken = np.isfinite(table["half"])
    edge = float(found.draws.loc[found.draws["change"] == change, CHANGES[change].measure].max()) * 1.06
    jitter = np.random.default_rng(0).uniform(0, 0.06, len(table)) * edge
    for name in ("medial", "anterior", "superior"):
        mine = (table["relation"] == name).to_numpy()
        half = np.where(broken, table["half"], edge + jitter)[mine]
        ax.scatter(half, 100 * table["margin"][mine], s=9, color=COLORS[name], alpha=0.6, lw=0, label=LABELS[name])
    ax.axvspan(edge * 0.985, edge * 1.075, color="0.93", zorder=0)
    ax.text(edge * 1.03, 0.98, f"never: {(~broken).mean():.0%}", rotation=90, size=8, ha="center", va="top",
            transform=ax.get_xaxis_transform(), bbox={"fc": "white", "ec": "none", "pad": 1})  # fmt: skip
    ax.set(xlim=(0, edge * 1.08), ylim=(1.5, None), yscale="log")
    ticks = [2, 5, 10, 20, 50, 100, 200]
    ax.set_yticks(ticks, [f"{tick}" for tick in ticks])
    ax.minorticks_off()
    ax.set_ylabel("margin in the template, % of brain size", size=9)
    ax.set_title("all of them: broken in half of the draws at", size=10)
    ax.set_xlabel(CHANGES[change].unit, size=9)
    ax.legend(frameon=False, fontsize=8, loc="upper left")
    ax.spines[["top", "right"]].set_visible(False)


def plot_strip(
    scene: Scene,
    amounts: Mapping[str, Sequence[float]],
    *,
    seed: int = 0,
    at: float = 4.0,
    voxel: float = 2.0,
    extent: float = 88.0,
) -> Figure:
    """One coronal slice, a row a change, at growing amounts: what an amount looks like.

    Args:
        scene: the head.
        amounts: change of `CHANGES` -> the amounts to show, of its own.
        seed: of the draw.
        at: mm in front of the origin of the head's own frame.
        voxel: mm.
        extent: mm shown to each side.
    """
    columns = max(len(wanted) for wanted in amounts.values())
    size = 2.1 * columns + 0.4, 2.0 * len(amounts) + 0.5
    figure, axes = plt.subplots(len(amounts), columns, figsize=size, squeeze=False, layout="constrained")
    for ax in axes.flat:
        ax.set_axis_off()
    for row, (change, wanted) in zip(axes, amounts.items(), strict=True):
        heads = list(grow(CHANGES[change], scene, np.random.default_rng(seed), voxel))
        for ax, amount in zip(row, wanted, strict=False):
            nearest = int(np.argmin([abs(head.amount - amount) for head in heads]))
            _draw_head(ax, heads[nearest], change, at, extent)
        row[0].text(
            -0.06, 0.5, CHANGES[change].title, rotation=90, transform=row[0].transAxes, va="center", ha="right", size=9
        )
    handles = [
        Line2D([], [], marker="s", ls="", color=color, label=name.replace("lateral-ventricle", "ventricles"))
        for name, color in _STRIP_COLORS.items()
        if name != "third-ventricle"  # one color with the lateral ones
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=-(-len(handles) // 2), frameon=False, fontsize=8)
    return figure


def _draw_head(ax: Axes, head: Changed, change: str, at: float, extent: float) -> None:
    image = own_slice(head.label_map, "coronal", at, extent, step=1.0)
    palette = _STRIP_COLORS | _TISSUES
    parts = head.label_map.structures.items()
    colors = {label: palette[each.name] for label, each in parts if each.name in palette}
    ax.imshow(paint(image, colors), extent=(-extent, extent, -extent, extent), interpolation="nearest")
    ax.axvline(0, color="0.35", lw=0.7, ls="--")
    value = getattr(head, CHANGES[change].measure)
    shown = f"{value:.1f} x" if CHANGES[change].measure == "ventricles" else f"{value:.0f} mm"
    ax.set_title(shown if change != "turn" else f"{value:.0f}°", size=9)
