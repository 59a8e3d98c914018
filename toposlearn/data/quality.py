"""The quality gate: each file is opened and checked before anything is computed from it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import nibabel as nib
import numpy as np
from nibabel.spatialimages import SpatialImage

from toposlearn.data.layouts import read_manifest
from toposlearn.data.manifest import Record

SAME_AFFINE_MM = 1e-2


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


def load_image(path: Path) -> SpatialImage:
    """Open an image; voxels are read later."""
    return cast(SpatialImage, nib.load(path))


def check_image(path: Path) -> ImageFacts:
    """Open one image, read every voxel, and raise BadImageError with one clear line if it cannot be used."""
    try:
        image = load_image(path)
        data = np.asanyarray(image.dataobj)
    except FileNotFoundError:
        raise BadImageError(f"{path} does not exist") from None
    except (nib.filebasedimages.ImageFileError, nib.spatialimages.HeaderDataError):
        raise BadImageError(f"{path} is not a NIfTI image: replace it, or remove it from the folder") from None
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise BadImageError(f"{path} is truncated or damaged ({_brief(error)}): copy it again") from None
    if data.ndim != 3 or min(data.shape) < 2:
        raise BadImageError(f"{path} has shape {data.shape}: a 3-D volume is needed")
    if data.dtype.kind not in "iufb":
        raise BadImageError(f"{path} holds {data.dtype} values, not one real number a voxel: convert it")
    if not np.isfinite(image.affine).all() or np.isclose(np.linalg.det(image.affine), 0):
        raise BadImageError(f"{path} has no usable affine: its header does not say where the voxels lie")
    if not np.isfinite(data).all():
        count = int((~np.isfinite(data)).sum())
        raise BadImageError(f"{path} holds {count} NaN or infinite voxels: repair or replace it")
    low, high = float(data.min()), float(data.max())
    if low == high:
        raise BadImageError(f"{path} is constant ({low:g}): it holds no image")
    spacing = tuple(float(size) for size in nib.affines.voxel_sizes(image.affine))
    axes = "".join(nib.aff2axcodes(image.affine))
    return ImageFacts(path, tuple(data.shape), spacing, axes, low, high)


def _brief(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:80]


def check_record(record: Record) -> dict[str, ImageFacts]:
    """Check every image of a person, and that all lie on one grid: token i must be the same place in each modality."""
    facts = {modality: check_image(path) for modality, path in record.images.items()}
    affines = {modality: load_image(path).affine for modality, path in record.images.items()}
    first, *others = facts
    for other in others:
        if facts[other].shape != facts[first].shape:
            raise BadImageError(
                f"{facts[other].path} has shape {facts[other].shape} but {facts[first].path.name} has "
                f"{facts[first].shape}: register and resample the modalities of {record.subject} to one grid"
            )
        if not np.allclose(affines[other], affines[first], atol=SAME_AFFINE_MM):
            raise BadImageError(
                f"{facts[other].path} lies elsewhere in space than {facts[first].path.name} (their affines differ): "
                f"register and resample the modalities of {record.subject} to one grid"
            )
    return facts


def inspect_folder(root: str | Path) -> str:
    """Check a whole data folder and report it on one page.

    Raises:
        FileNotFoundError: no folder, or no image in it.
        BadImageError: the first bad image, after the whole folder was read; the message counts the others.
    """
    manifest = read_manifest(root)
    errors, lines = [], [f"{manifest.root}: {len(manifest)} people"]
    for record in manifest.records:
        try:
            facts = check_record(record)
        except BadImageError as error:
            errors.append(str(error))
            continue
        one = next(iter(facts.values()))
        spacing = " x ".join(f"{size:g}" for size in one.spacing)
        shape = " x ".join(map(str, one.shape))
        lines.append(f"{record.subject}  {shape}  {spacing} mm  {one.axes}  {', '.join(sorted(facts))}")
    if errors:
        more = f" (and {len(errors) - 1} more people with problems)" if len(errors) > 1 else ""
        raise BadImageError(errors[0] + more)
    lines.append(f"modalities that everyone has: {', '.join(manifest.modalities) or 'none'}")
    return "\n".join(lines)
