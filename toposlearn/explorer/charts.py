"""What `toposlearn.explorer.measures` found, as charts with intervals over people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from toposlearn.explore.curves import color_of
from toposlearn.explorer.measures import CHANCE, FLOOR, GRID


def plot_shares(measures: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Figure | None:
    """Shares of matches with intervals over people, a panel a measure, a row a method; None when there is nothing.

    Args:
        measures: what is counted, in words -> `share_metrics`.
    """
    shown = {name: metrics for name, metrics in measures.items() if metrics}
    if not shown:
        return None
    rows = max(map(len, shown.values()))
    size = (4.1 * len(shown) + 1, 0.42 * rows + 1.2)
    figure, axes = plt.subplots(1, len(shown), figsize=size, layout="constrained", squeeze=False)
    for ax, (what, metrics) in zip(axes[0], shown.items(), strict=True):
        for row, (name, found) in enumerate(metrics.items()):
            _draw_interval(ax, found, row, 100, name)
        if (null := next(iter(metrics.values())).get("null")) is not None:
            ax.axvline(100 * null, color="0.4", ls=":")
        _name_rows(ax, list(metrics), f"{what} (% of matches)")
    for ax in axes[0, 1:]:
        ax.set_yticklabels([])
    return figure


def plot_structures(
    metrics: Mapping[str, Mapping[str, Mapping[str, Any]]], methods: Sequence[str], title: str = ""
) -> Figure | None:
    """Mean error by structure, the best found first, with intervals over people; None when there is nothing.

    Args:
        metrics: from `structure_metrics`.
        methods: which to draw; the structures are ordered by the last.
        title: what to see.
    """
    if not metrics:
        return None
    names = sorted(metrics, key=lambda name: float(metrics[name][methods[-1]]["value"]))
    figure, ax = plt.subplots(figsize=(7.6, 0.3 * len(names) + 1.4), layout="constrained")
    for place, method in enumerate(methods):
        for row, name in enumerate(names):
            shift = 0.22 * (place - (len(methods) - 1) / 2)
            _draw_interval(ax, metrics[name][method], row + shift, 1, method, "" if row else method)
    _name_rows(ax, names, "mean error of the match in another person (mm)")
    figure.legend(frameon=False, fontsize=8, loc="outside upper center", ncols=len(methods), title=title)
    return figure


def _draw_interval(ax: Any, found: Mapping[str, Any], row: float, factor: float, name: str, label: str = "") -> None:
    """A point and its interval."""
    value = found["value"]
    ends = [[factor * (value - found["low"])], [factor * (found["high"] - value)]]
    color = {GRID: "0.45", FLOOR: "0.7", CHANCE: "0.2"}.get(name) or color_of(name)
    ax.errorbar(factor * value, row, xerr=ends, fmt="o", ms=5, capsize=2, color=color, label=label or None)


def _name_rows(ax: Any, names: Sequence[str], what: str) -> None:
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.set_xlabel(what)
    ax.grid(axis="x", color="0.92")
