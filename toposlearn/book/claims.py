"""The paper's claims as data, and the verdict on each: computed from measured intervals, never written by hand.

It measures nothing: it reads result files (schema ``toposlearn/result/1``) that notebooks and commands wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Side = Literal["above", "below"]
Verdict = Literal["holds", "does not hold", "undecided", "not measured"]
Result = Mapping[str, Any]


@dataclass(frozen=True)
class Evidence:
    """One number that a claim stands or falls with, or one that compares with a rival.

    Attributes:
        label: what is compared, in a few words.
        metric: its name in the result file.
        side: the side of the reference on which the claim is right.
        against: a metric whose whole interval is the reference; the metric's own null unless given.
        rival: a method that does not decide the claim and yet may do as well or better; the verdict names it where it
            is not beaten. Empty for the numbers that decide.
    """

    label: str
    metric: str
    side: Side
    against: str | None = None
    rival: str = ""


@dataclass(frozen=True)
class Claim:
    """A claim, what was measured for it, and where.

    Attributes:
        title: the claim in a few words.
        sentence: what was measured, and its limits, in plain words.
        file: the result file: its name in the results folder, or its path in the repository.
        command: what measures it.
        evidence: the numbers, all of which must be on the claim's side, and comparisons with rivals.
        ours: not the paper's claim but a requirement of this project.
    """

    title: str
    sentence: str
    file: str
    command: str
    evidence: tuple[Evidence, ...]
    ours: bool = False


@dataclass(frozen=True)
class Finding:
    """An evidence with its numbers; the parts that a result file does not give are None."""

    evidence: Evidence
    verdict: Verdict
    value: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    subjects: int | None = None
    null: float | None = None
    reference: tuple[float, float] | None = None
    baseline: float | None = None


def judge(evidence: Evidence, result: Result | None) -> Finding:
    """Look up a number and compare its interval with its reference.

    Args:
        evidence: what to look for.
        result: content of the result file, None where there is none.
    """
    metrics = result["metrics"] if result else {}
    found = metrics.get(evidence.metric)
    if found is None or "value" not in found:
        return Finding(evidence, "not measured")
    low, high, reference = found.get("low"), found.get("high"), _reference(evidence, metrics)
    return Finding(
        evidence,
        compare(low, high, reference, evidence.side),
        found["value"],
        low,
        high,
        found.get("unit", ""),
        found.get("n"),
        found.get("null"),
        reference,
        _baseline(evidence, metrics),
    )


def compare(low: float | None, high: float | None, reference: tuple[float, float] | None, side: Side) -> Verdict:
    """Holds when the whole interval lies beyond the whole reference on the claim's side; the mirror image, does not.

    A part that is missing gives "not measured"; an interval that touches the reference is undecided.
    """
    if low is None or high is None or reference is None:
        return "not measured"
    above, below = low > reference[1], high < reference[0]
    if not above and not below:
        return "undecided"
    return "holds" if above == (side == "above") else "does not hold"


def _reference(evidence: Evidence, metrics: Mapping[str, Mapping[str, Any]]) -> tuple[float, float] | None:
    """The interval of the metric compared with, or the metric's own null as an interval of no width."""
    other = metrics.get(evidence.against or evidence.metric, {})
    low, high = (other.get(end if evidence.against else "null") for end in ("low", "high"))
    return None if low is None or high is None else (low, high)


def _baseline(evidence: Evidence, metrics: Mapping[str, Mapping[str, Any]]) -> float | None:
    """What is beaten: the metric compared with, the other variant of a difference, or the metric's own baseline."""
    group, _, rest = evidence.metric.partition("/")
    pair, _, measure = rest.partition("/")
    words = pair.split("-")  # full-intra, inter-oracle-inter, full-age-sex-site
    others = [f"{group}/{'-'.join(words[start:])}/{measure}" for start in range(1, len(words))]
    other = evidence.against or next((name for name in others if name in metrics), "")
    value = metrics.get(other, metrics[evidence.metric]).get("value" if other in metrics else "baseline")
    return None if value is None else float(value)


def overall(findings: Iterable[Finding]) -> Verdict:
    """The verdict on a claim: one number on the wrong side refutes it, and all must be right for it to hold.

    Comparisons with rivals decide nothing here: see `unbeaten`.
    """
    verdicts = {finding.verdict for finding in findings if not finding.evidence.rival}
    if "does not hold" in verdicts:
        return "does not hold"
    if verdicts == {"holds"}:
        return "holds"
    return "not measured" if verdicts <= {"not measured"} else "undecided"


def unbeaten(findings: Iterable[Finding]) -> list[str]:
    """Rivals than which the claim's numbers are not better: at least one comparison is lost, or undecided."""
    open_or_lost = ("does not hold", "undecided")
    return list(
        dict.fromkeys(one.evidence.rival for one in findings if one.evidence.rival and one.verdict in open_or_lost)
    )
