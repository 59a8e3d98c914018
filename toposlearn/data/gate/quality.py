"""The quality gate for files: each is opened and checked before anything is computed from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import nibabel as nib
import numpy as np
from nibabel.spatialimages import SpatialImage
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from toposlearn.data.manifest import Record

NO_NIFTI = (nib.filebasedimages.ImageFileError, nib.spatialimages.HeaderDataError, WrapStructError)
SAME_AFFINE_MM = 1e-2
SANE_MM = (0.1, 20.0)  # spacing of a scan of a head
SANE_RATIO = 30.0  # of its longest to its shortest spacing
SANE_VOLUME = 0.2  # of a voxel, relative to one with right angles


class BadImageError(ValueError):
    """An image that cannot be used; the message names the file, what was seen and the remedy."""


@dataclass(frozen=True)
class ImageFacts:
    """What the gate saw of one image."""

    path: Path
    shape: tuple[int, ...]
    spacing: tuple[float, ...]  # mm
    axes: str  # e.g. RAS
    low: float
    high: float
    affine: NDArray[np.float64] = field(repr=False, default_factory=lambda: np.eye(4))
    placed: bool = True  # the header says where the image lies: it has a qform or sform code


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Whatever a bad file does to its reader becomes a BadImageError of one line that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise BadImageError(f"{path} does not exist") from None
    except NO_NIFTI:
        raise BadImageError(f"{path} is not a NIfTI image: replace it, or remove it from the folder") from None
    except Exception as error:  # damaged bytes fail in many ways
        raise BadImageError(f"{path} is truncated or damaged ({_brief(error)}): copy it again") from None


def load_image(path: Path) -> SpatialImage:
    """Open an image; voxels are read later.

    Raises:
        BadImageError: a file that cannot be opened.
    """
    with _naming(path):
        return cast(SpatialImage, nib.load(path))


def read_ras(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Voxels of an image, a mask or a map with axes turned to RAS, whatever they hold, and the affine.

    Raises:
        BadImageError: a file that cannot be read to its end.
    """
    with _naming(path):
        image: Any = nib.as_closest_canonical(nib.load(path))  # type: ignore[arg-type, no-untyped-call]
        return np.asanyarray(image.dataobj), np.asarray(image.affine)


def check_image(path: Path) -> ImageFacts:
    """Open one image, read every voxel, and raise BadImageError with one clear line if it cannot be used."""
    return read_image(path)[0]


def read_image(path: Path) -> tuple[ImageFacts, NDArray[Any]]:
    """What `check_image` says of an image, and its voxels (X, Y, Z)."""
    image = load_image(path)
    with _naming(path):
        data = np.asanyarray(image.dataobj)
    _check_voxels(path, data)
    spacing = _check_affine(path, image.affine)
    low, high = float(data.min()), float(data.max())
    if low == high:
        raise BadImageError(f"{path} is constant ({low:g}): it holds no image")
    axes = "".join(nib.aff2axcodes(image.affine))
    header = cast("dict[str, Any]", image.header)
    codes = [int(header[name]) for name in ("qform_code", "sform_code") if name in header]
    return ImageFacts(path, tuple(data.shape), spacing, axes, low, high, image.affine, not codes or any(codes)), data


def _check_voxels(path: Path, data: NDArray[Any]) -> None:
    if data.ndim != 3 or min(data.shape) < 2:
        raise BadImageError(f"{path} has shape {data.shape}: a 3-D volume is needed")
    if data.dtype.kind not in "iufb":
        raise BadImageError(f"{path} holds {data.dtype} values, not one real number a voxel: convert it")
    if not np.isfinite(data).all():
        count = int((~np.isfinite(data)).sum())
        raise BadImageError(f"{path} holds {count} NaN or infinite voxels: repair or replace it")


def _check_affine(path: Path, affine: NDArray[np.float64]) -> tuple[float, ...]:
    """The spacing, if a head could have been scanned with it."""
    if not np.isfinite(affine).all() or np.isclose(np.linalg.det(affine), 0, atol=1e-12):
        raise BadImageError(f"{path} has no usable affine: its header does not say where the voxels lie")
    spacing = tuple(float(size) for size in nib.affines.voxel_sizes(affine))
    told = f"{path} has voxels of {' x '.join(f'{size:g}' for size in spacing)} mm"
    if min(spacing) < SANE_MM[0] or max(spacing) > SANE_MM[1] or max(spacing) > SANE_RATIO * min(spacing):
        raise BadImageError(f"{told}, as no scan of a head has: repair its header")
    if abs(np.linalg.det(affine)) < SANE_VOLUME * np.prod(spacing):
        raise BadImageError(f"{told} whose axes hardly differ: repair the affine in its header")
    return spacing


def _brief(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:80]


def check_record(record: Record) -> dict[str, ImageFacts]:
    """Check every image of a person, and that all lie on one grid: token i must be the same place in each modality."""
    facts = {modality: check_image(path) for modality, path in record.images.items()}
    first = next(iter(facts.values())).path
    for path in [fact.path for fact in facts.values()] + [path for path in (record.labels, record.lesion) if path]:
        _check_same_grid(path, first, record.subject)
    return facts


def _check_same_grid(path: Path, first: Path, subject: str) -> None:
    """By the headers alone."""
    one, other = load_image(first), load_image(path)
    remedy = f"register and resample the modalities of {subject} to one grid"
    if other.shape != one.shape:
        raise BadImageError(f"{path} has shape {other.shape} but {first.name} has {one.shape}: {remedy}")
    if not np.allclose(other.affine, one.affine, atol=SAME_AFFINE_MM):
        raise BadImageError(f"{path} lies elsewhere in space than {first.name} (their affines differ): {remedy}")


def same_grid(one: ImageFacts, other: ImageFacts) -> bool:
    """True where voxel for voxel is the same place, by the headers."""
    return one.shape == other.shape and np.allclose(one.affine, other.affine, atol=SAME_AFFINE_MM)


def elsewhere(reference: ImageFacts, files: Mapping[str, Path]) -> list[str]:
    """Which of some files lie on another grid than the reference, by the headers alone.

    Raises:
        BadImageError: a file that cannot be opened.
    """
    found = []
    for name, path in files.items():
        image = load_image(path)
        same = image.shape[:3] == reference.shape
        if not (same and np.allclose(image.affine, reference.affine, atol=SAME_AFFINE_MM)):
            found.append(name)
    return found


def damaged_truth(record: Record) -> list[str]:
    """Why files of a person's ground truth cannot be used, a line for each: all their voxels are read."""
    found = []
    for path in record.truth.values():
        try:
            if not np.isfinite(read_ras(path)[0]).all():
                raise BadImageError(f"{path} holds NaN or infinite voxels: repair or replace it")
        except BadImageError as error:
            found.append(str(error))
    return found
