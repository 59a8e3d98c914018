"""The claims of the paper (``claims.yaml``), each with a status that is computed from measured intervals.

Nothing is measured here: the numbers come from result files (schema ``toposlearn/result/1``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

Side = Literal["above", "below"]
Status = Literal["holds", "does not hold", "undecided", "not measured"]
Result = Mapping[str, Any]
Interval = tuple[float, float]

_FILE: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("claims.yaml").read_text(encoding="utf-8"))
QUANTITIES: dict[str, str] = _FILE["quantities"]  # part of a metric's name -> what is measured


@dataclass(frozen=True)
class Evidence:
    """One number that decides a claim, or that compares the method with a rival."""

    label: str
    metric: str  # its name in the result file
    side: Side  # the side of the reference on which the claim is right
    against: str | None = None  # a metric whose whole interval is the reference (default: the metric's own null)
    rival: str = ""  # a method that does not decide the claim but may do as well; empty for the numbers that decide


@dataclass(frozen=True)
class Claim:
    """A claim, what was measured for it, and where."""

    title: str
    sentence: str  # what was measured, and its limits
    file: str  # the result file: its name in the results folder, or its path in the repository
    command: str  # the command that writes this file
    evidence: tuple[Evidence, ...]  # the numbers that decide, then the comparisons with rivals
    ours: bool = False  # a requirement of this project that the paper does not claim


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
        evidence = [Evidence(**each) for each in entry["evidence"]]
        for rival, compared in entry.get("rivals", {}).items():
            evidence += [Evidence(**each, rival=rival) for each in compared]
        facts = {name: value for name, value in entry.items() if name not in ("evidence", "rivals")}
        claims.append(Claim(**facts, evidence=tuple(evidence)))
    return claims


def compare(evidence: Evidence, result: Result | None) -> Comparison:
    """Look up a number in the content of a result file and compare its interval with its reference."""
    metrics = result["metrics"] if result else {}
    metric = metrics.get(evidence.metric, {})
    if "value" not in metric:
        return Comparison(evidence, "not measured")
    reference = _reference(evidence, metrics)
    status = interval_status(metric.get("low"), metric.get("high"), reference, evidence.side)
    return Comparison(evidence, status, metric, reference, _baseline(evidence, metrics))


def interval_status(low: float | None, high: float | None, reference: Interval | None, side: Side) -> Status:
    """``holds`` when the whole interval lies beyond the whole reference on the claim's side.

    On the other side it is ``does not hold``, and ``undecided`` when the interval touches the reference. A missing
    part gives ``not measured``.
    """
    if low is None or high is None or reference is None:
        return "not measured"
    above, below = low > reference[1], high < reference[0]
    if not above and not below:
        return "undecided"
    return "holds" if above == (side == "above") else "does not hold"


def _reference(evidence: Evidence, metrics: Mapping[str, Mapping[str, Any]]) -> Interval | None:
    """The interval of the metric compared with, or the metric's own null as an interval of no width."""
    other = metrics.get(evidence.against or evidence.metric, {})
    low, high = (other.get(end if evidence.against else "null") for end in ("low", "high"))
    return None if low is None or high is None else (low, high)


def _baseline(evidence: Evidence, metrics: Mapping[str, Mapping[str, Any]]) -> float | None:
    """The metric compared with, the other variant of a difference, or the metric's own baseline."""
    group, _, rest = evidence.metric.partition("/")
    pair, _, measure = rest.partition("/")
    words = pair.split("-")  # full-intra, inter-oracle-inter, full-age-sex-site
    others = [f"{group}/{'-'.join(words[start:])}/{measure}" for start in range(1, len(words))]
    other = evidence.against or next((name for name in others if name in metrics), "")
    value = metrics.get(other, metrics[evidence.metric]).get("value" if other in metrics else "baseline")
    return None if value is None else float(value)
