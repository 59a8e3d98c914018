"""What `toposlearn topology` measures: the segmentations of several people, their relations, and whether they agree."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import pandas as pd

from toposlearn.anatomy import DONOR_IDS, LabelMap, Structure, structure_names
from toposlearn.anatomy.label_names import TABLES
from toposlearn.anatomy.segmentations import Segmentation, distinct_names
from toposlearn.data import read_manifest
from toposlearn.progress import progress
from toposlearn.relations.agreement import disputed_relations, neighborhood_agreement, relation_consistency
from toposlearn.relations.layout import Layout, shared_structures
from toposlearn.relations.relations import topology_table
from toposlearn.reproducibility import atomic_path, write_text
from toposlearn.studies.agreement.people import (
    NEIGHBORS,
    Measured,
    Reader,
    csv_text,
    in_processes,
    measure,
    read_donor,
    read_labels,
    read_points,
    write_person,
)

PERMUTATIONS = 100  # of names
MAX_LACKING = 0.25  # of the structures that most people have; a vessel or a fifth ventricle is less
SHOWN = 6  # people whose label maps are kept to be drawn

SUBJECT = re.compile(r"sub-[^_.]+(_ses-[^_.]+)?")

Readers = dict[str, Reader]


def find_readers(files: Sequence[Path], labels: str | None, data: Path | None, points: bool = False) -> Readers:
    """Name -> function that reads the person: label maps, those of a data folder, landmarks, or else the six donors.

    `labels` is the table of labels (`structure_names`): needed for files, ``toposlearn`` by default for a data folder.
    With `points`, the files hold landmarks (`read_landmarks`).
    """
    if files and data is not None:
        raise ValueError("give segmentations or --data, not both")
    if points:
        if labels is not None or data is not None or not files:
            raise ValueError("--points goes with files of landmarks, without --labels and --data")
        return {name: partial(read_points, name, paths) for name, paths in _points_of_people(files).items()}
    if files:
        if labels is None:
            raise ValueError(f"--labels says what the labels mean: {', '.join(TABLES)}, or a CSV file")
        table, named = structure_names(labels), zip(distinct_names(files), files, strict=True)
        return {name: partial(read_labels, name, path, table) for name, path in named}
    if data is not None:
        table = structure_names(labels or "toposlearn")
        maps = {record.name: record.labels for record in read_manifest(data).records}
        if not any(maps.values()):
            raise ValueError(f"no person in {data} has structure labels (_dseg.nii.gz)")
        return {name: partial(read_labels, name, path, table) for name, path in maps.items()}
    if labels is not None:
        raise ValueError("--labels is about segmentations or --data: the donors have a table of their own")
    return {name: partial(read_donor, name) for name in DONOR_IDS}


def _points_of_people(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Name of each person -> files of landmarks; several of one BIDS subject (and session) are of several raters."""
    people: dict[str, list[Path]] = {}
    for name, file in zip(distinct_names(files), files, strict=True):
        entities = SUBJECT.match(file.name)
        people.setdefault(entities[0] if entities else name, []).append(file)
    return people


@dataclass(frozen=True, eq=False)
class Study:
    """People who were measured, and those who could not be, by name."""

    subjects: Mapping[str, Layout]
    heads: Mapping[str, LabelMap]  # of the first `SHOWN`
    unknown: Mapping[str, Mapping[int, int]]  # voxels of each label that the table does not name
    doubtful: Mapping[str, str]  # why the table or the affine may be wrong, or which structures are missing
    failed: Mapping[str, str]  # why the person could not be measured

    @cached_property
    def shared(self) -> list[Structure]:
        """The structures that all people have."""
        return shared_structures(list(self.subjects.values()))

    @cached_property
    def consistency(self) -> pd.DataFrame:
        """`relation_consistency` within a side."""
        return relation_consistency(self.within_sides)

    @cached_property
    def disputed(self) -> pd.DataFrame:
        """`disputed_relations` within a side."""
        return disputed_relations(self.within_sides)

    @cached_property
    def within_sides(self) -> pd.DataFrame:
        """`topology_table`, without relations of left and right."""
        return topology_table(self.subjects)

    @cached_property
    def agreement(self) -> pd.DataFrame | None:
        """`neighborhood_agreement`; None for one person, or for people with fewer than three structures in common."""
        if len(self.subjects) < 2 or len(self.shared) < 3:
            return None
        k = min(NEIGHBORS, len(self.shared) - 1)
        return neighborhood_agreement(list(self.subjects.values()), k, permutations=PERMUTATIONS)


def measure_subjects(readers: Mapping[str, Reader], within: float | None) -> Study:
    """Measure every person who can be measured, with progress; the others are reported with the reason.

    Gaps between boundaries are measured up to `within` mm (None: no gaps, which is much faster).
    """
    found = in_processes(partial(measure, within=within), list(readers.values()))
    found = progress(found, description="people measured", unit="person", total=len(readers))
    people = dict(zip(readers, found, strict=True))
    failed = {name: person for name, person in people.items() if isinstance(person, str)}
    measured = {name: person for name, person in people.items() if isinstance(person, Measured)}
    if not measured:
        name, why = next(iter(failed.items()))
        raise ValueError(f"none of {len(failed)} people can be measured; {name}: {why}")
    subjects = {name: person.layout for name, person in measured.items()}
    doubts = {name: list(person.doubts) for name, person in measured.items()}
    for name, why in _lacking(subjects).items():
        doubts[name].append(why)
    shown = ((name, readers[name]()) for name in list(measured)[:SHOWN])
    return Study(
        subjects=subjects,
        heads={name: person.label_map for name, person in shown if isinstance(person, Segmentation)},
        unknown={name: person.unknown for name, person in measured.items() if person.unknown},
        doubtful={name: "; ".join(why) for name, why in doubts.items() if why},
        failed=failed,
    )


def _lacking(subjects: Mapping[str, Layout]) -> dict[str, str]:
    """Name -> a warning for each person who lacks many usual structures, since no person is compared there."""
    has = {name: {each.full_name for each in subject.structures} for name, subject in subjects.items()}
    counts = Counter(structure for names in has.values() for structure in names)
    usual = {structure for structure, count in counts.items() if 2 * count > len(subjects)}
    lacks = {name: len(usual - names) for name, names in has.items()}
    words = "lacks {} of {} structures that most people have: all are compared without these"
    many = MAX_LACKING * len(usual)
    return {name: words.format(count, len(usual)) for name, count in lacks.items() if count > many}


def write_study(study: Study, out: Path) -> list[Path]:
    """Write the tables (CSV) and each person's graphs (GraphML) to a folder, each file complete or not at all.

    Graphs and agreement that an earlier run wrote about other people are removed.
    """
    graphs = out / "graphs"
    graphs.mkdir(parents=True, exist_ok=True)
    for stale in (*graphs.glob("*_nearest.graphml"), *graphs.glob("*_adjacent.graphml"), out / "agreement.csv"):
        stale.unlink(missing_ok=True)
    files = _write_people(study.subjects, out)
    tables = {"consistency": study.consistency, "disputed": study.disputed, "agreement": study.agreement}
    for name, table in tables.items():
        if table is not None:
            files.append(write_text(out / f"{name}.csv", csv_text(table)))
    return files


def _write_people(subjects: Mapping[str, Layout], out: Path) -> list[Path]:
    """Write the graphs of all people, and the tables that hold rows of each, one person at a time."""
    written = in_processes(partial(write_person, folder=out / "graphs"), list(subjects.items()))
    files = [out / "relations.csv", out / "distances.csv"]
    with ExitStack() as stack:
        unfinished = [stack.enter_context(atomic_path(file)) for file in files]
        tables = [stack.enter_context(file.open("w", encoding="utf-8")) for file in unfinished]
        for graphs, texts in progress(written, description="people written", unit="person", total=len(subjects)):
            for table, text in zip(tables, texts, strict=True):
                table.write(text if table.tell() == 0 else text.partition("\n")[2])
            files += graphs
    return files
