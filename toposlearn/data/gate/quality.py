"""One image file: read and check it before anything is computed from it, and distinguish the head from air."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import nibabel as nib
import numpy as np
from nibabel.spatialimages import SpatialImage
from numpy.typing import NDArray

from toposlearn.arrays import Float64s
from toposlearn.data.images import BadImageError, load_image, naming, read_ras
from toposlearn.data.manifest import Record

SAME_AFFINE_MM = 1e-2
SANE_MM = (0.1, 20.0)  # spacing of a scan of a head
SANE_RATIO = 30.0  # of its longest to its shortest spacing
SANE_VOLUME = 0.2  # of a voxel, relative to one with right angles
FOREGROUND_FRACTION = 0.05  # of the bright end (99th percentile) of a modality
NOISE_MEDIANS = 3.5  # about 4 standard deviations of the noise: the median of a Rayleigh law is 1.18 of them
NOISY_FACES = 0.3  # share of the outermost voxels that must not be zero for air to count as noisy


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


def check_image(path: Path) -> ImageFacts:
    """Read every voxel of an image, and raise BadImageError with one line if it cannot be used."""
    return read_image(path)[0]


def read_image(path: Path) -> tuple[ImageFacts, NDArray[Any]]:
    """The facts of `check_image`, and the voxels (X, Y, Z)."""
    image = load_image(path)
    with naming(path):
        data = np.asanyarray(image.dataobj)
    _check_voxels(path, data)
    spacing = _check_affine(path, image.affine)
    low, high = float(data.min()), float(data.max())
    if low == high:
        raise BadImageError(f"{path} is constant ({low:g}), so it shows nothing: replace it, or remove it")
    axes = "".join(nib.aff2axcodes(image.affine))
    header = cast("dict[str, Any]", image.header)
    codes = [int(header[name]) for name in ("qform_code", "sform_code") if name in header]
    return ImageFacts(path, tuple(data.shape), spacing, axes, low, high, image.affine, not codes or any(codes)), data


def _check_voxels(path: Path, data: NDArray[Any]) -> None:
    if data.ndim != 3 or min(data.shape) < 2:
        raise BadImageError(f"{path} has shape {data.shape}, but a 3-D volume is needed: extract one, or remove it")
    if data.dtype.kind not in "iufb":
        raise BadImageError(f"{path} holds {data.dtype} values instead of one real number per voxel: convert it")
    if not np.isfinite(data).all():
        count = int((~np.isfinite(data)).sum())
        raise BadImageError(f"{path} holds {count} NaN or infinite voxels: repair or replace it")


def _check_affine(path: Path, affine: Float64s) -> tuple[float, ...]:
    """The spacing, where it is one with which a head can have been scanned."""
    if not np.isfinite(affine).all() or np.isclose(np.linalg.det(affine), 0, atol=1e-12):
        raise BadImageError(f"{path} has no usable affine, so the place of its voxels is unknown: repair its header")
    spacing = tuple(float(size) for size in nib.affines.voxel_sizes(affine))
    voxels = f"{path} has voxels of {' x '.join(f'{size:g}' for size in spacing)} mm"
    if min(spacing) < SANE_MM[0] or max(spacing) > SANE_MM[1] or max(spacing) > SANE_RATIO * min(spacing):
        raise BadImageError(f"{voxels}, which no scan of a head has: repair its header")
    if abs(np.linalg.det(affine)) < SANE_VOLUME * np.prod(spacing):
        raise BadImageError(f"{voxels} whose axes are nearly parallel: repair the affine in its header")
    return spacing


def same_grid(one: ImageFacts | SpatialImage, other: ImageFacts | SpatialImage) -> bool:
    """True where equal indices are the same place by the headers of two images (or maps of vectors)."""
    return one.shape[:3] == other.shape[:3] and np.allclose(one.affine, other.affine, atol=SAME_AFFINE_MM)


def damaged_truth(record: Record) -> list[str]:
    """One line for each file of a person's ground truth that cannot be used; all their voxels are read."""
    problems = []
    for path in record.truth.values():
        try:
            if not np.isfinite(read_ras(path)[0]).all():
                problems.append(f"{path} holds NaN or infinite voxels: repair or replace it")
        except BadImageError as error:
            problems.append(str(error))
    return problems


def air_noise(volume: NDArray[Any]) -> float:
    """Noise of the air: the median of nonzero voxels on the volume's six faces, or 0 where most of them are zero."""
    on_face = np.ones(volume.shape, dtype=bool)
    on_face[(slice(1, -1),) * volume.ndim] = False
    faces = volume[on_face]
    noisy = faces[faces > 0]
    return float(np.median(noisy)) if len(noisy) > NOISY_FACES * len(faces) else 0.0


def brighter_than_air(volume: NDArray[Any], noise: float) -> NDArray[np.bool_]:
    """Voxels of a volume, whose minimum is 0, that are brighter than air with this much noise (`air_noise`)."""
    return np.asarray(volume > max(FOREGROUND_FRACTION * np.percentile(volume, 99), NOISE_MEDIANS * noise))
