"""Read an image file of any format: its header first, its voxels when they are asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from toposlearn.arrays import Float64s
from toposlearn.images.damage import BadImageError, check_file, naming, what_it_is
from toposlearn.images.itk import StoredITK, open_itk
from toposlearn.images.nifti import Stored, header_of_pair, open_nifti
from toposlearn.images.streams import open_bytes

HEAD = 1024  # bytes that show the format
MOST_VALUES = 1 << 30  # of one volume: a head of 240 mm in voxels of 0.25 mm has less


@dataclass(frozen=True, eq=False)
class Image:
    """An image file whose header has been read; axes of length one beyond the three of space are dropped."""

    path: Path
    stored: Stored | StoredITK
    shape: tuple[int, ...]  # (X, Y, Z), or more axes in a series, a field or a file of several modalities

    @property
    def affine(self) -> Float64s:
        """Voxel index to RAS mm, (4, 4)."""
        return self.stored.affine

    @property
    def placed(self) -> bool:
        """True where the header defines the position."""
        return self.stored.placed

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the voxels in the file."""
        return self.stored.dtype

    @property
    def scale(self) -> float:
        """The factor by which the header multiplies what is stored."""
        return self.stored.scale

    def array(self) -> NDArray[Any]:
        """All values, in the shape of the image; BadImageError where they cannot be read."""
        with naming(self.path):
            _check_count(self.path, self.shape)
            return self.stored.values().reshape(self.shape, order="F")

    def voxels(self, channel: int | None = None) -> NDArray[Any]:
        """The voxels (X, Y, Z), of one channel where the file holds several; BadImageError without three axes."""
        if channel is None or (channel == 0 and len(self.shape) == 3):
            if len(self.shape) != 3 or min(self.shape) < 2:
                raise BadImageError(_no_volume(self.path, self.shape))
            return self.array()
        if len(self.shape) != 4 or not 0 <= channel < self.shape[3]:
            remedy = "store all channels that are listed in it"
            raise BadImageError(f"{self.path} has shape {self.shape}, so no channel {channel}: {remedy}")
        with naming(self.path):
            _check_count(self.path, self.shape[:3])
            return self.stored.values(channel, self.shape[3]).reshape(self.shape[:3], order="F")


def open_image(path: str | Path) -> Image:
    """Open an image without reading its voxels; BadImageError, in one line, if that fails."""
    path = Path(path)
    check_file(path)
    header = header_of_pair(path) or path
    if not os.path.lexists(header):
        raise BadImageError(f"{path} has no header beside it ({header.name}): copy it")
    check_file(header)
    with naming(path):
        with open_bytes(header) as stream:
            head = stream.read(HEAD)
        stored = open_nifti(path, head) or open_itk(path, head)
        if stored is None:
            raise BadImageError(f"{path} {what_it_is(head)}")
        _check_type(path, stored.dtype)
        return Image(path, stored, _without_ones(stored.shape))


def read_ras(path: str | Path, channel: int | None = None) -> tuple[NDArray[Any], Float64s]:
    """Values of an image, mask or map with axes turned to RAS, and the affine; BadImageError if it is damaged."""
    image = open_image(path)
    return to_ras(image.array() if channel is None else image.voxels(channel), image.affine)


def to_ras(values: NDArray[Any], affine: Float64s) -> tuple[NDArray[Any], Float64s]:
    """Turn the first three axes to right, anterior, superior."""
    turn = nib.io_orientation(affine)
    if np.array_equal(turn, [[0, 1], [1, 1], [2, 1]]):
        return values, affine
    back = nib.orientations.inv_ornt_aff(turn, values.shape[:3])
    return nib.apply_orientation(values, turn), affine @ back


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without axes of length one behind the three of space, then before them."""
    kept = [*shape[:3], *(size for size in shape[3:] if size > 1)]
    while len(kept) > 3 and kept[0] == 1:
        kept = kept[1:]
    return tuple(kept)


def _check_type(path: Path, dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "iufb":
        kind = "colors" if dtype.names else f"{dtype} values"
        raise BadImageError(f"{path} holds {kind} instead of one real number per voxel: convert it")


def _check_count(path: Path, shape: tuple[int, ...]) -> None:
    if int(np.prod(shape, dtype=object)) > MOST_VALUES:
        raise BadImageError(f"{path} has shape {shape}, which is larger than any scan of a head: crop it")


def _no_volume(path: Path, shape: tuple[int, ...]) -> str:
    return f"{path} has shape {shape}, but a 3-D volume is needed: extract one, or remove it"
