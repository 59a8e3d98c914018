"""What each term of the loss changes: the full loss against the variant that lacks only this term, paired."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from toposlearn.explore.curves import color_of
from toposlearn.studies.ablation.table import PROBES, result_cell

Metrics = Mapping[str, Mapping[str, Any]]
VARIANTS = ("untrained", "reconstruction", "intra", "inter", "no_reconstruction", "full")
CONTROLS = ("position", "centered", "floor")
NOTHING: Mapping[str, Any] = {"metrics": {}, "seeds": []}
WITHOUT = {"reconstruction": "no_reconstruction", "intra": "inter", "inter": "intra"}  # term -> the variant without it


class Change(NamedTuple):
    """Error between two people in mm, with a term minus without it; below 0 the term helps."""

    term: str
    anatomy: str
    stride: int
    value: float
    low: float
    high: float

    @property
    def undecided(self) -> bool:
        """The interval holds 0."""
        return self.low <= 0 <= self.high


def read_result(weights: str | Path) -> Mapping[str, Any]:
    """The content of ``results.json`` beside the weights; without metrics and seeds where there is no such file."""
    file = Path(weights) / "results.json"
    found: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else NOTHING
    return found


def variants_table(metrics: Metrics, anatomy: str, strides: Sequence[int], spacing: float) -> pd.DataFrame:
    """A row per variant and control that was measured; errors in mm and Dice of the probes, with intervals.

    Args:
        metrics: of ``results.json``.
        anatomy: ``A`` or ``B``.
        strides: token levels, in voxels.
        spacing: mm a voxel.
    """
    columns = {
        f"{kind.replace('_', ' ')}, {stride * spacing:g} mm": f"stride{stride}/{kind}_error"
        for stride in strides
        for kind in ("same_person", "across_people")
    }
    probes = {" -> ".join(name.split("_")[1:]): f"stride{min(strides)}/{name}" for name in PROBES}
    rows = {}
    for name in (*VARIANTS, *CONTROLS):
        if f"{anatomy}/{name}/{next(iter(columns.values()))}" in metrics:
            row = {title: result_cell(metrics.get(f"{anatomy}/{name}/{key}")) for title, key in columns.items()}
            row |= {
                f"probe {title}": result_cell(metrics.get(f"{anatomy}/{name}/{key}"), 2)
                for title, key in probes.items()
            }
            rows[name] = row
    return pd.DataFrame(rows).T


def term_changes(metrics: Metrics) -> list[Change]:
    """What every term changes, for each anatomy and token level; nothing for a term that no run lacks alone.

    Args:
        metrics: of ``results.json``: paired differences named ``A/full-intra/stride8/across_people_error``.
    """
    found = []
    for term, other in WITHOUT.items():
        for name in sorted(name for name in metrics if f"/full-{other}/" in name):
            anatomy, _, level, metric = name.split("/")
            if metric == "across_people_error":
                value = metrics[name]
                interval = (value[key] for key in ("value", "low", "high"))
                found.append(Change(term, anatomy, int(level.removeprefix("stride")), *interval))
    return found


def change_in_words(changes: Sequence[Change]) -> list[str]:
    """One sentence per term: in how many comparisons it lowers the error, raises it, or neither."""
    return [_sentence(term, [change for change in changes if change.term == term]) for term in WITHOUT]


def _sentence(term: str, changes: Sequence[Change]) -> str:
    if not changes:
        return f"{term}: not measured, because no run here lacks only this term."
    open_, count = sum(change.undecided for change in changes), len(changes)
    lower = sum(change.high < 0 for change in changes)
    values = [change.value for change in changes]
    return (
        f"{term}: lowers the error between two people in {lower} of {count} comparisons, raises it in "
        f"{count - lower - open_}, and in {open_} the interval holds 0 ({min(values):+.1f} to {max(values):+.1f} mm)."
    )


def plot_changes(changes: Sequence[Change], spacing: float, title: str = "") -> Figure:
    """Each change with its interval, a row per term, anatomy and token size.

    Args:
        changes: from `term_changes`.
        spacing: mm a voxel.
        title: what to see.
    """
    figure, ax = plt.subplots(figsize=(8.0, 0.34 * len(changes) + 1.4), layout="constrained")
    for row, change in enumerate(changes):
        ends = [[change.value - change.low], [change.high - change.value]]
        ax.errorbar(change.value, row, xerr=ends, fmt="o", ms=6, capsize=3, color=color_of(change.term))
    names = [f"{each.term}: anatomy {each.anatomy}, {each.stride * spacing:g} mm tokens" for each in changes]
    ax.set_yticks(range(len(changes)), names)
    ax.set_ylim(len(changes) - 0.4, -0.6)
    ax.axvline(0, color="0.35", lw=1.1)
    ax.set_xlabel("error with the term minus without it (mm)\nleft of 0 the term helps")
    ax.grid(axis="x", color="0.92")
    ax.set_title(title or "Dot: mean over people and seeds. Bar: 95 % interval.", size=10)
    return figure
