"""People preprocessed once: one safetensors file each, remade only when a setting or an input file changes.

The quality gate is asked on the way. Nobody stops the others: what cannot be used is left out, and that is said.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from toposlearn.config import VolumeConfig
from toposlearn.data.gate.gate import LEAST_PEOPLE, iterate_verdicts
from toposlearn.data.manifest import TRUTH, Manifest, Record
from toposlearn.data.prepared import Prepared, pair_table, subject_tensors
from toposlearn.data.gate.verdicts import PersonVerdict, tell
from toposlearn.reproducibility import atomic_path, write_json

CACHE = f"{TRUTH}/cache"
CACHE_VERSION = 3  # raised when the transforms or the gate change
VERDICTS = "verdicts.json"


@dataclass(frozen=True)
class Cache:
    """The prepared people of a manifest, read from disk when asked for."""

    manifest: Manifest
    folder: Path

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitem__(self, index: int) -> Prepared:
        record = self.manifest.records[index]
        tensors = load_file(_file(self.folder, record))
        tensors["volumes"] = tensors["volumes"].float()
        return Prepared(record.subject, info=record.info, **tensors)

    def of(self, subjects: Manifest) -> Cache:
        """Those of `subjects` who are here, in their order."""
        here = {record.subject for record in self.manifest.records}
        return self._keep([record for record in subjects.records if record.subject in here])

    def registered(self) -> Cache:
        """Those who have every modality, all at the same place: on them alone can places be compared."""
        return self._keep([record for record in self.manifest.records if self.verdict(record)["complete"]])

    def verdict(self, record: Record) -> dict[str, Any]:
        """What the gate said of a person: `toposlearn.data.PersonVerdict` as JSON, and its ``summary``."""
        return _stored(self.folder, record) or {}

    def _keep(self, records: Sequence[Record]) -> Cache:
        return replace(self, manifest=replace(self.manifest, records=tuple(records)))


def prepare(
    manifest: Manifest,
    config: VolumeConfig,
    *,
    folder: str | Path | None = None,
    progress: bool = True,
    report: bool = True,
) -> Cache:
    """Preprocess every person who is not in the cache yet, and leave out who has no two images to compare.

    Images of a person on other grids than the first modality's are resampled to it. The verdicts of the quality gate
    are kept in ``verdicts.json`` beside the people.

    Args:
        manifest: the people.
        config: grid and modalities.
        folder: where to keep the cache; None keeps it below the data folder.
        progress: show a progress bar.
        report: tell on stderr who is left out, and which images are.

    Raises:
        ValueError: a modality that nobody has, or nobody with two images that can be used.
        OSError: the cache cannot be written.
    """
    absent = [name for name in config.modalities if not any(name in record.images for record in manifest.records)]
    manifest.require(absent)
    settings = json.dumps([asdict(config), CACHE_VERSION], sort_keys=True)
    key = hashlib.sha256(settings.encode()).hexdigest()[:12]
    place = Path(folder or manifest.root / CACHE) / key
    place.mkdir(parents=True, exist_ok=True)
    records = {record.subject: record for record in manifest.records}
    todo = [name for name, record in records.items() if not _is_fresh(record, place, config, len(records))]
    verdicts = iterate_verdicts(manifest, config.modalities, todo)
    for verdict in tqdm(verdicts, total=len(todo), desc="preparing", unit="person", disable=not (progress and todo)):
        _prepare_one(records[verdict.subject], verdict, config, place, len(records))
    stored = {name: _stored(place, record) or {} for name, record in records.items()}
    if todo:
        write_json(place / VERDICTS, stored)
    if report:
        tell([f"{name}: {each['summary']}" for name, each in stored.items() if each["summary"]], place / VERDICTS)
    usable = tuple(record for name, record in records.items() if stored[name]["usable"])
    if not usable:
        raise ValueError(next(f"{name}: {each['summary']}" for name, each in stored.items()))
    return Cache(replace(manifest, records=usable), place)


def _file(place: Path, record: Record) -> Path:
    return place / f"{record.subject}.safetensors"


def _stored(place: Path, record: Record) -> dict[str, Any] | None:
    """The verdict kept in a person's file; None where there is no such file."""
    if not _file(place, record).exists():
        return None
    with safe_open(_file(place, record), "pt") as file:
        verdict: dict[str, Any] = json.loads(file.metadata()["verdict"])
    return verdict


def _is_fresh(record: Record, place: Path, config: VolumeConfig, subjects: int) -> bool:
    """Made of the files that are there now, and beside other people if there are others now."""
    stored = _stored(place, record)
    if stored is None or stored["people"] < min(subjects, LEAST_PEOPLE):
        return False
    if stored["missing"] != [name for name in config.modalities if name not in record.images]:
        return False
    inputs = [*record.images.values(), record.labels, record.lesion, record.to_template]
    made = _file(place, record).stat().st_mtime
    return all(path is None or path.stat().st_mtime <= made for path in inputs)


def _prepare_one(record: Record, verdict: PersonVerdict, config: VolumeConfig, place: Path, subjects: int) -> None:
    """Write a person's file: tensors, and the verdict; no tensors for a person who is left out."""
    pairs = pair_table(verdict, config.modalities)
    usable = bool((pairs.fill_diagonal_(0) if len(pairs) > 1 else pairs).any())
    alone = "" if usable else "left out, no two images can be compared: "
    stored = verdict.to_dict() | {"summary": alone + verdict.summary, "usable": usable, "people": subjects}
    tensors = subject_tensors(record, verdict, config) if usable else {}
    with atomic_path(_file(place, record)) as partial:
        save_file(tensors, partial, metadata={"verdict": json.dumps(stored)})
