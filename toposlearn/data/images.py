"""Image files: open and read them, and say in one line why one cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import nibabel as nib
import numpy as np
from nibabel.spatialimages import SpatialImage
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from toposlearn.arrays import Float64s

ENDINGS = (".nii.gz", ".nii")


class BadImageError(ValueError):
    """An image that cannot be used; the message names the file, the problem and the remedy."""


def is_image(name: str) -> bool:
    """True where the ending of a file's name is that of an image, in capitals or not."""
    return name.lower().endswith(ENDINGS)


def stem(name: str) -> str:
    """The name of an image file without its ending."""
    ending = next((each for each in ENDINGS if name.lower().endswith(each)), "")
    return name[: len(name) - len(ending)]


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn any error of a reader into a `BadImageError` of one line that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise BadImageError(f"{path} does not exist") from None
    except (nib.filebasedimages.ImageFileError, nib.spatialimages.HeaderDataError, WrapStructError):
        raise BadImageError(f"{path} is not a NIfTI image: replace it, or remove it from the folder") from None
    except Exception as error:  # damaged bytes fail in many ways
        brief = (str(error).splitlines() or [type(error).__name__])[0][:80]
        raise BadImageError(f"{path} is truncated or damaged ({brief}): copy it again") from None


def load_image(path: Path) -> SpatialImage:
    """Open an image without reading its voxels; raise BadImageError if that fails."""
    with naming(path):
        return cast(SpatialImage, nib.load(path))


def read_ras(path: Path) -> tuple[NDArray[Any], Float64s]:
    """Voxels of an image, mask or map with axes turned to RAS, and the affine; BadImageError if it is damaged."""
    with naming(path):
        image: Any = nib.as_closest_canonical(nib.load(path))  # type: ignore[arg-type, no-untyped-call]
        return np.asanyarray(image.dataobj), np.asarray(image.affine)


def is_series(path: Path) -> bool:
    """True where a file holds several volumes, by its header."""
    try:
        return len(load_image(path).shape) > 3
    except BadImageError:
        return False  # the quality gate reports what is wrong
