"""What a person was prepared from: size, times and content of each input file. Times only save reading the content."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from toposlearn.data.manifest import GROUND_TRUTH, Record

ABSENT = -1  # size of a file that does not exist, or whose folder may not be read
PARTS = {".img": (".hdr",), ".hdr": (".img",), ".mhd": (".raw", ".zraw"), ".nhdr": (".raw", ".raw.gz")}  # of one image
CHUNK = 1 << 20  # bytes


class Stamp(NamedTuple):
    """One input file as it was when a person was prepared."""

    path: str  # within the data set
    channel: int  # of a file that holds several modalities, else -1
    size: int  # bytes, or `ABSENT`
    modified: int  # nanoseconds
    changed: int  # nanoseconds; copying an older file over a newer one changes it
    content: str = ""  # hash of the bytes; "" where they could not be read

    def is_as(self, other: Stamp) -> bool:
        """True where place, size and times agree."""
        return self[:5] == other[:5]


Stamps = Mapping[str, Stamp]  # modality or kind of truth -> file


def inputs_of(record: Record, modalities: Sequence[str]) -> dict[str, Path]:
    """The files that a person is prepared from: images in these modalities, their second files, and the truth."""
    images = {name: record.images[name] for name in modalities if name in record.images}
    parts = {
        f"{name} {ending}": path.with_suffix(ending)
        for name, path in images.items()
        for ending in PARTS.get(path.suffix.lower(), ())
        if path.with_suffix(ending).exists()
    }
    return images | parts | record.truth


def stamps_of(record: Record, modalities: Sequence[str]) -> dict[str, Stamp]:
    """Every input file as it is now, without its content."""
    inside = os.path.join(record.root, "")
    files = {name: os.fspath(path) for name, path in inputs_of(record, modalities).items()}
    return {
        name: Stamp(path.removeprefix(inside), record.channels.get(name, -1), *_status(path))
        for name, path in files.items()
    }


def with_content(stamps: Stamps, root: Path) -> dict[str, Stamp]:
    """The same stamps with the hash of each file, or "" where a file is no longer as its stamp says."""
    return {name: stamp._replace(content=_content_of(stamp, root)) for name, stamp in stamps.items()}


def still_same(stored: Stamps, seen: Stamps, root: Path) -> Stamps | None:
    """`stored`, with new times where only these have changed; None where any content has."""
    if stored.keys() != seen.keys():
        return None
    if all(stored[name].is_as(now) for name, now in seen.items()):
        return stored
    current = {name: stored[name] if stored[name].is_as(now) else now for name, now in seen.items()}
    current |= with_content({name: now for name, now in current.items() if not now.content}, root)
    return current if all(_same_content(stored[name], now) for name, now in current.items()) else None


def clash(stored: Stamps, seen: Stamps) -> bool:
    """True where other files were chosen for a person: another session, run or pattern, or other kinds of truth."""
    moved = any(stored[name].path != seen[name].path for name in stored.keys() & seen.keys())
    return moved or bool(set(GROUND_TRUTH) & (stored.keys() ^ seen.keys()))


def _same_content(before: Stamp, now: Stamp) -> bool:
    if before.is_as(now):
        return True
    known = before.content != "" and before.content == now.content
    return known and (before.channel, before.size) == (now.channel, now.size)


def _status(path: str) -> tuple[int, int, int]:
    try:
        status = os.stat(path)
    except OSError:  # among them a link whose target is gone
        return ABSENT, 0, 0
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _content_of(stamp: Stamp, root: Path) -> str:
    path = os.path.join(root, stamp.path)
    content = _hash(path)
    return content if _status(path) == stamp[2:5] else ""


def _hash(path: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return ""
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except OSError:
        return ""
    return digest.hexdigest()
