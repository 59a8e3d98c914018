"""Whether two images show the same place at the same place: joint histograms, and the effect of moving one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

from toposlearn.arrays import Float64s
from toposlearn.data.air import air_limit, brighter_than_air
from toposlearn.data.gate.alignment import CoarseHead, joint_histogram, nmi_at, pair_evidence
from toposlearn.data.gate.assessment import MAX_DISPLACEMENT
from toposlearn.explore.curves import row_of_axes, shared_legend
from toposlearn.explore.slices import Panel, Spacing, Volume, cut, draw_panel, extent_of

CONTOUR = "#E69F00"
_BRIGHT = 99.5  # percentile at which brightness ends
_DIRECTIONS = (("right", "#0072B2"), ("front", "#D55E00"), ("up", "#009E73"))


def plot_joint_histograms(
    pairs: Mapping[str, tuple[Volume, Volume]],
    heads: Mapping[str, CoarseHead],
    names: tuple[str, str],
    *,
    at: float = 0.0,
    spacing: Spacing = 2.0,
) -> Figure:
    """For each pair of images the outlines of the second on the first, and how often their intensities meet.

    The histogram counts every voxel of either head. The mutual information above it is the one that the gate uses,
    from the same images averaged to a coarse grid: one pair has one value in a notebook.

    `pairs` are title -> two images (D, H, W) on one grid of `spacing` mm, of the modalities `names`, `heads` the same
    as the gate sees them, from `gate.read_subject`. The axial slice lies `at` mm from the center.
    """
    size = 4.0 * len(pairs), 7.2
    figure, axes = plt.subplots(2, len(pairs), figsize=size, squeeze=False, layout="constrained", sharey="row")
    for (top, bottom), (title, (first, second)) in zip(axes.T, pairs.items(), strict=True):
        draw_panel(top, Panel(first, "axial", at, spacing, title=title))
        outlines = cut(ndimage.gaussian_filter(_scaled(second), 1.2), "axial", at, spacing)
        where: dict[str, Any] = {"extent": extent_of(np.shape(second), "axial", spacing), "origin": "lower"}
        top.contour(outlines, levels=(0.15, 0.6), colors=CONTOUR, linewidths=0.8, **where)
        shares = joint_histogram(_scaled(first), _scaled(second), _head(first) | _head(second))
        counted, look = np.ma.masked_equal(shares.T, 0), LogNorm(1e-5, 0.03)
        bottom.imshow(counted, "magma_r", origin="lower", extent=(0, 1, 0, 1), norm=look)
        bottom.tick_params(labelsize=8)
        bottom.set_title(f"normalized mutual information {pair_evidence(heads[title])[names].nmi:.3f}", size=10)
        bottom.set_xlabel(f"brightness in {names[0]}", size=9)
    axes[1, 0].set_ylabel(f"brightness in {names[1]}", size=9)
    figure.suptitle(f"{names[0]} with outlines of {names[1]}, and their joint histogram", size=11)
    return figure


def _scaled(volume: Volume) -> Float64s:
    """Brightness from 0 to 1."""
    array = np.asarray(volume, dtype=float) - float(np.min(np.asarray(volume)))
    return np.asarray(np.clip(array / max(float(np.percentile(array[_head(array)], _BRIGHT)), 1e-12), 0, 1))


def _head(volume: Volume) -> NDArray[np.bool_]:
    array = np.asarray(volume, dtype=float)
    array = array - array.min()
    return np.asarray(brighter_than_air(array, air_limit(array)))


def plot_shifts(heads: Mapping[str, CoarseHead], pair: tuple[str, str], shifts: Sequence[float]) -> Figure:
    """Mutual information as the second image of `pair` is moved along each axis (mm); `heads` are title -> images."""
    figure, axes = row_of_axes(len(heads), 4.4, 3.3, sharey=True)
    for ax, (title, head) in zip(axes, heads.items(), strict=True):
        ax.axvspan(-MAX_DISPLACEMENT, MAX_DISPLACEMENT, color="0.9", lw=0, label="accepted as registered")
        for axis, (direction, color) in enumerate(_DIRECTIONS):
            values = shift_curve(head, pair, axis, shifts)
            best = int(values.argmax())
            ax.plot(shifts, values, color=color, label=f"moved {direction}")
            ax.plot(shifts[best], values[best], "o", color=color, ms=6)
        ax.set_title(title, size=10)
        ax.set_xlabel(f"{pair[1]} moved by (mm)", size=9)
    axes[0].set_ylabel("normalized mutual information", size=9)
    shared_legend(figure, axes)
    figure.suptitle(f"{pair[0]} and {pair[1]}: dots mark each maximum", size=11)
    return figure


def shift_curve(head: CoarseHead, pair: tuple[str, str], axis: int, shifts: Sequence[float]) -> Float64s:
    """Mutual information (T,) with the second image moved by each of `shifts` mm along one axis (0 right, 1, 2 up)."""
    motions = np.zeros((len(shifts), 6))
    motions[:, axis] = -np.asarray(shifts)  # to move an image to the front is to read it further back
    return nmi_at(head, *pair, motions)
