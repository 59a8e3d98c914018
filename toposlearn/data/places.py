"""Where prepared people are kept: beside the data, where the user says, or elsewhere if the data may only be read."""

from __future__ import annotations

import atexit
import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import platformdirs

from toposlearn.settings import TRUTH

CACHE = f"{TRUTH}/cache"  # within a data set
PLACE, LIMIT = "TOPOSLEARN_CACHE", "TOPOSLEARN_CACHE_GB"  # environment variables
DEFAULT_LIMIT = 50.0  # GB
REMEDY = f"choose another place with --cache DIR or {PLACE}"
FULL = {errno.ENOSPC: "no space is left", errno.EDQUOT: "the quota is used up"}
OURS = (".safetensors", "index.json", "verdicts.json", ".part")  # how our files end
_PREPARED = re.compile(r"[0-9a-f]{12}")  # name of a folder of prepared people


class Place(NamedTuple):
    """A folder of people of one data set, prepared with the same settings."""

    base: Path  # bounded in size as a whole
    folder: Path


def places(root: Path, settings: str, folder: str | Path | None = None) -> Iterator[Place]:
    """Where people of the data set in `root` may be kept, best first; `settings` are those they are prepared with."""
    chosen, own = os.path.expanduser(folder or os.environ.get(PLACE, "")), _digest(settings)
    if folder:
        yield Place(Path(chosen), Path(chosen) / _digest(settings + str(root.resolve())))
    elif chosen:
        yield Place(Path(chosen), Path(chosen) / _named(root) / own)
    else:
        yield Place(root / CACHE, root / CACHE / own)
        base = Path(platformdirs.user_cache_dir("toposlearn", appauthor=False))
        yield Place(base, base / _named(root) / own)
        base = _temporary(os.getpid())
        yield Place(base, base / _named(root) / own)


def write_error(folder: Path) -> OSError | None:
    """Make the folder and try to write into it: the error, or None where that works."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".", suffix=".part") as file:
            file.write(b"written")
    except OSError as error:
        return error
    return None


def size_limit() -> float:
    """Bytes that a place may hold, from the environment."""
    text = os.environ.get(LIMIT, "") or str(DEFAULT_LIMIT)
    with suppress(ValueError):
        if (limit := float(text)) >= 0:
            return limit * 1e9
    raise ValueError(f"{LIMIT} must be a number of gigabytes, got {text!r}")


def make_room(place: Place, limit: float) -> list[Path]:
    """Remove the folders of prepared people least recently used until `limit` bytes are left, and return them.

    The folder of `place`, folders that another process uses, and files that are not ours are kept.
    """
    sizes = {folder: sum(_size(path) for path in _our_files(folder)) for folder in _folders(place.base)}
    removed: list[Path] = []
    for folder in sorted(sizes, key=_last_used):
        if sum(sizes.values()) <= limit:
            break
        if folder != place.folder and _remove(folder):
            removed.append(folder)
            sizes[folder] = 0
    return removed


class Hold:
    """Keep a folder from being removed by other processes until this object, or its process, has ended."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._descriptor = folder, _lock(folder, exclusive=False)

    @property
    def held(self) -> bool:
        """False where there is no such folder, or where folders cannot be locked."""
        return self._descriptor is not None

    def __reduce__(self) -> tuple[type[Hold], tuple[Path]]:
        return Hold, (self.folder,)

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


def _lock(folder: Path, *, exclusive: bool) -> int | None:
    """Lock a folder and return its descriptor; None where it is in use, or where folders cannot be locked."""
    try:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove(folder: Path) -> bool:
    """Remove our files and the folder, unless it is in use."""
    if (descriptor := _lock(folder, exclusive=True)) is None:
        return False
    for path in _our_files(folder):
        with suppress(OSError):
            path.unlink()
    with suppress(OSError):  # files of others
        folder.rmdir()
    os.close(descriptor)
    return True


def _folders(base: Path) -> list[Path]:
    found = [path for pattern in ("*", "*/*") for path in base.glob(pattern) if _PREPARED.fullmatch(path.name)]
    return [path for path in found if path.is_dir() and not path.is_symlink()]


def _our_files(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.name.endswith(OURS) or ".part." in path.name]
    except OSError:
        return []


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _last_used(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _named(root: Path) -> str:
    """Folder of a data set among those of others: its name, and a digest of where it is."""
    where = root.resolve()
    return f"{re.sub(r'[^A-Za-z0-9-]+', '_', where.name)[:40]}-{_digest(str(where))[:8]}"


@lru_cache(maxsize=1)
def _temporary(process: int) -> Path:
    """A temporary folder of this process, removed when it ends."""
    folder = Path(tempfile.mkdtemp(prefix="toposlearn-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
