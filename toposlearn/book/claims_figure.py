"""All comparisons in one figure: each effect with its interval beside its reference, one panel per quantity."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toposlearn.book.claims import QUANTITIES, ClaimStatus, Comparison

Titled = tuple[str, Comparison]  # title of the claim, and one of its comparisons

COLORS = {"holds": "#1b7f4b", "does not hold": "#b3261e", "undecided": "#8a6100"}
ROW, FRAME = 0.27, 0.95  # inches: height of a row, and of the rest of a panel


def draw_comparisons(claims: Sequence[ClaimStatus], path: Path) -> list[str]:
    """Write the figure as SVG, unless no comparison has an interval; return one line per comparison, as its text."""
    pairs = [(each.claim.title, one) for each in claims for one in each.comparisons]
    drawn = [pair for pair in pairs if {"low", "high"} <= set(pair[1].metric)]
    if drawn:
        comparisons_figure(drawn).savefig(path, format="svg", metadata={"Date": None})
    words = "{label}: {value:.3g}, interval {low:.3g} to {high:.3g}"
    return [words.format(label=one.evidence.label, **one.metric) for _, one in drawn]


def comparisons_figure(comparisons: Sequence[Titled]) -> Figure:
    """Forest plot of comparisons that have an interval, claim by claim in the given order."""
    rows = [pair for _, claim in groupby(comparisons, lambda pair: pair[0]) for pair in _by_quantity(list(claim))]
    panels = [(label, list(each)) for label, each in groupby(rows, lambda pair: axis_label(pair[1]))]
    heights = [ROW * (len(each) + len({title for title, _ in each})) + FRAME for _, each in panels]
    figure = Figure(figsize=(9.0, sum(heights)), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axis, (label, each) in zip(axes, panels, strict=True):
        _draw_panel(axis, each)
        axis.set_xlabel(label, loc="right")  # a long label grows to the left, below the names of the rows
    return figure


def axis_label(one: Comparison) -> str:
    """The quantity of a comparison; of a difference also the side of zero on which the claim is right."""
    parts = one.evidence.metric.split("/")
    quantity = next((text for part, text in QUANTITIES.items() if part in parts), "share, 0 to 1")
    if len(parts) > 2 and "-" in parts[1] and one.metric.get("null") == 0:
        side = "right" if one.evidence.side == "above" else "left"
        return f"difference of {quantity} (claim: {side} of the line)"
    shared = "share, 0 to 1" if quantity == "mean cosine" else quantity  # one scale, one panel
    return f"{shared} (gray: the reference)"


def _by_quantity(claim: list[Titled]) -> list[Titled]:
    """The comparisons of one claim, those of one quantity together, in the order in which quantities first appear."""
    order = list(dict.fromkeys(axis_label(one) for _, one in claim))
    return sorted(claim, key=lambda pair: order.index(axis_label(pair[1])))


def _draw_panel(axis: Axes, rows: Sequence[Titled]) -> None:
    """Rows from top to bottom, below the title of their claim in bold."""
    labels: list[tuple[str, str]] = []  # text and weight of each row
    for title, claim in groupby(rows, lambda pair: pair[0]):
        labels.append((title, "bold"))
        for _, one in claim:
            _draw_row(axis, -len(labels), one)
            labels.append((one.evidence.label, "normal"))
    axis.set_yticks([-row for row in range(len(labels))], [text for text, _ in labels], fontsize=8.5)
    for tick, (_, weight) in zip(axis.get_yticklabels(), labels, strict=True):
        tick.set_fontweight(weight)
    axis.set_ylim(0.4 - len(labels), 0.6)
    axis.tick_params(left=False)
    axis.spines[["left", "top", "right"]].set_visible(False)
    axis.grid(axis="x", color="0.9", linewidth=0.6)
    axis.set_axisbelow(True)


def _draw_row(axis: Axes, y: float, one: Comparison) -> None:
    if one.reference is not None:
        axis.plot(one.reference, [y, y], color="0.75", linewidth=7, solid_capstyle="butt")
        axis.vlines(one.reference, y - 0.35, y + 0.35, color="0.6", linewidth=1)
    color = COLORS.get(one.status, "0.4")
    inside = "white" if one.evidence.rival else color  # a rival decides nothing
    axis.plot([one.metric["low"], one.metric["high"]], [y, y], color=color, linewidth=2)
    axis.plot([one.metric["value"]], [y], marker="o", markersize=5, color=color, markerfacecolor=inside)
