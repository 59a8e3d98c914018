"""What a network is to predict: the classes of label maps, or a column of the table of participants."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toposlearn.anatomy import structure_names
from toposlearn.data import Cache, Manifest
from toposlearn.data.gate.assessment import report_problems
from toposlearn.data.manifest import Record
from toposlearn.data.split import named
from toposlearn.downstream.settings import CLASSIFICATION, REGRESSION, SEGMENTATION, TaskConfig

OWN, LESION = "toposlearn", "lesion"  # kinds of label maps: structures of simulated people, and lesions
MOST_CLASSES = 20  # of a column; more are numbers
UNKNOWN = ("", "n/a", "nan", "none", "na")


@dataclass(frozen=True)
class Target:
    """The C classes of a task, or how a number is scaled; `values` and `names` are in the order of the outputs."""

    kind: str  # of `TASKS`
    source: str  # kind of label maps, or column
    values: tuple[int | str, ...] = ()  # label (0, background, first) or value of each class; none for a number
    names: tuple[str, ...] = ()
    regions: Mapping[str, tuple[int, ...]] | None = None  # name -> labels: what a segmentation is judged by
    center: float = 0.0  # of a number, in the people trained on: the median
    spread: float = 1.0  # standard deviation

    @property
    def outputs(self) -> int:
        """Number of values that the network gives, at each voxel or for each person."""
        return 1 if self.kind == REGRESSION else len(self.values)

    def truth(self, record: Record) -> float:
        """Place of the person's class among `values`, or the scaled number."""
        value = _cell(record, self.source)
        return self.values.index(value) if self.kind == CLASSIFICATION else (float(value) - self.center) / self.spread

    def class_index(self, labels: Tensor) -> Tensor:
        """Labels as places among `values`, of the same shape; labels that no one trained on has are background."""
        known = torch.tensor(self.values)
        place = torch.searchsorted(known, labels.long()).clamp(max=len(known) - 1)
        return torch.where(known[place] == labels, place, 0)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Target:
        """Inverse of `to_dict`, also of what JSON made of it."""
        regions = stored["regions"] and {name: tuple(labels) for name, labels in stored["regions"].items()}
        lists = {name: tuple(stored[name]) for name in ("values", "names")}
        return cls(**{**stored, **lists, "regions": regions})


def labeled(manifest: Manifest, task: TaskConfig) -> tuple[Manifest, str]:
    """The people for whom the truth is known, and its kind or column; who is left out is reported.

    ValueError, in one line: no label map of this kind, no such column, one value only, a number that is none.
    """
    if task.kind == SEGMENTATION:
        records, source = _with_labels(manifest, task.labels)
    else:
        source = _column(manifest, task.target)
        records = [each for each in manifest.records if _cell(each, source).lower() not in UNKNOWN]
        _check_values(manifest, [_cell(each, source) for each in records], source, task.kind, records)
    kept = {each.name for each in records}
    if lacking := [each.name for each in manifest.records if each.name not in kept]:
        report_problems([f"note: left out because they have no {source}: {named(lacking)}"])
    return replace(manifest, records=tuple(records)), source


def _with_labels(manifest: Manifest, kind: str) -> tuple[list[Record], str]:
    """The people with a label map of a kind, which becomes their ``labels``."""
    maps = [_label_maps(record) for record in manifest.records]
    kinds = Counter(name for own in maps for name in own)
    if not kinds:
        example = "--pattern 'label:seg={subject}/*_seg.nii.gz'"
        raise ValueError(f"{manifest.root} has no label maps: put them beside the images, or name them with {example}")
    if not kind and len(kinds) > 1:
        raise ValueError(f"{manifest.root} has label maps of several kinds, {', '.join(kinds)}: choose with --labels")
    source = kind or next(iter(kinds))
    if source not in kinds:
        raise ValueError(f"{manifest.root} has no label maps of kind {source!r}: choose among {', '.join(kinds)}")
    records = []
    for record, own in zip(manifest.records, maps, strict=True):
        if source in own:
            same = own[source] == record.labels
            records.append(record if same else replace(record, labels=own[source], lesion=None, to_template=None))
    return records, source


def _label_maps(record: Record) -> dict[str, Path]:
    known = {OWN: record.labels, LESION: record.lesion}
    return {**record.label_maps, **{kind: path for kind, path in known.items() if path is not None}}


def _column(manifest: Manifest, target: str) -> str:
    """The name of the column, which may be written in capitals or not."""
    columns = sorted({name for record in manifest.records for name in record.info})
    for name in columns:
        if name.lower() == target.lower():
            return name
    if not columns:
        raise ValueError(f"{manifest.root} has no table of participants (participants.tsv): {target!r} is not known")
    near = difflib.get_close_matches(target, columns, 1, 0.6)
    advice = f"did you mean {near[0]}?" if near else f"choose among {', '.join(columns)}"
    raise ValueError(f"the participants of {manifest.root} have no column {target!r}: {advice}")


def _check_values(manifest: Manifest, values: Sequence[str], column: str, kind: str, records: Sequence[Record]) -> None:
    """Raise ValueError unless the values of a column can be learned."""
    different = set(values)
    if len(different) < 2:
        seen = f"is {next(iter(different))!r} for all {len(values)} people" if different else "is empty"
        raise ValueError(f"column {column} of {manifest.root} {seen}: nothing can be learned")
    if kind == REGRESSION:
        for record, value in zip(records, values, strict=True):
            if not _is_number(value):
                raise ValueError(
                    f"{column} of {record.name} is {value!r}, which is no number: correct it, or write n/a"
                )
    elif len(different) > MOST_CLASSES:
        remedy = "choose --task regression" if all(map(_is_number, values)) else "group them in a column of their own"
        raise ValueError(f"column {column} of {manifest.root} has {len(different)} different values: {remedy}")


def _is_number(value: str) -> bool:
    try:
        return bool(np.isfinite(float(value)))
    except ValueError:
        return False


def _cell(record: Record, column: str) -> str:
    return record.info.get(column, "").strip()


def target_of(
    train: Cache, task: TaskConfig, source: str, table: str | Path | None = None, everyone: Manifest | None = None
) -> Target:
    """The labels that occur in the people trained on, the classes of a column, or the scale of its numbers.

    `table` names labels, as `structure_names` reads it; `everyone` are all labeled people, whose classes are known.
    ValueError: label maps that are empty, people trained on who are all of one class.
    """
    records, root = train.manifest.records, train.manifest.root
    if task.kind == SEGMENTATION:
        return _label_target(train, task, source, table)
    values = [_cell(record, source) for record in records]
    if len(set(values)) < 2:
        raise ValueError(f"{source} is {values[0]!r} for all {len(values)} people of {root} who would be trained on")
    if task.kind == CLASSIFICATION:
        classes = tuple(sorted({_cell(record, source) for record in (everyone or train.manifest).records}))
        if lost := sorted(set(classes) - set(values)):
            report_problems([f"note: no one trained on has {source} {', '.join(lost)}: it cannot be learned"])
        return Target(task.kind, source, classes, classes)
    numbers = np.array(values, float)
    return Target(task.kind, source, names=(source,), center=float(np.median(numbers)), spread=float(numbers.std()))


def _label_target(train: Cache, task: TaskConfig, source: str, table: str | Path | None) -> Target:
    labels: set[int] = set()
    for index in range(len(train)):
        own = train.take(index, (0,), ("labels",)).labels
        assert own is not None
        labels |= set(torch.unique(own).tolist())
    known = sorted(labels - {0})
    if not known:
        files = f"the {source} label maps of the {len(train)} people of {train.manifest.root} who would be trained on"
        raise ValueError(f"{files} are empty on the network's grid: add people, or choose other labels with --labels")
    if known[0] < 0:
        raise ValueError(f"label maps of kind {source} in {train.manifest.root} hold negative labels: renumber them")
    table = table or ("toposlearn" if source == OWN else None)
    structures = structure_names(table) if table else {}
    names = [structures[label].full_name if label in structures else f"label {label}" for label in known]
    regions = dict(task.regions) or {name: (label,) for name, label in zip(names, known, strict=True)}
    if lost := [name for name, parts in regions.items() if not set(parts) & set(known)]:
        has = f"the people who would be trained on have the labels {', '.join(map(str, known[:20]))}"
        raise ValueError(f"no label of the region {', '.join(lost)} occurs: {has}")
    return Target(SEGMENTATION, source, (0, *known), ("background", *names), regions)
