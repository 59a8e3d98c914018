"""Charts of relations across people: margins, shared edges, and agreement beside its null."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from toposlearn.explore.structures import STRUCTURE_COLORS

_NULL = "0.6"
_VALUE = "#0072B2"
_CEILING = "#D55E00"
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
    """Margins of a relation table: one panel a pair of structures, one row a person, both sides.

    Right of zero the relation holds, left of it it does not; gray margins are too small to decide. Columns as in
    `toposlearn.relations.relations.COLUMNS`.
    """
    pairs = list(table.groupby(["structure_a", "relation", "structure_b"], sort=False))
    subjects = list(dict.fromkeys(table["person"]))
    columns = min(len(pairs), 2)
    rows = -(-len(pairs) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(4.6 * columns, (0.36 * len(subjects) + 1.1) * rows + 0.4), squeeze=False, sharey=True,
        sharex=True, layout="constrained",
    )  # fmt: skip
    limits = min(-3.0, float(table["margin"].min()) - 2), max(20.0, float(table["margin"].max()) + 2)
    for ax in axes.flat[len(pairs) :]:
        ax.set_visible(False)
    for ax, ((a, relation, b), part) in zip(axes.flat, pairs, strict=False):
        _draw_margins(ax, part, subjects, STRUCTURE_COLORS.get(str(b), _VALUE))
        ax.axvspan(limits[0], 0, color="0.95", zorder=0)
        ax.set(title=f"{a} is {relation} to {b}", xlim=limits)
    for ax in axes[-1]:
        ax.set_xlabel("margin (mm)")
    for ax in axes[:, 0]:
        ax.set_yticks(range(len(subjects)), subjects)
    axes[0, 0].invert_yaxis()
    figure.legend(handles=_margin_legend(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def _draw_margins(ax: Axes, rows: pd.DataFrame, subjects: list[str], color: str) -> None:
    for side, marker, shift in (("left", "<", -0.14), ("right", ">", 0.14)):
        for undecided, shade in ((False, color), (True, _NULL)):
            part = rows[(rows["side_a"] == side) & ((rows["verdict"] == "undecided") == undecided)]
            heights = np.array([subjects.index(subject) for subject in part["person"]]) + shift
            ax.plot(part["margin"], heights, marker, color=shade, mfc=shade if side == "left" else "white", ms=8)
    ax.axvline(0, color="0.2", lw=1)
    ax.grid(axis="x", color="0.9")
    ax.set_axisbelow(True)


def _margin_legend() -> list[Artist]:
    dots = {
        "left hemisphere": ("<", "0.2", "0.2"),
        "right hemisphere": (">", "0.2", "white"),
        "undecided": ("s", _NULL, _NULL),
    }
    return [
        *(Line2D([], [], ls="", marker=m, color=c, mfc=f, ms=8, label=name) for name, (m, c, f) in dots.items()),
        Patch(color="0.92", label="margin below 0"),
    ]


def plot_shared_edges(shared: pd.DataFrame) -> Figure:
    """Heat map of the fraction of people whose graph has each edge (`toposlearn.relations.graphs.shared_edges`)."""
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


def plot_agreement(agreement: pd.DataFrame, ceilings: Mapping[str, pd.DataFrame] | None = None) -> Figure:
    """Agreement between people with its interval, beside the null (mean to 95th percentile) of permuted names.

    Args:
        agreement: of `toposlearn.relations.agreement.neighborhood_agreement`.
        ceilings: what it is held against from above, by name: the agreement of two measurements of one brain.
    """
    figure, ax = plt.subplots(figsize=(9.0, 0.5 * len(agreement) + 1.7), layout="constrained")
    rows = np.arange(len(agreement))
    value = agreement["value"].to_numpy()
    errors = np.nan_to_num(np.abs(agreement[["low", "high"]].to_numpy().T - value))
    ax.errorbar(value, rows, xerr=errors, fmt="o", color=_VALUE, capsize=3, label="people (95 % interval)")
    null, top = agreement["null"].to_numpy(), agreement["null_high"].to_numpy()
    ax.errorbar(
        null, rows, xerr=[np.zeros_like(null), top - null], fmt="x", color=_NULL, capsize=3, label="permuted names"
    )
    for (name, ceiling), marker in zip((ceilings or {}).items(), "|d", strict=False):
        ax.plot(
            ceiling["value"], rows, marker, ls="", color="#D55E00", ms=11 if marker == "|" else 6, mew=2, label=name
        )
    ax.set_yticks(rows, [_MEASURES.get(str(measure), str(measure)) for measure in agreement["measure"]])
    ax.invert_yaxis()
    ax.set_xlim(-0.1, 1.03)
    ax.axvline(1, color="0.8", lw=0.8)
    ax.grid(axis="x", color="0.9")
    ax.set_xlabel("agreement between two people (1 = the same)")
    figure.legend(loc="outside lower center", ncols=2 + len(ceilings or {}), frameon=False)
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
