"""Charts of relations across people, and a person's neighborhood graph drawn over the anatomy."""

from collections.abc import Mapping
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from toposlearn.anatomy import LabelMap
from toposlearn.arrays import Float64s
from toposlearn.explore.curves import draw_intervals
from toposlearn.explore.slices import AXIS_NAMES, PLANE_AXES, STRUCTURE_COLORS, Plane
from toposlearn.explore.structures import MANY, slice_colors
from toposlearn.relations.agreement import relation_consistency

MAX_NAMED = 40  # nodes whose names can still be read
EXTENT = 85.0  # mm from the middle of a head to the edge of its picture
FADED = 0.55  # share of white in the anatomy behind the graph
_NULL, _VALUE, _CEILING = "0.6", "#0072B2", "#D55E00"
_MEASURES = {
    "relations": "consistency score of relations",
    "touching": "pairs that touch (Jaccard)",
    "neighbors": "sets of nearest structures (Jaccard)",
    "order": "all structures by distance (Kendall)",
    "medial": "order from the middle outward (Kendall)",
    "anterior": "order from back to front (Kendall)",
    "superior": "order from bottom to top (Kendall)",
}


def plot_margins(table: pd.DataFrame) -> Figure:
    """Margins of a `medial_table`: one panel per pair of structures, one row per person and side, sorted by margin.

    Right of zero the relation holds, left of it it does not; gray margins are too small to decide. Below the title of
    a panel stands in how many people the relation holds, with the exact 95 % interval.
    """
    many = table["person"].nunique() > MANY
    size = (9.2, (0.3 if many else 0.72) * table["person"].nunique() + 2.9)
    figure, axes = plt.subplots(2, 2, figsize=size, sharex=True, layout="constrained")
    limits = min(-3.0, float(table["margin"].min()) - 2), max(20.0, float(table["margin"].max()) + 2)
    pairs = table.groupby(["structure_a", "relation", "structure_b"], sort=False)
    for ax, ((a, relation, b), part) in zip(axes.flat, pairs, strict=True):
        _draw_margins(ax, part, STRUCTURE_COLORS[str(b)], 4 if many else 8)
        ax.axvspan(limits[0], 0, color="0.95", zorder=0)
        ax.set(xlim=limits)
        ax.set_title(f"{a} is {relation} to {b}\n", size=11)
        ax.text(0.5, 1.01, _in_how_many(part), transform=ax.transAxes, ha="center", va="bottom", size=8.5, color="0.3")
    for ax in axes[1]:
        ax.set_xlabel("margin (mm)")
    marks = {"left hemisphere": ("<", "0.2", "0.2"), "right hemisphere": (">", "0.2", "white")}
    marks["undecided"] = ("s", _NULL, _NULL)
    handles = [Line2D([], [], ls="", marker=m, color=c, mfc=f, ms=8, label=name) for name, (m, c, f) in marks.items()]
    handles.append(Line2D([], [], color="0.92", lw=10, label="margin below 0"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _draw_margins(ax: Axes, rows: pd.DataFrame, color: str, size: float) -> None:
    order = rows.groupby("person", sort=False)["margin"].mean().sort_values(ascending=False, kind="stable").index
    for side, marker, shift in (("left", "<", -0.14), ("right", ">", 0.14)):
        for undecided, shade in ((False, color), (True, _NULL)):
            part = rows[(rows["side_a"] == side) & ((rows["verdict"] == "undecided") == undecided)]
            heights = order.get_indexer(pd.Index(part["person"])) + shift
            ax.plot(part["margin"], heights, marker, color=shade, mfc=shade if side == "left" else "white", ms=size)
    ax.set_yticks(range(len(order)), order, size=6 if len(order) > MANY else None)
    ax.set_ylim(len(order) - 0.5, -0.5)
    ax.axvline(0, color="0.2", lw=1)
    ax.grid(axis="x", color="0.9")
    ax.set_axisbelow(True)


def _in_how_many(rows: pd.DataFrame) -> str:
    """``left and right in 20 of 20 (83 to 100 %)``."""
    sides: dict[str, list[str]] = {}
    for row in relation_consistency(rows.sort_values("side_a")).to_dict("records"):
        text = f"in {row['holds']} of {row['people']} ({100 * row['low']:.0f} to {100 * row['high']:.0f} %)"
        sides.setdefault(text, []).append(row["side_a"])
    return ", ".join(f"{' and '.join(of)} {text}" for text, of in sides.items())


def plot_shared_edges(shared: pd.DataFrame) -> Figure:
    """Heat map of the fraction of people whose graph has each edge (`toposlearn.relations.graphs.shared_edges`)."""
    size = 0.24 * len(shared) + 1.8
    figure, ax = plt.subplots(figsize=(size + 0.9, size), layout="constrained")
    image = ax.imshow(shared.to_numpy(), cmap="Blues", vmin=0, vmax=1)
    names = [name.replace("left-", "L ").replace("right-", "R ").removesuffix("-cortex") for name in shared.index]
    ax.set_xticks(range(len(names)), names, rotation=90, size=7)
    ax.set_yticks(range(len(names)), names, size=7)
    ax.set(xlabel="… has this neighbor", ylabel="this structure …")
    figure.colorbar(image, ax=ax, label="fraction of people", shrink=0.8)
    return figure


def plot_agreement(agreement: pd.DataFrame, ceilings: Mapping[str, pd.DataFrame] | None = None) -> Figure:
    """A `neighborhood_agreement` of people with its interval, beside the null (mean to 95th percentile).

    `ceilings`: name -> the agreement of two measurements of one brain, as an upper reference.
    """
    figure, ax = plt.subplots(figsize=(9.0, 0.5 * len(agreement) + 1.7), layout="constrained")
    known = agreement.fillna({"low": agreement["value"], "high": agreement["value"]})  # two people have no interval
    rows = {_MEASURES[row["measure"]]: row for _, row in known.iterrows()}
    people = {name: {key: row[key] for key in ("value", "low", "high")} for name, row in rows.items()}
    null = {name: {"value": row["null"], "high": row["null_high"]} for name, row in rows.items()}
    draw_intervals(ax, people, label="people (95 % interval)", color=_VALUE)
    draw_intervals(ax, null, label="permuted names", color=_NULL, fmt="x")
    for (name, ceiling), (marker, size) in zip((ceilings or {}).items(), (("|", 11), ("d", 6)), strict=False):
        ax.plot(ceiling["value"], range(len(ceiling)), marker, ls="", color=_CEILING, ms=size, mew=2, label=name)
    ax.set_xlim(-0.1, 1.03)
    ax.axvline(1, color="0.8", lw=0.8)
    ax.set_xlabel("agreement between two people (1 = the same)")
    figure.legend(loc="outside lower center", ncols=2 + len(ceilings or {}), frameon=False)
    return figure


def plot_agreement_against_k(sweep: pd.DataFrame) -> Figure:
    """Agreement of neighbor sets against the number of neighbors `k`, with the null, of a `neighborhood_sweep`."""
    figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    ax.fill_between(sweep["k"], sweep["low"], sweep["high"], color=_VALUE, alpha=0.2, lw=0)
    ax.plot(sweep["k"], sweep["value"], "o-", color=_VALUE, label="people (95 % interval)")
    ax.plot(sweep["k"], sweep["null"], "x--", color=_NULL, label="permuted names")
    ax.set(xlabel="k, neighbors per structure", ylabel="Jaccard index of neighbor sets", ylim=(0, 1.02))
    ax.grid(color="0.9")
    ax.legend(frameon=False)
    return figure


def plot_graph_over_anatomy(head: LabelMap, graph: nx.Graph) -> Figure:
    """The adjacency graph from the front, from above and from the side, over the slice through its middle.

    Structures stand at their centroids, all depths in one picture. Wider lines mean larger shared boundaries (thirds).
    """
    figure = Figure(figsize=(13.5, 5.2), layout="constrained")
    planes: tuple[Plane, ...] = ("coronal", "axial", "sagittal")
    centers = {name: np.array(node["center"]) for name, node in graph.nodes(data=True)}
    for ax, plane in zip(np.atleast_1d(figure.subplots(1, 3)), planes, strict=True):
        across, up = PLANE_AXES[plane]
        middle = np.median(np.stack(list(centers.values())), axis=0)[3 - across - up]
        image = slice_colors(head, plane, float(middle), EXTENT, tuple(STRUCTURE_COLORS))
        ax.imshow(FADED + (1 - FADED) * image, extent=(-EXTENT, EXTENT, -EXTENT, EXTENT), interpolation="nearest")
        _draw_graph(ax, graph, {name: center[[across, up]] for name, center in centers.items()})
        ax.set(title=plane, xlabel=AXIS_NAMES[across], ylabel=AXIS_NAMES[up])
        ax.set(xlim=(-EXTENT, EXTENT), ylim=(-EXTENT, EXTENT))
        ax.spines[:].set_visible(False)
    figure.suptitle(head.name)
    nuclei = [name for name in STRUCTURE_COLORS if f"right-{name}" in centers]
    dots = [Line2D([], [], marker="o", ls="", ms=8, color=STRUCTURE_COLORS[name], label=name) for name in nuclei]
    figure.legend(handles=dots, loc="outside lower center", ncols=len(nuclei) or 1, frameon=False)
    return figure


def _draw_graph(ax: Axes, graph: nx.Graph, places: dict[str, Float64s]) -> None:
    boundaries = [boundary for _, _, boundary in graph.edges(data="boundary")]
    thirds = np.searchsorted(np.quantile(boundaries or [0.0], [1 / 3, 2 / 3]), boundaries, side="right")
    lines = [(places[a], places[b]) for a, b in graph.edges]
    ax.add_collection(LineCollection(lines, linewidths=0.5 + 1.25 * thirds, colors="0.25", alpha=0.6, zorder=2))
    many = len(places) > MAX_NAMED
    named = {}
    for name, place in places.items():
        base = name.removeprefix("left-").removeprefix("right-")
        ax.plot(*place, "o", color=STRUCTURE_COLORS.get(base, "#444444"), mec="white", ms=4 if many else 8, zorder=3)
        if not many and not name.startswith("left-") and base not in STRUCTURE_COLORS:
            named[base.removesuffix("-cortex")] = place
    _write_names(ax, named)


def _write_names(ax: Axes, places: dict[str, Float64s]) -> None:
    """Names in a column beside the picture, in the order of their heights, each with a thin line to its structure."""
    heights = sorted(places, key=lambda name: float(places[name][1]))
    columns = np.linspace(-0.75 * EXTENT, 0.75 * EXTENT, max(len(heights), 2))
    line = {"arrowstyle": "-", "color": "0.45", "lw": 0.6, "shrinkA": 1, "shrinkB": 3}
    style: dict[str, Any] = {"size": 9, "va": "center", "arrowprops": line, "annotation_clip": False, "zorder": 4}
    for name, height in zip(heights, columns, strict=False):
        ax.annotate(name, tuple(places[name]), (1.02 * EXTENT, float(height)), **style)
