"""Figures on how far relations hold: share kept by amount, which relations break first, slices of changed heads."""

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

from toposlearn.cohort.deformation import VENTRICLES
from toposlearn.explore.slices import STRUCTURE_COLORS
from toposlearn.explore.structures import draw_own_slice
from toposlearn.studies.bending.breaking import cohort_range, first_to_break, kept_curves
from toposlearn.studies.bending.changes import CHANGES, Changed, Scene, grow
from toposlearn.studies.bending.kept import DIRECTIONS, Kept

KINDS = {  # of relations: color, label
    "medial": ("#D55E00", "which is medial"),
    "anterior": ("#0072B2", "which is in front"),
    "superior": ("#009E73", "which is above"),
    "adjacent": ("#CC79A7", "neighbors stay so"),
    "apart": ("#56B4E9", "others stay apart"),
}
COLUMNS = 3  # panels side by side
LOWEST = 70.0  # %, where the axis of the share kept begins
SHOWN = 14  # relations that are named
CORONAL_MM, EXTENT_MM = 4.0, 88.0  # of a slice: in front of the origin of the head's own frame, and to each side
_COHORT = "#F0E442"
_NAMED_COLORS = STRUCTURE_COLORS | {"ventricles": "#222222"}
_WHITE_MATTER = {"cerebral-white-matter": "#F4F4F2", "cerebellum-white-matter": "#F4F4F2"}
_COLORS = _NAMED_COLORS | dict.fromkeys(VENTRICLES, _NAMED_COLORS["ventricles"]) | _WHITE_MATTER
_FORMS = {"atrophy": "{:.1f} x", "turn": "{:.0f}°"}  # of what a changed head has reached; mm elsewhere
_WORDS = {"medial": "medial to", "anterior": "in front of", "superior": "above"}


def plot_kept(result: Kept) -> Figure:
    """Relations kept (%) by amount: one panel per change, one line per kind of relation with its 95 % interval.

    The yellow range is that of the cohort's own subjects.
    """
    curves = kept_curves(result)
    changes = list(curves["change"].unique())
    rows, columns = -(-len(changes) // COLUMNS), min(COLUMNS, len(changes))
    size = 3.5 * columns + 0.4, 2.6 * rows + 1.1
    figure, axes = plt.subplots(rows, columns, figsize=size, sharey=True, squeeze=False, layout="constrained")
    for ax in axes.flat[len(changes) :]:
        ax.set_visible(False)
    for ax, change in zip(axes.flat, changes, strict=False):
        _draw_change(ax, result, curves[curves["change"] == change], str(change))
    axes[0, 0].set_ylim(LOWEST, 101.5)
    for ax in axes[:, 0]:
        ax.set_ylabel("relations kept, %")
    handles: list[Artist] = [Line2D([], [], color=color, lw=2, label=label) for color, label in KINDS.values()]
    handles.append(Patch(color=_COHORT, alpha=0.45, label="people of the cohort"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
    return figure


def _draw_change(ax: Axes, result: Kept, curves: pd.DataFrame, change: str) -> None:
    low, high = cohort_range(result, change)
    ax.axvspan(low, high, color=_COHORT, alpha=0.45, lw=0) if high > low else ax.axvline(low, color=_COHORT, lw=4)
    for name, part in curves.groupby("relation", sort=False):
        color, _ = KINDS[str(name)]
        ax.fill_between(part["at"], 100 * part["low"], 100 * part["high"], color=color, alpha=0.18, lw=0)
        ax.plot(part["at"], 100 * part["share"], color=color, lw=1.6, marker="o", ms=2.5)
    _label(ax, CHANGES[change].title, CHANGES[change].unit)


def _label(ax: Axes, title: str, unit: str) -> None:
    ax.set_title(title, size=10)
    ax.set_xlabel(unit, size=9)
    ax.grid(color="0.92")
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def plot_first_to_break(result: Kept, change: str, title: str = "") -> Figure:
    """The first directions to break, and all of them: margin in the template against where half the draws broke."""
    table, unit = first_to_break(result, change), CHANGES[change].unit
    figure, (left, right) = plt.subplots(1, 2, figsize=(11.4, 0.25 * SHOWN + 1.6), layout="constrained")
    _draw_first(left, table.head(SHOWN))
    _label(left, "the first to break (margin in the template)", unit)
    _draw_margins(right, table, result.draws.loc[result.draws["change"] == change, CHANGES[change].measure].max())
    _label(right, "all of them: broken in half of the draws at", unit)
    figure.suptitle(title, size=11)
    return figure


def _draw_first(ax: Axes, table: pd.DataFrame) -> None:
    """One row per relation: from where it broke first to where it is broken in half of the draws."""
    rows, half = np.arange(len(table)), table["half"].replace(np.inf, np.nan)
    colors = [KINDS[name][0] for name in table["relation"]]
    ax.hlines(rows, table["first"], half.fillna(table["first"]), color="0.75", lw=3)
    ax.scatter(table["first"], rows, s=16, color="0.55", zorder=3, label="in one draw")
    ax.scatter(half, rows, s=34, color=colors, zorder=4, label="in half of them")
    ax.set_yticks(rows, [_sentence(row) for row in table.to_dict("records")], size=8)
    ax.set_ylim(len(table) - 0.4, -0.6)
    ax.set_xlim(left=0)
    ax.legend(title="broken", title_fontsize=8, frameon=False, fontsize=8, loc="upper right")


def _sentence(row: Mapping[Hashable, Any]) -> str:
    """``L hippocampus medial to frontal cortex (1.0 mm)``."""
    a, b = (row[f"structure_{end}"].removeprefix("cerebral-").replace("-", " ") for end in "ab")
    sides = {"left": "L ", "right": "R ", "midline": ""}
    other = sides[row["side_b"]] if row["side_a"] == "midline" else ""
    return f"{sides[row['side_a']]}{a} {_WORDS[row['relation']]} {other}{b} ({row['margin_mm']:.1f} mm)"


def _draw_margins(ax: Axes, table: pd.DataFrame, largest: float) -> None:
    """Each direction once: margin against breaking point; on the right edge those that half the draws never broke."""
    broken, edge = np.isfinite(table["half"]), largest * 1.06
    places = np.where(broken, table["half"], edge * (1 + np.random.default_rng(0).uniform(0, 0.06, len(table))))
    for name in DIRECTIONS:
        mine, (color, label) = (table["relation"] == name).to_numpy(), KINDS[name]
        ax.scatter(places[mine], 100 * table["margin"][mine], s=9, color=color, alpha=0.6, lw=0, label=label)
    ax.axvspan(edge * 0.985, edge * 1.075, color="0.93", zorder=0)
    ax.text(edge * 1.03, 0.98, f"never: {(~broken).mean():.0%}", rotation=90, size=8, ha="center", va="top",
            transform=ax.get_xaxis_transform(), bbox={"fc": "white", "ec": "none", "pad": 1})  # fmt: skip
    ticks = [2, 5, 10, 20, 50, 100, 200]
    ax.set(xlim=(0, edge * 1.08), ylim=(1.5, None), yscale="log")
    ax.set_yticks(ticks, map(str, ticks))
    ax.minorticks_off()
    ax.set_ylabel("margin in the template, % of brain size", size=9)
    ax.legend(frameon=False, fontsize=8, loc="upper left")


def plot_strip(scene: Scene, amounts: Mapping[str, Sequence[float]], *, seed: int = 0, voxel: float = 2.0) -> Figure:
    """One coronal slice at growing amounts (change of `CHANGES` -> some of its amounts), one row per change."""
    columns = max(len(wanted) for wanted in amounts.values())
    size = 2.1 * columns + 0.4, 2.0 * len(amounts) + 0.5
    figure, axes = plt.subplots(len(amounts), columns, figsize=size, squeeze=False, layout="constrained")
    for row, (change, wanted) in zip(axes, amounts.items(), strict=True):
        heads = list(grow(CHANGES[change], scene, np.random.default_rng(seed), voxel))
        for ax in row[len(wanted) :]:
            ax.set_axis_off()
        for ax, amount in zip(row, wanted, strict=False):
            _draw_head(ax, min(heads, key=lambda head: abs(head.amount - amount)), change)
        row[0].set_ylabel(CHANGES[change].title, size=9)
    handles = [Line2D([], [], marker="s", ls="", color=color, label=name) for name, color in _NAMED_COLORS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=-(-len(handles) // 2), frameon=False, fontsize=8)
    return figure


def _draw_head(ax: Axes, head: Changed, change: str) -> None:
    parts = head.label_map.structures.items()
    colors = {label: _COLORS[each.name] for label, each in parts if each.name in _COLORS}
    draw_own_slice(ax, head.label_map, "coronal", CORONAL_MM, colors, EXTENT_MM)
    ax.axvline(0, color="0.35", lw=0.7, ls="--")
    ax.set_title(_FORMS.get(change, "{:.0f} mm").format(getattr(head, CHANGES[change].measure)), size=9)
