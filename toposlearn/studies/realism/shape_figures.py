"""Figures on shape: volumes beside published ranges and real people, local size, mass effect, spread."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullFormatter, ScalarFormatter

from toposlearn.anatomy import FAMILIES, TISSUES, load_label_map
from toposlearn.studies.realism.image_figures import REFERENCE
from toposlearn.studies.realism.person import RINGS, SIZES, Floats
from toposlearn.studies.realism.published import TYPICAL_BRAIN_ML, VOLUMES
from toposlearn.studies.realism.realism_shapes import group_volumes
from toposlearn.studies.realism.shape_rows import DONOR_STRUCTURES, MASSES, shares

OURS, REAL, SOURCE = "#0072B2", "#D55E00", "#000000"
WIDE, NARROW = (0.25, 0.5, 1, 2, 4), (0.5, 0.7, 1, 1.4, 2)  # ticks


def _log_axis(ax: Axes, ticks: tuple[float, ...]) -> None:
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(axis="x", which="minor", length=0)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x", color="0.93", linewidth=0.6)
    ax.set_axisbelow(True)


def plot_volumes(people: pd.DataFrame, donors: pd.DataFrame) -> Figure:
    """Volumes over the middle of the published range: as they are, and with brains scaled to one size."""
    family = str(people["anatomy"].iloc[0])
    label_map = load_label_map(family if family in FAMILIES else "A")
    source = pd.DataFrame([{f"volume/{name}": ml for name, ml in group_volumes(label_map).items()}])
    figure, axes = plt.subplots(1, 2, figsize=(10.5, 6.4), sharey=True, layout="constrained")
    _draw_volumes(axes[0], people, source, donors)
    _draw_volumes(axes[1], _typical(people), _typical(source), None)
    axes[0].set_yticks(range(len(VOLUMES)), [name.replace("-", " ").replace("csf", "outer fluid") for name in VOLUMES])
    axes[0].invert_yaxis()
    axes[0].set_title("as they are", size=10)
    axes[1].set_title(f"brains scaled to {TYPICAL_BRAIN_ML:.0f} ml", size=10)
    figure.supxlabel("volume over the middle of the published range", size=9)
    handles = [
        Line2D([], [], marker="o", ls="", ms=4, color=OURS, alpha=0.7, label="simulated people"),
        Line2D([], [], marker="|", ls="", ms=10, mew=2, color=SOURCE, label="label map they are bent from"),
        Line2D([], [], marker="D", ls="", ms=4, color=REAL, label="six real donors"),
        Line2D([], [], color=REFERENCE, lw=8, label="published"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    return figure


def _typical(table: pd.DataFrame) -> pd.DataFrame:
    """Volumes scaled to the published brain; brain and intracranial volume left out."""
    volumes = table[[name for name in table if str(name).startswith("volume/")]]
    scaled = volumes.mul(TYPICAL_BRAIN_ML / volumes["volume/brain"], axis=0)
    return scaled.drop(columns=["volume/brain", "volume/intracranial"])


def _draw_volumes(ax: Axes, people: pd.DataFrame, source: pd.DataFrame, donors: pd.DataFrame | None) -> None:
    jitter = np.random.default_rng(0).uniform(-0.3, 0.3, len(people))
    for place, (name, known) in enumerate(VOLUMES.items()):
        column, middle = f"volume/{name}", (known.low + known.high) / 2
        if column not in people:
            continue
        low = max(known.low, 0.1 * middle) / middle
        ax.barh(place, known.high / middle - low, left=low, height=0.8, color=REFERENCE)
        ax.scatter(people[column] / middle, place + jitter, s=7, color=OURS, alpha=0.6, linewidths=0)
        if column in source and name not in ("csf", "intracranial", "brain"):  # the map has no fluid around the brain
            ax.scatter(source[column] / middle, [place], marker="|", s=130, color=SOURCE, linewidths=2)
        if donors is not None and column in donors:
            ax.scatter(donors[column] / middle, np.full(len(donors), place), marker="D", s=14, color=REAL, zorder=3)
    ax.axvline(1, color="0.6", lw=0.8)
    _log_axis(ax, WIDE)
    ax.set_xlim(0.22, 4.5)


def plot_local_size(people: pd.DataFrame, sizes: Mapping[str, Floats]) -> Figure:
    """Left: how much larger than the template, a line a person. Middle: by tissue. Right: around a mass."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.5), layout="constrained", width_ratios=[1.2, 1.2, 1])
    centers = np.sqrt(SIZES[:-1] * SIZES[1:])
    for histogram in sizes.values():
        axes[0].plot(centers, 100 * histogram, color=OURS, lw=0.6, alpha=0.5)
    axes[0].set_xlabel("local size over the template's")
    axes[0].set_ylabel("% of the brain's voxels")
    names = [name for name in TISSUES if f"tissue size/{name}" in people]
    for place, name in enumerate(names):
        values = people[f"tissue size/{name}"].dropna()
        shift = np.random.default_rng(0).uniform(-0.3, 0.3, len(values))
        axes[1].scatter(values, place + shift, s=7, color=OURS, alpha=0.6, linewidths=0)
    axes[1].set_yticks(range(len(names)), [name.replace("_", " ").replace("csf", "fluid") for name in names])
    axes[1].set_xlabel("local size over the person's own median")
    for ax, ticks in zip(axes[:2], (WIDE, NARROW), strict=True):
        ax.axvline(1, color="0.6", lw=0.8)
        _log_axis(ax, ticks)
    _draw_mass_effect(axes[2], people)
    return figure


def _draw_mass_effect(ax: Axes, people: pd.DataFrame) -> None:
    names = [f"mass/{ring}" for ring in RINGS]
    if set(names) <= set(people):
        masses = people[people["lesion_type"].isin(["", *MASSES])][names].dropna()
        for values in masses.to_numpy():
            ax.plot(values, color=OURS, lw=0.6, alpha=0.5)
        ax.plot(masses.mean().to_numpy(), color=SOURCE, lw=2, marker="o", ms=4)
    ax.axhline(1, color="0.6", lw=0.8)
    ax.set_xticks(range(len(RINGS)), [ring.replace(" mm", "").replace(" to ", "–") for ring in RINGS])
    ax.set_xlabel("mm from the edge of a mass")
    ax.set_ylabel("local size over the brain's median")
    ax.spines[["top", "right"]].set_visible(False)


def plot_spread(people: pd.DataFrame, donors: pd.DataFrame) -> Figure:
    """Structures as a share of all gray matter that donors have: simulated people beside real ones."""
    figure, ax = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
    ours, real = shares(people), shares(donors)
    for place, name in enumerate(DONOR_STRUCTURES):
        middle = real[name].mean()
        for table, shift, color, marker in ((ours, -0.15, OURS, "o"), (real, 0.2, REAL, "D")):
            jitter = np.random.default_rng(0).uniform(-0.1, 0.1, len(table))
            ax.scatter(table[name] / middle, place + shift + jitter, s=14, color=color, marker=marker, linewidths=0)
    ax.axvline(1, color="0.6", lw=0.8)
    _log_axis(ax, NARROW)
    ax.set_yticks(range(len(DONOR_STRUCTURES)), DONOR_STRUCTURES)
    ax.invert_yaxis()
    ax.set_xlabel("share of gray matter, over the mean of the donors")
    handles = [
        Line2D([], [], marker="o", ls="", color=OURS, label="simulated people"),
        Line2D([], [], marker="D", ls="", color=REAL, label="six real donors"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    return figure
