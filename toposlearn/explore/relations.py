"""Charts of relations across people: margins, shared edges, and agreement beside its null."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toposlearn.explore.structures import STRUCTURE_COLORS

_NULL = "0.6"
_VALUE = "#0072B2"
_MEASURES = {
    "neighbors": "sets of nearest structures (Jaccard)",
    "order": "all structures by distance (Kendall)",
    "medial": "order from the middle outward (Kendall)",
    "anterior": "order from back to front (Kendall)",
    "superior": "order from bottom to top (Kendall)",
}


def plot_margins(table: pd.DataFrame) -> Figure:
    """Margins of a relation table: one panel a pair of structures, one row a person, both sides.

    Right of zero the relation holds. Columns as in `toposlearn.topology.relations.COLUMNS`.
    """
    pairs = list(table.groupby(["structure_a", "relation", "structure_b"], sort=False))
    people = list(dict.fromkeys(table["person"]))
    figure, axes = plt.subplots(
        1, len(pairs), figsize=(4.2 * len(pairs), 0.42 * len(people) + 1.6), squeeze=False, sharey=True, sharex=True,
        layout="constrained",
    )  # fmt: skip
    for ax, ((a, relation, b), rows) in zip(axes[0], pairs, strict=True):
        _draw_margins(ax, rows, people, STRUCTURE_COLORS.get(str(b), _VALUE))
        ax.set_title(f"{a} is {relation} to {b}")
        ax.set_xlabel("margin (mm)")
    axes[0, 0].set_yticks(range(len(people)), people)
    axes[0, 0].set_ylabel("person")
    axes[0, 0].invert_yaxis()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def _draw_margins(ax: Axes, rows: pd.DataFrame, people: list[str], color: str) -> None:
    for side, marker, face, shift in (("left", "<", color, -0.12), ("right", ">", "white", 0.12)):
        part = rows[rows["side_a"] == side]
        heights = np.array([people.index(person) for person in part["person"]]) + shift
        ax.plot(part["margin"], heights, marker, color=color, mfc=face, ms=8, label=f"{side} hemisphere")
    ax.axvline(0, color="0.2", lw=1)
    ax.axvspan(-3, 0, color="0.92", zorder=0)
    ax.text(-1.5, (len(people) - 1) / 2, "does not hold", rotation=90, ha="center", va="center", color="0.4", size=8)
    ax.set_xlim(-3, max(20.0, float(rows["margin"].max()) + 2))
    ax.grid(axis="x", color="0.9")
    ax.set_axisbelow(True)


def plot_shared_edges(shared: pd.DataFrame) -> Figure:
    """Heat map of the fraction of people whose graph has each edge (`toposlearn.topology.graphs.shared_edges`)."""
    size = 0.24 * len(shared) + 1.8
    figure, ax = plt.subplots(figsize=(size + 0.9, size), layout="constrained")
    image = ax.imshow(shared.to_numpy(), cmap="Blues", vmin=0, vmax=1)
    names = [name.replace("left-", "L ").replace("right-", "R ").removesuffix("-cortex") for name in shared.index]
    ax.set_xticks(range(len(names)), names, rotation=90, size=7)
    ax.set_yticks(range(len(names)), names, size=7)
    ax.set_xticks(np.arange(-0.5, len(names)), minor=True)
    ax.set_yticks(np.arange(-0.5, len(names)), minor=True)
    ax.grid(which="minor", color="0.93", lw=0.5)
    ax.tick_params(which="minor", length=0)
    ax.set_xlabel("… has this neighbor")
    ax.set_ylabel("this structure …")
    figure.colorbar(image, ax=ax, label="fraction of people", shrink=0.8)
    return figure


def plot_agreement(agreement: pd.DataFrame) -> Figure:
    """Agreement between people with its interval, beside the null (mean to 95th percentile) of permuted names."""
    figure, ax = plt.subplots(figsize=(8.4, 0.5 * len(agreement) + 1.5), layout="constrained")
    rows = np.arange(len(agreement))
    value = agreement["value"].to_numpy()
    errors = np.abs(agreement[["low", "high"]].to_numpy().T - value)
    ax.errorbar(value, rows, xerr=errors, fmt="o", color=_VALUE, capsize=3, label="people (95 % interval)")
    null, top = agreement["null"].to_numpy(), agreement["null_high"].to_numpy()
    ax.errorbar(
        null, rows, xerr=[np.zeros_like(null), top - null], fmt="x", color=_NULL, capsize=3, label="permuted names"
    )
    ax.set_yticks(rows, [_MEASURES.get(str(measure), str(measure)) for measure in agreement["measure"]])
    ax.invert_yaxis()
    ax.set_xlim(-0.1, 1.03)
    ax.axvline(1, color="0.8", lw=0.8)
    ax.grid(axis="x", color="0.9")
    ax.set_xlabel("agreement between two people (1 = the same)")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def plot_agreement_against_k(sweep: pd.DataFrame) -> Figure:
    """Agreement of neighbor sets against the number of neighbors `k`, with the null. Columns of the agreement + `k`."""
    figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    ax.fill_between(sweep["k"], sweep["low"], sweep["high"], color=_VALUE, alpha=0.2, lw=0)
    ax.plot(sweep["k"], sweep["value"], "o-", color=_VALUE, label="people (95 % interval)")
    ax.plot(sweep["k"], sweep["null"], "x--", color=_NULL, label="permuted names")
    ax.set_xlabel("k, neighbors per structure")
    ax.set_ylabel("Jaccard index of neighbor sets")
    ax.set_ylim(0, 1.02)
    ax.grid(color="0.9")
    ax.legend(frameon=False)
    return figure
