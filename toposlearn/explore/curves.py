"""Curves over training steps, poses and known motions, and what figures share: colors, axes, legend, intervals."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from toposlearn.arrays import Float64s

Rows = Sequence[Mapping[str, Any]]

VARIANT_COLORS: dict[str, str] = {
    "untrained": "#7F7F7F",
    "reconstruction": "#E69F00",
    "intra": "#56B4E9",
    "inter": "#CC79A7",
    "full": "#0072B2",
    "no_reconstruction": "#009E73",
    "shared_pose": "#D55E00",
}
TERMS = ("reconstruction", "intra", "inter")
CONTROLS: dict[str, tuple[str, Any]] = {  # label and line style
    "random": ("chance", ":"),
    "permuted": ("chance", ":"),
    "position": ("grid position", "--"),
    "centered": ("centered and scaled position", (0, (5, 1, 1, 1, 1, 1))),
    "floor": ("best token there is", "-"),
}
_TITLES = {
    "same_person_error": "same person, two modalities",
    "across_people_error": "two people, two modalities",
    "overlap": "neighbors kept between modalities",
    "matched": "mutual matches between people",
}
_RUN_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#7F7F7F", "#E69F00")
_STYLES = (":", "--", "-.", (0, (5, 1, 1, 1, 1, 1)))


def read_jsonl(path: str | Path, *, optional: bool = False) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file; an empty list if it is `optional` and absent. ValueError names a wrong line."""
    if optional and not Path(path).exists():
        return []
    rows = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}, line {number} is not JSON: {error}") from None
    return rows


def color_of(name: str, place: int = 0) -> str:
    """The color of a variant; for another name that of its place."""
    return VARIANT_COLORS.get(name, f"C{place % 10}")


def row_of_axes(count: int, width: float, height: float, **settings: Any) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels side by side, each `width` by `height` inches, with a pale grid."""
    figure, axes = plt.subplots(
        1, count, figsize=(width * count, height), squeeze=False, layout="constrained", **settings
    )
    for ax in axes[0]:
        ax.grid(color="0.92")
        ax.set_axisbelow(True)
    return figure, list(axes[0])


def shared_legend(figure: Figure, axes: Sequence[Axes], columns: int = 0) -> None:
    """Add one legend for all panels, below them, in so many columns (0: one row); each name once."""
    handles = {text: handle for ax in axes for handle, text in zip(*ax.get_legend_handles_labels(), strict=True)}
    place: dict[str, Any] = {"loc": "outside lower center", "ncols": columns or len(handles) or 1}
    figure.legend(handles.values(), handles.keys(), frameon=False, **place)


def draw_intervals(
    ax: Axes,
    metrics: Mapping[str, Mapping[str, Any]],
    *,
    colors: Mapping[str, str] | None = None,
    shift: float = 0.0,
    label: str | None = None,
    **style: Any,
) -> None:
    """Draw one dot with its interval per row, the first at the top, and name the rows.

    `metrics` are name of a row -> metric with ``value`` and, where they are known, ``low`` and ``high``. Rows without
    one of `colors` are blue. `shift` moves the dots down, in rows; `style` is passed to `Axes.errorbar`.
    """
    for row, name in enumerate(metrics):
        value, ends = _spans([metrics[name]])
        look: dict[str, Any] = {"fmt": "o", "ms": 6, "capsize": 3, "color": (colors or {}).get(name, "#1f4e79")} | style
        ax.errorbar(value, row + shift, xerr=ends, label=None if row else label, **look)
    ax.set_yticks(range(len(metrics)), list(metrics))
    ax.set_ylim(len(metrics) - 0.4, -0.6)
    ax.grid(axis="x", color="0.92")


def draw_course(ax: Axes, metrics: Mapping[Any, Mapping[Any, Any]], **style: Any) -> None:
    """Draw a line of dots with their intervals: place on the axis -> metric, as in `draw_intervals`."""
    values, ends = _spans(list(metrics.values()))
    look: dict[str, Any] = {"fmt": "o-", "ms": 5, "capsize": 2} | style
    ax.errorbar(list(metrics), values, ends, **look)


def _spans(metrics: Sequence[Mapping[Any, Any]]) -> tuple[Float64s, Float64s]:
    """Values (R,), and how far the ends of their intervals are away from them (2, R)."""
    values = np.array([each["value"] for each in metrics], dtype=float)
    ends = [[each.get(end, each["value"]) for each in metrics] for end in ("low", "high")]
    return values, np.abs(ends - values)


def plot_history(
    runs: Mapping[str, Rows], terms: Sequence[str] = TERMS, *, window: int = 15, title: str = ""
) -> Figure:
    """Loss terms over steps, one panel per term, without untrained runs; pale: each step, strong: mean of `window`."""
    figure, axes = row_of_axes(len(terms), 3.9, 3.2)
    for ax, term in zip(axes, terms, strict=True):
        for place, (name, rows) in enumerate(runs.items()):
            values = np.array([row[term] for row in rows], dtype=float)
            if values.any():
                steps, color = np.array([row["step"] for row in rows]), color_of(name, place)
                ax.plot(steps, values, color=color, alpha=0.2, lw=0.8)
                width = max(1, min(window, len(values) // 3))
                mean = np.convolve(values, np.full(width, 1 / width), mode="valid")
                ax.plot(steps[(width - 1) // 2 :][: len(mean)], mean, color=color, label=name)
        ax.set(title=f"{term} loss" if term in TERMS else term.replace("_", " "), xlabel="step", yscale="log")
    shared_legend(figure, axes)
    figure.suptitle(title)
    return figure


def plot_scores(
    runs: Mapping[str, Rows],
    metrics: Sequence[str] = ("same_person_error", "across_people_error"),
    *,
    stride: int = 8,
    title: str = "",
) -> Figure:
    """Scores on held-out people over steps, with intervals; `runs` are name -> lines of ``scorecard.jsonl``."""
    figure, axes = row_of_axes(len(metrics), 4.6, 3.5)
    for ax, metric in zip(axes, metrics, strict=True):
        key, last = f"stride{stride}/{metric}", {}
        for place, (name, rows) in enumerate(runs.items()):
            known = {row["step"]: row["metrics"][key] for row in rows if key in row["metrics"]}
            if known:
                draw_course(ax, known, ms=4, color=color_of(name, place), label=name)
                last = known[max(known)]
        if not last:
            raise ValueError(f"no run has the metric {key}")
        for part, control in (("null", "random"), ("baseline", "position")):
            if part in last:
                ax.axhline(last[part], color="0.35", ls=CONTROLS[control][1], lw=1.1, label=CONTROLS[control][0])
        label = f"mean error ({last['unit']})" if "unit" in last else "share"
        ax.set(title=_TITLES.get(metric, metric.replace("_", " ")), xlabel="step", ylabel=label, ylim=(0, None))
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    shared_legend(figure, axes)
    figure.suptitle(title)
    return figure


def plot_pose_sweep(sweep: Mapping[float, Mapping[str, float]], title: str = "") -> Figure | None:
    """Error across people by pose, in units of the preset's range: pose -> method -> mm; None if `sweep` is empty."""
    if not sweep:
        return None
    figure, (ax,) = row_of_axes(1, 6.4, 3.6)
    for name in next(iter(sweep.values())):
        _draw_errors(ax, name, {pose: {"value": row[name]} for pose, row in sweep.items()}, color_of(name))
    ax.set(xlabel="pose, in units of the preset's range", ylabel="error across people (mm)", ylim=(0, None))
    ax.legend()
    ax.set_title(title, size=10)
    return figure


def _draw_errors(ax: Axes, name: str, metrics: Mapping[float, Mapping[str, Any]], color: str) -> None:
    label, style = CONTROLS.get(name, (name, "-"))
    color = "0.35" if name in CONTROLS else color
    values = [each["value"] for each in metrics.values()]
    ax.plot(list(metrics), values, marker="o", ms=5, ls=style, color=color, label=label)
    if name not in CONTROLS and all("low" in each for each in metrics.values()):
        low, high = ([each[end] for each in metrics.values()] for end in ("low", "high"))
        ax.fill_between(list(metrics), low, high, color=color, alpha=0.12)


def plot_move_curve(curve: Mapping[float, Mapping[str, Mapping[str, Any]]], title: str = "") -> Figure:
    """Error of the best match over a known shift, with intervals: shift in mm -> network or control -> metric."""
    figure, (ax,) = row_of_axes(1, 7.4, 4)
    for place, name in enumerate(next(iter(curve.values()))):
        _draw_errors(ax, name, {shift: row[name] for shift, row in curve.items()}, color_of(name, place))
    ax.set(xlabel="known shift of the second volume (mm)", ylabel="error of the best match (mm)", ylim=(0, None))
    figure.legend(loc="outside right upper", frameon=False)
    ax.set_title(title, size=10)
    return figure


def plot_same_curves(
    losses: Mapping[str, Sequence[float]],
    truths: Mapping[str, Mapping[str, Sequence[float]]],
    steps: Sequence[int],
    lines: Mapping[str, Mapping[str, float]] | None = None,
    *,
    window: int = 8,
    title: str = "",
) -> Figure:
    """The loss of each run in the first panel, then one panel for each measure of the truth; a run keeps its color.

    `losses` are run -> loss of every step; pale: each step, strong: mean of the last `window` steps. `truths` are
    measure with its unit -> run -> value at each of `steps`, `lines` are measure -> name -> value of a control.
    """
    unknown = sorted({run for runs in truths.values() for run in runs} - set(losses))
    if unknown:
        raise ValueError(f"truths: no loss is given for {', '.join(unknown)}")
    colors = dict(zip(losses, _RUN_COLORS, strict=False))
    figure, axes = row_of_axes(1 + len(truths), 3.9, 3.6)
    for run, values in losses.items():
        series = pd.Series(values, index=range(1, len(values) + 1))
        axes[0].plot(series.index, series, color=colors[run], alpha=0.25, lw=0.8)
        mean = series.rolling(window, min_periods=1).mean()
        axes[0].plot(mean.index, mean, color=colors[run], label=run)
    axes[0].set_title("loss, on the people trained on")
    shared_legend(figure, axes[:1])
    for ax, (measure, runs) in zip(axes[1:], truths.items(), strict=True):
        for run, at_steps in runs.items():
            ax.plot(steps, at_steps, "o-", ms=4, color=colors[run], label=run)
        controls = (lines or {}).get(measure, {})
        for style, (name, value) in zip(_STYLES, controls.items(), strict=False):
            ax.axhline(value, color="0.4", ls=style, lw=1.1, label=name)
        if controls:
            ax.legend(handles=ax.lines[len(runs) :], fontsize=8, loc="best")
        ax.set_title(measure)
    for ax in axes:
        ax.set(xlabel="step", ylim=(0, None))
    figure.suptitle(title)
    return figure
