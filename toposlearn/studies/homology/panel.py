"""The two meanings of topology side by side: a change that only relations notice, one that only homology notices."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from toposlearn.anatomy import LabelMap, Structure
from toposlearn.explore.structures import COLORS, draw_own_slice, show_around
from toposlearn.studies.homology.shapes import Diagram, Shapes, count_alive, describe_change

HOLES = {"pieces": ("#0072B2", "o"), "tunnels": ("#D55E00", "s"), "cavities": ("#009E73", "^")}
LONG = 1.0  # mm: shorter bars are drawn small, most are steps of the voxels
_REACH = 45.0  # mm around the structure in the slices


def plot_homology_panel(
    before: Shapes, example: Structure, changes: Mapping[str, Shapes], a: Structure, b: Structure
) -> Figure:
    """How to read a diagram, on the structure `example`; then a column for each changed head, by title.

    The slices show `a` in the middle, and `b`, whose relation to `a` is described.
    """
    figure = plt.figure(figsize=(5.0 * (1 + len(changes)), 7.4), layout="constrained")
    first, *others = figure.subfigures(1, 1 + len(changes), squeeze=False, wspace=0.03)[0]
    upper, lower = first.subplots(2, 1, height_ratios=(1, 1.15))
    first.suptitle(f"{example.full_name.replace('-', ' ')}, from the side", weight="bold")
    _draw_silhouette(upper, before.head, example)
    diagram = before.diagrams[example]
    counts = zip(HOLES, count_alive(diagram), count_alive(diagram, LONG), strict=True)
    words = [f"{name:<9}{n:3d} alive at 0, {long} for over {LONG:g} mm" for name, n, long in counts]
    _draw_diagrams(lower, [(diagram, True)])
    lower.set_title("\n".join(words), size=9, loc="left", pad=12, family="monospace")
    for column, (title, after) in zip(others, changes.items(), strict=True):
        column.suptitle(title, weight="bold")
        _draw_change(column, before, after, a, b)
    handles = [Line2D([], [], ls="", marker=m, color=color, label=name) for name, (color, m) in HOLES.items()]
    handles.append(Line2D([], [], ls="", marker="o", ms=11, mfc="none", color="0.4", label="before"))
    handles.append(Line2D([], [], ls="", marker="o", ms=5, color="0.4", label="after"))
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False)
    return figure


def _draw_change(figure: SubFigure, before: Shapes, after: Shapes, a: Structure, b: Structure) -> None:
    axes = figure.subplot_mosaic([["before", "after"], ["lower", "lower"]], height_ratios=(1, 1.15))
    across, up, height = before.layout.centers[before.layout.index(a)].tolist()
    for name, shapes in (("before", before), ("after", after)):
        draw_own_slice(axes[name], shapes.head, "axial", height, {a.label: COLORS[0], b.label: COLORS[1]})
        show_around(axes[name], (across, up), _REACH)
        axes[name].set_title(name, size=9)
    pairs = [(shapes.diagrams[part], shapes is after) for part in after.diagrams for shapes in (before, after)]
    _draw_diagrams(axes["lower"], pairs)
    words = [f"{key}: {value}" for key, value in describe_change(before, after, a, b).items()]
    axes["lower"].set_title("\n".join(words), size=9, loc="left", pad=12)
    for part in after.diagrams:
        oldest = (float(before.diagrams[part][0][0, 0]), axes["lower"].get_ylim()[1])
        axes["lower"].annotate(part.name, oldest, (0, -10), textcoords="offset points", size=8, ha="center", va="top")


def _draw_diagrams(ax: Axes, diagrams: Sequence[tuple[Diagram, bool]]) -> None:
    """Birth and death in mm of each hole, filled or as rings; holes that never die lie on the upper edge."""
    named = [(hole, filled, bars) for diagram, filled in diagrams for hole, bars in zip(HOLES, diagram, strict=True)]
    tables = [pd.DataFrame(bars, columns=["born", "dies"]).assign(hole=h, filled=filled) for h, filled, bars in named]
    bars = pd.concat(tables).assign(long=lambda table: table["dies"] - table["born"] > LONG)
    ends = bars.loc[bars["long"] & np.isfinite(bars["dies"]), "dies"]
    low, top = bars["born"].min() - 1, np.ceil(max([2.0, *ends]) + 1)  # short bars beyond the last long one are cut
    ax.plot([low, top], [low, top], color="0.6", lw=1)
    ax.axhline(top, color="0.6", lw=1, ls=":")
    ax.fill_between([low, 0], 0, top, color="#F0E442", alpha=0.25, lw=0)
    ax.text(-0.1, top / 2, "alive at 0", color="0.35", size=8, ha="right", va="center", rotation=90)
    ax.text((low + top) / 2, top - 0.1, "never dies", color="0.35", size=8, va="top")
    for (hole, filled, long), part in bars.groupby(["hole", "filled", "long"], sort=False):
        color, marker = HOLES[str(hole)]
        style: dict[str, Any] = {"zorder": 3, "clip_on": False} if long else {"zorder": 2, "alpha": 0.4, "lw": 0.5}
        size, face = (30 if filled else 120) / (1 if long else 4), color if filled else "none"
        ax.scatter(part["born"], part["dies"].clip(upper=top), size, marker=marker, ec=color, fc=face, **style)
    alive = bars[bars["filled"] & bars["long"] & (bars["born"] <= 0) & (bars["dies"] > 0) & (bars["dies"] <= top)]
    for born, dies in alive[["born", "dies"]].to_numpy():
        words, offset = f"{dies - born:.1f} mm", "offset points"
        ax.annotate(words, (born, dies), (-6, 0), textcoords=offset, size=8, ha="right", va="center")
    ax.set(xlim=(low, top), ylim=(low, top), ylabel="dies at (mm)")
    ax.set_xlabel("born at (mm from the boundary, inside is negative)")
    ax.spines[["top", "right"]].set_visible(False)


def _draw_silhouette(ax: Axes, head: LabelMap, part: Structure) -> None:
    """Thickness in mm seen along the first axis, front to the right."""
    thick = (head.labels == part.label).sum(axis=0) * head.spacing[0]  # (Y, Z)
    (low_y, low_z), (high_y, high_z) = np.argwhere(thick).min(axis=0) - 3, np.argwhere(thick).max(axis=0) + 4
    image = np.ma.masked_equal(thick[low_y:high_y, low_z:high_z].T, 0)
    shown = ax.imshow(image, origin="lower", cmap="viridis_r", vmin=0, aspect=head.spacing[2] / head.spacing[1])
    ax.figure.colorbar(shown, ax=ax, label="thickness (mm)", shrink=0.7)
    ax.set_axis_off()
