"""NRRD and MetaImage by SimpleITK, whose axes point left, posterior, superior."""

from __future__ import annotations

import math
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toposlearn.arrays import Float64s
from toposlearn.images.damage import BadImageError

NRRD, META = "NrrdImageIO", "MetaImageIO"
DATA_FILE = {NRRD: r"^data ?file: *(.+)$", META: r"^ElementDataFile *= *(.+)$"}
COMPRESSED = {NRRD: r"^encoding: *gz", META: r"^CompressedData *= *True"}
UNREAD = r"^encoding: *(?! |raw|gz)(.*)"
PLACE = {NRRD: r"^space directions:", META: r"^(TransformMatrix|Rotation|Orientation|Offset|Position|Origin) *="}
HEADER = 1 << 16  # bytes in which the header ends
CHUNK = 1 << 22
TYPES = {"8": "1", "16": "2", "32": "4", "64": "8"}  # bits -> bytes, in the words of SimpleITK


class StoredITK(NamedTuple):
    """An image whose header has been read; axes of the array are x, y, z, and channels or time."""

    path: Path
    reader: Any  # SimpleITK's
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    affine: Float64s
    placed: bool  # the header defines the position
    scale: float = 1.0  # these formats store what they mean

    def values(self, part: int = 0, parts: int = 1) -> NDArray[Any]:
        """One of so many equal parts of the array, along its last long axis; flat, the first axis fastest."""
        import SimpleITK as sitk  # noqa: N813

        with _in_words("its voxels cannot be decoded"):
            image = self.reader.Execute()
        array = sitk.GetArrayFromImage(image)  # (T, Z, Y, X), or (Z, Y, X, C)
        if image.GetNumberOfComponentsPerPixel() > 1:
            array = np.moveaxis(array, -1, 0)
        return np.asarray(array.reshape(parts, -1)[part])


def open_itk(path: Path, head: bytes) -> StoredITK | None:
    """Read the header of a file that starts with `head`; None where it has none of these formats."""
    kind = NRRD if head.startswith(b"NRRD0") else META if re.search(rb"^NDims *=", head, re.M) else ""
    if not kind:
        return None
    import SimpleITK as sitk  # noqa: N813

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(kind)
    reader.SetFileName(str(path))
    text, end = _header(path)
    if unknown := re.search(UNREAD, text, re.M | re.I):
        raise BadImageError(f"{path} has the encoding {unknown[1]}, which is not read: store it with gzip or raw")
    files = _data_files(path, text, kind)
    with _in_words("its header cannot be read"):
        reader.ReadImageInformation()
    size, components = reader.GetSize(), reader.GetNumberOfComponents()
    shape = (*map(int, size), *([components] if components > 1 else []))
    dtype = _dtype(sitk.GetPixelIDValueAsString(reader.GetPixelID()))
    stored = StoredITK(path, reader, shape, dtype, _affine(reader), bool(re.search(PLACE[kind], text, re.M)))
    start = end if files == [path] else 0
    if not re.search(COMPRESSED[kind], text, re.M | re.I):
        _check_size(stored, files[0].stat().st_size - start)
    elif _inflated(files[0], start) != _bytes(stored):
        raise ValueError("its header claims another number of bytes than it holds")
    return stored


@contextmanager
def _in_words(reason: str) -> Iterator[None]:
    """Replace the many lines of SimpleITK's errors, and those that MetaImage's reader writes to stderr itself."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    except RuntimeError:
        raise ValueError(reason) from None
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _header(path: Path) -> tuple[str, int]:
    """The text before the voxels, to the first empty line (NRRD) or the name of their file (MetaImage); its bytes."""
    with path.open("rb") as file:
        text = file.read(HEADER).decode("latin-1")
    end = re.search(r"\r?\n\r?\n|^ElementDataFile *=[^\n]*\n?", text, re.M)
    length = end.end() if end else len(text)
    return text[:length].replace("\r", ""), length


def _data_files(path: Path, text: str, kind: str) -> list[Path]:
    """The files that hold the voxels."""
    named = re.search(DATA_FILE[kind], text, re.M)
    name = named[1].strip() if named else "LOCAL"
    if name.upper() == "LOCAL":
        return [path]
    if name.startswith("LIST") or "%" in name:
        raise BadImageError(f"{path} keeps its slices in several files: store it as one file")
    if not (path.parent / name).is_file():
        raise BadImageError(f"{path} needs {path.parent / name}, which does not exist: copy it")
    return [path.parent / name]


def _dtype(words: str) -> np.dtype[Any]:
    """The type of a pixel that SimpleITK names ``vector of 16-bit signed integer``."""
    if "complex" in words:
        return np.dtype(complex)
    bits = re.search(r"(\d+)-bit", words)
    kind = "f" if "float" in words else "u" if "unsigned" in words else "i"
    return np.dtype(kind + TYPES[bits[1]]) if bits else np.dtype(object)


def _affine(reader: Any) -> Float64s:
    """Voxel index to RAS mm (4, 4), from axes that point left, posterior, superior."""
    axes = len(reader.GetSize())
    affine = np.eye(4)
    if axes >= 3:
        direction = np.reshape(reader.GetDirection(), (axes, axes))[:3, :3]
        affine[:3, :3] = direction * np.asarray(reader.GetSpacing()[:3])
        affine[:3, 3] = reader.GetOrigin()[:3]
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def _inflated(file: Path, start: int) -> int:
    """How many bytes zlib or gzip stored from here on; zlib.error where they are damaged, EOFError where cut."""
    stream, count = zlib.decompressobj(32 + zlib.MAX_WBITS), 0
    with file.open("rb") as source:
        source.seek(start)
        while not stream.eof:
            block = stream.unconsumed_tail or source.read(CHUNK)
            if not block:
                raise EOFError
            count += len(stream.decompress(block, CHUNK))
    return count


def _bytes(stored: StoredITK) -> int:
    return math.prod(stored.shape) * stored.dtype.itemsize


def _check_size(stored: StoredITK, size: int) -> None:
    """Refuse a shape for which there are too few bytes, before any memory is asked for."""
    if not 0 < _bytes(stored) <= size:
        words = " x ".join(map(str, stored.shape))
        claim = f"its header claims {words} voxels of {stored.dtype}, for which the file is too short"
        raise BadImageError(f"{stored.path} is truncated or damaged ({claim}): copy it again")
