"""Results with their intervals beside null, controls and other runs: comparison, measures, topology profile."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.explore.curves import CONTROLS, VARIANT_COLORS, color_of, draw_intervals, row_of_axes, shared_legend
from toposlearn.intervals import mean_metric
from toposlearn.pretrain.profile import MEASURES, Better, Profile, profile_metrics

Metrics = Mapping[str, Mapping[str, Any]]  # name -> metric of `toposlearn.reproducibility.metric`

LABELS = {name: CONTROLS[name][0] for name in ("position", "centered", "floor", "random")}
_COLUMNS = 4
_NAMES = {"collapse": "mean cosine of tokens", "position_r2": "linear R² of position"}
_UNITS = {"collapse": "1 would be a collapse", "effective_rank": "directions, 1 would be a collapse"}
_ARROWS: dict[Better, str] = {"higher": "  ⟶", "lower": "  ⟵", "neither": ""}
_DOTS = {  # height above or below the row of a network, and color inside
    "same_person": (-0.16, None),
    "next_person": (0.16, "white"),
    "first_modality": (-0.16, None),
    "second_modality": (0.16, "white"),
}
_LEGEND = (
    Line2D([], [], ls="", marker="o", color="0.3", label="same person (or first modality)"),
    Line2D([], [], ls="", marker="o", color="0.3", mfc="white", label="next person (or second modality)"),
    Line2D([], [], color="0.3", label="95 % interval over people"),
    Line2D([], [], color="0.3", ls=":", label="null: what chance gives"),
    Line2D([], [], ls="", marker=r"$\longrightarrow$", ms=18, color="0.3", label="this way is better (if any)"),
)


def people_metric(values: Tensor | Float64s, **known: Any) -> dict[str, Any]:
    """A metric with its 95 % interval over people from values (S,) or, without the diagonal, (S, S)."""
    return mean_metric(np.asarray(values, dtype=float)[None], **known)


def plot_comparison(
    result: Mapping[str, Any],
    metric: str = "across_people_error",
    stride: int = 8,
    *,
    names: Mapping[str, str] | None = None,
    title: str = "Dot: mean over people and seeds. Bar: 95 % interval.",
) -> Figure:
    """Value and interval of each variant; lines for the controls of the same name: chance, position, best token.

    The metrics of `result` are named ``A/VARIANT/strideN/METRIC``. `names` are variant -> its name in the table beside
    the figure (`toposlearn.config.ROW_NAMES`), in the order of the rows; stars are left out.
    """
    ending = f"/stride{stride}/{metric}"
    metrics = {
        name.removeprefix("A/").removesuffix(ending): value
        for name, value in result["metrics"].items()
        if name.startswith("A/") and name.endswith(ending)
    }
    if not metrics:
        raise ValueError(f"the result has no metric A/VARIANT{ending}")
    words = names or {}
    variants = sorted(  # a metric whose null is 0 is a difference
        (name for name, value in metrics.items() if name not in CONTROLS and value.get("null") != 0),
        key=lambda name: [*words, *VARIANT_COLORS, name].index(name),
    )
    rows = {name: words.get(name, name).replace("*", "") for name in variants}
    colors = {rows[name]: color_of(name, row) for row, name in enumerate(variants)}
    figure, ax = plt.subplots(figsize=(7.2, 0.5 * len(variants) + 1.9), layout="constrained")
    draw_intervals(ax, {rows[name]: metrics[name] for name in variants}, colors=colors, ms=7, capsize=4)
    for control, (label, style) in CONTROLS.items():
        if control in metrics:
            ax.axvline(metrics[control]["value"], color="0.35", ls=style, lw=1.1, label=label)
    ax.set(xlim=(0, None), xlabel=f"{metric.replace('_', ' ')} ({metrics[variants[-1]].get('unit', 'share')})")
    ax.set_title(title, size=10)
    shared_legend(figure, [ax])
    return figure


def plot_measures(
    panels: Mapping[str, Metrics],
    label: str,
    *,
    null: str = "chance",
    controls: Collection[str] = tuple(LABELS),
    title: str = "",
) -> Figure:
    """One bar per name, with its interval and its null; one panel per measure, all on one scale.

    `panels` are title -> metrics, `label` is what is measured, with its unit; `controls` are drawn in gray.
    """
    names = list(next(iter(panels.values())))
    width, height = 2.6 + 2.2 / len(panels), 0.32 * len(names) + 1.7
    figure, axes = row_of_axes(len(panels), width, height, sharex=True, sharey=True)
    for ax, (heading, metrics) in zip(axes, panels.items(), strict=True):
        shown = {LABELS.get(name, name): metrics.get(name, {"value": np.nan}) for name in names}
        for row, name in enumerate(names):
            if name in metrics:
                color = "0.65" if name in controls else color_of(name, row)
                ax.barh(row, metrics[name]["value"], height=0.7, color=color)
        draw_intervals(ax, shown, fmt="none", ecolor="0.25", capsize=2)
        nulls = {row: each["null"] for row, each in enumerate(shown.values()) if "null" in each}
        ax.plot(list(nulls.values()), list(nulls), "k|", ms=11, label=null if nulls else None)
        ax.grid(visible=False, axis="y")
        ax.set_title(heading, size=10)
        ax.set_xlabel(label)
    marks = [line for ax in axes for line in ax.get_legend_handles_labels()[0]][:1]
    if marks:
        figure.legend(handles=marks, loc="outside lower right", frameon=False)
    figure.suptitle(title, size=11)
    return figure


def plot_profile(profiles: Mapping[str, Profile], *, title: str = "") -> Figure:
    """Networks, name -> `topology_profile`, in every measure; what counts is the distance of a value from its null."""
    panels: dict[str, dict[str, dict[str, Any]]] = {}  # measure -> network -> of whom -> metric
    for network, profile in profiles.items():
        for name, value in profile_metrics(profile).items():
            measure, of = name.split("/")[:2]
            panels.setdefault(measure, {each: {} for each in profiles})[network][of] = value
    if not panels:
        raise ValueError("profiles must hold at least one network with a measure that is defined, got none")
    rows = -(-(len(panels) + 1) // _COLUMNS)  # one place more, for the legend
    height = rows * (0.95 + 0.27 * len(profiles))
    figure, axes = plt.subplots(rows, _COLUMNS, figsize=(10, height), sharey=True, layout="constrained")
    for ax, measure in zip(axes.flat, (name for name in MEASURES if name in panels), strict=False):
        _draw_measure(ax, measure, panels[measure])
    for ax in axes.flat[len(panels) :]:
        ax.axis("off")
    axes.flat[-1].legend(handles=_LEGEND, loc="center", fontsize=7.5, frameon=False, borderaxespad=0)
    figure.suptitle(title, size=11)
    return figure


def _draw_measure(ax: Axes, measure: str, networks: Mapping[str, Metrics]) -> None:
    """Two dots per network: of the same person or first modality filled, of the next person or second one open."""
    colors = {name: color_of(name, row) for row, name in enumerate(networks)}
    unit = ""
    for of, (shift, inside) in _DOTS.items():
        shown = {name: each.get(of, {"value": np.nan}) for name, each in networks.items()}
        if not any(of in each for each in networks.values()):
            continue
        for row, each in enumerate(shown.values()):
            unit = each.get("unit", unit)
            if "null" in each:
                ax.plot([each["null"]] * 2, [row + shift - 0.2, row + shift + 0.2], color="0.3", ls=":", lw=1.4)
        draw_intervals(ax, shown, colors=colors, shift=shift, ms=5, capsize=0, elinewidth=1.4, markerfacecolor=inside)
    ax.set_title(_NAMES.get(measure, measure.replace("_", " ")) + _ARROWS[MEASURES[measure][0]], size=9.5)
    ax.set_xlabel(_UNITS.get(measure, unit), size=8.5, labelpad=1)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4))
    ax.tick_params(labelsize=8.5, length=2)
    ax.set_axisbelow(True)
