"""Several people's segmentations measured and compared: what `toposlearn topology` writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from toposlearn.anatomy import LabelMap
from toposlearn.anatomy.segmentations import Segmentation
from toposlearn.relations.agreement import neighborhood_agreement
from toposlearn.relations.consistency import disputed_relations, relation_consistency
from toposlearn.relations.graphs import adjacency_graph, nearest_graph, shared_structures, write_graph
from toposlearn.relations.layout import Layout, layout
from toposlearn.relations.relations import distance_table, topology_table
from toposlearn.reproducibility import atomic_path

WITHIN = 30.0  # mm up to which gaps between boundaries are measured
NEIGHBORS = 5
MOST_UNKNOWN = 0.05  # of the labeled voxels; vessels and the like are less
MOST_SHEAR = 0.01  # cosine of two axes
MOST_LACKING = 0.25  # of the structures that most people have; a vessel or a fifth ventricle is less
SHOWN = 6  # people whose heads are kept to be drawn

Reader = Callable[[], Segmentation]


@dataclass(frozen=True, eq=False)
class Study:
    """People measured, and those who could not be.

    Attributes:
        subjects: name -> where the structures lie.
        heads: the label maps of the first few.
        unknown: name -> voxels of each label that the table does not name, for those who have any.
        doubtful: name -> why the table or the affine may be wrong, or what the person costs the others.
        failed: name -> why.
    """

    subjects: Mapping[str, Layout]
    heads: Mapping[str, LabelMap]
    unknown: Mapping[str, Mapping[int, int]]
    doubtful: Mapping[str, str]
    failed: Mapping[str, str]

    @cached_property
    def relations(self) -> pd.DataFrame:
        """Every relation of everybody, within a side and across (`topology_table`)."""
        return topology_table(self.subjects, sides="all")

    @cached_property
    def consistency(self) -> pd.DataFrame:
        """In how many people each relation within a side holds (`relation_consistency`)."""
        return relation_consistency(self._within)

    @cached_property
    def disputed(self) -> pd.DataFrame:
        """Relations within a side that people answer oppositely, and who (`disputed_relations`)."""
        return disputed_relations(self._within)

    @property
    def _within(self) -> pd.DataFrame:
        sides = self.relations["side_a"] + self.relations["side_b"]
        return self.relations[~sides.isin(["leftright", "rightleft"])]

    @cached_property
    def agreement(self) -> pd.DataFrame | None:
        """`neighborhood_agreement`; None for one person, or for people with less than three structures in common."""
        if len(self.subjects) < 2 or len(self.shared) < 3:
            return None
        k = min(NEIGHBORS, len(self.shared) - 1)
        return neighborhood_agreement(list(self.subjects.values()), k, permutations=100)

    @cached_property
    def shared(self) -> list[str]:
        """Full names of the structures that everybody has."""
        return shared_structures(list(self.subjects.values()))


def measure_subjects(readers: Mapping[str, Reader], within: float | None = WITHIN, progress: bool = False) -> Study:
    """Measure everybody who can be; the others are told, with the reason.

    Args:
        readers: name -> what reads the person's segmentation.
        within: mm up to which gaps between boundaries are measured; None: not at all, which is much faster.
        progress: show a bar.

    Raises:
        ValueError: nobody could be measured.
    """
    subjects: dict[str, Layout] = {}
    heads: dict[str, LabelMap] = {}
    unknown, doubtful, failed = {}, {}, {}
    for name, read in tqdm(readers.items(), desc="people", unit="person", disable=None if progress else True):
        try:
            segmentation = read()
            subjects[name] = layout(segmentation.label_map, within)
        except ValueError as error:
            failed[name] = str(error)
            continue
        if segmentation.unknown:
            unknown[name] = segmentation.unknown
        if doubts := _doubts(segmentation, subjects[name]):
            doubtful[name] = doubts
        if len(heads) < SHOWN:
            heads[name] = segmentation.label_map
    if not subjects:
        name, why = next(iter(failed.items()), ("nobody", "no segmentation was given"))
        raise ValueError(f"none of {len(failed)} people can be measured; {name}: {why}")
    for name, lacking in _lacking(subjects).items():
        doubtful[name] = f"{doubtful[name]}; {lacking}" if name in doubtful else lacking
    return Study(subjects, heads, unknown, doubtful, failed)


def _doubts(segmentation: Segmentation, subject: Layout) -> str:
    """What makes one doubt the table or the affine, in words; empty where nothing does."""
    found = []
    if segmentation.unknown_share > MOST_UNKNOWN:
        found.append(f"{segmentation.unknown_share:.0%} of the labeled voxels have labels that the table does not name")
    if subject.mirrored:
        found.append("left and right lie as in a mirror: the affine lies, or the table exchanges the sides")
    if segmentation.label_map.shear > MOST_SHEAR:
        found.append("the voxels' axes are not at right angles")
    return "; ".join(found)


def _lacking(subjects: Mapping[str, Layout]) -> dict[str, str]:
    """Name -> what is said of those who lack much of what most have: nobody is compared there."""
    has = {name: {each.full_name for each in subject.structures} for name, subject in subjects.items()}
    counts = Counter(structure for names in has.values() for structure in names)
    usual = {structure for structure, count in counts.items() if 2 * count > len(subjects)}
    lacks = {name: len(usual - names) for name, names in has.items()}
    return {
        name: f"lacks {count} of {len(usual)} structures that most people have: all are compared without these"
        for name, count in lacks.items()
        if count > MOST_LACKING * len(usual)
    }


def write_study(study: Study, out: Path) -> list[Path]:
    """Write the tables (CSV) and each person's graphs (GraphML) to a folder, each file whole or not at all.

    What an earlier run wrote there about other people goes.
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
    for stale in (*(out / "graphs").glob("*_nearest.graphml"), *(out / "graphs").glob("*_adjacent.graphml")):
        stale.unlink()  # of people of an earlier run
    (out / "agreement.csv").unlink(missing_ok=True)
    for name, table in tables.items():
        files.append(out / f"{name}.csv")
        with atomic_path(files[-1]) as partial:
            table.to_csv(partial, index=False, float_format="%.6g")
    for name, subject in study.subjects.items():
        nearest = nearest_graph(subject, min(NEIGHBORS, len(subject.structures) - 1))
        for kind, graph in {"nearest": nearest, "adjacent": adjacency_graph(subject)}.items():
            files.append(out / "graphs" / f"{name}_{kind}.graphml")
            with atomic_path(files[-1]) as partial:
                write_graph(graph, str(partial))
    return files
