"""Download files: continued where a connection was cut, whole or not at all, and with the checksum that is known.

A checksum is known from ``checksums.txt`` beside this file. Where none is, that of the first download is kept in
``checksums.json`` of the folder, and holds from then on: it proves that a file did not change, not that it is right.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import requests
from tqdm import tqdm

from toposlearn.reproducibility import write_json

CHUNK = 1 << 14  # bytes; less than this is lost where a connection is cut
ATTEMPTS = 100  # as long as bytes come
PAUSE, TIMEOUT = 1.0, 60.0  # s before another attempt, s without a byte
RECORD = "checksums.json"
_CUT = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_KNOWN = Path(__file__).with_name("checksums.txt")


class Remote(NamedTuple):
    """A published file: its address, and its name in the folder of downloads."""

    url: str
    name: str


def need(module: str, package: str = "") -> Any:
    """Import an optional package, or say in one line how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ValueError(f"the package {package or module} is missing: pip install {package or module}") from None


def known_checksums(data_set: str) -> dict[str, str]:
    """Name of a file -> ``sha256:...`` or ``md5:...``, of one data set."""
    rows = (line.split()[:2] for line in _KNOWN.read_text().splitlines() if line.strip() and line[0] != "#")
    return {name.removeprefix(f"{data_set}/"): value for value, name in rows if name.startswith(f"{data_set}/")}


def has_checksum(path: Path, checksum: str) -> bool:
    """True where a file has this checksum."""
    algorithm, _, digest = checksum.partition(":")
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest() == digest


def fetch(files: Sequence[Remote], folder: Path, known: Mapping[str, str]) -> list[str]:
    """Download files that are not there yet; return one line if the publisher does not have some of them.

    Raises:
        ValueError: in one line, no connection, a connection that is cut again and again, or a wrong checksum.
    """
    missing = []
    for file in tqdm(files, desc="downloading", unit="file", disable=None if len(files) > 1 else True):
        try:
            _fetch(file, folder, known)
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            if status not in (404, 410) or len(files) == 1:
                raise ValueError(f"{file.url} answers {status}: try again later") from None
            missing.append(file.url)
    if len(missing) == len(files):
        raise ValueError(f"{missing[0]} is not there, nor are the other files: the publisher has moved them")
    return [f"{len(missing)} files are not at their address any more, such as {missing[0]}"] if missing else []


def _fetch(file: Remote, folder: Path, known: Mapping[str, str]) -> None:
    pooch = need("pooch")
    pooch.get_logger().setLevel("ERROR")
    recorded = folder / RECORD
    seen = json.loads(recorded.read_text()) if recorded.exists() else {}
    checksum = known.get(file.name) or seen.get(file.name)
    part = folder / f"{file.name}.part"
    try:
        pooch.retrieve(file.url, checksum, file.name, folder, downloader=_Resuming(part, checksum is not None))
    except _CUT as error:
        raise ValueError(_cut(file, part, error)) from None
    except ValueError as error:
        if "hash" not in str(error):
            raise
        reason = f"{file.name} does not have the checksum {checksum}: it was damaged or replaced by its publisher"
        raise ValueError(
            f"{reason}; run again, or look at {file.url}, unpack it yourself and give --from DIR"
        ) from None
    if file.name not in known and file.name not in seen:
        value = f"sha256:{pooch.file_hash(str(folder / file.name))}"
        write_json(recorded, seen | {file.name: value})


def _cut(file: Remote, part: Path, error: Exception) -> str:
    if part.exists() and part.stat().st_size:
        return f"{file.url} was cut after {part.stat().st_size / 1e6:.1f} MB: run the same command again to continue"
    return f"{file.url} cannot be reached ({type(error).__name__}): check the network, or give --from DIR"


class _Resuming:
    """Downloader for `pooch` that keeps what came before a connection was cut, and asks for the rest."""

    def __init__(self, part: Path, verified: bool) -> None:
        self.part, self.tag = part, part.with_name(f"{part.name}.tag")
        self.verified = verified  # by a checksum afterwards

    def __call__(self, url: str, output_file: str, _: object) -> None:
        self.part.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(ATTEMPTS):
            before = self._size()
            try:
                self._stream(url)
                break
            except _CUT:
                if attempt == ATTEMPTS - 1 or (attempt and self._size() <= before):
                    raise
                time.sleep(PAUSE)
        os.replace(self.part, output_file)
        self.tag.unlink(missing_ok=True)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _stream(self, url: str) -> None:
        tag, have = self.tag.read_text() if self.tag.exists() else "", self._size()
        have = have if tag or self.verified else 0  # without either, the file could have been replaced in between
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        headers |= {"If-Range": tag} if have and tag else {}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code == 416:  # nothing is left to send, or the file is shorter now: begin again
                self.part.unlink(missing_ok=True)
                raise requests.ConnectionError("the rest of the file cannot be had")
            answer.raise_for_status()
            if answer.headers.get("Content-Type", "").startswith("text/html"):
                raise ValueError(f"{url} gives a web page instead of the file: look there, and give --from DIR")
            continued = answer.headers.get("Content-Range", "").startswith(f"bytes {have}-") and have > 0
            if not continued:
                self.part.unlink(missing_ok=True)
            self.tag.write_text(_strong(answer.headers))
            self._write(answer, have if continued else 0)

    def _write(self, answer: requests.Response, have: int) -> None:
        left = answer.headers.get("Content-Length")
        total = have + int(left) if left else None
        name = self.part.name.removesuffix(".part")
        with (
            self.part.open("ab" if have else "wb") as file,
            tqdm(desc=name, initial=have, total=total, unit="B", unit_scale=True, leave=False, disable=None) as bar,
        ):
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
        if total is not None and self._size() < total:
            raise requests.ConnectionError("the connection was closed early")


def _strong(headers: Mapping[str, str]) -> str:
    """What identifies this version of the file for ``If-Range``; "" where the server gives nothing that does."""
    tag = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
