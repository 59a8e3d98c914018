"""Figures on images: contrast between tissues, noise and shading by site, brightness."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from toposlearn.studies.realism.image_rows import sites_of
from toposlearn.studies.realism.person import HISTOGRAM, Floats
from toposlearn.studies.realism.published import ORDER, SNR

SITE_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
REFERENCE = "0.82"
SHOWN = ("csf", "cortex", "hippocampus", "striatum", "thalamus", "pallidum", "cerebellar_gray", "brainstem", "lesion")


def ordered(modalities: Iterable[str]) -> list[str]:
    """Each modality once, those that are known first, in the order of `ORDER`."""
    found = dict.fromkeys(str(name) for name in modalities)
    return [*(name for name in ORDER if name in found), *(name for name in found if name not in ORDER)]


def short(modality: str) -> str:
    """A modality's name for a small place."""
    return modality.replace("ce-gadolinium_T1w", "T1w + agent")


def colors_of(sites: Sequence[str]) -> dict[str, str]:
    """A color for each site."""
    return {site: SITE_COLORS[i % len(SITE_COLORS)] for i, site in enumerate(sites)}


def _jitter(size: int) -> Floats:
    return np.random.default_rng(0).uniform(-0.28, 0.28, size)


def _bare(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="0.93", linewidth=0.6)
    ax.set_axisbelow(True)


def _site_legend(figure: Figure, colors: Mapping[str, str], reference: str = "") -> None:
    named = [(site, color) for site, color in colors.items() if site]
    handles = [Line2D([], [], marker="o", ls="", ms=5, color=color, label=f"site {site}") for site, color in named]
    if reference:
        handles.append(Line2D([], [], color=REFERENCE, lw=8, label=reference))
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=9)


def plot_contrast(images: pd.DataFrame, templates: pd.DataFrame) -> Figure:
    """Brightness of each tissue over that of white matter, a panel a modality, a dot a person; gray: templates."""
    modalities = ordered(images["modality"])
    columns = min(4, len(modalities))
    rows = -(-len(modalities) // columns)
    size = (2.7 * columns + 1.2, 2.9 * rows + 0.6)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharey=True, layout="constrained")
    colors = colors_of(sites_of(images))
    for ax in axes.flat[len(modalities) :]:
        ax.set_visible(False)
    for ax, modality in zip(axes.flat, modalities, strict=False):
        _draw_ratios(ax, images[images["modality"] == modality], colors)
        if modality == "T1w":
            for place, name in enumerate(SHOWN):
                if f"ratio/{name}" in templates:
                    values = templates[f"ratio/{name}"]
                    low, high = values.min() - 0.005, values.max() + 0.005
                    ax.barh(place, high - low, left=low, height=0.8, color=REFERENCE, zorder=0.5)
        ax.set_title(short(modality), size=10)
    axes[0, 0].set_yticks(range(len(SHOWN)), [name.replace("_", " ").replace("csf", "fluid") for name in SHOWN])
    axes[0, 0].invert_yaxis()
    figure.supxlabel("brightness, white matter = 1", size=9)
    _site_legend(figure, colors, "three real T1 templates")
    return figure


def _draw_ratios(ax: Axes, images: pd.DataFrame, colors: Mapping[str, str]) -> None:
    shift = _jitter(len(images))
    shades = [colors[site] for site in images["site"]]
    for place, name in enumerate(SHOWN):
        if f"ratio/{name}" in images:
            ax.scatter(images[f"ratio/{name}"], place + shift, s=7, c=shades, alpha=0.7, linewidths=0)
    ax.axvline(1, color="0.5", lw=0.8)
    _bare(ax)


def plot_noise(images: pd.DataFrame, templates: pd.DataFrame) -> Figure:
    """Left: signal to noise by site. Right: shading by site, and texture, of T1w, beside the templates'."""
    layout = ConstrainedLayoutEngine(wspace=0.08)
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.5), layout=layout, width_ratios=[2.2, 1.2, 0.6])
    colors = colors_of(sites_of(images))
    known = images.dropna(subset=["snr"])
    modalities = ordered(known["modality"])
    width = 0.8 / len(colors)
    for place, modality in enumerate(modalities):
        if modality in SNR:
            low, high = SNR[modality].low, SNR[modality].high
            axes[0].bar(place, high - low, bottom=low, width=0.9, color=REFERENCE)
        for number, (site, color) in enumerate(colors.items()):
            values = known[(known["modality"] == modality) & (known["site"] == site)]["snr"]
            x = place - 0.4 + (number + 0.5) * width + width * _jitter(len(values))
            axes[0].scatter(x, values, s=8, color=color, linewidths=0)
    axes[0].set_xticks(range(len(modalities)), [short(name).replace(" +", "\n+") for name in modalities])
    axes[0].set_ylabel("signal to noise in white matter")
    _draw_by_site(axes[1], images, "shading", templates, colors)
    axes[1].set_ylabel("shading of white matter, sd in %")
    _draw_texture(axes[2], images, templates, colors)
    for ax in axes:
        _bare(ax)
        ax.set_ylim(bottom=0)
    _site_legend(figure, colors, "published (left), templates (right)")
    return figure


def _draw_by_site(
    ax: Axes, images: pd.DataFrame, name: str, templates: pd.DataFrame, colors: Mapping[str, str]
) -> None:
    real = 100 * templates[name]
    ax.axhspan(real.min(), real.max(), color=REFERENCE)
    for place, (site, color) in enumerate(colors.items()):
        values = 100 * images[images["site"] == site][name]
        ax.scatter(place + _jitter(len(values)), values, s=8, color=color, linewidths=0, alpha=0.7)
    ax.set_xticks(range(len(colors)), [site or "all" for site in colors])


def _draw_texture(ax: Axes, images: pd.DataFrame, templates: pd.DataFrame, colors: Mapping[str, str]) -> None:
    real = 100 * templates["texture"]
    ax.axhspan(real.min(), real.max(), color=REFERENCE)
    t1w = images[images["modality"] == "T1w"]
    if "texture" in t1w:
        shades = [colors[site] for site in t1w["site"]]
        ax.scatter(_jitter(len(t1w)), 100 * t1w["texture"], s=8, c=shades, linewidths=0, alpha=0.7)
    ax.set_xticks([0], ["T1w"])
    ax.set_xlim(-0.6, 0.6)
    ax.set_ylabel("texture of white matter, sd in %")


def plot_brightness(histograms: Mapping[tuple[str, str], Floats]) -> Figure:
    """How often each brightness is met in the head, a panel a modality, a line a site."""
    modalities = ordered(modality for modality, _ in histograms)
    columns = min(4, len(modalities))
    rows = -(-len(modalities) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.7 * columns + 0.6, 2.3 * rows + 0.6), squeeze=False, layout="constrained"
    )
    colors = colors_of(sorted({site for _, site in histograms}))
    centers = (HISTOGRAM[:-1] + HISTOGRAM[1:]) / 2
    for ax in axes.flat[len(modalities) :]:
        ax.set_visible(False)
    for ax, modality in zip(axes.flat, modalities, strict=False):
        for (name, site), shares in histograms.items():
            if name == modality:
                ax.plot(centers, 100 * shares, color=colors[site], lw=1.2)
        total = sum(shares for (name, _), shares in histograms.items() if name == modality)
        seen = np.cumsum(total) / max(float(np.sum(total)), 1e-9)
        ax.set_xlim(0, centers[int(np.searchsorted(seen, 0.995))])
        ax.set_ylim(bottom=0)
        ax.set_title(short(modality), size=10)
        _bare(ax)
    figure.supxlabel("brightness, white matter = 1", size=9)
    figure.supylabel("% of the head's voxels", size=9)
    _site_legend(figure, colors)
    return figure
