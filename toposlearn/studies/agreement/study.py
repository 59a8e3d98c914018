"""What `toposlearn topology` measures: the segmentations of several people, their relations, and whether they agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from toposlearn.anatomy import DONOR_IDS, LabelMap, Structure, load_donor_map, load_segmentation, structure_names
from toposlearn.anatomy.label_names import TABLES
from toposlearn.anatomy.segmentations import Segmentation, distinct_names
from toposlearn.data import read_manifest
from toposlearn.relations.agreement import disputed_relations, neighborhood_agreement, relation_consistency
from toposlearn.relations.graphs import adjacency_graph, nearest_graph, write_graph
from toposlearn.relations.layout import Layout, layout, shared_structures
from toposlearn.relations.relations import distance_table, topology_table
from toposlearn.reproducibility import atomic_path, write_text

NEIGHBORS = 5
MAX_UNKNOWN = 0.05  # of the labeled voxels; vessels and the like are less
MAX_SHEAR = 0.01  # cosine of two axes
MAX_LACKING = 0.25  # of the structures that most people have; a vessel or a fifth ventricle is less
SHOWN = 6  # people whose label maps are kept to be drawn

Reader = Callable[[], Segmentation]


def find_readers(segmentations: Sequence[Path], labels: str | None, data: Path | None) -> dict[str, Reader]:
    """Name -> function that reads the person's segmentation: files, those of a data folder, or else the six donors.

    `labels` is the table of labels (`structure_names`): needed for files, ``toposlearn`` by default for a data folder.
    """
    if segmentations and data is not None:
        raise ValueError("give segmentations or --data, not both")
    if segmentations:
        if labels is None:
            raise ValueError(f"--labels says what the labels mean: {', '.join(TABLES)}, or a CSV file")
        table, named = structure_names(labels), zip(distinct_names(segmentations), segmentations, strict=True)
        return {name: partial(_read_labels, name, path, table) for name, path in named}
    if data is not None:
        table = structure_names(labels or "toposlearn")
        files = {record.name: record.labels for record in read_manifest(data).records}
        if not any(files.values()):
            raise ValueError(f"no person in {data} has structure labels (_dseg.nii.gz)")
        return {name: partial(_read_labels, name, path, table) for name, path in files.items()}
    if labels is not None:
        raise ValueError("--labels is about segmentations or --data: the donors have a table of their own")
    return {name: partial(_read_donor, name) for name in DONOR_IDS}


def _read_labels(name: str, path: Path | None, table: Mapping[int, Structure]) -> Segmentation:
    if path is None:
        raise ValueError("has no structure labels (_dseg.nii.gz)")
    return load_segmentation(path, table, name)


def _read_donor(name: str) -> Segmentation:
    return Segmentation(load_donor_map(name), {})


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
    def relations(self) -> pd.DataFrame:
        """`topology_table`, within a side and across."""
        return topology_table(self.subjects, sides="all")

    @cached_property
    def consistency(self) -> pd.DataFrame:
        """`relation_consistency` within a side."""
        return relation_consistency(self._within)

    @cached_property
    def disputed(self) -> pd.DataFrame:
        """`disputed_relations` within a side."""
        return disputed_relations(self._within)

    @property
    def _within(self) -> pd.DataFrame:
        sides = self.relations["side_a"] + self.relations["side_b"]
        return self.relations[~sides.isin(["leftright", "rightleft"])]

    @cached_property
    def agreement(self) -> pd.DataFrame | None:
        """`neighborhood_agreement`; None for one person, or for people with fewer than three structures in common."""
        if len(self.subjects) < 2 or len(self.shared) < 3:
            return None
        k = min(NEIGHBORS, len(self.shared) - 1)
        return neighborhood_agreement(list(self.subjects.values()), k, permutations=100)


def measure_subjects(readers: Mapping[str, Reader], within: float | None) -> Study:
    """Measure every person who can be measured, with a progress bar; the others are reported with the reason.

    Gaps between boundaries are measured up to `within` mm (None: no gaps, which is much faster).
    """
    subjects, heads = dict[str, Layout](), dict[str, LabelMap]()
    unknown, doubts, failed = {}, {}, {}
    for name, read in tqdm(readers.items(), desc="people", unit="person", disable=None):
        try:
            segmentation = read()
            subjects[name] = layout(segmentation.label_map, within)
        except ValueError as error:
            failed[name] = str(error)
            continue
        if segmentation.unknown:
            unknown[name] = segmentation.unknown
        doubts[name] = _doubts(segmentation, subjects[name])
        if len(heads) < SHOWN:
            heads[name] = segmentation.label_map
    if not subjects:
        name, why = next(iter(failed.items()))
        raise ValueError(f"none of {len(failed)} people can be measured; {name}: {why}")
    for name, why in _lacking(subjects).items():
        doubts[name].append(why)
    return Study(subjects, heads, unknown, {name: "; ".join(why) for name, why in doubts.items() if why}, failed)


def _doubts(segmentation: Segmentation, subject: Layout) -> list[str]:
    """Why the table or the affine may be wrong."""
    doubts = {
        f"{segmentation.unknown_share:.0%} of the labeled voxels have labels that the table does not name": (
            segmentation.unknown_share > MAX_UNKNOWN
        ),
        "left and right lie as in a mirror: the affine is wrong, or the table exchanges the sides": subject.mirrored,
        "the voxels' axes are not at right angles": segmentation.label_map.shear > MAX_SHEAR,
    }
    return [why for why, applies in doubts.items() if applies]


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
    tables = {
        "relations": study.relations,
        "distances": distance_table(study.subjects),
        "consistency": study.consistency,
        "disputed": study.disputed,
    }
    if study.agreement is not None:
        tables["agreement"] = study.agreement
    files = []
    (out / "graphs").mkdir(parents=True, exist_ok=True)
    for stale in (*out.glob("graphs/*_nearest.graphml"), *out.glob("graphs/*_adjacent.graphml"), out / "agreement.csv"):
        stale.unlink(missing_ok=True)
    for name, table in tables.items():
        files.append(write_text(out / f"{name}.csv", table.to_csv(index=False, float_format="%.6g")))
    for name, subject in study.subjects.items():
        nearest = nearest_graph(subject, min(NEIGHBORS, len(subject.structures) - 1))
        for kind, graph in {"nearest": nearest, "adjacent": adjacency_graph(subject)}.items():
            files.append(out / "graphs" / f"{name}_{kind}.graphml")
            with atomic_path(files[-1]) as unfinished:
                write_graph(graph, str(unfinished))
    return files
