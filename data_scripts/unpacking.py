"""Unpack an untrusted archive: plain files and folders only, inside the target only, up to a limited size."""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from tqdm import tqdm

CHUNK = 1 << 20
ENDINGS = (".zip", ".whl", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
DAMAGE = (EOFError, OSError, RuntimeError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


class Member(NamedTuple):
    """One entry of an archive: `stream` is None for a folder."""

    name: str
    stream: IO[bytes] | None


def is_archive(path: Path) -> bool:
    """True where the ending of a file's name is that of an archive that can be unpacked."""
    return path.name.lower().endswith(ENDINGS)


def names_in(archive: Path) -> list[str]:
    """The names of the files in an archive; errors as `unpack`, for unsafe names too."""
    try:
        return [member.name for member in _members(archive) if _inside(archive, member.name) and member.stream]
    except DAMAGE as error:
        raise ValueError(f"{archive} cannot be read ({error}): copy or download it again") from None


def unpack(archive: Path, target: Path, limit: int, wanted: Collection[str] | None = None) -> None:
    """Unpack a zip or tar archive into a folder that does not exist yet: whole, or not at all.

    Args:
        archive: .zip, .tar, .tar.gz and the like.
        target: the folder to make.
        limit: bytes that the unpacked files may take together; counted as they are written, whatever the archive says.
        wanted: names of the files to unpack, None for all.

    Raises:
        ValueError: no archive, damaged, too large, or an entry that is neither a file nor a folder inside the target.
    """
    written = 0
    bar = tqdm(desc=f"unpacking {archive.name}", unit="B", unit_scale=True, disable=None)
    try:
        target.mkdir(parents=True)
        for member in _members(archive):
            place = target / _inside(archive, member.name)
            if wanted is not None and member.name not in wanted:
                continue
            if member.stream is None:
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            with closing(member.stream) as source, place.open("xb") as file:
                while chunk := source.read(CHUNK):
                    written += len(chunk)
                    if written > limit:
                        raise ValueError(f"{archive} unpacks to more than {limit / 1e9:g} GB: raise --max-gb if it may")
                    file.write(chunk)
                    bar.update(len(chunk))
    except BaseException as error:
        shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, FileExistsError):
            raise ValueError(f"{archive} holds the same name twice: {Path(error.filename).name}") from None
        if isinstance(error, DAMAGE):
            raise ValueError(f"{archive} cannot be unpacked ({error}): copy or download it again") from None
        raise
    finally:
        bar.close()


def _inside(archive: Path, name: str) -> PurePosixPath:
    """The name as a relative path that stays below the target."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and ":" in path.parts[0]):
        raise ValueError(f"{archive} holds {name!r}, which would be written elsewhere: it is not from the organizers")
    return path


def _members(archive: Path) -> Iterator[Member]:
    if zipfile.is_zipfile(archive):
        return _of_zip(archive)
    if tarfile.is_tarfile(archive):
        return _of_tar(archive)
    raise ValueError(f"{archive} is neither a folder nor a zip or tar archive: give one of these")


def _of_zip(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ValueError(f"{archive} holds {info.filename!r}, a link or device: only files are unpacked")
            if info.is_dir():
                yield Member(info.filename, None)
            else:
                with packed.open(info) as stream:
                    yield Member(info.filename, stream)


def _of_tar(archive: Path) -> Iterator[Member]:
    with tarfile.open(archive) as packed:
        for info in packed:
            if not (info.isfile() or info.isdir()):
                raise ValueError(f"{archive} holds {info.name!r}, a link or device: only files are unpacked")
            yield Member(info.name, packed.extractfile(info) if info.isfile() else None)
