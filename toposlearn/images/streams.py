"""Bytes of a file, decompressed by what it holds and not by its name; only what is there is ever kept in memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Opener = Callable[[Path], Any]  # what it returns reads, seeks and closes like a file
OPENERS: dict[bytes, tuple[Opener, int]] = {  # first bytes -> reader, and how many bytes one byte can stand for
    b"\x1f\x8b": (gzip.GzipFile, 1032),
    b"BZh": (bz2.BZ2File, 100_000),
    b"\xfd7zXZ\x00": (lzma.LZMAFile, 100_000),
}
PLAIN: tuple[Opener, int] = (partial(open, mode="rb"), 1)
CHUNK = 1 << 22


def open_bytes(path: Path) -> Any:
    """A file opened for reading, decompressed."""
    return _opener(path)[0](path)


def holds(path: Path, count: int) -> bool:
    """False where a file is too small for `count` bytes, compressed or not."""
    return count <= _opener(path)[1] * path.stat().st_size


def _opener(path: Path) -> tuple[Opener, int]:
    with path.open("rb") as file:
        start = file.read(6)
    return next((known for magic, known in OPENERS.items() if start.startswith(magic)), PLAIN)


def read_block(path: Path, offset: int, count: int) -> NDArray[np.uint8]:
    """Bytes `offset` to ``offset + count`` of the decompressed file, read to its end to verify its checksum.

    EOFError where the file ends before. The memory of a block is used as its bytes arrive.
    """
    block = np.empty(count, dtype=np.uint8)
    with open_bytes(path) as stream:
        stream.seek(offset)
        view, filled = memoryview(block), 0  # type: ignore[arg-type]
        while filled < count and (got := stream.readinto(view[filled : filled + CHUNK])):
            filled += got
        if filled < count:
            raise EOFError
        if not isinstance(stream, io.BufferedReader):
            _finish(stream)
    return block


def _finish(stream: Any) -> None:
    """Read on to the end: the checksum is the last thing in a compressed file. Bytes behind it are ignored."""
    try:
        while stream.read(CHUNK):
            pass
    except gzip.BadGzipFile as error:
        if "Not a gzipped file" not in str(error):
            raise
