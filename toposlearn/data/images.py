"""Images of heads: the readers of image files, and voxels as everything downstream sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toposlearn.data.air import darken_background
from toposlearn.images import (
    ENDINGS,
    BadImageError,
    Image,
    is_image,
    labels_of,
    naming,
    open_image,
    read_ras,
    stem,
    to_ras,
)

__all__ = [
    "ENDINGS",
    "TRUTH_READERS",
    "BadImageError",
    "Image",
    "is_image",
    "is_series",
    "load_image",
    "naming",
    "read_field",
    "read_labels",
    "read_mask",
    "read_ras",
    "read_scan",
    "stem",
    "to_ras",
]

load_image = open_image


def read_scan(path: Path, channel: int | None = None) -> tuple[NDArray[Any], Image]:
    """Voxels (X, Y, Z) of an image, with air the darkest, and the image; BadImageError if it cannot be read."""
    image = open_image(path)
    return darken_background(image.voxels(channel)), image


def read_labels(path: Path) -> tuple[NDArray[Any], Image]:
    """Structure labels (X, Y, Z), whole numbers, and the image; BadImageError if it cannot be read as such."""
    image = open_image(path)
    return labels_of(image), image


def read_mask(path: Path) -> tuple[NDArray[Any], Image]:
    """A mask (X, Y, Z) or a map of probabilities, and the image; BadImageError if it cannot be read."""
    image = open_image(path)
    return _finite(path, image.voxels()), image


def read_field(path: Path) -> tuple[NDArray[Any], Image]:
    """A field of vectors (X, Y, Z, 3) and the image; BadImageError if it cannot be read."""
    image = open_image(path)
    if len(image.shape) != 4 or image.shape[3] != 3:
        raise BadImageError(f"{path} has shape {image.shape}, but a map to the template has three values per voxel")
    return _finite(path, image.array()), image


def _finite(path: Path, values: NDArray[Any]) -> NDArray[Any]:
    if not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise BadImageError(f"{path} holds {count} NaN or infinite voxels: repair or replace it")
    return values


def is_series(path: Path) -> bool:
    """True where a file holds several volumes, by its header."""
    try:
        return len(open_image(path).shape) > 3
    except BadImageError:
        return False  # the quality gate reports what is wrong


TRUTH_READERS = {"labels": read_labels, "lesion": read_mask, "to_template": read_field}
