"""A person's neighborhood graph drawn over that person's anatomy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from toposlearn.anatomy import LabelMap
from toposlearn.explore.structures import (
    AXIS_NAMES,
    PLANE_AXES,
    STRUCTURE_COLORS,
    Plane,
    slice_colors,
)
from toposlearn.relations.layout import Layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from toposlearn.relations.frame import Array

MOST_NAMED = 40  # nodes whose names can still be read
FADED = 0.55  # share of white in the anatomy behind the graph


def plot_graph_over_anatomy(head: LabelMap, subject: Layout, graph: nx.Graph, extent: float = 85.0) -> Figure:
    """The graph from the front, from above and from the side, over the slice through the middle of its structures.

    Structures stand at their centroids, all depths in one picture. The wider a line, the more it tells: the boundary
    that two structures share, or how near they are.
    """
    figure = Figure(figsize=(12.0, 4.8), layout="constrained")
    planes: tuple[Plane, ...] = ("coronal", "axial", "sagittal")
    centers = {name: np.array(node["center"]) for name, node in graph.nodes(data=True)}
    for ax, plane in zip(np.atleast_1d(figure.subplots(1, 3)), planes, strict=True):
        middle = np.median(np.stack(list(centers.values())), axis=0)[3 - sum(PLANE_AXES[plane])]
        image = slice_colors(head, plane, float(middle), extent, tuple(STRUCTURE_COLORS))
        ax.imshow(FADED + (1 - FADED) * image, extent=(-extent, extent, -extent, extent), interpolation="nearest")
        _draw(ax, graph, {name: center[list(PLANE_AXES[plane])] for name, center in centers.items()})
        ax.set(title=plane, xlim=(-extent, extent), ylim=(-extent, extent))
        ax.set_xlabel(AXIS_NAMES[PLANE_AXES[plane][0]])
        ax.set_ylabel(AXIS_NAMES[PLANE_AXES[plane][1]])
        ax.spines[:].set_visible(False)
    figure.suptitle(subject.name)
    nuclei = [name for name in STRUCTURE_COLORS if f"right-{name}" in centers]
    dots = [Line2D([], [], marker="o", ls="", ms=8, color=STRUCTURE_COLORS[name], label=name) for name in nuclei]
    figure.legend(handles=dots, loc="outside lower center", ncols=len(nuclei) or 1, frameon=False)
    return figure


def _draw(ax: Axes, graph: nx.Graph, places: dict[str, Array]) -> None:
    lines = [(places[a], places[b]) for a, b in graph.edges]
    ax.add_collection(LineCollection(lines, linewidths=_widths(graph), colors="0.25", alpha=0.6, zorder=2))
    many = len(places) > MOST_NAMED
    for name, place in places.items():
        base = name.removeprefix("left-").removeprefix("right-")
        color = STRUCTURE_COLORS.get(base, "#444444")
        ax.plot(*place, "o", color=color, mec="white", ms=4 if many else 8, zorder=3)
        if not many and not name.startswith("left-") and base not in STRUCTURE_COLORS:
            text = ax.annotate(base.removesuffix("-cortex"), tuple(place), (5, 4), textcoords="offset points", size=9)
            text.set_path_effects([withStroke(linewidth=2, foreground="white")])


def _widths(graph: nx.Graph) -> list[float]:
    """0.5 to 3 points, by thirds of what the edges tell."""
    told = [edge.get("boundary", -edge.get("distance", 0.0)) for _, _, edge in graph.edges(data=True)]
    if not told:
        return []
    bounds = np.quantile(told, [1 / 3, 2 / 3])
    return [0.5 + 1.25 * int(np.searchsorted(bounds, each, side="right")) for each in told]
