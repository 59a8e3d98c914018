"""One image file: read and check it before anything is computed from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from toposlearn.arrays import Float64s
from toposlearn.data.air import why_no_image
from toposlearn.data.images import TRUTH_READERS, BadImageError, read_scan, to_ras
from toposlearn.data.manifest import Record

SAME_AFFINE_MM = 1e-2
SANE_MM = (0.1, 20.0)  # spacing of a scan of a head
SANE_RATIO = 30.0  # of its longest to its shortest spacing
SANE_VOLUME = 0.2  # of a voxel, relative to one with right angles
FARTHEST_MM = 1e6  # of a voxel from the origin
LARGEST = 1e30  # value: float32 ends at 3e38, and its squares are needed


@dataclass(frozen=True)
class ImageFacts:
    """What the gate read of one image."""

    path: Path
    shape: tuple[int, ...]
    spacing: tuple[float, ...]  # mm
    axes: str  # e.g. RAS
    low: float  # smallest value
    high: float
    affine: Float64s = field(repr=False, default_factory=lambda: np.eye(4))
    placed: bool = True  # the header defines the position: it has a qform or sform code
    fingerprint: str = ""  # the same for the same voxels, whatever their file


def check_image(path: Path, channel: int | None = None) -> ImageFacts:
    """Read every voxel of an image, and raise BadImageError with one line if it cannot be used."""
    return read_image(path, channel)[0]


def read_image(path: Path, channel: int | None = None) -> tuple[ImageFacts, NDArray[Any]]:
    """The facts of `check_image`, and the voxels (X, Y, Z) with air the darkest (`darken_background`)."""
    data, image = read_scan(path, channel)
    spacing = _check_affine(path, image.affine)
    low, high = _check_values(path, data)
    axes = "".join(nib.aff2axcodes(image.affine))
    print_ = fingerprint(data, image.affine)
    return ImageFacts(path, tuple(data.shape), spacing, axes, low, high, image.affine, image.placed, print_), data


def fingerprint(data: NDArray[Any], affine: Float64s) -> str:
    """A short hash of voxels and shape, the same for a copy of other axes, compression or type of number."""
    turned = to_ras(data, affine)[0].T + np.float32(0)  # -0 is 0
    digest = hashlib.blake2b(repr(turned.shape).encode(), digest_size=8)
    digest.update(np.ascontiguousarray(turned, dtype=np.float32).data)
    return digest.hexdigest()


def _check_values(path: Path, data: NDArray[Any]) -> tuple[float, float]:
    """The smallest and the largest value of an image that shows a head."""
    if not np.isfinite(data).all():
        count = int((~np.isfinite(data)).sum())
        raise BadImageError(f"{path} holds {count} NaN or infinite voxels: repair or replace it")
    low, high = float(data.min()), float(data.max())
    if max(-low, high) > LARGEST:
        remedy = "repair the scale (scl_slope) in its header"
        raise BadImageError(f"{path} holds values of {low:.3g} to {high:.3g}: {remedy}")
    if np.float32(low) == np.float32(high):
        raise BadImageError(f"{path} is constant ({low:g}), so it shows nothing: replace it, or remove it")
    if reason := why_no_image(data):
        raise BadImageError(f"{path} {reason}")
    return low, high


def _check_affine(path: Path, affine: Float64s) -> tuple[float, ...]:
    """The spacing, where it is one with which a head can have been scanned."""
    if not (np.abs(affine) < FARTHEST_MM).all() or np.isclose(np.linalg.det(affine), 0, atol=1e-12):
        raise BadImageError(f"{path} has no usable affine, so the place of its voxels is unknown: repair its header")
    spacing = tuple(float(size) for size in nib.affines.voxel_sizes(affine))
    voxels = f"{path} has voxels of {' x '.join(f'{size:g}' for size in spacing)} mm"
    if min(spacing) < SANE_MM[0] or max(spacing) > SANE_MM[1] or max(spacing) > SANE_RATIO * min(spacing):
        raise BadImageError(f"{voxels}, which no scan of a head has: repair its header")
    if abs(np.linalg.det(affine)) < SANE_VOLUME * np.prod(spacing):
        raise BadImageError(f"{voxels} whose axes are nearly parallel: repair the affine in its header")
    return spacing


class HasGrid(Protocol):
    """An image, or the facts of one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis."""

    @property
    def affine(self) -> Float64s:
        """Voxel index to mm (4, 4)."""


def same_grid(one: HasGrid, other: HasGrid) -> bool:
    """True where equal indices are the same place by the headers of two images (or maps of vectors)."""
    return one.shape[:3] == other.shape[:3] and np.allclose(one.affine, other.affine, atol=SAME_AFFINE_MM)


def damaged_truth(record: Record) -> list[str]:
    """One line for each file of a person's ground truth that cannot be used; all their voxels are read."""
    problems = []
    for name, path in record.truth.items():
        try:
            TRUTH_READERS[name](path)
        except BadImageError as error:
            problems.append(str(error))
    return problems
