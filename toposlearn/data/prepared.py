"""People on the network's grid, as `prepare` has kept them: read from memory maps when they are asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from toposlearn.data.cache import Entry, Shelf, read_assessment, stem_of
from toposlearn.data.manifest import GROUND_TRUTH, Manifest, Record
from toposlearn.data.places import Hold
from toposlearn.data.tensors import INTRA


@dataclass(frozen=True, eq=False)
class Prepared:
    """One person on the network's grid, in M modalities."""

    subject: str
    volumes: Tensor  # (M, D, H, W) float32 in [0, 1]; zero where there is no image
    foreground: Tensor  # (D, H, W) bool, of the first modality and those registered with it
    labels: Tensor | None = None  # (D, H, W) int16 structure labels
    lesion: Tensor | None = None  # (D, H, W) bool
    to_template: Tensor | None = None  # (3, D, H, W) float32, template mm of each voxel
    info: Mapping[str, str] | None = None  # row of participants.tsv
    pairs: Tensor | None = None  # (M, M) uint8: `INTRA` at the same place, `INTER` elsewhere, else 0; None: all INTRA
    foregrounds: Tensor | None = None  # (M, D, H, W) bool, each modality's own; None where they do not differ
    affine: Tensor | None = None  # (4, 4) float64, voxel of `foreground` to RAS mm of the files

    @property
    def registered(self) -> bool:
        """True where every modality is there and all lie at the same place."""
        return self.pairs is None or bool((self.pairs == INTRA).all())

    def foreground_of(self, modality: int) -> Tensor:
        """(D, H, W) bool, where this modality shows the head."""
        return self.foreground if self.foregrounds is None else self.foregrounds[modality]

    def take(self, modalities: Sequence[int]) -> Prepared:
        """The same person in some of the modalities."""
        rows = list(modalities)
        pairs = None if self.pairs is None else self.pairs[rows][:, rows]
        own = None if self.foregrounds is None else self.foregrounds[rows]
        return replace(self, volumes=self.volumes[rows], pairs=pairs, foregrounds=own)


@dataclass(frozen=True)
class Cache:
    """The prepared people of a manifest, read from disk when asked for: it holds no images."""

    manifest: Manifest
    folder: Path  # of the first data set
    entries: Mapping[str, Entry] = field(default_factory=dict, repr=False)  # `Record.name` -> what is known
    holds: tuple[Hold, ...] = field(default=(), repr=False)  # folders that no other process may remove

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitem__(self, index: int) -> Prepared:
        return self.take(index)

    def take(
        self, index: int, modalities: Sequence[int] | None = None, truth: Collection[str] = GROUND_TRUTH
    ) -> Prepared:
        """One person in some modalities (default: all), with the ground truth that is named; nothing else is read."""
        record = self.manifest.records[index]
        with _opened(self.entry(record)) as file:
            rows = range(file.get_slice("volumes").get_shape()[0]) if modalities is None else modalities
            here = set(file.keys())
            parts = {name: _rows(file, name, rows) for name in ("volumes", "foregrounds") if name in here}
            wanted = here & {"foreground", "affine", *truth}
            tensors = {name: file.get_tensor(name).clone() for name in wanted}
            pairs = file.get_tensor("pairs")[list(rows)][:, list(rows)]
        parts["volumes"] = parts["volumes"].float()
        return Prepared(record.name, info=record.info, pairs=pairs, **parts, **tensors)

    def of(self, subjects: Manifest) -> Cache:
        """The people of `subjects` that are here, in their order."""
        here = {record.name for record in self.manifest.records}
        return self._keep([record for record in subjects.records if record.name in here])

    def registered(self, count: int | None = None) -> Cache:
        """The first people with every modality at the same place: places can be compared on them alone."""
        return self._keep([record for record in self.manifest.records if self.entry(record).complete][:count])

    def entry(self, record: Record) -> Entry:
        """What is known of a person without reading images."""
        entry = self.entries.get(record.name) or Shelf(self.folder, "").entry(stem_of(record))
        if entry is None:
            raise ValueError(f"{self.folder} holds no prepared {record.name}: prepare the data set again")
        return entry

    def assessment(self, record: Record) -> dict[str, Any]:
        """The stored `SubjectAssessment.to_dict` of a person, with its ``summary``."""
        return read_assessment(self.entry(record).path)

    def fingerprints(self) -> dict[str, tuple[str, ...]]:
        """`Record.name` -> fingerprints of the voxels of the person's images."""
        return {record.name: tuple(self.entry(record).fingerprints.values()) for record in self.manifest.records}

    def _keep(self, records: Sequence[Record]) -> Cache:
        return replace(self, manifest=replace(self.manifest, records=tuple(records)))


@contextmanager
def _opened(entry: Entry) -> Iterator[Any]:
    """A person's file; ValueError where it was damaged, removed or made anew of other images since it was checked."""
    try:
        with safe_open(entry.path, "pt") as file:
            if (file.metadata() or {}).get("key") != entry.key:
                raise ValueError(f"{entry.path} was made anew from other images meanwhile: start again, or resume")
            yield file
    except (OSError, SafetensorError):
        remedy = "start again, or resume, and it is made anew"
        raise ValueError(f"{entry.path} was damaged or removed while it was in use: {remedy}") from None


def _rows(file: Any, name: str, rows: Sequence[int]) -> Tensor:
    """Some rows of a tensor, (len(rows), ...); the others are not read."""
    stored = file.get_slice(name)
    return torch.stack([stored[row] for row in rows])
