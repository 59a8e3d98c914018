"""NIfTI, MGH and Analyze by nibabel: the header, and where in the file the voxels are."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from nibabel.fileholders import FileHolder
from nibabel.imageglobals import logger
from nibabel.volumeutils import apply_read_scaling
from numpy.typing import NDArray

from toposlearn.arrays import Float64s
from toposlearn.images.damage import BadImageError
from toposlearn.images.streams import holds, open_bytes, read_block

SINGLE: tuple[tuple[int, bytes, Any], ...] = (  # where in the header, which bytes, the class that reads the file
    (344, b"n+1", nib.Nifti1Image),
    (4, b"n+2", nib.Nifti2Image),
    (0, b"\x00\x00\x00\x01", nib.MGHImage),
)
PAIR = ((344, b"ni1"), (4, b"ni2"), (0, (348).to_bytes(4, "little")), (0, (348).to_bytes(4, "big")))
HEADERS = {".img": ".hdr", ".IMG": ".HDR", ".img.gz": ".hdr.gz"}


class Stored(NamedTuple):
    """An image whose header has been read: where its voxels are, and what is to be done with them."""

    path: Path  # of the file that holds the voxels
    proxy: Any  # nibabel's: shape, dtype, offset, slope, inter
    affine: Float64s
    placed: bool  # the header defines the position

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array in the file."""
        return tuple(map(int, self.proxy.shape))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the voxels in the file."""
        dtype: np.dtype[Any] = self.proxy.dtype
        return dtype

    @property
    def scale(self) -> float:
        """The factor by which the header multiplies what is stored."""
        return float(self.proxy.slope)

    def values(self, part: int = 0, parts: int = 1) -> NDArray[Any]:
        """One of so many equal parts of the array, along its last long axis; flat, the first axis fastest."""
        count = int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize // parts
        raw = read_block(self.path, self.proxy.offset + part * count, count).view(self.dtype)
        with np.errstate(all="ignore"):
            return apply_read_scaling(raw, np.asanyarray(self.proxy.slope), np.asanyarray(self.proxy.inter))


def header_of_pair(path: Path) -> Path | None:
    """The file that holds the header of an image in two files; None for other files."""
    ending = next((end for end in HEADERS if path.name.endswith(end)), None)
    return path.with_name(path.name[: -len(ending)] + HEADERS[ending]) if ending else None


def open_nifti(path: Path, head: bytes) -> Stored | None:
    """Read the header of a file that starts with `head`; None where it has none of these formats."""
    kind = next((each for at, magic, each in SINGLE if head[at:].startswith(magic)), None)
    with _quiet():
        if kind is not None:
            with open_bytes(path) as stream:
                image = kind.from_file_map({"image": FileHolder(fileobj=stream)})
        elif any(head[at:].startswith(magic) for at, magic in PAIR):
            image = nib.load(path)
        else:
            return None
        proxy = image.dataobj
        file = path if kind is not None else Path(image.file_map["image"].filename)
        stored = Stored(file, proxy, np.asarray(image.affine, dtype=np.float64), _placed(image.header))
    return _checked(path, stored)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without nibabel's remarks on headers that it repairs."""
    before, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def _checked(path: Path, stored: Stored) -> Stored:
    """Refuse a shape that the file is too small for, before any memory is asked for."""
    words = " x ".join(map(str, stored.shape))
    if min(stored.shape, default=0) < 1:
        raise BadImageError(f"{path} has a header that claims {words or 'no'} voxels: copy it again, or repair it")
    count = int(np.prod(stored.shape, dtype=object)) * stored.dtype.itemsize
    if stored.proxy.offset < 0 or not holds(stored.path, stored.proxy.offset + count):
        claim = f"its header claims {words} voxels of {stored.dtype}, for which the file is too short"
        raise BadImageError(f"{path} is truncated or damaged ({claim}): copy it again")
    return stored


def _placed(header: Any) -> bool:
    """True where a header defines the position: it has a code (NIfTI), or the flag of MGH."""
    names = [name for name in ("qform_code", "sform_code", "goodRASFlag") if name in header]
    return any(int(header[name]) > 0 for name in names)
