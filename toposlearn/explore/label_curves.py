"""What a measure loses with fewer labeled people, and with images that are missing."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toposlearn.downstream.run_scores import NETWORKS, PRIOR
from toposlearn.downstream.settings import MISSING
from toposlearn.downstream.tables import COLUMNS
from toposlearn.explore.curves import draw_course, draw_intervals, row_of_axes, shared_legend

METHODS = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#E69F00", "v"), ("#56B4E9", "P"))
LOWER = ("hd95", "absolute_volume_error", "missed", "mae")  # measures that are better when lower
Metrics = Mapping[str, Mapping[str, Any]]  # name -> metric of `toposlearn.reproducibility.metric`


def plot_shots(results: Mapping[str, Any], measure: str = "dice", *, title: str = "") -> Figure:
    """A measure over the number of labeled people, a line per method, with 95 % intervals over the people judged.

    `results` is a ``results.json`` of `toposlearn finetune --shots`, or name -> one, such as ``full`` and ``from
    scratch``; their metrics ``shotsN/METHOD/MEASURE`` are drawn. Dashed: what is known without images. Dotted: chance.
    ValueError: results without such metrics.
    """
    runs = {"": results} if "metrics" in results else results
    lines = {(run, method): line for run in runs for method, line in _shots(runs[run], measure).items()}
    if not lines:
        raise ValueError(f"results have no metric shotsN/METHOD/{measure}: run 'toposlearn finetune' with --shots")
    figure, (ax,) = row_of_axes(1, 6.2, 4.2)
    methods = [key for key in lines if key[1] != PRIOR]
    for place, (run, method) in enumerate(methods):
        color, marker = METHODS[place % len(METHODS)]
        apart = 1.02 ** (2 * place - len(methods) + 1)  # so that intervals do not cover each other
        line = {count * apart: each for count, each in lines[run, method].items()}
        label = (run or method) if method == NETWORKS else f"{run} {method}".strip()
        draw_course(ax, line, color=color, fmt=f"{marker}-", ms=6, capsize=3, label=label)
    for name, style, control in _controls(lines):
        ax.plot(list(control), list(control.values()), color="0.35", ls=style, lw=1.4, label=name)
    counts = sorted({count for line in lines.values() for count in line})
    ax.set_xscale("log", base=2)
    ax.set_xticks(counts, [str(count) for count in counts])
    ax.minorticks_off()
    people = {each["n"] for key in methods for each in lines[key].values() if "n" in each}
    judged = f" over {' to '.join(map(str, sorted({min(people), max(people)})))} judged people" if people else ""
    ax.set(xlabel="number of labeled people", ylabel=_measure_name(measure))
    ax.set_title(title or f"Bars: 95 % interval{judged}", size=10)
    shared_legend(figure, [ax], 4)
    return figure


def _shots(result: Mapping[str, Any], measure: str) -> dict[str, dict[int, Mapping[str, Any]]]:
    """Method -> number of labeled people, rising -> metric."""
    lines: dict[str, dict[int, Mapping[str, Any]]] = {}
    for key, value in result["metrics"].items():
        if found := re.fullmatch(rf"shots(\d+)/([^/]+)/{re.escape(measure)}", key):
            lines.setdefault(found[2], {})[int(found[1])] = value
    return {method: dict(sorted(line.items())) for method, line in lines.items()}


def _controls(
    lines: Mapping[tuple[str, str], Mapping[int, Mapping[str, Any]]],
) -> Iterator[tuple[str, str, dict[int, float]]]:
    """Name, line style and values of what needs no network; the same people are judged in all results."""
    for (_, method), line in lines.items():
        if method == PRIOR:
            yield PRIOR, "--", {count: each["value"] for count, each in line.items()}
            break
    for fact, name, style in (("null", "chance", ":"), ("baseline", "without images", "--")):
        for line in lines.values():
            if all(fact in each for each in line.values()):
                yield name, style, {count: each[fact] for count, each in line.items()}
                break


def _measure_name(measure: str) -> str:
    """``dice/lesion`` -> ``Dice of lesion``."""
    name, _, part = measure.partition("/")
    words = COLUMNS.get(name, (name.replace("_", " "), 0))[0]
    return f"{words} of {part}" if part else words


def subset_rows(result: Mapping[str, Any], measure: str = "dice", group: str = "") -> Mapping[str, Metrics]:
    """Rows for `plot_subsets` of a ``results.json`` of `toposlearn finetune --each-subset`: method -> subset -> metric.

    The full set stands for all images that a person has. `group` is ``shots4`` and the like where there are several
    numbers of labeled people. ValueError: no subset was judged.
    """
    full = "+".join(result["config"]["volume"]["modalities"])
    rows: dict[str, dict[str, Mapping[str, Any]]] = {}
    for key, value in result["metrics"].items():
        found = re.fullmatch(rf"{re.escape(group)}/?([^/]+)(?:/([^/]+))?/{re.escape(measure)}", key)
        if found and set((found[2] or full).split("+")) <= set(full.split("+")) and found[1] != PRIOR:
            rows.setdefault(found[1], {})[found[2] or full] = value
    if not any(len(metrics) > 1 for metrics in rows.values()):
        raise ValueError(f"result has no {measure} of subsets of {full}: run 'toposlearn finetune' with --each-subset")
    return rows


def plot_subsets(
    rows: Mapping[str, Metrics], *, measure: str = "dice", missing: Literal["mean", "zero", "drop"], title: str = ""
) -> Figure:
    """Dots for the images present and, beside them, a measure with its interval: a row per subset, the largest first.

    `rows` are method -> subset, as in ``T1w+T2w`` -> metric; `missing` is what stood for missing images (`MISSING`).
    Percentages are shares of the value of the full set; the worst subset has a ring. ValueError: no subset holds all
    modalities, methods have different subsets.
    """
    first = next(iter(rows.values()), {})
    modalities = list(dict.fromkeys(part for subset in first for part in subset.split("+")))
    full = next((subset for subset in first if len(subset.split("+")) == len(modalities)), None)
    if full is None:
        raise ValueError("rows must hold the subset of all modalities, as in T1w+T2w: what is kept is a share of it")
    for method, metrics in rows.items():
        if odd := set(metrics) ^ set(first):
            raise ValueError(f"rows: {method} has other subsets than {next(iter(rows))}: {', '.join(sorted(odd))}")
    sign = 1 if measure.split("/")[0] in LOWER else -1  # the best first
    order = sorted(first, key=lambda subset: (-len(subset.split("+")), sign * first[subset]["value"]))
    widths = 0.5 * len(modalities), 4.2
    size = sum(widths) + 1.2 + 0.55 * len(rows), 0.3 * len(order) + 1.9
    figure, (dots, ax) = plt.subplots(1, 2, figsize=size, sharey=True, layout="constrained", width_ratios=widths)
    for place, (method, metrics) in enumerate(rows.items()):
        _draw_values(ax, {subset: metrics[subset] for subset in order}, method, (place, len(rows)), sign)
    ax.set_xlabel(_measure_name(measure))
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=8, frameon=False)
    _draw_presence(dots, order, modalities)
    for each in (dots, ax):
        each.tick_params(length=0)
        for row, subset in enumerate(order):
            if len(subset.split("+")) % 2 != len(modalities) % 2:
                each.axhspan(row - 0.5, row + 0.5, color="0.955", lw=0, zorder=0)
    caption = (
        f"For a missing image the network gets {MISSING[missing]}.",
        "Bars: 95\u00a0% interval. %: share of the value with all images. Ring: the worst subset.",
    )
    figure.supxlabel("\n".join(textwrap.fill(part, int(13 * size[0])) for part in caption), size=8)
    figure.suptitle(title, size=11)
    return figure


def _draw_values(ax: Axes, metrics: Metrics, method: str, place: tuple[int, int], sign: int) -> None:
    """Values of a method, their share of that of the first row, the full set, and a ring around the worst."""
    (color, marker), shift = METHODS[place[0] % len(METHODS)], 0.22 * (place[0] - (place[1] - 1) / 2)
    draw_intervals(ax, metrics, colors=dict.fromkeys(metrics, color), shift=shift, label=method, fmt=marker, ms=5)
    values = [each["value"] for each in metrics.values()]
    worst = int(np.argmax(np.multiply(values, sign)))
    ring: dict[str, Any] = {"ms": 12, "mfc": "none", "mec": "black", "mew": 1.2}
    ax.plot(values[worst], worst + shift, "o", **ring)
    for row, value in enumerate(values):
        share = f"{100 * value / values[0]:.0f} %" if values[0] > 0 else "–"
        weight = "bold" if row == worst else "normal"
        where: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "ha": "right", "va": "center"}
        ax.text(1.12 + 0.13 * place[0], row, share, color=color, size=8.5, weight=weight, **where)


def _draw_presence(ax: Axes, order: Sequence[str], modalities: Sequence[str]) -> None:
    """One row per subset: filled dots, joined, for the modalities that are present, open ones for the others."""
    for row, subset in enumerate(order):
        there = [place for place, name in enumerate(modalities) if name in subset.split("+")]
        absent = sorted({*range(len(modalities))} - {*there})
        ax.plot(there, [row] * len(there), "o-", color="0.15", ms=8, lw=1.5)
        ax.plot(absent, [row] * len(absent), "o", mfc="white", mec="0.7", ms=8)
    ax.set_xticks(range(len(modalities)), modalities, rotation=45, ha="left", size=9)
    ax.xaxis.tick_top()
    ax.set_xlim(-0.6, len(modalities) - 0.4)
    counts = [len(subset.split("+")) for subset in order]
    groups = {count: np.flatnonzero(np.equal(counts, count)).mean() for count in counts}
    ax.set_yticks(list(groups.values()), [f"{count} image{'s' * (count > 1)}" for count in groups])
    for side in ("top", "bottom", "left", "right"):
        ax.spines[side].set_visible(False)
