"""All findings in one picture: each effect with its interval beside its reference, one panel for each unit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toposlearn.claims import Finding, Verdict

COLORS: dict[Verdict, str] = {"holds": "#1b7f4b", "does not hold": "#b3261e", "undecided": "#8a6100"}
ROW, FRAME = 0.27, 0.95  # inches: of a row, and of what surrounds the rows of a panel


def draw_findings(findings: Sequence[tuple[str, Finding]], path: Path) -> list[str]:
    """A forest plot of the findings that have an interval, as SVG.

    Args:
        findings: title of the claim, and a finding, in the order of the page.
        path: file to write; nothing is written where no finding has an interval.

    Returns:
        A line for each finding drawn: the picture in words.
    """
    drawn = [(title, one) for title, one in findings if one.low is not None and one.high is not None]
    if not drawn:
        return []
    panels = [(unit, list(rows)) for unit, rows in groupby(drawn, key=lambda pair: _axis_label(pair[1]))]
    heights = [ROW * (len(rows) + len({title for title, _ in rows})) + FRAME for _, rows in panels]
    figure = Figure(figsize=(9.0, sum(heights)), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axis, (unit, rows) in zip(axes, panels, strict=True):
        _draw_panel(axis, rows)
        axis.set_xlabel(unit)
    figure.savefig(path, format="svg", metadata={"Date": None})
    return [f"{one.evidence.label}: {one.value:.3g}, interval {one.low:.3g} to {one.high:.3g}" for _, one in drawn]


def _axis_label(finding: Finding) -> str:
    measure = finding.evidence.metric.split("/")
    if finding.unit == "mm":
        return "difference of the match error, mm (left of the line: full is better)"
    known = {"dice": "difference of Dice", "auc": "difference of the area under the ROC curve"}
    share = "share, 0 to 1 (gray: the reference)"
    if finding.evidence.against is not None:
        return share
    return next((f"{text} (right of the line: full is better)" for key, text in known.items() if key in measure), share)


def _draw_panel(axis: Axes, rows: Sequence[tuple[str, Finding]]) -> None:
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
        axis.plot([one.low, one.high], [y, y], color=color, linewidth=2)
        axis.plot([one.value], [y], marker="o", markersize=5, color=color)
