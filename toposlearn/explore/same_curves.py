"""Losses of several runs beside what is true of them: same curves, different learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#7F7F7F", "#E69F00")
_LINES = (":", "--", "-.", (0, (5, 1, 1, 1, 1, 1)))


def plot_same_curves(
    losses: Mapping[str, Sequence[float]],
    truths: Mapping[str, Mapping[str, Sequence[float]]],
    steps: Sequence[int],
    lines: Mapping[str, Mapping[str, float]] | None = None,
    *,
    window: int = 8,
    title: str = "",
) -> Figure:
    """The loss of each run in the first panel, then a panel for each measure of the truth.

    Args:
        losses: run -> loss of every step; pale: each step, strong: mean of the last `window` steps.
        truths: measure with its unit -> run -> value at each of `steps`. A run keeps its color.
        steps: after how many steps the measures were taken.
        lines: measure -> name -> value of a control, drawn across its panel.
        window: steps.
        title: what to see.

    Raises:
        ValueError: a measure of a run whose loss is not given.
    """
    unknown = sorted({run for runs in truths.values() for run in runs} - set(losses))
    if unknown:
        raise ValueError(f"truths: no loss is given for {', '.join(unknown)}")
    color = dict(zip(losses, COLORS, strict=False))
    count = 1 + len(truths)
    figure, axes = plt.subplots(1, count, figsize=(3.9 * count, 3.6), squeeze=False, layout="constrained")
    panels = list(axes[0])
    for run, values in losses.items():
        panels[0].plot(range(1, len(values) + 1), values, color=color[run], alpha=0.25, lw=0.8)
        mean = pd.Series(values, index=range(1, len(values) + 1)).rolling(window, min_periods=1).mean()
        panels[0].plot(mean.index, mean, color=color[run], label=run)
    panels[0].set_title("loss, on the people trained on")
    for ax, (measure, runs) in zip(panels[1:], truths.items(), strict=True):
        for run, values in runs.items():
            ax.plot(steps, values, "o-", ms=4, color=color[run], label=run)
        _draw_controls(ax, (lines or {}).get(measure, {}))
        ax.set_title(measure)
    for ax in panels:
        ax.set_xlabel("step")
        ax.set_ylim(bottom=0)
        ax.grid(color="0.92")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(losses), frameon=False)
    figure.suptitle(title)
    return figure


def _draw_controls(ax: Any, controls: Mapping[str, float]) -> None:
    for style, (name, value) in zip(_LINES, controls.items(), strict=False):
        ax.axhline(value, color="0.4", ls=style, lw=1.1, label=name)
    if controls:
        handles = [line for line in ax.lines if line.get_label() in controls]
        ax.legend(handles=handles, fontsize=8, loc="best")
