"""A folder of prepared people: a safetensors file each, and an index so that files need not be opened to be trusted.

The index only saves time: what it does not hold, or holds of another file, is read from the person's own file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from toposlearn.data.manifest import Record
from toposlearn.data.places import FULL, REMEDY
from toposlearn.data.stamps import Stamp, Stamps, clash, stamps_of, still_same
from toposlearn.reproducibility import atomic_path

INDEX, ASSESSMENTS = "index.json", "verdicts.json"
ENDING = ".safetensors"
_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")  # a name that is safe on every file system


@dataclass(frozen=True)
class Entry:
    """What is known of a prepared person without opening the file."""

    stem: str  # name of the file without its ending
    key: str  # digest of settings and content of the inputs
    people: int  # of the data set when this person was assessed
    usable: bool  # two images can be compared
    complete: bool  # every image is there, and all lie at the same place
    summary: str  # what is wrong, in one line
    allowed: str = ""  # `Prepared.pairs` row by row, a digit each; "": there are no tensors
    truth: tuple[str, ...] = ()  # tensors of the ground truth
    fingerprints: Mapping[str, str] = field(default_factory=dict)  # modality -> of its voxels
    inputs: Stamps = field(default_factory=dict)
    size: int = 0  # of the file, bytes
    modified: int = 0  # the file, nanoseconds
    path: str = ""  # of the file; not stored

    @classmethod
    def from_json(cls, text: str, folder: str) -> Entry:
        """The inverse of `to_json`, of a file in this folder."""
        stored = json.loads(text)
        stored["inputs"] = {name: Stamp(*values) for name, values in stored["inputs"].items()}
        stored["truth"] = tuple(stored["truth"])
        return cls(**stored, path=os.path.join(folder, stored["stem"] + ENDING))

    def to_json(self) -> str:
        """One line."""
        return json.dumps({name: value for name, value in vars(self).items() if name != "path"}, separators=(",", ":"))


class Found(NamedTuple):
    """What a folder holds of a person, and the inputs as they are now."""

    stem: str
    inputs: dict[str, Stamp]
    entry: Entry | None  # None: the person has to be prepared


class Shelf:
    """A folder of prepared people; `settings` are those they are prepared with."""

    def __init__(self, folder: Path, settings: str) -> None:
        self.folder, self.settings = folder, settings

    @cached_property
    def index(self) -> dict[str, Entry]:
        """File -> entry, as stored; empty where there is no index, or a damaged one."""
        index: dict[str, Entry] = {}
        with suppress(OSError, ValueError, TypeError, KeyError), (self.folder / INDEX).open(encoding="utf-8") as file:
            for line in file:
                entry = Entry.from_json(line, os.fspath(self.folder))
                index[entry.stem] = entry
        return index

    def find(self, record: Record, modalities: Sequence[str], people: int) -> Found:
        """The entry of a person, if the file was made of what is there now, among enough other people."""
        inputs = stamps_of(record, modalities)
        stem = stem_of(record)
        stored = self.entry(stem)
        if stored is not None and clash(stored.inputs, inputs):  # another session or run of this person: keep both
            stem = f"{stem}-{_digest(stamp.path for stamp in inputs.values())}"
            stored = self.entry(stem)
        if stored is None or stored.people < people or stored.key != self.key(stored.inputs):
            return Found(stem, inputs, None)
        same = still_same(stored.inputs, inputs, record.root)
        if same is None or same is stored.inputs:
            return Found(stem, inputs, None if same is None else stored)
        return Found(stem, inputs, replace(stored, inputs=same))

    def entry(self, stem: str) -> Entry | None:
        """The entry of a file, from the index or from the file; None where it is missing or damaged."""
        path = os.path.join(self.folder, stem + ENDING)
        try:
            status = os.stat(path)
        except OSError:
            return None
        known = self.index.get(stem)
        if known is not None and (known.size, known.modified) == (status.st_size, status.st_mtime_ns):
            return known
        known = _read_entry(path)
        return known and replace(known, stem=stem, path=path, size=status.st_size, modified=status.st_mtime_ns)

    def key(self, inputs: Stamps) -> str:
        """Digest of the settings and of the content of the inputs."""
        parts = (f"{name} {inputs[name].channel} {inputs[name].content}" for name in sorted(inputs))
        return _digest((self.settings, *parts))

    def put(self, entry: Entry, tensors: Mapping[str, Tensor], assessment: Mapping[str, Any]) -> Entry:
        """Write a person's file, complete or not at all."""
        path = self.folder / f"{entry.stem}{ENDING}"
        metadata = {"key": entry.key, "entry": entry.to_json(), "verdict": json.dumps(assessment)}
        data = save(dict(tensors), metadata=metadata)
        with writing(self.folder), atomic_path(path) as partial:
            self.folder.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
            status = partial.stat()
        return replace(entry, path=os.fspath(path), size=status.st_size, modified=status.st_mtime_ns)

    def is_news(self, entries: Iterable[Entry]) -> bool:
        """True where the index on disk does not say the same."""
        return any(self.index.get(entry.stem) is not entry for entry in entries)

    def save_index(self, entries: Sequence[Entry]) -> None:
        """Write the index: these entries, and those of other people whose files are here."""
        here = {name.removesuffix(ENDING) for name in os.listdir(self.folder)}
        index = self.index | {entry.stem: entry for entry in entries}
        self._write(INDEX, (entry.to_json() for stem, entry in index.items() if stem in here))

    def save_assessments(self, made: Mapping[str, Mapping[str, Any]], entries: Mapping[str, Entry]) -> None:
        """Write what the quality gate found, by person: just now, earlier, or as their own files say."""
        known: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            known = dict(json.loads((self.folder / ASSESSMENTS).read_text(encoding="utf-8")))
        known |= made
        known |= {name: read_assessment(entry.path) for name, entry in entries.items() if name not in known}
        lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(known[name], allow_nan=False)}" for name in sorted(known))
        self._write(ASSESSMENTS, ("{", lines, "}"))

    def _write(self, name: str, lines: Iterator[str] | Sequence[str]) -> None:
        with writing(self.folder), atomic_path(self.folder / name) as partial, partial.open("w", encoding="utf-8") as f:
            f.writelines(f"{line}\n" for line in lines)


def stem_of(record: Record) -> str:
    """Name of a person's file without its ending: safe and different for everyone in a data set."""
    name = "_".join(part for part in (record.subject, record.session) if part)
    if _PLAIN.fullmatch(name):
        return name
    return f"{re.sub(r'[^A-Za-z0-9-]+', '_', name)[:60]}-{_digest((record.subject, record.session))}"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a failure to write into one line that names the folder and the remedy."""
    try:
        yield
    except OSError as error:
        raise refusal(folder, error) from None


def refusal(folder: Path, error: OSError) -> OSError:
    """The error that says in one line why people cannot be kept in a folder."""
    full = FULL.get(error.errno or 0)
    remedy = f"free some space, or {REMEDY}" if full else REMEDY
    return OSError(f"prepared people cannot be written to {folder} ({full or error.strerror or error}): {remedy}")


def read_assessment(path: str | Path) -> dict[str, Any]:
    """What the quality gate found of a prepared person, from the person's own file."""
    with safe_open(path, "pt") as file:
        return dict(json.loads(file.metadata()["verdict"]))


def _read_entry(path: str) -> Entry | None:
    """The entry that a file holds; None where it is cut short, empty or not ours."""
    try:
        with safe_open(path, "pt") as file:
            return Entry.from_json((file.metadata() or {})["entry"], os.path.dirname(path))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return None


def _digest(parts: Iterator[str] | Sequence[str]) -> str:
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=6).hexdigest()
