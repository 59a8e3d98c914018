"""Figures of the realism page: slices beside real templates, contrast, noise and shading, volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import ndimage
from scipy.spatial.transform import Rotation

from toposlearn.anatomy import load_template
from toposlearn.arrays import Float32s, Float64s
from toposlearn.cohort.head import load_head
from toposlearn.data import Record
from toposlearn.data.images import read_ras
from toposlearn.explore.slices import PLANES, Panel, plot_panels
from toposlearn.studies.realism.measure import T1_TEMPLATES
from toposlearn.studies.realism.published import ORDER, RANGES, TYPICAL_BRAIN_ML
from toposlearn.studies.realism.table import NOISE

FIELD_MM = (196, 236, 204)  # of each slice
AT_MM = (-8.0, -4.0, 2.0)  # planes through caudate, putamen and thalamus, from the center of family A's brain
GRAY, BLUE, RED = "0.82", "#0072B2", "#D55E00"
SITE_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
TISSUES = ("csf", "cortex", "hippocampus", "striatum", "thalamus", "pallidum", "cerebellar_gray", "brainstem", "lesion")


def plot_beside_templates(records: Sequence[Record]) -> Figure:
    """Three planes of the real T1 templates and of subjects, at one scale, subjects turned upright but not resized."""
    volumes = {}
    for name in T1_TEMPLATES:
        template = load_template(name)
        volumes[name] = template.data, np.asarray(np.linalg.inv(template.affine))
    volumes |= {record.subject: _upright(record) for record in records}
    panels = []
    for axis, plane in enumerate(PLANES):  # planes are named in the order of the axes that they cut
        for name, (volume, to_voxel) in volumes.items():
            title = name if axis == 0 else " "
            panels.append(Panel(_slab(volume, to_voxel, axis), plane, spacing=1.0, title=title))
    return plot_panels(panels, len(volumes), size=1.9)


def _slab(volume: Float32s, to_voxel: Float64s, axis: int) -> Float32s:
    """One plane across `axis`, 1 mm thick, with pixels of 1 mm; `to_voxel` maps template mm to voxels."""
    shape = tuple(1 if each == axis else size for each, size in enumerate(FIELD_MM))
    grid = np.eye(4)
    grid[:3, 3] = load_head("A").center - (np.array(shape) - 1) / 2
    grid[axis, 3] += AT_MM[axis]
    place = to_voxel @ grid
    read = ndimage.affine_transform(volume, place[:3, :3], place[:3, 3], shape, order=1)
    return np.asarray(read, dtype=np.float32)


def _upright(record: Record) -> tuple[Float32s, Float64s]:
    """The T1w image, and template mm -> its voxels by turn and shift only; unmoved where the map is not known."""
    image, affine = read_ras(record.images["T1w"])
    to_world = np.eye(4)
    if record.labels is not None and record.to_template is not None:
        labels, grid = read_ras(record.labels)
        inside = np.argwhere(labels > 0)[::3]
        world = inside @ grid[:3, :3].T + grid[:3, 3]
        template = read_ras(record.to_template)[0][tuple(inside.T)].astype(float)
        turn, _ = Rotation.align_vectors(world - world.mean(axis=0), template - template.mean(axis=0))
        to_world[:3, :3] = turn.as_matrix()
        to_world[:3, 3] = world.mean(axis=0) - to_world[:3, :3] @ template.mean(axis=0)
    return image.astype(np.float32), np.asarray(np.linalg.inv(affine) @ to_world)


def plot_contrast(images: pd.DataFrame, templates: pd.DataFrame) -> Figure:
    """Brightness of each tissue over that of white matter, a panel per modality, a dot per scan; gray: templates."""
    modalities = [name for name in ORDER if name in set(images["modality"])]
    size = (1.9 * len(modalities) + 1.4, 3.4)
    figure, axes = plt.subplots(1, len(modalities), figsize=size, squeeze=False, sharey=True, layout="constrained")
    names = [f"ratio/{name}" for name in TISSUES]
    real = {name: (templates[name].min(), templates[name].max()) for name in names if name in templates}
    for ax, modality in zip(axes[0], modalities, strict=True):
        _draw_ranges(ax, names, real if modality == "T1w" else {}, 12)
        for table, color in _by_site(images[images["modality"] == modality]):
            _draw_dots(ax, table, names, color)
        ax.axvline(1, color="0.5", lw=0.8)
        ax.set_title(_short(modality), size=10)
    axes[0, 0].set_yticks(range(len(TISSUES)), [name.replace("_", " ").replace("csf", "fluid") for name in TISSUES])
    axes[0, 0].invert_yaxis()
    figure.supxlabel("brightness, white matter = 1", size=9)
    _add_sites(figure, images)
    return figure


def plot_noise(images: pd.DataFrame, templates: pd.DataFrame) -> Figure:
    """Left: signal to noise by modality and site; gray: published. Right: shading by site; gray: templates."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.5), layout="constrained", width_ratios=[2, 1])
    noise = images.dropna(subset=["snr"]).pivot_table("snr", ["subject", "site"], "modality").reset_index()
    modalities = [name for name in ORDER if name in noise]
    _draw_ranges(left, modalities, {name: (low, high) for name, (low, high, *_) in RANGES[NOISE].items()}, 24)
    for table, color in _by_site(noise):
        _draw_dots(left, table, modalities, color)
    right.axvspan(templates["shading"].min(), templates["shading"].max(), color=GRAY, zorder=0)
    for place, (table, color) in enumerate(_by_site(images)):
        _draw_dots(right, table, ["shading"], color, first=place)
    left.set_yticks(range(len(modalities)), [_short(name) for name in modalities])
    left.set(xlabel=NOISE, xlim=(0, None))
    right.set(xlabel="shading of white matter, sd in %", yticks=[], xlim=(0, None))
    left.invert_yaxis()
    _add_sites(figure, images)
    return figure


def plot_volumes(subjects: pd.DataFrame, donors: pd.DataFrame) -> Figure:
    """Volumes over the middle of the published range: as they are, and with brains scaled to one size."""
    figure, axes = plt.subplots(1, 2, figsize=(10.5, 6.4), sharey=True, layout="constrained")
    middles = pd.Series({f"volume/{name}": (low + high) / 2 for name, (low, high, *_) in RANGES["volume"].items()})
    ranges = {
        f"volume/{name}": (max(2 * low / (low + high), 0.1), 2 * high / (low + high))
        for name, (low, high, *_) in RANGES["volume"].items()
    }
    ours, real = (table.reindex(columns=middles.index) / middles for table in (subjects, donors))
    scaled = ours.mul(TYPICAL_BRAIN_ML / subjects["volume/brain"], axis=0)
    titles = ("as they are", f"brains scaled to {TYPICAL_BRAIN_ML:.0f} ml")
    for ax, table, title in zip(axes, (ours, scaled), titles, strict=True):
        _draw_ranges(ax, list(ranges), ranges, 10)
        _draw_dots(ax, table, list(ranges), BLUE)
        ax.set(xscale="log", xlim=(0.22, 4.5), title=title)
        ax.set_xticks([0.25, 0.5, 1, 2, 4], ["0.25", "0.5", "1", "2", "4"])
        ax.minorticks_off()
    for row, column in enumerate(middles.index):
        axes[0].scatter(real[column], [row] * len(real), marker="D", s=14, color=RED, zorder=3)
    names = [name.replace("-", " ").replace("csf", "outer fluid") for name in RANGES["volume"]]
    axes[0].set_yticks(range(len(names)), names)
    axes[0].invert_yaxis()
    figure.supxlabel("volume over the middle of the published range", size=9)
    _add_legend(figure, {"simulated": (BLUE, "o"), "six real donors": (RED, "D"), "published": (GRAY, "s")})
    return figure


def _short(modality: str) -> str:
    return modality.replace("ce-gadolinium_T1w", "T1w + agent")


def _by_site(images: pd.DataFrame) -> list[tuple[pd.DataFrame, str]]:
    return [(table, color) for (_, table), color in zip(images.groupby("site"), SITE_COLORS, strict=False)]


def _draw_ranges(ax: Axes, names: list[str], ranges: Mapping[str, tuple[float, float]], width: float) -> None:
    for row, name in enumerate(names):
        if name in ranges:
            ax.hlines(row, *ranges[name], color=GRAY, lw=width, zorder=0)


def _draw_dots(ax: Axes, table: pd.DataFrame, names: list[str], color: str, first: int = 0) -> None:
    jitter = np.random.default_rng(0).uniform(-0.28, 0.28, len(table))
    for row, name in enumerate(names, first):
        if name in table:
            ax.scatter(table[name], row + jitter, s=7, color=color, alpha=0.7, linewidths=0)


def _add_sites(figure: Figure, images: pd.DataFrame) -> None:
    sites = [f"site {site}" for site in sorted(set(images["site"])) if site]
    _add_legend(figure, {site: (color, "o") for site, color in zip(sites, SITE_COLORS, strict=False)})


def _add_legend(figure: Figure, names: dict[str, tuple[str, str]]) -> None:
    handles = [Line2D([], [], marker=mark, ls="", color=color, label=name) for name, (color, mark) in names.items()]
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=9)
