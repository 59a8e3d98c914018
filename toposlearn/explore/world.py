"""Images of one head on different grids, drawn where their affines put them: one world, many indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import nibabel as nib
import numpy as np
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from nibabel.spatialimages import SpatialImage
from numpy.typing import NDArray
from scipy import ndimage

from toposlearn.explore.slices import write_letters
from toposlearn.explore.structures import PLANE_AXES, Plane

STEP = 0.5  # mm of the picture


def index_of(image: SpatialImage, point: Sequence[float]) -> tuple[int, int, int]:
    """The voxel that lies nearest to a world point (right, front, up) in mm; it may be outside the image."""
    first, second, third = nib.affines.apply_affine(np.linalg.inv(image.affine), point).round().astype(int).tolist()
    return first, second, third


def plot_in_world(
    images: Mapping[str, SpatialImage], point: Sequence[float], *, plane: Plane = "sagittal", title: str = ""
) -> Figure:
    """One plane of the world through a point, as each image shows it; a cross marks the point, blue is not imaged.

    Args:
        images: what is said of an image -> image.
        point: world mm (right, front, up).
        plane: of the world, whatever way the voxels lie.
        title: what to see; by default the point.
    """
    across, up = PLANE_AXES[plane]
    corners = np.concatenate([_corners(image) for image in images.values()])
    low, high = corners.min(axis=0), corners.max(axis=0)
    ticks = [np.arange(low[axis], high[axis], STEP) for axis in (across, up)]
    world = np.empty((len(ticks[1]), len(ticks[0]), 3))
    world[:] = point
    world[..., across], world[..., up] = np.meshgrid(*ticks)
    figure, axes = plt.subplots(
        1, len(images), figsize=(3.4 * len(images), 3.9), squeeze=False, sharey=True, layout="compressed"
    )
    gray = colormaps["gray"].with_extremes(bad="#CFE3F2")
    for ax, (name, image) in zip(axes[0], images.items(), strict=True):
        ax.imshow(
            _sampled(image, world), gray, origin="lower", extent=(low[across], high[across], low[up], high[up]), vmin=0
        )
        ax.plot(point[across], point[up], "+", color="#F0E442", ms=16, mew=2)
        write_letters(ax, plane)
        ax.set_title(f"{name}\naxes {''.join(nib.aff2axcodes(image.affine))}, voxel {index_of(image, point)}", size=9)
        ax.set_xlabel("world, mm", size=8)
        ax.tick_params(labelsize=8)
    axes[0, 0].set_ylabel("world, mm", size=8)
    where = ", ".join(f"{value:+.0f}" for value in point)
    figure.suptitle(title or f"the cross is at ({where}) mm in each of them", size=11)
    return figure


def _corners(image: SpatialImage) -> NDArray[np.float64]:
    """World mm (8, 3) of the outer corners of the field of view."""
    ends = np.array(np.meshgrid(*[(-0.5, size - 0.5) for size in image.shape])).reshape(3, -1).T
    return np.asarray(nib.affines.apply_affine(image.affine, ends))


def _sampled(image: SpatialImage, world: NDArray[np.float64]) -> NDArray[np.float64]:
    """The voxels that lie at world places (H, W, 3); NaN where the image shows nothing."""
    voxels = nib.affines.apply_affine(np.linalg.inv(image.affine), world)
    data = np.asarray(image.dataobj, dtype=float)
    values = ndimage.map_coordinates(data, np.moveaxis(voxels, -1, 0), order=0, mode="nearest")
    outside = ((voxels < -0.5) | (voxels > np.array(image.shape) - 0.5)).any(axis=-1)
    return np.where(outside, np.nan, values)
