"""The claims of the paper (``claims.yaml``): each with a status computed from measured intervals, all in one figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Side = Literal["above", "below"]
Status = Literal["holds", "does not hold", "undecided", "not measured"]
Result = Mapping[str, Any]  # content of a result file (schema toposlearn/result/1)
Interval = tuple[float, float]

_FILE: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("claims.yaml").read_text(encoding="utf-8"))
QUANTITIES: dict[str, str] = _FILE["quantities"]  # part of a metric's name -> what is measured
COLORS = {"holds": "#1b7f4b", "does not hold": "#b3261e", "undecided": "#8a6100"}
ROW, FRAME = 0.27, 0.95  # inches: height of a row, and of the rest of a panel


@dataclass(frozen=True)
class Evidence:
    """One number that decides a claim, or that compares the method with a rival."""

    label: str
    metric: str  # its name in the result file
    side: Side  # the side of the reference on which the claim is right
    against: str | None = None  # a metric whose whole interval is the reference (default: the metric's own null)
    rival: str = ""  # a method that does not decide the claim but may do as well; empty for the numbers that decide
    file: str = ""  # the result file: its name in the results folder, or its path in the repository
    command: str = ""  # the command that writes this file


@dataclass(frozen=True)
class Claim:
    """A claim, and what was measured for it."""

    title: str
    sentence: str  # what was measured, and its limits
    evidence: tuple[Evidence, ...]  # the numbers that decide, then the comparisons with rivals
    ours: bool = False  # a requirement of this project that the paper does not claim

    @property
    def files(self) -> dict[str, str]:
        """Result file -> the command that writes it."""
        return {one.file: one.command for one in self.evidence}


@dataclass(frozen=True)
class Comparison:
    """An evidence with its metric object of the result file; what the file does not give is missing or None."""

    evidence: Evidence
    status: Status
    metric: Mapping[str, Any] = field(default_factory=dict)
    reference: Interval | None = None
    baseline: float | None = None


@dataclass(frozen=True)
class ClaimStatus:
    """A claim with its comparisons, and what they decide."""

    claim: Claim
    comparisons: tuple[Comparison, ...]

    @property
    def deciding(self) -> list[Status]:
        """Status of each number that decides the claim."""
        return [each.status for each in self.comparisons if not each.evidence.rival]

    @property
    def status(self) -> Status:
        """One number on the wrong side refutes the claim; all must be on its side for it to hold."""
        statuses = set(self.deciding)
        if "does not hold" in statuses:
            return "does not hold"
        if statuses == {"holds"}:
            return "holds"
        return "not measured" if statuses <= {"not measured"} else "undecided"

    @property
    def unbeaten_rivals(self) -> list[str]:
        """Rivals for which at least one comparison is lost or undecided."""
        open_or_lost = [each for each in self.comparisons if each.status in ("does not hold", "undecided")]
        return list(dict.fromkeys(each.evidence.rival for each in open_or_lost if each.evidence.rival))


def load_claims() -> list[Claim]:
    """The claims of ``claims.yaml``, in the order of the page."""
    claims = []
    for entry in _FILE["claims"]:
        facts = dict(entry)
        place = {"file": facts.pop("file"), "command": facts.pop("command")}  # of evidence that names no other
        compared = {"": facts.pop("evidence"), **facts.pop("rivals", {})}
        evidence = (Evidence(**place | each, rival=rival) for rival, numbers in compared.items() for each in numbers)
        claims.append(Claim(**facts, evidence=tuple(evidence)))
    return claims


def compare(evidence: Evidence, result: Result | None) -> Comparison:
    """Look up a number in the content of a result file and compare its interval with its reference."""
    metrics = result["metrics"] if result else {}
    metric = metrics.get(evidence.metric, {})
    if "value" not in metric:
        return Comparison(evidence, "not measured")
    other = metrics.get(evidence.against or evidence.metric, {})
    low, high = (other.get(end if evidence.against else "null") for end in ("low", "high"))
    reference = None if low is None or high is None else (low, high)  # a null is an interval of no width
    status = interval_status(metric.get("low"), metric.get("high"), reference, evidence.side)
    return Comparison(evidence, status, metric, reference, _baseline(evidence, metrics))


def interval_status(low: float | None, high: float | None, reference: Interval | None, side: Side) -> Status:
    """``holds`` if the whole interval lies beyond the reference on the claim's side, ``undecided`` if they touch."""
    if low is None or high is None or reference is None:
        return "not measured"
    above, below = low > reference[1], high < reference[0]
    if not above and not below:
        return "undecided"
    return "holds" if above == (side == "above") else "does not hold"


def _baseline(evidence: Evidence, metrics: Mapping[str, Mapping[str, Any]]) -> float | None:
    """The metric compared with, the other variant of a difference, or the metric's own baseline."""
    group, _, rest = evidence.metric.partition("/")
    pair, _, measure = rest.partition("/")
    words = pair.split("-")  # full-intra, inter-oracle-inter, full-age-sex-site
    others = [f"{group}/{'-'.join(words[start:])}/{measure}" for start in range(1, len(words))]
    other = evidence.against or next((name for name in others if name in metrics), "")
    value = metrics.get(other, metrics[evidence.metric]).get("value" if other in metrics else "baseline")
    return None if value is None else float(value)


def draw_comparisons(claims: Sequence[ClaimStatus], path: Path) -> list[str]:
    """Write the figure as SVG, unless no comparison has an interval; return one line per comparison, as its text."""
    pairs = [(each.claim.title, one) for each in claims for one in each.comparisons]
    drawn = [pair for pair in pairs if {"low", "high"} <= set(pair[1].metric)]
    if drawn:
        comparisons_figure(drawn).savefig(path, format="svg", metadata={"Date": None})
    words = "{label}: {value:.3g}, interval {low:.3g} to {high:.3g}"
    return [words.format(label=one.evidence.label, **one.metric) for _, one in drawn]


def comparisons_figure(comparisons: Sequence[tuple[str, Comparison]]) -> Figure:
    """Forest plot of comparisons that have an interval, each with the title of its claim; one panel per quantity."""
    order = list(dict.fromkeys((title, axis_label(one)) for title, one in comparisons))
    rows = sorted(comparisons, key=lambda pair: order.index((pair[0], axis_label(pair[1]))))
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


def _draw_panel(axis: Axes, rows: Sequence[tuple[str, Comparison]]) -> None:
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
