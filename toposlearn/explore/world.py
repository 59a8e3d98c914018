"""Places in mm: images on different grids where their affines put them, and one anatomical place in several people."""

from collections.abc import Mapping, Sequence

import nibabel as nib
import numpy as np
import torch
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from nibabel.spatialimages import SpatialImage
from numpy.typing import ArrayLike
from scipy import ndimage
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.data.pose import voxel_coordinates
from toposlearn.explore.slices import (
    CROSS,
    PLANE_AXES,
    Plane,
    Volume,
    orthogonal,
    plane_points,
    plot_panels,
    write_letters,
)

STEP = 0.5  # mm per pixel


def voxels_at(affine: Float64s, points: ArrayLike) -> Float64s:
    """Voxel indices (..., 3), not rounded, of world points (..., 3) in mm; they may be outside the image."""
    return np.asarray(nib.affines.apply_affine(np.linalg.inv(affine), points))


def index_of(image: SpatialImage, point: Sequence[float]) -> tuple[int, ...]:
    """The voxel that lies nearest to a world point (right, front, up) in mm; it may be outside the image."""
    return tuple(voxels_at(image.affine, point).round().astype(int).tolist())


def plot_in_world(images: Mapping[str, SpatialImage], point: Sequence[float], *, plane: Plane = "sagittal") -> Figure:
    """One plane of the world through a point in mm (a cross), as each image shows it; blue is not imaged."""
    across, up = PLANE_AXES[plane]
    corners = []  # of each image, mm
    for image in images.values():
        ends = np.meshgrid(*[(-0.5, size - 0.5) for size in image.shape])
        corners.append(nib.affines.apply_affine(image.affine, np.reshape(ends, (3, -1)).T))
    low, high = np.min(np.concatenate(corners), axis=0), np.max(np.concatenate(corners), axis=0)
    ticks = [np.arange(low[axis], high[axis], STEP) for axis in (across, up)]
    world = plane_points(plane, ticks[0], ticks[1], point)
    size = 3.4 * len(images), 3.9
    figure, axes = plt.subplots(1, len(images), figsize=size, squeeze=False, sharey=True, layout="compressed")
    gray = colormaps["gray"].with_extremes(bad="#CFE3F2")
    extent = (low[across], high[across], low[up], high[up])
    for ax, (name, image) in zip(axes[0], images.items(), strict=True):
        ax.imshow(_sampled(image, world), gray, origin="lower", extent=extent, vmin=0)
        ax.plot(point[across], point[up], "+", **CROSS)
        write_letters(ax, plane)
        ax.set_title(f"{name}\naxes {''.join(nib.aff2axcodes(image.affine))}, voxel {index_of(image, point)}", size=9)
        ax.set_xlabel("world, mm", size=8)
        ax.tick_params(labelsize=8)
    axes[0, 0].set_ylabel("world, mm", size=8)
    figure.suptitle(f"the cross is at ({_in_words(point)}) mm in each of them", size=11)
    return figure


def _in_words(point: Sequence[float]) -> str:
    return ", ".join(f"{value:+.0f}" for value in point)


def _sampled(image: SpatialImage, world: Float64s) -> Float64s:
    """The voxels at world places (H, W, 3); NaN outside the image."""
    voxels = voxels_at(image.affine, world)
    data = np.asarray(image.dataobj, dtype=float)
    values = ndimage.map_coordinates(data, np.moveaxis(voxels, -1, 0), order=0, mode="nearest")
    outside = ((voxels < -0.5) | (voxels > np.array(image.shape) - 0.5)).any(axis=-1)
    return np.where(outside, np.nan, values)


def place_of(to_template: Tensor, point: Sequence[float], spacing: float = 3.0) -> tuple[float, ...]:
    """Where a template point lies in a head, mm from its center: the nearest voxel of `to_template` (3, D, H, W)."""
    if to_template.ndim != 4 or len(to_template) != 3:
        raise ValueError(f"to_template must be (3, D, H, W), got {tuple(to_template.shape)}")
    away = (to_template - torch.as_tensor(point, dtype=to_template.dtype)[:, None, None, None]).square().sum(dim=0)
    return tuple(voxel_coordinates(to_template.shape[1:], spacing).flatten(1)[:, away.argmin()].tolist())


def plot_places(
    volumes: Mapping[str, Volume], to_template: Mapping[str, Tensor], point: Sequence[float], *, spacing: float = 3.0
) -> Figure:
    """Three planes of each person's volume (D, H, W) through one template point in mm, which a cross marks."""
    places = {name: place_of(to_template[name], point, spacing) for name in volumes}
    rows = {name: orthogonal(volumes[name], at=places[name], spacing=spacing, name=name) for name in volumes}
    marked = [(panel, places[name]) for name, row in rows.items() for panel in row]
    title = f"one place, template ({_in_words(point)}) mm, in {len(volumes)} people"
    figure = plot_panels([panel for panel, _ in marked], 3, title)
    for ax, (panel, place) in zip(figure.axes, marked, strict=True):
        across, up = PLANE_AXES[panel.plane]
        ax.plot(place[across], place[up], "+", **CROSS)
    return figure
