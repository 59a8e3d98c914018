"""All findings in one picture: each effect with its interval beside its reference, one panel for each quantity."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toposlearn.book.claims import Finding, Verdict

Titled = tuple[str, Finding]  # title of the claim, and one of its findings

COLORS: dict[Verdict, str] = {"holds": "#1b7f4b", "does not hold": "#b3261e", "undecided": "#8a6100"}
ROW, FRAME = 0.27, 0.95  # inches: of a row, and of what surrounds the rows of a panel
QUANTITIES = {  # part of a metric's name -> what is measured; anything else is a share
    "across_people_error": "error of the match, mm",
    "kept": "share of the Dice kept",
    "dice": "Dice",
    "auc": "area under the ROC curve",
    "effective_rank": "effective rank, directions",
    "collapse": "mean cosine",
    "matched": "share of tokens with a mutual match",
    "matched_fraction": "share of tokens with a mutual match",
}


def draw_findings(findings: Sequence[Titled], path: Path) -> list[str]:
    """Write `findings_figure` as SVG; nothing is written where no finding has an interval.

    Returns:
        A line for each finding drawn: the picture in words.
    """
    drawn = [(title, one) for title, one in findings if one.low is not None and one.high is not None]
    if not drawn:
        return []
    findings_figure(drawn).savefig(path, format="svg", metadata={"Date": None})
    return [f"{one.evidence.label}: {one.value:.3g}, interval {one.low:.3g} to {one.high:.3g}" for _, one in drawn]


def findings_figure(findings: Sequence[Titled]) -> Figure:
    """A forest plot of findings that have an interval, claim by claim.

    Args:
        findings: title of the claim, and a finding, in the order of the page.
    """
    rows = [pair for _, claim in groupby(findings, key=lambda pair: pair[0]) for pair in _by_quantity(list(claim))]
    panels = [(label, list(each)) for label, each in groupby(rows, key=lambda pair: axis_label(pair[1]))]
    heights = [ROW * (len(each) + len({title for title, _ in each})) + FRAME for _, each in panels]
    figure = Figure(figsize=(9.0, sum(heights)), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axis, (label, each) in zip(axes, panels, strict=True):
        _draw_panel(axis, each)
        axis.set_xlabel(label, loc="right")  # a long label grows to the left, below the names of the rows
    return figure


def axis_label(finding: Finding) -> str:
    """The quantity of a finding; of a difference also the side of zero on which the claim is right."""
    parts = finding.evidence.metric.split("/")
    quantity = next((text for part, text in QUANTITIES.items() if part in parts), "share, 0 to 1")
    if len(parts) > 2 and "-" in parts[1] and finding.null == 0:
        side = "right" if finding.evidence.side == "above" else "left"
        return f"difference of {quantity} (claim: {side} of the line)"
    shared = "share, 0 to 1" if quantity == "mean cosine" else quantity  # one scale, one panel
    return f"{shared} (gray: the reference)"


def _by_quantity(claim: list[Titled]) -> list[Titled]:
    """The findings of one claim, those of one quantity together, in the order in which quantities first appear."""
    order = list(dict.fromkeys(axis_label(one) for _, one in claim))
    return sorted(claim, key=lambda pair: order.index(axis_label(pair[1])))


def _draw_panel(axis: Axes, rows: Sequence[Titled]) -> None:
    """Rows from top to bottom, under the title of their claim."""
    labels: list[tuple[float, str]] = []
    place, claim = 0.0, ""
    for title, one in rows:
        if title != claim:
            labels.append((-place, title))
            place, claim = place + 1, title
        _draw_row(axis, -place, one)
        labels.append((-place, one.evidence.label))
        place += 1
    axis.set_yticks([y for y, _ in labels], [label for _, label in labels], fontsize=8.5)
    titles = {title for title, _ in rows}
    for tick in axis.get_yticklabels():
        tick.set_fontweight("bold" if tick.get_text() in titles else "normal")
    axis.set_ylim(-place + 0.4, 0.6)
    axis.tick_params(left=False)
    axis.spines[["left", "top", "right"]].set_visible(False)
    axis.grid(axis="x", color="0.9", linewidth=0.6)
    axis.set_axisbelow(True)


def _draw_row(axis: Axes, y: float, one: Finding) -> None:
    if one.reference is not None:
        low, high = one.reference
        axis.plot([low, high], [y, y], color="0.75", linewidth=7, solid_capstyle="butt")
        axis.vlines([low, high], y - 0.35, y + 0.35, color="0.6", linewidth=1)
    color = COLORS.get(one.verdict, "0.4")
    if one.value is not None and one.low is not None and one.high is not None:
        inside = "white" if one.evidence.rival else color  # a rival decides nothing
        axis.plot([one.low, one.high], [y, y], color=color, linewidth=2)
        axis.plot([one.value], [y], marker="o", markersize=5, color=color, markerfacecolor=inside)
