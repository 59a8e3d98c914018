"""Files that cannot be read as an image: what each is instead, and the remedy, in one line."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FETCH = "fetch it with 'datalad get' or 'git annex get', or remove it"
SIGNATURES = (  # offset and bytes -> what the file is, and the remedy
    (0, b"version https://git-lfs.", "is a pointer of Git LFS, not the image: fetch it with 'git lfs pull'"),
    (0, b"/annex/objects/", f"is a pointer of git-annex, not the image: {FETCH}"),
    (0, b"PK\x03\x04", "is a zip archive: unpack it"),
    (0, b"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it"),
    (0, b"Rar!", "is a rar archive: unpack it"),
    (257, b"ustar", "is a tar archive: unpack it"),
    (128, b"DICM", "is a DICOM file: convert its series to NIfTI, for example with dcm2niix"),
    (0, b"\x28\xb5\x2f\xfd", "is compressed with zstd, which is not read: compress it with gzip"),
    (0, b"\x04\x22\x4d\x18", "is compressed with lz4, which is not read: compress it with gzip"),
    (0, b"\x1f\x9d", "is compressed with 'compress', which is not read: compress it with gzip"),
    (0, b"\x1f\x8b", "is compressed twice: unpack it once"),
    (0, b"\x89PNG", "is a PNG picture, not a volume: replace it, or remove it"),
    (0, b"\xff\xd8\xff", "is a JPEG picture, not a volume: replace it, or remove it"),
    (0, b"II*\x00", "is a TIFF picture: convert it to NIfTI, with its spacing"),
    (0, b"\x89HDF", "is an HDF5 file (MINC or MATLAB): convert it to NIfTI"),
    (0, b"CDF", "is a NetCDF file (MINC): convert it to NIfTI"),
    (0, b"\x93NUMPY", "is a NumPy array, without affine: convert it to NIfTI"),
    (0, b"MATLAB", "is a MATLAB file: convert it to NIfTI"),
    (0, b"%PDF", "is a PDF document: replace it, or remove it"),
)
WEB = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<error", b"<body")
UNKNOWN = "is no image in a format that is read (NIfTI, MGH, Analyze, NRRD, MetaImage): replace it, or remove it"
_TEXT = frozenset(range(0x20, 0x7F)) | {9, 10, 13} | frozenset(range(0x80, 0x100))
_KIND = (
    (stat.S_ISFIFO, "is a pipe"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)


class BadImageError(ValueError):
    """An image that cannot be used; the message names the file, the problem and the remedy."""

    def __init__(self, message: str, modality: str = "") -> None:
        super().__init__(message)
        self.modality = modality  # of the image, where the reader knows it


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn any error of a reader into a `BadImageError` of one line that names the file."""
    try:
        yield
    except BadImageError:
        raise
    except PermissionError:
        raise BadImageError(f"{path} may not be read (permission denied): change its permissions") from None
    except FileNotFoundError as error:
        raise BadImageError(f"{path} needs {error.filename or 'another file'}, which does not exist: copy it") from None
    except MemoryError:
        raise BadImageError(f"{path} is too large for the memory: crop it, or use a larger machine") from None
    except EOFError:
        raise BadImageError(f"{path} is truncated or damaged (it ends too early): copy it again") from None
    except Exception as error:  # damaged bytes fail in many ways
        text = " ".join(str(error).replace(str(path), "").split())
        words = text[:80] or type(error).__name__
        raise BadImageError(f"{path} is truncated or damaged ({words}): copy it again") from None


def check_file(path: Path) -> None:
    """Raise BadImageError unless `path` is a regular file with content, which this user may read."""
    if not os.path.exists(path):
        raise BadImageError(f"{path} {_dead_link(path) if path.is_symlink() else 'does not exist'}")
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise BadImageError(f"{path} is a folder, not an image file{_inside(path)}")
    if kind := next((words for test, words in _KIND if test(mode)), None):
        raise BadImageError(f"{path} {kind}, not an image file: remove it")
    if not os.access(path, os.R_OK):
        raise BadImageError(f"{path} may not be read (permission denied): change its permissions")
    if path.stat().st_size == 0:
        raise BadImageError(f"{path} is empty (0 bytes): copy it again, or remove it")


def _dead_link(path: Path) -> str:
    target = os.readlink(path)
    if "annex/objects" in target:
        return f"is a link of git-annex, and its content is not here: {FETCH}"
    return f"is a link to {target}, which does not exist: restore that file, or remove the link"


def _inside(folder: Path) -> str:
    try:
        first = min(os.listdir(folder), default=None)
    except OSError:
        first = None
    return f": move {first} out of it, in its place" if first else ": replace it, or remove it"


def what_it_is(head: bytes) -> str:
    """What a file is that no reader knows, by its first bytes (uncompressed), and the remedy."""
    for offset, signature, words in SIGNATURES:
        if head[offset:].startswith(signature):
            return words
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"annex/objects/" in head[:300]:  # the link of an annexed file, where links are stored as text
        return f"is a pointer of git-annex, not the image: {FETCH}"
    if start.startswith(WEB):
        return "is a web page or the message of a server, not an image: download it again"
    if start[:1] in (b"{", b"[") and set(start) <= _TEXT:
        return "is JSON, not an image: replace it, or remove it"
    if not any(head):
        return "holds zeros only, as after an interrupted copy: copy it again"
    return "is text, not an image: replace it, or remove it" if set(head) <= _TEXT else UNKNOWN
