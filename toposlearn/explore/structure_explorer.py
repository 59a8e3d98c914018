"""One structure in several people, as a figure: where it is, who is next to it, and on which side.

What is drawn is measured in `toposlearn.explore.structure_measures`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from toposlearn.anatomy import LabelMap, Structure
from toposlearn.explore.slices import PLANES
from toposlearn.explore.structure_measures import Surroundings, agreement, readable, surroundings
from toposlearn.explore.structure_slices import COLORS, draw_own_slice
from toposlearn.explore.structures import FAINT, PLANE_AXES, STRUCTURE_COLORS
from toposlearn.relations.frame import Array
from toposlearn.relations.layout import Layout, layout

# For structures without a color of their own in all figures, such as parts of the cortex.
_SPARE = ("#332288", "#882255", "#999933", "#000000", "#117733", "#661100", "#44AA99", "#AA4499")
MOST = len(_SPARE) - 1  # neighbors that get a color of their own
_ENDS = (("← medial", "lateral →"), ("← behind", "in front →"), ("← below", "above →"))
_PLACES = (("left", "right"), ("back", "front"), ("down", "up"))
_OTHER = "0.6"  # rows of structures that are neighbors in some people only


def plot_structure(
    subjects: Mapping[str, LabelMap], chosen: Structure, k: int = 5, subject: str | None = None
) -> Figure:
    """One structure: slices of one person through it, its neighbors in all people, and on which side they lie.

    Args:
        subjects: name -> label map; they may have different structures.
        chosen: the structure, e.g. ``structure("thalamus", "left")``.
        k: neighbors, at most `MOST`.
        subject: whose slices; the first who has the structure if left out.

    Raises:
        ValueError: `k` out of range, a person who is unknown or lacks the structure, or a structure nobody has.
    """
    layouts = {name: layout(each) for name, each in subjects.items()}
    return draw_structure(subjects, layouts, surroundings(layouts, chosen, k), subject)


def draw_structure(
    subjects: Mapping[str, LabelMap], layouts: Mapping[str, Layout], found: Surroundings, subject: str | None = None
) -> Figure:
    """The figure of `plot_structure` for what is already measured."""
    subject = found.subjects[0] if subject is None else subject
    if subject not in found.subjects:
        raise ValueError(f"person must be one of {', '.join(found.subjects)} (they have it), got {subject!r}")
    if found.k > MOST:
        raise ValueError(f"k must be at most {MOST} here, one color each, got {found.k}")
    height = 0.36 * len(found.neighbors) + 1.8
    figure = plt.figure(figsize=(12, 4.2 + height), layout="constrained")
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(4.0, height))[:, 0]
    slices = upper.subplots(1, 3, width_ratios=(1.2, 1, 1))
    bars, *sides = lower.subplots(1, 4, sharey=True, width_ratios=(2.6, 1, 1, 1))
    _draw_slices(slices, subjects[subject], layouts[subject], found)
    _draw_distances(bars, found)
    for ax, offsets, ends in zip(sides, found.offsets, _ENDS, strict=True):
        _draw_offsets(ax, offsets, ends, float(np.abs(found.offsets).max()) * 1.1)
    _name_rows(bars, found)
    _name_colors(slices[0], found)
    _name_dots(lower)
    upper.suptitle(f"The {readable(found.chosen)} of {subject}", weight="bold")
    lower.suptitle(_heading(found), weight="bold")
    return figure


def row_colors(found: Surroundings) -> list[str]:
    """A color for each neighbor, gray for those beyond the `k` nearest."""
    colors = label_colors(found)
    return [colors.get(part.label, _OTHER) for part in found.neighbors]


def label_colors(found: Surroundings) -> dict[int, str]:
    """Label -> color of the chosen structure and of its `k` nearest: those of `STRUCTURE_COLORS`, as in every figure.

    A structure whose namesake of the other side is shown already is drawn paler.
    """
    colors: dict[int, str] = {}
    spare, seen = iter(_SPARE), set()
    for part in (found.chosen, *found.neighbors[: found.k]):
        color = STRUCTURE_COLORS.get(part.name) or next(spare)
        colors[part.label] = _paler(color) if part.name in seen and part.name in STRUCTURE_COLORS else color
        seen.add(part.name)
    return colors


def _paler(color: str) -> str:
    """Half way to white."""
    red, green, blue = ((1 + part) / 2 for part in to_rgb(color))
    return to_hex((red, green, blue)).upper()


def _heading(found: Surroundings) -> str:
    return (
        f"Its {found.k} nearest of {found.shared} structures, "
        f"in the {len(found.subjects)} of {found.asked} people who have it"
    )


def _draw_slices(axes: Array, head: LabelMap, place: Layout, found: Surroundings) -> None:
    """Three planes through the centroid, each with the lines in which the other two cut it."""
    center = place.centers[place.index(found.chosen)]
    for ax, plane in zip(axes, PLANES, strict=True):
        across, up = PLANE_AXES[plane]
        through = 3 - across - up
        at = float(center[through])
        draw_own_slice(ax, head, plane, at, label_colors(found), extent=105.0)
        ax.axvline(center[across], color="0.3", lw=0.6, ls=":")
        ax.axhline(center[up], color="0.3", lw=0.6, ls=":")
        _crop(ax)
        ax.set_title(f"{plane}, {abs(at):.0f} mm {_PLACES[through][int(at >= 0)]}", size=9)


def _crop(ax: Axes) -> None:
    """To the head in the picture."""
    image = ax.images[0]
    rows, columns = np.nonzero((np.asarray(image.get_array()) < 1).any(axis=-1))
    left, right, _, top = image.get_extent()
    step = (right - left) / (np.asarray(image.get_array()).shape[1])
    ax.set_xlim(left + step * (columns.min() - 4), left + step * (columns.max() + 5))
    ax.set_ylim(top - step * (rows.max() + 5), top - step * (rows.min() - 4))


def _draw_distances(ax: Axes, found: Surroundings) -> None:
    rows, colors = np.arange(len(found.neighbors)), row_colors(found)
    means = found.distances.mean(axis=0)
    ax.barh(rows, means, color=colors, alpha=0.35, height=0.66)
    ax.scatter(found.distances, np.tile(rows, (len(found.subjects), 1)), c=colors * len(found.subjects), s=12, zorder=3)
    right = float(found.distances.max()) * 1.07
    for row, count in enumerate(found.among.sum(axis=0).tolist()):
        ax.text(right, row, agreement(count, len(found.subjects)), va="center", size=9)
    ax.set_xlim(0, right * 1.45)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlabel("distance of centroids (mm): mean, and each person a dot")
    words = f"people who have it among\ntheir {found.k} nearest [95 %];\nby chance {found.chance:.2f}"
    ax.text(right, -0.75, words, size=8, color="0.35", va="bottom")
    ax.spines[["top", "right"]].set_visible(False)


def _draw_offsets(ax: Axes, offsets: Array, ends: tuple[str, str], reach: float) -> None:
    """Offsets (P, M) in mm; rows in which people disagree about the side are open."""
    for row, values in enumerate(offsets.T):
        agree = (values > 0).all() or (values < 0).all()
        ax.scatter(
            values, np.full(len(values), row), s=16, color="0.25", facecolors="0.25" if agree else "none", lw=0.8
        )
        ax.plot([values.mean()] * 2, [row - 0.33, row + 0.33], color=COLORS[0], lw=2)
    ax.axvline(0, color="0.4", lw=1)
    ax.set_xlim(-reach, reach)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("offset (mm)")
    for x, word, side in zip((0, 1), ends, ("left", "right"), strict=True):
        ax.text(x, 1.01, word, transform=ax.transAxes, size=9, ha=side, va="bottom")
    ax.grid(axis="x", color="0.92")
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)


def _name_rows(ax: Axes, found: Surroundings) -> None:
    ax.set_yticks(range(len(found.neighbors)), [readable(part) for part in found.neighbors])
    for text, color in zip(ax.get_yticklabels(), row_colors(found), strict=True):
        text.set_color(color)
        text.set_fontweight("bold")


def _name_colors(ax: Axes, found: Surroundings) -> None:
    marks = [
        Line2D(
            [], [], marker="s", ls="", ms=8, color=label_colors(found)[found.chosen.label], label=readable(found.chosen)
        ),
        Line2D([], [], marker="s", ls="", ms=8, color=FAINT, label="all other structures"),
    ]
    ax.legend(handles=marks, loc="upper left", bbox_to_anchor=(0, -0.02), frameon=False, ncols=2)


def _name_dots(figure: SubFigure) -> None:
    marks = [
        Line2D([], [], marker="|", ls="", ms=11, mew=2, color=COLORS[0], label="mean"),
        Line2D([], [], marker="o", ls="", ms=4, color="0.25", label="one person"),
        Line2D([], [], marker="o", ls="", ms=4, mfc="none", color="0.25", label="people disagree about the side"),
    ]
    figure.legend(handles=marks, loc="outside lower right", frameon=False, ncols=3)
