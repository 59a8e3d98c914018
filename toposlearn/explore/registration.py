"""Do two images show the same place at the same place? Their joint histogram, and what moving one of them changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

from toposlearn.data.gate.alignment import joint_histogram, nmi_at, pair_evidence
from toposlearn.data.gate.coarse import CoarseHead
from toposlearn.data.gate.gate import MAX_DISPLACEMENT
from toposlearn.data.transforms import air_noise, brighter_than_air
from toposlearn.explore.slices import Panel, Spacing, Volume, cut, draw_panel, extent_of
from toposlearn.explore.structures import Plane

CONTOUR = "#E69F00"
_BRIGHT = 99.5  # percentile at which brightness ends
_DIRECTIONS = (("right", "#0072B2"), ("front", "#D55E00"), ("up", "#009E73"))


def plot_joint_histograms(
    pairs: Mapping[str, tuple[Volume, Volume]],
    heads: Mapping[str, CoarseHead],
    names: tuple[str, str],
    *,
    plane: Plane = "axial",
    at: float = 0.0,
    spacing: Spacing = 2.0,
    title: str = "",
) -> Figure:
    """For each pair of images the outlines of the second on the first, and how often their intensities meet.

    The histogram counts every voxel of either head. The mutual information above it is the one that the gate judges by,
    from the same images averaged to a coarse grid: one pair has one value in a notebook.

    Args:
        pairs: what is said of a pair -> two images (D, H, W) on one grid.
        heads: what is said of a pair -> the same images as the gate sees them, from `gate.look_at`.
        names: of the two modalities.
        plane: of the slice.
        at: mm from the center.
        spacing: mm a voxel.
        title: what to see.
    """
    figure, axes = plt.subplots(
        2, len(pairs), figsize=(4.0 * len(pairs), 7.2), squeeze=False, layout="constrained", sharey="row"
    )
    for column, (name, (first, second)) in enumerate(pairs.items()):
        top, bottom = axes[:, column]
        _draw_outlines(top, Panel(first, plane, at, spacing, title=name), second)
        one, other, mask = *(_scaled(volume) for volume in (first, second)), _head(first) | _head(second)
        _draw_joint(bottom, joint_histogram(one, other, mask))
        bottom.set_title(f"normalized mutual information {pair_evidence(heads[name])[names].nmi:.3f}", size=10)
        bottom.set_xlabel(f"brightness in {names[0]}", size=9)
    axes[1, 0].set_ylabel(f"brightness in {names[1]}", size=9)
    figure.suptitle(title or f"{names[0]} with outlines of {names[1]}, and their joint histogram", size=11)
    return figure


def _draw_outlines(ax: Axes, panel: Panel, other: Volume) -> None:
    """Contours of a second image: where the head ends, and what is bright in it."""
    draw_panel(ax, panel)
    values = cut(ndimage.gaussian_filter(_scaled(other), 1.2), panel.plane, panel.at, panel.spacing)
    where = extent_of(np.shape(other), panel.plane, panel.spacing)
    ax.contour(values, levels=(0.15, 0.6), colors=CONTOUR, linewidths=0.8, extent=where, origin="lower")


def _draw_joint(ax: Axes, joint: NDArray[np.float64]) -> None:
    shares = np.ma.masked_equal(joint.T, 0)
    ax.imshow(shares, "magma_r", origin="lower", extent=(0, 1, 0, 1), norm=LogNorm(1e-5, 0.03))
    ax.set_facecolor("white")
    ax.tick_params(labelsize=8)


def _scaled(volume: Volume) -> NDArray[np.float64]:
    """Brightness from 0 to 1."""
    array = np.asarray(volume, dtype=float)
    array = array - array.min()
    return np.asarray(np.clip(array / max(float(np.percentile(array[_head(array)], _BRIGHT)), 1e-12), 0, 1))


def _head(volume: Volume) -> NDArray[np.bool_]:
    array = np.asarray(volume, dtype=float)
    array = array - array.min()
    return np.asarray(brighter_than_air(array, air_noise(array)))


def plot_shifts(
    heads: Mapping[str, CoarseHead], pair: tuple[str, str], shifts: Sequence[float], *, title: str = ""
) -> Figure:
    """Mutual information as the second image is moved along each axis; where it is largest, the images agree.

    Args:
        heads: what is said of a person's images -> the images, from `gate.look_at`.
        pair: two modalities.
        shifts: mm.
        title: what to see.
    """
    figure, axes = plt.subplots(
        1, len(heads), figsize=(4.4 * len(heads), 3.3), squeeze=False, sharey=True, layout="constrained"
    )
    for ax, (name, head) in zip(axes[0], heads.items(), strict=True):
        ax.axvspan(-MAX_DISPLACEMENT, MAX_DISPLACEMENT, color="0.9", lw=0, label="called registered")
        for axis, (direction, color) in enumerate(_DIRECTIONS):
            values = shift_curve(head, pair, axis, shifts)
            best = int(values.argmax())
            ax.plot(shifts, values, color=color, label=f"moved {direction}")
            ax.plot(shifts[best], values[best], "o", color=color, ms=6)
        ax.set_title(name, size=10)
        ax.set_xlabel(f"{pair[1]} moved by (mm)", size=9)
        ax.grid(color="0.92")
    axes[0, 0].set_ylabel("normalized mutual information", size=9)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(title or f"{pair[0]} and {pair[1]}: dots mark each maximum", size=11)
    return figure


def shift_curve(head: CoarseHead, pair: tuple[str, str], axis: int, shifts: Sequence[float]) -> NDArray[np.float64]:
    """Mutual information (T,) with the second image moved by each of `shifts` mm along one axis (0 right, 1, 2 up)."""
    motions = np.zeros((len(shifts), 6))
    motions[:, axis] = -np.asarray(shifts)  # to move an image to the front is to read it further back
    return nmi_at(head, *pair, motions)
