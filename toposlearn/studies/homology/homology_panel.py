"""The two meanings of topology side by side: a change that only relations notice, one that only homology notices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from toposlearn.anatomy import LabelMap, Structure
from toposlearn.explore.structure_slices import COLORS, draw_own_slice, show_around
from toposlearn.relations.frame import Array
from toposlearn.studies.homology.homology_change import Shapes, describe_change
from toposlearn.studies.homology.persistence import HOLES, Diagram

HOLE_STYLES = {"pieces": ("#0072B2", "o"), "tunnels": ("#D55E00", "s"), "cavities": ("#009E73", "^")}
LONG = 1.0  # mm: shorter bars are drawn small, most are steps of the voxels
_REACH = 45.0  # mm around the structure in the slices


def plot_homology_panel(
    before: Shapes, example: Structure, changes: Mapping[str, Shapes], a: Structure, b: Structure
) -> Figure:
    """How to read a diagram, on one structure; then a column for each changed head.

    Args:
        before: the head as it is, with the diagrams of `example`, `a` and `b`.
        example: whose diagram is explained.
        changes: title -> the changed head, with the diagrams of `a`, `b` or both.
        a: the structure in the middle of the slices.
        b: the one whose relation to `a` is told.
    """
    figure = plt.figure(figsize=(5.0 * (1 + len(changes)), 7.4), layout="constrained")
    first, *others = figure.subfigures(1, 1 + len(changes), squeeze=False, wspace=0.03)[0]
    _draw_example(first, before, example)
    for column, (title, after) in zip(others, changes.items(), strict=True):
        _draw_change(column, title, before, after, (a, b))
    figure.legend(handles=_handles(), loc="outside lower center", ncols=5, frameon=False)
    return figure


def plot_diagram(ax: Axes, diagram: Diagram, filled: bool = True) -> None:
    """Birth and death in mm of each piece, tunnel and cavity; what never dies is put on the upper edge of `ax`.

    Marks in the shaded corner are alive at level 0: the Betti numbers count them, whether they live long or not.
    """
    for name, bars in zip(HOLES, diagram.parts, strict=True):
        color, marker = HOLE_STYLES[name]
        death = np.where(np.isinf(bars[:, 1]), ax.get_ylim()[1], bars[:, 1])
        long = bars[:, 1] - bars[:, 0] > LONG
        style: dict[str, Any] = {"marker": marker, "edgecolors": color, "facecolors": color if filled else "none"}
        size = 30 if filled else 120
        ax.scatter(bars[long, 0], death[long], s=size, zorder=3, clip_on=False, **style)
        if filled:
            _write_lengths(ax, bars[long & (bars[:, 0] <= 0) & (bars[:, 1] > 0) & np.isfinite(bars[:, 1])])
        ax.scatter(bars[~long, 0], death[~long], s=size / 4, zorder=2, alpha=0.4, lw=0.5, **style)


def _write_lengths(ax: Axes, bars: Array) -> None:
    for birth, death in bars.tolist():
        words = f"{death - birth:.1f} mm"
        ax.annotate(words, (birth, death), (-6, 0), textcoords="offset points", size=8, ha="right", va="center")


def _draw_frame(ax: Axes, diagrams: Sequence[Diagram]) -> None:
    low = min(float(bars[:, 0].min()) for diagram in diagrams for bars in diagram.parts if len(bars)) - 1
    top = max(_top(diagram) for diagram in diagrams)
    ax.plot([low, top], [low, top], color="0.6", lw=1)
    ax.fill_between([low, 0], 0, top, color="#F0E442", alpha=0.25, lw=0)
    ax.text(-0.1, top / 2, "alive at 0", color="0.35", size=8, ha="right", va="center", rotation=90)
    ax.axhline(top, color="0.6", lw=1, ls=":")
    ax.annotate(
        "never dies", ((low + top) / 2, top), (0, -3), textcoords="offset points", color="0.35", size=8, va="top"
    )
    ax.set_xlim(low, top)
    ax.set_ylim(low, top)
    ax.set_xlabel("born at (mm from the boundary, inside is negative)")
    ax.set_ylabel("dies at (mm)")
    ax.spines[["top", "right"]].set_visible(False)


def _top(diagram: Diagram) -> float:
    """Upper edge in mm: above the last death of a long bar. Short bars beyond it are not shown."""
    bars = np.concatenate(diagram.parts)
    long = bars[np.isfinite(bars[:, 1]) & (bars[:, 1] - bars[:, 0] > LONG), 1]
    return float(np.ceil(max(long.max(initial=0.0) + 1, 3.0)))


def _draw_example(figure: SubFigure, shapes: Shapes, example: Structure) -> None:
    upper, lower = figure.subplots(2, 1, height_ratios=(1, 1.15))
    diagram = shapes.diagrams[example]
    _draw_silhouette(upper, shapes.head, example)
    figure.suptitle(f"{example.full_name.replace('-', ' ')}, from the side", weight="bold")
    _draw_frame(lower, [diagram])
    plot_diagram(lower, diagram)
    words = [f"{name:<9}{n:3d} alive at 0, {m} for over {LONG:g} mm" for name, n, m in _counts(diagram)]
    lower.set_title("\n".join(words), size=9, loc="left", pad=12, family="monospace")


def _counts(diagram: Diagram) -> list[tuple[str, int, int]]:
    return list(zip(HOLES, diagram.alive(), diagram.alive(longer_than=LONG), strict=True))


def _draw_silhouette(ax: Axes, head: LabelMap, part: Structure) -> None:
    """Thickness in mm seen along the first axis, front to the right."""
    thick = (head.labels == part.label).sum(axis=0) * head.spacing[0]  # (Y, Z)
    (low_y, low_z), (high_y, high_z) = np.argwhere(thick).min(axis=0) - 3, np.argwhere(thick).max(axis=0) + 4
    image = np.ma.masked_equal(thick[low_y:high_y, low_z:high_z].T, 0)
    shown = ax.imshow(image, origin="lower", cmap="viridis_r", vmin=0, aspect=head.spacing[2] / head.spacing[1])
    ax.figure.colorbar(shown, ax=ax, label="thickness (mm)", shrink=0.7)
    ax.set_axis_off()


def _draw_change(
    figure: SubFigure, title: str, before: Shapes, after: Shapes, pair: tuple[Structure, Structure]
) -> None:
    axes = figure.subplot_mosaic([["old", "new"], ["lower", "lower"]], height_ratios=(1, 1.15))
    colors = {part.label: color for part, color in zip(pair, COLORS, strict=False)}
    for name, shapes in (("old", before), ("new", after)):
        center = before.layout.centers[before.layout.index(pair[0])]
        draw_own_slice(axes[name], shapes.head, "axial", float(center[2]), colors)
        show_around(axes[name], (float(center[0]), float(center[1])), _REACH)
    axes["old"].set_title("before", size=9)
    axes["new"].set_title("after", size=9)
    parts = [part for part in before.diagrams if part in after.diagrams]
    _draw_frame(axes["lower"], [shapes.diagrams[part] for shapes in (before, after) for part in parts])
    for part in parts:
        plot_diagram(axes["lower"], before.diagrams[part], filled=False)
        plot_diagram(axes["lower"], after.diagrams[part])
        oldest = (float(before.diagrams[part].pieces[0, 0]), axes["lower"].get_ylim()[1])
        axes["lower"].annotate(part.name, oldest, (0, -10), textcoords="offset points", size=8, ha="center", va="top")
    words = describe_change(before, after, *pair)
    axes["lower"].set_title("\n".join(f"{key}: {value}" for key, value in words.items()), size=9, loc="left", pad=12)
    figure.suptitle(title, weight="bold")


def _handles() -> list[Line2D]:
    kinds = [
        Line2D([], [], ls="", marker=marker, color=color, label=name) for name, (color, marker) in HOLE_STYLES.items()
    ]
    ring = Line2D([], [], ls="", marker="o", ms=11, mfc="none", color="0.4", label="before")
    return [*kinds, ring, Line2D([], [], ls="", marker="o", ms=5, color="0.4", label="after")]
