"""People on the network's grid, checked and preprocessed once: a safetensors file per person, remade on changes.

An unusable image or subject is skipped and reported; the run continues.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from tqdm import tqdm

from toposlearn.config import VolumeConfig
from toposlearn.data.gate import assessment as gate
from toposlearn.data.images import BadImageError, load_image
from toposlearn.data.gate.quality import damaged_truth, same_grid
from toposlearn.data.manifest import Manifest, Record
from toposlearn.data.transforms import volume_transforms
from toposlearn.reproducibility import atomic_path, write_json
from toposlearn.settings import TRUTH

CACHE = f"{TRUTH}/cache"
CACHE_VERSION = 3  # raised when the transforms or the gate change
ASSESSMENTS = "verdicts.json"
INTER, INTRA = 1, 2  # what a pair of modalities may enter: the inter term, or both terms; 0: nothing


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

    @property
    def registered(self) -> bool:
        """True where every modality is there and all lie at the same place."""
        return self.pairs is None or bool((self.pairs == INTRA).all())

    def foreground_of(self, modality: int) -> Tensor:
        """(D, H, W) bool, where this modality shows the head."""
        return self.foreground if self.foregrounds is None else self.foregrounds[modality]

    def allows(self, first: int, second: int, term: int) -> bool:
        """True where these two modalities may enter a term, `INTER` or `INTRA`."""
        return self.pairs is None or int(self.pairs[first, second]) >= term


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
        return Prepared(record.name, info=record.info, **tensors)

    def of(self, subjects: Manifest) -> Cache:
        """The people of `subjects` that are here, in their order."""
        here = {record.name for record in self.manifest.records}
        return self._keep([record for record in subjects.records if record.name in here])

    def registered(self, count: int | None = None) -> Cache:
        """The first people with every modality at the same place: places can be compared on them alone."""
        return self._keep([record for record in self.manifest.records if self.assessment(record)["complete"]][:count])

    def assessment(self, record: Record) -> dict[str, Any]:
        """The stored `SubjectAssessment.to_dict` of a person, with its ``summary``."""
        return _stored(self.folder, record)

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
    """Preprocess every person that is not in the cache yet; people without two images to compare are left out.

    Images on other grids than a person's first modality are resampled to it. The cache is kept in `folder`, or below
    the data folder. The findings of the quality gate are kept there in ``verdicts.json``, and reported on stderr.
    ValueError: a modality that no person has, or no person with two usable images. OSError: no cache can be written.
    """
    absent = [name for name in config.modalities if not any(name in record.images for record in manifest.records)]
    manifest.require(absent)
    settings = json.dumps([asdict(config), CACHE_VERSION], sort_keys=True)
    place = Path(folder or manifest.root / CACHE) / hashlib.sha256(settings.encode()).hexdigest()[:12]
    place.mkdir(parents=True, exist_ok=True)
    records = {record.name: record for record in manifest.records}
    todo = [name for name, record in records.items() if not _is_fresh(record, place, config, len(records))]
    assessments = gate.iterate_assessments(manifest, config.modalities, todo)
    hidden = not (progress and todo)
    for assessment in tqdm(assessments, total=len(todo), desc="preparing", unit="person", disable=hidden):
        _prepare_one(records[assessment.subject], assessment, config, place, len(records))
    stored = {name: _stored(place, record) for name, record in records.items()}
    if todo:
        write_json(place / ASSESSMENTS, stored)
    problems = [f"{name}: {each['summary']}" for name, each in stored.items() if each["summary"]]
    if report:
        gate.report_problems(problems, place / ASSESSMENTS)
    usable = tuple(record for name, record in records.items() if stored[name]["usable"])
    if not usable:
        raise ValueError(problems[0])
    return Cache(replace(manifest, records=usable), place)


def _file(place: Path, record: Record) -> Path:
    return place / f"{record.name}.safetensors"


def _stored(place: Path, record: Record) -> dict[str, Any]:
    """The assessment kept in a person's file; empty where there is no such file."""
    if not _file(place, record).exists():
        return {}
    with safe_open(_file(place, record), "pt") as file:
        assessment: dict[str, Any] = json.loads(file.metadata()["verdict"])
    return assessment


def _is_fresh(record: Record, place: Path, config: VolumeConfig, subjects: int) -> bool:
    """True where the file was made of the inputs that are there now, with enough other people for a null."""
    stored, missing = _stored(place, record), [name for name in config.modalities if name not in record.images]
    if not stored or stored["people"] < min(subjects, gate.FEWEST_FOR_NULL) or stored["missing"] != missing:
        return False
    made = _file(place, record).stat().st_mtime
    return all(path.stat().st_mtime <= made for path in (*record.images.values(), *record.truth.values()))


def _prepare_one(
    record: Record, assessment: gate.SubjectAssessment, config: VolumeConfig, place: Path, subjects: int
) -> None:
    """Write a person's file: the assessment, and tensors unless the person is left out."""
    names = config.modalities
    pairs = torch.diag(torch.tensor([INTRA * (name in assessment.facts) for name in names])).to(torch.uint8)
    for pair in assessment.pairs:  # (M, M), as `Prepared.pairs`; a usable modality may enter both terms with itself
        i, j = names.index(pair.first), names.index(pair.second)
        pairs[i, j] = pairs[j, i] = INTRA if pair.aligned else INTER * (pair.status == gate.INTER_ONLY)
    usable = bool((pairs.triu(1) if len(pairs) > 1 else pairs).any())
    alone = "" if usable else "left out because no two images can be compared: "
    stored = assessment.to_dict() | {"summary": alone + assessment.summary, "usable": usable, "people": subjects}
    tensors = _subject_tensors(record, assessment, pairs, config) if usable else {}
    with atomic_path(_file(place, record)) as partial:
        save_file(tensors, partial, metadata={"verdict": json.dumps(stored)})


def _subject_tensors(
    record: Record, assessment: gate.SubjectAssessment, pairs: Tensor, config: VolumeConfig
) -> dict[str, Tensor]:
    """The tensors of `Prepared`: each group of registered modalities, and the truth with the first group."""
    usable = pairs.diag().nonzero()[:, 0]
    count, numbers = connected_components((pairs[usable][:, usable] == INTRA).numpy())
    groups = [usable[torch.from_numpy(numbers == number)].tolist() for number in range(count)]
    parts = [_group_tensors(record, assessment, config, group, truth=group is groups[0]) for group in groups]
    volumes = torch.zeros(len(pairs), *config.shape, dtype=torch.half)
    foregrounds = torch.zeros(volumes.shape, dtype=torch.bool)
    for group, part in zip(groups, parts, strict=True):
        volumes[group], foregrounds[group] = part["volumes"], part["foreground"]
    tensors = parts[0] | {"volumes": volumes, "pairs": pairs}
    if len(groups) > 1:
        tensors["foregrounds"] = foregrounds
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _group_tensors(
    record: Record, assessment: gate.SubjectAssessment, config: VolumeConfig, group: list[int], *, truth: bool
) -> dict[str, Tensor]:
    """Tensors of one group on the grid of its first modality, with the head in the middle."""
    names = [config.modalities[index] for index in group]
    files = {name: record.images[name] for name in names} | (record.truth if truth else {})
    first = assessment.facts[names[0]]
    elsewhere = [name for name, path in files.items() if not same_grid(load_image(path), first)]
    transforms = volume_transforms(replace(config, modalities=tuple(names)), truth=files, elsewhere=elsewhere)
    try:
        data = {name: value.as_tensor() for name, value in transforms(files).items()}
    except RuntimeError:  # of MONAI, which does not name the file
        for reason in damaged_truth(record):
            raise BadImageError(reason) from None
        raise
    tensors = {name: data[name][0] > 0.5 for name in ("foreground", "lesion") if name in data}
    tensors["volumes"] = torch.cat([data[name] for name in names]).half()
    if "labels" in data:
        tensors["labels"] = data["labels"][0].to(torch.int16)
    if "to_template" in data:
        tensors["to_template"] = data["to_template"].float()
    return tensors
