"""Curves of training and of scores over steps, and results with their intervals beside null, position and floor."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Rows = Sequence[Mapping[str, Any]]
Result = Mapping[str, Any]

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
_TITLES = {
    "same_person_error": "same person, two modalities",
    "across_people_error": "two people, two modalities",
    "overlap": "neighbors kept between modalities",
    "matched": "mutual matches between people",
}
_LINES: dict[str, tuple[str, Any]] = {"null": ("chance", ":"), "baseline": ("grid position", "--")}
CONTROLS: dict[str, tuple[str, Any]] = {
    "random": ("chance", ":"),
    "permuted": ("chance", ":"),
    "position": ("grid position", "--"),
    "centered": ("centered and scaled position", (0, (5, 1, 1, 1, 1, 1))),
    "floor": ("best token there is", "-"),
}


def read_jsonl(path: str | Path, *, optional: bool = False) -> list[dict[str, Any]]:
    """The objects of a file with one JSON object a line; none where there is no file and it is `optional`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a line that is no JSON object, with its number.
    """
    rows: list[dict[str, Any]] = []
    if optional and not Path(path).exists():
        return rows
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}, line {number} is not JSON: {error}") from None
            rows.append(row)
    return rows


def plot_history(
    runs: Mapping[str, Rows], terms: Sequence[str] = TERMS, *, window: int = 15, title: str = ""
) -> Figure:
    """Loss terms over steps, a panel a term, a color a run; pale: each step, strong: running mean of `window` steps.

    A term that a run did not train is zero all along and is left out.
    """
    figure, axes = plt.subplots(1, len(terms), figsize=(3.9 * len(terms), 3.2), squeeze=False, layout="constrained")
    for ax, term in zip(axes[0], terms, strict=True):
        for place, (name, rows) in enumerate(runs.items()):
            values = np.array([row[term] for row in rows], dtype=float)
            if not values.any():
                continue
            steps, color = np.array([row["step"] for row in rows]), color_of(name, place)
            ax.plot(steps, values, color=color, alpha=0.2, lw=0.8)
            ax.plot(*_running_mean(steps, values, window), color=color, label=name)
        ax.set_title(f"{term} loss" if term in TERMS else term.replace("_", " "))
        ax.set_xlabel("step")
        ax.set_yscale("log")
        ax.grid(color="0.92")
    _shared_legend(figure, axes[0])
    if title:
        figure.suptitle(title)
    return figure


def color_of(name: str, place: int = 0) -> str:
    """The color of a variant; for another name that of its place."""
    return VARIANT_COLORS.get(name, f"C{place % 10}")


def _running_mean(steps: np.ndarray, values: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    width = max(1, min(window, len(values) // 3))
    middle = (width - 1) // 2
    smooth = np.convolve(values, np.full(width, 1 / width), mode="valid")
    return steps[middle : middle + len(smooth)], smooth


def _shared_legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend for all panels; each name once."""
    handles = {text: handle for ax in axes for handle, text in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=max(1, len(handles)), frameon=False
    )


def plot_scores(
    runs: Mapping[str, Rows],
    metrics: Sequence[str] = ("same_person_error", "across_people_error"),
    *,
    stride: int = 8,
    title: str = "",
) -> Figure:
    """Scores on held-out people over steps, with intervals over people; lines for chance and for grid position.

    Args:
        runs: name -> lines of ``scorecard.jsonl``.
        metrics: names without the ``stride8/`` in front.
        stride: token level.
        title: what to see.
    """
    figure, axes = plt.subplots(1, len(metrics), figsize=(4.6 * len(metrics), 3.5), squeeze=False, layout="constrained")
    for ax, metric in zip(axes[0], metrics, strict=True):
        key, last = f"stride{stride}/{metric}", {}
        for place, (name, rows) in enumerate(runs.items()):
            known = [row for row in rows if key in row["metrics"]]
            if known:
                _draw_scores(ax, [row["step"] for row in known], [row["metrics"][key] for row in known], name, place)
                last = known[-1]["metrics"][key]
        if not last:
            raise ValueError(f"no run has the metric {key}")
        for part, (label, style) in _LINES.items():
            if part in last:
                ax.axhline(last[part], color="0.35", ls=style, lw=1.1, label=label)
        ax.set_title(_TITLES.get(metric, metric.replace("_", " ")))
        ax.set_xlabel("step")
        ax.set_ylabel(f"mean error ({last['unit']})" if "unit" in last else "share")
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        ax.set_ylim(bottom=0)
        ax.grid(color="0.92")
    _shared_legend(figure, axes[0])
    if title:
        figure.suptitle(title)
    return figure


def _draw_scores(ax: Axes, steps: list[int], metrics: list[Mapping[str, Any]], name: str, place: int) -> None:
    values = np.array([metric["value"] for metric in metrics])
    ends = np.array([[metric.get("low", metric["value"]), metric.get("high", metric["value"])] for metric in metrics])
    color = color_of(name, place)
    ax.errorbar(steps, values, np.abs(ends.T - values), fmt="o-", ms=4, capsize=2, color=color, label=name)


def plot_pose_sweep(sweep: Mapping[float, Mapping[str, float]], title: str = "") -> Figure | None:
    """Error across people over how far heads are turned, a line a method; None when nothing was measured.

    Args:
        sweep: pose, in units of the preset's range -> method (a variant or a control) -> error in mm.
        title: what to see.
    """
    if not sweep:
        return None
    figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for name in next(iter(sweep.values())):
        values = [row[name] for row in sweep.values()]
        label, style = CONTROLS.get(name, (name, "-"))
        color = "0.35" if name in CONTROLS else color_of(name, 0)
        ax.plot(list(sweep), values, marker="o", ls=style, color=color, label=label)
    ax.set(xlabel="pose, in units of the preset's range", ylabel="error across people (mm)", ylim=(0, None))
    ax.grid(color="0.92")
    ax.legend()
    ax.set_title(title, size=10)
    return figure


def plot_comparison(
    result: Result,
    metric: str = "across_people_error",
    stride: int = 8,
    *,
    anatomy: str = "A",
    names: Mapping[str, str] | None = None,
    title: str = "",
) -> Figure:
    """Value and interval of each variant; lines for the controls of the same name: chance, position, best token.

    Args:
        result: a result with metrics named ``ANATOMY/VARIANT/strideN/METRIC`` (`toposlearn.downstream.compare`).
        metric: which one.
        stride: token level.
        anatomy: label map family of the people measured.
        names: variant -> what the table beside the figure calls it (`toposlearn.config.ROW_NAMES`); stars
            are left out, in the order of the rows. A variant without a name here keeps its own.
        title: what to see.

    Raises:
        ValueError: nothing of that name in the result.
    """
    ending = f"/stride{stride}/{metric}"
    found = {
        name.removeprefix(f"{anatomy}/").removesuffix(ending): value
        for name, value in result["metrics"].items()
        if name.startswith(f"{anatomy}/") and name.endswith(ending)
    }
    if not found:
        raise ValueError(f"the result has no metric {anatomy}/VARIANT{ending}")
    known = [
        name for name, value in found.items() if name not in CONTROLS and value.get("null") != 0
    ]  # a difference is held against 0
    words = names or {}
    variants = sorted(known, key=lambda name: [*words, *VARIANT_COLORS, name].index(name))
    figure, ax = plt.subplots(figsize=(7.2, 0.5 * len(variants) + 1.9), layout="constrained")
    for row, name in enumerate(variants):
        value = found[name]["value"]
        ends = [[value - found[name].get("low", value)], [found[name].get("high", value) - value]]
        ax.errorbar(value, row, xerr=ends, fmt="o", ms=7, capsize=4, color=color_of(name, row))
    for control, (label, style) in CONTROLS.items():
        if control in found:
            ax.axvline(found[control]["value"], color="0.35", ls=style, lw=1.1, label=label)
    ax.set_yticks(range(len(variants)), [words.get(name, name).replace("*", "") for name in variants])
    ax.set_ylim(len(variants) - 0.4, -0.6)
    ax.set_xlim(left=0)
    ax.set_xlabel(f"{metric.replace('_', ' ')} ({found[variants[-1]].get('unit', 'share')})")
    ax.grid(axis="x", color="0.92")
    ax.set_title(title or "Dot: mean over people and seeds. Bar: 95 % interval.", size=10)
    _shared_legend(figure, [ax])
    return figure
