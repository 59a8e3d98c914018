"""The images of one person on one coarse grid about the head's center: enough to tell whether they lie together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from toposlearn.data.transforms import air_noise, brighter_than_air

SPACING = 5.0  # mm
SIDE = 48  # voxels: 240 mm hold a whole head
BLOCK = 1.5  # voxels are averaged to blocks this many times smaller than SPACING before they are interpolated
BRIGHT = 99.5  # percentile of the foreground that becomes 255

Image = tuple[NDArray[np.float32], NDArray[np.float64]]  # voxels (X, Y, Z), affine (4, 4)


@dataclass(frozen=True, eq=False)
class CoarseHead:
    """One person's images on a grid of 48³ voxels of 5 mm in world axes, the first image's head in its middle.

    Attributes:
        modalities: M names.
        volumes: (M, 48, 48, 48) uint8, 0 to 255 from air to bright.
        inside: (M, 48, 48, 48) bool, what the image shows at all.
        foreground: (M, 48, 48, 48) bool, brighter than air.
    """

    modalities: tuple[str, ...]
    volumes: NDArray[np.uint8]
    inside: NDArray[np.bool_]
    foreground: NDArray[np.bool_]


def shrink(data: NDArray[np.generic], affine: NDArray[np.float64]) -> Image:
    """Means over blocks of voxels, about 3 mm wide, and their affine: cheap smoothing before a coarse grid."""
    sizes = nib.affines.voxel_sizes(affine)
    block = [min(max(1, round(SPACING / (BLOCK * size))), side) for size, side in zip(sizes, data.shape, strict=True)]
    counts = [side // width for side, width in zip(data.shape, block, strict=True)]
    whole = data[tuple(slice(count * width) for count, width in zip(counts, block, strict=True))]
    split = [part for pair in zip(counts, block, strict=True) for part in pair]
    small = whole.reshape(split).mean(axis=(1, 3, 5), dtype=np.float32)
    inner = nib.affines.from_matvec(np.diag(block).astype(float), [(width - 1) / 2 for width in block])
    return small, affine @ inner


def coarse_head(images: Mapping[str, Image]) -> CoarseHead:
    """A person's images, each `shrink`-ed, on one coarse grid."""
    center = head_center(*next(iter(images.values())))
    placed = [_place(data, affine, center) for data, affine in images.values()]
    volumes, inside, foreground = (np.stack(parts) for parts in zip(*placed, strict=True))
    return CoarseHead(tuple(images), volumes, inside, foreground)


def head_center(data: NDArray[np.float32], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """World mm of the middle of what is brighter than air."""
    volume = data - data.min()
    voxels = np.argwhere(brighter_than_air(volume, air_noise(volume)))
    return np.asarray(nib.affines.apply_affine(affine, voxels.mean(0)))


def _place(
    data: NDArray[np.float32], affine: NDArray[np.float64], center: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    """Bytes, field of view and foreground of one image on the grid."""
    volume = data - data.min()
    corner = center - (SIDE - 1) / 2 * SPACING
    to_voxel = np.linalg.inv(affine) @ nib.affines.from_matvec(SPACING * np.eye(3), corner)
    linear, shift, shape = to_voxel[:3, :3], to_voxel[:3, 3], (SIDE,) * 3
    moved = ndimage.affine_transform(volume, linear, shift, shape, order=1, mode="nearest")
    index = np.tensordot(linear, np.indices(shape), 1) + shift[:, None, None, None]
    limits = np.array(volume.shape)[:, None, None, None] - 0.5
    inside = ((index > -0.5) & (index < limits)).all(0)
    foreground = brighter_than_air(moved, air_noise(volume)) & inside
    bright = np.percentile(moved[foreground], BRIGHT) if foreground.any() else 1.0
    return (255 * np.clip(moved / bright, 0, 1)).astype(np.uint8), inside, foreground
