"""One structure in several people: where it is, which structures are next to it, and on which side they lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from toposlearn.anatomy import LabelMap, Structure
from toposlearn.arrays import Float64s
from toposlearn.explore.slices import PLANE_AXES, PLANES, STRUCTURE_COLORS, place_in_words
from toposlearn.explore.structures import COLORS, FAINT, draw_own_slice
from toposlearn.relations.agreement import fraction_interval
from toposlearn.relations.graphs import nearest_structures
from toposlearn.relations.layout import Layout, layout
from toposlearn.relations.relations import relation_margins, structure_distances

MORE = 3  # maximum number of rows for structures that are neighbors in some people only
# For structures without a color of their own in all figures, such as parts of the cortex.
_SPARE = ("#332288", "#882255", "#999933", "#000000", "#117733", "#661100", "#44AA99", "#AA4499")
MOST = len(_SPARE) - 1  # neighbors that get a color of their own
_WAYS = {  # direction -> words at both ends of its axis
    "lateral": ("← medial", "lateral →"),
    "anterior": ("← behind", "in front →"),
    "superior": ("← below", "above →"),
}
_MARKS = (
    Line2D([], [], marker="|", ls="", ms=11, mew=2, color=COLORS[0], label="mean"),
    Line2D([], [], marker="o", ls="", ms=4, color="0.25", label="one person"),
    Line2D([], [], marker="o", ls="", ms=4, mfc="none", color="0.25", label="people disagree about the side"),
)


@dataclass(frozen=True, eq=False)
class Surroundings:
    """One structure and its M neighbors in the P people who have it."""

    chosen: Structure
    k: int  # how many neighbors count
    subjects: tuple[str, ...]  # names of the P people who have it
    asked: int  # number of people, with or without the structure
    shared: int  # how many other structures all P have; only these are compared
    neighbors: tuple[Structure, ...]  # the k nearest on average; then up to `MORE` that are so in single people
    distances: Float64s  # (P, M) mm between centroids
    among: npt.NDArray[np.bool_]  # (P, M), whether it is among this person's k nearest
    offsets: Float64s  # (3, P, M) mm that a neighbor lies further lateral, anterior, superior than the chosen one

    @property
    def chance(self) -> float:
        """Fraction of people who have a structure among their `k` nearest by chance."""
        return self.k / self.shared

    def in_words(self) -> str:
        """The neighbors in one sentence, nearest first."""
        have = f"{len(self.subjects)} of {self.asked} people have the {readable(self.chosen)}."
        rows = zip(self.neighbors[: self.k], self.distances.mean(axis=0), self.among.sum(axis=0), strict=False)
        parts = [f"{readable(part)}, {mm:.0f} mm, {agreement(int(n), len(self.subjects))}" for part, mm, n in rows]
        return f"{have} Its {self.k} nearest: {'; '.join(parts)}. By chance {_short(self.chance)}."


def compared_structures(subjects: Mapping[str, Layout], chosen: Structure) -> list[Structure]:
    """The other structures that all people with the chosen one share; an empty list if no one has it."""
    have = [subject for subject in subjects.values() if chosen in subject.structures]
    parts = have[0].structures if have else ()
    return [part for part in parts if part != chosen and all(part in subject.structures for subject in have)]


def surroundings(subjects: Mapping[str, Layout], chosen: Structure, k: int = 5) -> Surroundings:
    """Measure what surrounds a structure; only structures that all people with it share are compared."""
    have = {name: subject for name, subject in subjects.items() if chosen in subject.structures}
    if not have:
        raise ValueError(f"chosen must be a structure of at least one person: none has {chosen.full_name}")
    others = compared_structures(have, chosen)
    if not 1 <= k <= len(others):
        raise ValueError(f"k must be between 1 and {len(others)}, the other structures that all people share, got {k}")
    parts = [(subject, [subject.index(part) for part in (chosen, *others)]) for subject in have.values()]
    distances = np.stack([structure_distances(each)[np.ix_(r, r)] for each, r in parts])  # (P, S + 1, S + 1)
    nearest = np.stack([nearest_structures(each, k)[0] - 1 for each in distances])  # (P, K) among the others
    among = (nearest[:, :, None] == np.arange(len(others))).any(axis=1)  # (P, S)
    offsets = np.array([[relation_margins(each, way)[r[1:], r[0]] for each, r in parts] for way in _WAYS])  # (3, P, S)
    order = np.argsort(distances[:, 0, 1:].mean(axis=0), kind="stable").tolist()
    shown = order[:k] + [other for other in order[k:] if among[:, other].any()][:MORE]
    return Surroundings(
        chosen=chosen,
        k=k,
        subjects=tuple(have),
        asked=len(subjects),
        shared=len(others),
        neighbors=tuple(others[other] for other in shown),
        distances=distances[:, 0, 1:][:, shown],
        among=among[:, shown],
        offsets=offsets[:, :, shown],
    )


def agreement(count: int, subjects: int) -> str:
    """How many people agree, with the exact 95 % interval of the fraction: ``6 of 6 [.54, 1]``."""
    ends = ", ".join(_short(end) for end in fraction_interval(count, subjects))
    return f"{count} of {subjects} [{ends}]"


def readable(part: Structure) -> str:
    """Name with its side, without hyphens."""
    return part.full_name.replace("-", " ")


def _short(fraction: float) -> str:
    """A fraction as ``.54``; 0 and 1 only if they are exact."""
    words = f"{fraction:.0f}" if fraction in (0, 1) else f"{fraction:.2f}"
    return {"0": "0", "0.00": "<.01", "1.00": ">.99"}.get(words, words.lstrip("0"))


def plot_structure(
    subjects: Mapping[str, LabelMap], chosen: Structure, k: int = 5, subject: str | None = None
) -> Figure:
    """Slices of `subject`, by default the first who has it, its `k` neighbors in all people, and their sides."""
    layouts = {name: layout(each) for name, each in subjects.items()}
    around = surroundings(layouts, chosen, k)
    return draw_structure(subjects, layouts, around, subject or around.subjects[0])


def draw_structure(
    subjects: Mapping[str, LabelMap], layouts: Mapping[str, Layout], around: Surroundings, subject: str
) -> Figure:
    """The figure of `plot_structure` for what is already measured."""
    if subject not in around.subjects:
        raise ValueError(f"subject must be one of {', '.join(around.subjects)} (they have it), got {subject!r}")
    if around.k > MOST:
        raise ValueError(f"k must be at most {MOST} here, one color each, got {around.k}")
    height = 0.36 * len(around.neighbors) + 1.8
    figure = plt.figure(figsize=(12, 4.2 + height), layout="constrained")
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(4.0, height))[:, 0]
    slices = upper.subplots(1, 3, width_ratios=(1.2, 1, 1))
    bars, *sides = lower.subplots(1, 4, sharey=True, width_ratios=(2.6, 1, 1, 1))
    _draw_slices(slices, subjects[subject], layouts[subject], around)
    _draw_distances(bars, around)
    for ax, offsets, ends in zip(sides, around.offsets, _WAYS.values(), strict=True):
        _draw_offsets(ax, offsets, ends, float(np.abs(around.offsets).max()) * 1.1)
    upper.suptitle(f"The {readable(around.chosen)} of {subject}", weight="bold")
    have = f"in the {len(around.subjects)} of {around.asked} people who have it"
    lower.suptitle(f"Its {around.k} nearest of {around.shared} structures, {have}", weight="bold")
    lower.legend(handles=_MARKS, loc="outside lower right", frameon=False, ncols=3)
    return figure


def label_colors(around: Surroundings) -> dict[int, str]:
    """Label -> color of the structure and its `k` nearest, as in every figure; a second side is half way to white."""
    colors: dict[int, str] = {}
    spare = iter(_SPARE)
    for part in (around.chosen, *around.neighbors[: around.k]):
        color = STRUCTURE_COLORS.get(part.name) or next(spare)
        if color in colors.values():
            red, green, blue = ((1 + channel) / 2 for channel in to_rgb(color))
            color = to_hex((red, green, blue)).upper()
        colors[part.label] = color
    return colors


def _draw_slices(axes: Sequence[Axes], head: LabelMap, place: Layout, around: Surroundings) -> None:
    """Three planes through the centroid, each with the lines in which the other two cut it."""
    center, colors = place.centers[place.index(around.chosen)], label_colors(around)
    for ax, plane in zip(axes, PLANES, strict=True):
        across, up = PLANE_AXES[plane]
        at = float(center[3 - across - up])
        draw_own_slice(ax, head, plane, at, colors, extent=105.0)
        ax.axvline(center[across], color="0.3", lw=0.6, ls=":")
        ax.axhline(center[up], color="0.3", lw=0.6, ls=":")
        _crop(ax)
        ax.set_title(place_in_words(plane, at), size=9)
    shown = {readable(around.chosen): colors[around.chosen.label], "all other structures": FAINT}
    marks = [Line2D([], [], marker="s", ls="", ms=8, color=color, label=name) for name, color in shown.items()]
    axes[0].legend(handles=marks, loc="upper left", bbox_to_anchor=(0, -0.02), frameon=False, ncols=2)


def _crop(ax: Axes) -> None:
    pixels = np.asarray(ax.images[0].get_array())
    rows, columns = np.nonzero((pixels < 1).any(axis=-1))
    left, right, _, top = ax.images[0].get_extent()
    step = (right - left) / pixels.shape[1]
    ax.set_xlim(left + step * (columns.min() - 4), left + step * (columns.max() + 5))
    ax.set_ylim(top - step * (rows.max() + 5), top - step * (rows.min() - 4))


def _draw_distances(ax: Axes, around: Surroundings) -> None:
    rows, count = np.arange(len(around.neighbors)), len(around.subjects)
    known = label_colors(around)
    colors = [known.get(part.label, "0.6") for part in around.neighbors]
    ax.barh(rows, around.distances.mean(axis=0), color=colors, alpha=0.35, height=0.66)
    ax.scatter(around.distances, np.tile(rows, (count, 1)), c=colors * count, s=12, zorder=3)
    right = float(around.distances.max()) * 1.07
    for row, among in enumerate(around.among.sum(axis=0).tolist()):
        ax.text(right, row, agreement(among, count), va="center", size=9)
    label = "distance of centroids (mm): mean, and one dot per person"
    ax.set(xlim=(0, right * 1.45), ylim=(len(rows) - 0.4, -0.6), xlabel=label)
    words = f"people who have it among\ntheir {around.k} nearest [95 %];\nby chance {around.chance:.2f}"
    ax.text(right, -0.75, words, size=8, color="0.35", va="bottom")
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_yticks(rows, [readable(part) for part in around.neighbors], weight="bold")
    for text, color in zip(ax.get_yticklabels(), colors, strict=True):
        text.set_color(color)


def _draw_offsets(ax: Axes, offsets: Float64s, ends: tuple[str, str], reach: float) -> None:
    """Offsets (P, M) in mm; rows in which people disagree about the side are open."""
    for row, values in enumerate(offsets.T):
        inside = "0.25" if (values > 0).all() or (values < 0).all() else "none"
        ax.scatter(values, np.full(len(values), row), s=16, color="0.25", facecolors=inside, lw=0.8)
        ax.plot([values.mean()] * 2, [row - 0.33, row + 0.33], color=COLORS[0], lw=2)
    ax.axvline(0, color="0.4", lw=1)
    ax.set(xlim=(-reach, reach), xlabel="offset (mm)")
    ax.tick_params(axis="y", length=0)
    for x, word, side in zip((0, 1), ends, ("left", "right"), strict=True):
        ax.text(x, 1.01, word, transform=ax.transAxes, size=9, ha=side, va="bottom")
    ax.grid(axis="x", color="0.92")
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)
