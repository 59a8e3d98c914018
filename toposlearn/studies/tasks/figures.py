"""Figures of downstream tasks: segmentations beside the truth, Dice by structure, every subset of the modalities."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from toposlearn.anatomy.vocabulary import BY_LABEL
from toposlearn.arrays import Float64s
from toposlearn.explore.curves import color_of, draw_course, draw_intervals
from toposlearn.explore.slices import Panel, Spacing, Volume, cut, label_overlay, mask_overlay, plot_panels

LEGEND = 12  # structures named below a segmentation, the largest first
PLANE: Final = "coronal"


def plot_segmentations(
    volume: Volume,
    labels: Mapping[str, Volume],
    *,
    at: float = 0.0,
    spacing: Spacing = 3.0,
    columns: int = 3,
    title: str = "",
) -> Figure:
    """Coronal slice `at` mm from the center: the image (D, H, W), then each label volume or mask, and a legend."""
    panels = [Panel(volume, PLANE, at, spacing, title="image")]
    arrays = {name: np.asarray(one) for name, one in labels.items()}
    for name, array in arrays.items():
        overlay = mask_overlay(array, alpha=0.6) if array.dtype == bool else label_overlay(array, alpha=0.6)
        panels.append(Panel(volume, PLANE, at, spacing, overlay, name))
    figure = plot_panels(panels, columns, title)
    _add_legend(figure, [cut(array, PLANE, at, spacing) for array in arrays.values() if array.dtype != bool])
    return figure


def _add_legend(figure: Figure, slices: Sequence[Float64s]) -> None:
    """Colors of the structures with the largest area on slices of labels; one entry for both sides."""
    area: Counter[str] = Counter()
    colors = {}
    for array in slices:
        for label, count in zip(*np.unique(array[array > 0].astype(int), return_counts=True), strict=True):
            name = structure_name(int(label)).removeprefix("left-").removeprefix("right-")
            area[name] += int(count)
            colors[name] = label_overlay(np.array([label]), alpha=1)[0]
    named = [name for name, _ in area.most_common(LEGEND)]
    handles = [Patch(color=colors[name], alpha=0.75, label=name.replace("-", " ")) for name in named]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8, frameon=False)


def structure_name(label: int) -> str:
    """Name and side of a structure, as in ``left-thalamus``."""
    return BY_LABEL[label].full_name if label in BY_LABEL else str(label)


def plot_structure_dice(
    dice: Mapping[str, Float64s], classes: Sequence[int], *, ceiling: Float64s | None = None, title: str = ""
) -> Figure:
    """Mean Dice (S, C) of each structure, one dot per network; the bar is the ceiling (S, C) of this token size."""
    order = np.argsort(-np.nanmean(list(dice.values())[-1], axis=0))
    figure, ax = plt.subplots(figsize=(8.4, 0.2 * len(classes) + 1.2), layout="constrained")
    if ceiling is not None:
        ax.barh(range(len(order)), np.nanmean(ceiling, axis=0)[order], color="0.9", label="ceiling of tokens so large")
    for name, values in dice.items():
        ax.plot(np.nanmean(values, axis=0)[order], range(len(order)), "o", ms=5, color=color_of(name), label=name)
    ax.set_yticks(range(len(order)), [structure_name(int(classes[index])) for index in order], size=7)
    ax.set(xlabel="Dice, mean over people", xlim=(0, None), ylim=(len(order) - 0.4, -0.6))
    ax.set_title(title, size=10)
    ax.legend(loc="lower right", fontsize=8, frameon=False)
    return figure


def plot_subsets(values: Mapping[str, Mapping[str, Float64s]], *, ylabel: str = "Dice", title: str = "") -> Figure:
    """Numbers of network -> subset (``T1w+T2w``) -> subjects, one line per network; below, the modalities present."""
    names = list(next(iter(values.values())))
    modalities = list(dict.fromkeys(part for name in names for part in name.split("+")))
    places = np.arange(len(names))
    size, heights = (8.6, 5.2), (3, 1)
    figure, (upper, lower) = plt.subplots(2, figsize=size, height_ratios=heights, sharex=True, layout="constrained")
    for network, numbers in values.items():
        rows = np.array([numbers[name] for name in names])
        half = 1.96 * np.nanstd(rows, axis=1) / np.sqrt((~np.isnan(rows)).sum(axis=1))
        mean = np.nanmean(rows, axis=1)
        known = pd.DataFrame({"value": mean, "low": mean - half, "high": mean + half}).to_dict("index")
        draw_course(upper, known, color=color_of(network), lw=1, label=network)
    upper.set(ylabel=ylabel, ylim=(0, 1.12 * upper.get_ylim()[1]))  # room for the legend
    upper.set_title(title, size=10)
    upper.grid(axis="y", color="0.92")
    upper.legend(fontsize=8, frameon=False, ncols=len(values), loc="upper right")
    for row, modality in enumerate(modalities):
        present = np.array([modality in name.split("+") for name in names])
        lower.plot(places[present], np.full(present.sum(), row), "s", color="0.15", ms=9)
        lower.plot(places[~present], np.full((~present).sum(), row), "s", mfc="none", mec="0.75", ms=9)
    lower.set_yticks(range(len(modalities)), modalities)
    lower.set(ylim=(len(modalities) - 0.4, -0.6), xticks=[], xlabel="each column is one subset: black is present")
    return figure


def plot_transfer(tables: Mapping[str, Float64s], modalities: Sequence[str], *, title: str = "") -> Figure:
    """Fitted on one modality, read on another: a table (M, M) of Dice per network, rows fitted, columns read."""
    width = 3.1 * len(tables) + 0.6
    figure, axes = plt.subplots(1, len(tables), figsize=(width, 3.4), squeeze=False, layout="constrained")
    high = max(float(table.max()) for table in tables.values())
    for ax, (name, table) in zip(axes[0], tables.items(), strict=True):
        picture = ax.imshow(table, cmap="viridis", vmin=0, vmax=high)
        for row, column in np.ndindex(*table.shape):
            color = "white" if table[row, column] < 0.6 * high else "black"
            ax.text(column, row, f"{table[row, column]:.2f}", ha="center", va="center", color=color, size=9)
        ax.set_xticks(range(len(modalities)), modalities)
        ax.set_yticks(range(len(modalities)), modalities)
        ax.set(xlabel="read on", title=name)
    axes[0, 0].set_ylabel("fitted on")
    figure.colorbar(picture, ax=axes[0].tolist(), shrink=0.8, label="Dice")
    figure.suptitle(title, size=11)
    return figure


def plot_effects(rows: Mapping[str, Mapping[str, Any]], *, null: float, xlabel: str, title: str = "") -> Figure:
    """One metric object per row with its 95 % interval, and the null as a dashed line."""
    figure, ax = plt.subplots(figsize=(7.6, 0.38 * len(rows) + 1.2), layout="constrained")
    draw_intervals(ax, rows)
    ax.axvline(null, color="0.4", ls="--", lw=1)
    ax.tick_params(axis="y", labelsize=9)
    ax.set_xlabel(xlabel)
    ax.set_title(title, size=10)
    return figure
