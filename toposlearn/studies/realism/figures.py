"""Figures of the realism page: slices beside real templates, contrast, noise and shading, volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from nibabel.affines import apply_affine, from_matvec
from scipy.spatial.transform import Rotation

from toposlearn.anatomy import load_template
from toposlearn.arrays import Float64s
from toposlearn.cohort.head import load_head
from toposlearn.data import Record
from toposlearn.data.images import read_ras
from toposlearn.explore.slices import PLANES, Panel, plot_panels
from toposlearn.studies.realism.images import on_grid
from toposlearn.studies.realism.measure import T1_TEMPLATES
from toposlearn.studies.realism.published import PUBLISHED

FIELD_MM = (196, 236, 204)  # of each slice
AT_MM = (-8.0, -4.0, 2.0)  # planes through caudate, putamen and thalamus, from the center of family A's brain
GRAY, BLUE, RED = "0.82", "#0072B2", "#D55E00"
SITE_COLORS = (BLUE, "#E69F00", "#009E73", "#CC79A7", "#56B4E9", RED)
DOTS: dict[str, Any] = {"s": 7, "alpha": 0.7, "linewidths": 0}
Styles = dict[str, dict[str, Any]]  # site -> keywords of its dots
Ranges = Mapping[str, Mapping[str, Sequence[Any]]]  # group -> name, or all -> low, high, and what is not drawn


def plot_beside_templates(records: Sequence[Record]) -> Figure:
    """Three planes of the real T1 templates and of subjects, at one scale, subjects turned upright but not resized."""
    templates = {name: load_template(name) for name in T1_TEMPLATES}
    volumes = {name: (template.data, template.affine) for name, template in templates.items()}
    volumes |= {record.subject: _upright(record) for record in records}
    panels = []
    for axis, plane in enumerate(PLANES):  # planes are named in the order of the axes that they cut
        shape = tuple(1 if each == axis else size for each, size in enumerate(FIELD_MM))
        corner = load_head("A").center - (np.array(shape) - 1) / 2 + AT_MM[axis] * np.eye(3)[axis]
        for name, (volume, affine) in volumes.items():
            slab = on_grid(volume, affine, shape, from_matvec(np.eye(3), corner), linear=True)  # pixels of 1 mm
            panels.append(Panel(slab, plane, spacing=1.0, title=name if axis == 0 else " "))
    return plot_panels(panels, len(volumes), size=1.9)


def _upright(record: Record) -> tuple[Any, Float64s]:
    """The T1w image, and its voxels -> template mm by turn and shift only; unmoved where the map is not known."""
    image, affine = read_ras(record.images["T1w"])
    if record.labels is not None and record.to_template is not None:
        labels, grid = read_ras(record.labels)
        inside = np.argwhere(labels > 0)[::3]
        world, template = apply_affine(grid, inside), read_ras(record.to_template)[0][tuple(inside.T)].astype(float)
        turn, _ = Rotation.align_vectors(template - template.mean(axis=0), world - world.mean(axis=0))
        affine = from_matvec(turn.as_matrix(), template.mean(axis=0) - turn.apply(world.mean(axis=0))) @ affine
    return image.astype(np.float32), affine


def plot_scans(figure: str, rows: pd.DataFrame, real: pd.DataFrame) -> Figure:
    """Contrast, or noise and shading (a figure of ``published.yaml``) by site; gray: templates, published noise."""
    rows = rows.assign(site=("site " + rows["site"]).replace("site ", ""))
    colors = zip(sorted(set(rows["site"])), cycle(SITE_COLORS), strict=False)
    styles: Styles = {site: {"color": color} for site, color in colors}
    extents = {str(group): _extents(part) for group, part in real.groupby("group")}
    noise = "signal to noise in white matter"
    return _plot(figure, rows, extents | {noise: PUBLISHED["ranges"][noise]}, styles)


def plot_volumes(rows: pd.DataFrame, real: pd.DataFrame) -> Figure:
    """Volumes over the middle of the published range: as they are, and with brains scaled to one size."""
    ends = {name: np.array(entry[:2]) for name, entry in PUBLISHED["ranges"]["volume"].items()}
    ranges = {name: pair / pair.mean() for name, pair in ends.items()}
    dots = pd.concat([rows.assign(site="simulated"), real.assign(site="six real donors")])
    dots["value"] /= dots["name"].map({name: pair.mean() for name, pair in ends.items()})
    donors = {"color": RED, "marker": "D", "s": 14, "alpha": 1}
    styles: Styles = {"simulated": {"color": BLUE}, "six real donors": donors}
    styles["published"] = {"color": GRAY, "marker": "s"}
    return _plot("volumes", dots, {"volume": ranges, "volume, size taken out": ranges}, styles)


def _plot(figure: str, rows: pd.DataFrame, ranges: Ranges, styles: Styles) -> Figure:
    """The panels of a figure of ``published.yaml`` for whose group there are rows."""
    look = PUBLISHED["figures"][figure]
    panels = {group: panel for group, panel in look["panels"].items() if group in set(rows["group"])}
    size, widths = (look["width"] * len(panels) + 1.4, look["height"]), [p.get("width", 1) for p in panels.values()]
    drawn, axes = plt.subplots(
        1, len(panels), figsize=size, width_ratios=widths, squeeze=False, sharey=look["sharey"], layout="constrained"
    )
    for ax, (group, panel) in zip(axes[0], panels.items(), strict=True):
        dots = rows[rows["group"] == group]
        names = panel.get("names") or dict.fromkeys(sorted(set(dots["name"])), "")
        if panel.get("measured"):
            names = {name: label for name, label in names.items() if name in set(dots["modality"])}
        draw_dots(ax, dots, names, ranges.get(group, {}), styles)
        ax.set(**look.get("axes", {}), **panel.get("axes", {}))
        ax.minorticks_off()
        ax.axvline(look.get("line", np.nan), color="0.5", lw=0.8)
    drawn.supxlabel(look.get("xlabel", ""), size=9)
    marks = {name: {"marker": "o"} | style for name, style in styles.items() if name}
    handles = [Line2D([], [], ls="", color=s["color"], marker=s["marker"], label=name) for name, s in marks.items()]
    drawn.legend(handles=handles, loc="outside upper center", ncols=max(len(handles), 1), frameon=False, fontsize=9)
    return drawn


def draw_dots(
    ax: Axes, rows: pd.DataFrame, names: Mapping[str, str], ranges: Mapping[str, Sequence[Any]], styles: Styles
) -> None:
    """A dot for each row of the long table, beside the label of its name, over gray ranges."""
    lines = {name: line for line, name in enumerate(names)}
    rows = rows.assign(line=rows["name"].str.partition(", ")[0].map(lines)).dropna(subset="line")
    for site, part in rows.groupby("site"):
        jitter = np.random.default_rng(0).uniform(-0.28, 0.28, len(part))
        ax.scatter(part["value"], part["line"] + jitter, **(DOTS | styles[str(site)]))
    for name, line in lines.items():
        low, high, *_ = ranges.get(name, ranges.get("all", (np.nan, np.nan)))
        ax.barh(line, high - low, left=low, height=0.6, color=GRAY, zorder=0)
    ax.set_yticks(range(len(names)), list(names.values()))
    ax.set_ylim(len(names) - 0.5, -0.5)


def _extents(rows: pd.DataFrame) -> dict[str, tuple[float, float]]:
    return {str(name): (part.min(), part.max()) for name, part in rows.groupby("name")["value"]}
