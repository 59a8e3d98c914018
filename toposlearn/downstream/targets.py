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

from toposlearn.anatomy import Structure, structure_names
from toposlearn.data import Cache, Manifest
from toposlearn.data.gate.assessment import report_problems
from toposlearn.data.manifest import Record
from toposlearn.data.split import named
from toposlearn.downstream.settings import CLASSIFICATION, REGRESSION, SEGMENTATION, TaskConfig

OWN, LESION = "toposlearn", "lesion"  # kinds of label maps: structures of simulated people, and lesions
MOST_CLASSES = 20  # of a column; more are numbers
UNKNOWN = ("", "n/a", "na", "nan")  # cells without a value, in small letters
Names = Mapping[int, Structure]  # label -> its structure
Labels = Mapping[str, frozenset[int]]  # `Record.name` -> the labels of this person, without background


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
        value = cell(record, self.source)
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
    """The people of `task.where` for whom the truth is known, and its kind or column; who lacks it is reported.

    ValueError, in one line: no label map of this kind, no such column, one value only, a number that is none.
    """
    for name, values in task.where.items():
        column = _column(manifest, name)
        chosen = tuple(record for record in manifest.records if cell(record, column) in values)
        if not chosen:
            raise ValueError(f"no one in {manifest.root} has {column} {' or '.join(values)}: check --where")
        manifest = replace(manifest, records=chosen)
    if task.kind == SEGMENTATION:
        records, source = _with_labels(manifest, task.labels)
    else:
        source = _column(manifest, task.target)
        records = [each for each in manifest.records if cell(each, source).lower() not in UNKNOWN]
        _check_column(records, source, task.kind, manifest.root)
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
    """Kind -> label map, as ``toposlearn inspect`` lists them; `OWN` and `LESION` of simulated people."""
    known = {OWN: record.labels, LESION: record.lesion}
    named = record.label_maps
    return {**{kind: path for kind, path in known.items() if path and path not in named.values()}, **named}


def _column(manifest: Manifest, target: str) -> str:
    """The name of the column, which may be written in capitals or not."""
    columns = sorted({name for record in manifest.records for name in record.info})
    if same := [name for name in columns if name.lower() == target.lower()]:
        return target if target in same else same[0]
    if not columns:
        raise ValueError(f"{manifest.root} has no table of participants (participants.tsv): {target!r} is not known")
    near = difflib.get_close_matches(target, columns, 1, 0.6)
    advice = f"did you mean {near[0]}?" if near else f"choose among {', '.join(columns)}"
    raise ValueError(f"the participants of {manifest.root} have no column {target!r}: {advice}")


def _check_column(records: Sequence[Record], column: str, kind: str, root: Path) -> None:
    """Raise ValueError unless the values of a column can be learned."""
    values = [cell(record, column) for record in records]
    different = set(values)
    if len(different) < 2:
        seen = f"is {values[0]!r} for all {len(values)} people" if values else "is empty"
        raise ValueError(f"column {column} of {root} {seen}: nothing can be learned")
    if kind == REGRESSION:
        if odd := [record for record, value in zip(records, values, strict=True) if not _is_number(value)]:
            seen = f"{column} of {odd[0].name} is {cell(odd[0], column)!r}"
            raise ValueError(f"{seen}, which is no number: correct it in the table of {root}, or write n/a")
    elif len(different) > MOST_CLASSES:
        remedy = "choose --task regression" if all(map(_is_number, values)) else "group them in a column of their own"
        raise ValueError(f"column {column} of {root} has {len(different)} different values: {remedy}")


def _is_number(value: str) -> bool:
    try:
        return bool(np.isfinite(float(value)))
    except ValueError:
        return False


def cell(record: Record, column: str) -> str:
    """What the table of participants says of a person."""
    return record.info.get(column, "").strip()


def targets_of(
    people: Cache, runs: Sequence[tuple[Sequence[str], Sequence[str]]], task: TaskConfig, source: str, names: Names
) -> list[Target]:
    """What each run predicts, from the names of those it is trained on and of those it judges.

    What is judged is the same for all runs, so that folds and numbers of labeled people can be compared.
    ValueError, in one line: label maps that are empty, regions and classes of which there is no one.
    """
    records = {record.name: record for record in people.manifest.records}
    trained = [[records[name] for name in train] for train, _ in runs]
    everyone = [records[name] for name in dict.fromkeys(name for train, _ in runs for name in train)]
    judged = [records[name] for name in dict.fromkeys(name for _, own in runs for name in own)]
    if task.kind != SEGMENTATION:
        classes = _judged_values(judged, everyone, task, source)
        return [_column_target(own, task, source, classes) for own in trained]
    labels = labels_of(people)
    names = names or (structure_names(OWN) if source == OWN else {})
    regions = _regions(everyone, judged, task, labels, names)
    return [_label_target(own, source, labels, names, regions) for own in trained]


def labels_of(people: Cache) -> Labels:
    """The labels that each person has on the network's grid; ValueError for negative ones."""
    found = {}
    for index, record in enumerate(people.manifest.records):
        labels = people.take(index, (0,), ("labels",)).labels
        assert labels is not None
        found[record.name] = frozenset(torch.unique(labels).tolist()) - {0}
        if min(found[record.name], default=1) < 0:
            raise ValueError(f"{record.labels} holds negative labels: renumber them from 1 on")
    return found


def _all_labels(records: Sequence[Record], labels: Labels) -> list[int]:
    return sorted(frozenset[int]().union(*(labels[record.name] for record in records)))


def _regions(
    trained: Sequence[Record], judged: Sequence[Record], task: TaskConfig, labels: Labels, names: Names
) -> dict[str, tuple[int, ...]]:
    """The regions of the task, or else one for each label of people trained on; labels of the same name are one."""
    known = _all_labels(trained, labels)
    if not known:
        maps = f"the label maps of the {len(trained)} people who would be trained on, such as {trained[0].labels}"
        raise ValueError(f"{maps}, are empty on the network's grid: check that they lie on the images, or add people")
    if empty := [record.name for record in (*trained, *judged) if not labels[record.name]]:
        report_problems([f"note: the label maps are empty of {named(dict.fromkeys(empty))}"])
    if others := [str(label) for label in _all_labels(judged, labels) if label not in known]:
        report_problems([f"note: labels that no one trained on has are not judged: {named(others)}"])
    if lost := [name for name, parts in task.regions.items() if not set(parts) & set(known)]:
        has = f"the people who would be trained on have the labels {', '.join(map(str, known[:MOST_CLASSES]))}"
        raise ValueError(f"no label of the region {', '.join(lost)} occurs: {has}")
    regions: dict[str, tuple[int, ...]] = {}
    for label in known:
        regions[_name_of(label, names)] = (*regions.get(_name_of(label, names), ()), label)
    return dict(task.regions) or regions


def _label_target(
    train: Sequence[Record], source: str, labels: Labels, names: Names, regions: Mapping[str, tuple[int, ...]]
) -> Target:
    known = _all_labels(train, labels)
    if not known:
        raise ValueError(f"the {source} label maps of {named(each.name for each in train)} are empty: add people")
    if lost := [name for name, parts in regions.items() if not set(parts) & set(known)]:
        report_problems([f"note: no one of the {len(train)} people trained on has {named(lost)}: it is not learned"])
    return Target(
        SEGMENTATION, source, (0, *known), ("background", *(_name_of(each, names) for each in known)), regions
    )


def _name_of(label: int, names: Names) -> str:
    return names[label].full_name if label in names else f"label {label}"


def _judged_values(judged: Sequence[Record], trained: Sequence[Record], task: TaskConfig, column: str) -> list[str]:
    """The values of a column; ValueError where judged people lack a class, or all have the same number."""
    values = {cell(record, column) for record in judged}
    everyone = sorted(values | {cell(record, column) for record in trained})
    remedy = "judge everyone with --folds"
    if task.kind == CLASSIFICATION and (lost := [value for value in everyone if value not in values]):
        few = f"none of the {len(judged)} people who would be judged has {column} {named(lost)}"
        raise ValueError(f"{few}: {remedy}, or write n/a in the table for this class")
    if len(values) < 2:
        same = f"{column} is {cell(judged[0], column)!r} for all {len(judged)} people who would be judged"
        raise ValueError(f"{same}: {remedy}")
    return everyone


def _column_target(train: Sequence[Record], task: TaskConfig, column: str, classes: Sequence[str]) -> Target:
    """The `classes` of a column, or the scale of its numbers; ValueError where people trained on are all the same."""
    values = [cell(record, column) for record in train]
    if len(set(values)) < 2:
        raise ValueError(f"{column} is {values[0]!r} for all {len(values)} people who would be trained on: add people")
    if task.kind == CLASSIFICATION:
        if lost := [value for value in classes if value not in values]:
            few = f"no one of the {len(train)} people trained on has {column} {named(lost)}"
            report_problems([f"note: {few}: it is not learned"])
        return Target(task.kind, column, tuple(classes), tuple(classes))
    numbers = np.array(values, float)
    return Target(task.kind, column, names=(column,), center=float(np.median(numbers)), spread=float(numbers.std()))
