"""Label maps: whole numbers, also where a file stores them as floats or through a scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toposlearn.images.damage import BadImageError
from toposlearn.images.reading import Image

ROUNDING = (1e-3, 2.5e-7)  # how far a label may be from a whole number: for small labels, and relative to large ones
COARSEST = 0.25  # scale of a file in whose steps whole numbers remain distinct


def labels_of(image: Image) -> NDArray[Any]:
    """The voxels (X, Y, Z) of a label map, whole numbers; BadImageError, in one line, where it holds others.

    Values that differ from whole numbers by rounding are rounded, also that of a header's scale (``scl_slope``),
    where each whole number was stored as one value.
    """
    values = image.voxels()
    if values.dtype.kind in "iub":
        return values
    if not np.isfinite(values).all():
        raise BadImageError(f"{image.path} holds NaN or infinite values: a segmentation holds labels")
    whole = np.rint(values)
    off = np.abs(values - whole) > ROUNDING[0] + ROUNDING[1] * np.abs(whole)
    if not off.any() or _one_step_off(values, image.scale):
        return np.asarray(whole)
    scaled = f" (its header scales them by {image.scale:.4g})" if image.scale != 1 else ""
    raise BadImageError(
        f"{image.path} holds {np.count_nonzero(off)} values that are not whole numbers{scaled}: is it an image, or a "
        "segmentation resampled with interpolation? Resample labels to the nearest voxel"
    )


def _one_step_off(values: NDArray[Any], scale: float) -> bool:
    """True where each value is the nearest whole number up to one step of a fine scale, and no two share a number."""
    if not 0 < scale < COARSEST:
        return False
    seen = np.unique(values)
    whole = np.rint(seen)
    return bool((np.abs(seen - whole) < 1.01 * scale).all() and len(np.unique(whole)) == len(seen))
