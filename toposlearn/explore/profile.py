"""The topology profile as a picture: one panel per measure; per network a dot, its interval and its null."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from toposlearn.explore.curves import color_of
from toposlearn.pretrain.profile import MEASURES, Better, Profile, profile_metrics

COLUMNS = 4
_NAMES = {"collapse": "mean cosine of tokens", "position_r2": "linear R² of position"}
_UNITS = {"collapse": "1 would be a collapse", "effective_rank": "directions, 1 would be a collapse"}
_ARROWS: dict[Better, str] = {"higher": "  ⟶", "lower": "  ⟵", "neither": ""}
# Two dots per network: height above or below its row, and whether it is filled.
_DOTS = {
    "same_person": (-0.16, True),
    "next_person": (0.16, False),
    "first_modality": (-0.16, True),
    "second_modality": (0.16, False),
}
_LEGEND = (
    Line2D([], [], ls="", marker="o", color="0.3", label="same person (or first modality)"),
    Line2D([], [], ls="", marker="o", color="0.3", mfc="white", label="next person (or second modality)"),
    Line2D([], [], color="0.3", label="95 % interval over people"),
    Line2D([], [], color="0.3", ls=":", label="null: what chance gives"),
    Line2D([], [], ls="", marker=r"$\longrightarrow$", ms=18, color="0.3", label="this way is better (if any)"),
)


def plot_profile(profiles: Mapping[str, Profile], *, title: str = "") -> Figure:
    """Networks side by side in every measure of topology; a value means something as far as it is away from its null.

    Args:
        profiles: name of a network -> its `topology_profile` on the same people.
        title: what to see.

    Raises:
        ValueError: no profile, or no measure that is defined.
    """
    metrics = {name: profile_metrics(profile) for name, profile in profiles.items()}
    panels = [measure for measure in MEASURES if any(_of(found, measure) for found in metrics.values())]
    if not panels:
        raise ValueError("profiles must hold at least one network with a measure that is defined, got none")
    rows = -(-(len(panels) + 1) // COLUMNS)  # one place more, for the legend
    height = rows * (0.95 + 0.27 * len(profiles))
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(10, height), sharey=True, layout="constrained")
    for ax, measure in zip(axes.flat, panels, strict=False):
        _draw_panel(ax, measure, metrics)
    for ax in axes.flat[len(panels) :]:
        ax.axis("off")
    axes.flat[-1].legend(handles=_LEGEND, loc="center", fontsize=7.5, frameon=False, borderaxespad=0)
    if title:
        figure.suptitle(title, size=11)
    return figure


def _of(metrics: Mapping[str, Any], measure: str) -> dict[str, Mapping[str, Any]]:
    """The metric objects of a measure: of whom -> metric."""
    return {name.split("/")[1]: value for name, value in metrics.items() if name.split("/")[0] == measure}


def _draw_panel(ax: Axes, measure: str, metrics: Mapping[str, Mapping[str, Any]]) -> None:
    unit = ""
    for row, (name, found) in enumerate(metrics.items()):
        for of, metric in _of(found, measure).items():
            shift, filled = _DOTS[of]
            unit = metric["unit"]
            _draw_dot(ax, metric, row + shift, color_of(name, row), filled)
    ax.set_title(_NAMES.get(measure, measure.replace("_", " ")) + _ARROWS[MEASURES[measure][0]], size=9.5)
    ax.set_xlabel(_UNITS.get(measure, unit), size=8.5, labelpad=1)
    ax.set_yticks(range(len(metrics)), list(metrics))
    ax.set_ylim(len(metrics) - 0.5, -0.5)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4))
    ax.tick_params(labelsize=8.5, length=2)
    ax.grid(axis="x", color="0.92")
    ax.set_axisbelow(True)


def _draw_dot(ax: Axes, metric: Mapping[str, Any], height: float, color: str, filled: bool) -> None:
    value = metric["value"]
    ends = [[value - metric.get("low", value)], [metric.get("high", value) - value]]
    inside = color if filled else "white"
    ax.errorbar(value, height, xerr=ends, fmt="o", ms=5, color=color, mfc=inside, capsize=0, elinewidth=1.4)
    if "null" in metric:
        ax.plot([metric["null"]] * 2, [height - 0.2, height + 0.2], color="0.3", ls=":", lw=1.4)
