"""One person of `toposlearn topology`: read, measured and written. All of it runs in several processes.

Nothing here imports torch, which would cost each process seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import joblib
import pandas as pd

from toposlearn.anatomy import Structure, load_donor_map, load_segmentation
from toposlearn.anatomy.landmarks import median_landmarks
from toposlearn.anatomy.segmentations import Segmentation
from toposlearn.relations.graphs import adjacency_graph, nearest_graph, write_graph
from toposlearn.relations.layout import Layout, layout, point_layout
from toposlearn.relations.relations import distance_table, topology_table
from toposlearn.reproducibility import atomic_path

NEIGHBORS = 5
MAX_UNKNOWN = 0.05  # of the labeled voxels; vessels and the like are less
MAX_SHEAR = 0.01  # cosine of two axes
FEWEST = 8  # people for whom more processes are started
MAX_PROCESSES = 8  # each holds one person

T = TypeVar("T")
R = TypeVar("R")
Reader = Callable[[], Segmentation | Layout]  # landmarks are a layout at once


@dataclass(frozen=True, eq=False)
class Measured:
    """One person, measured."""

    layout: Layout
    unknown: Mapping[int, int]  # voxels of each label that the table does not name
    doubts: Sequence[str]  # why the table or the affine may be wrong


def in_processes(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """The function of each item, in their order; many items in several processes, each of which holds one at a time."""
    processes = min(joblib.cpu_count(), MAX_PROCESSES) if len(items) >= FEWEST else 1
    yield from joblib.Parallel(processes, return_as="generator")(joblib.delayed(function)(item) for item in items)


def read_labels(name: str, path: Path | None, table: Mapping[int, Structure]) -> Segmentation:
    """The segmentation of a person in a file."""
    if path is None:
        raise ValueError("has no structure labels (_dseg.nii.gz)")
    return load_segmentation(path, table, name)


def read_donor(name: str) -> Segmentation:
    """The segmentation of a donor."""
    return Segmentation(load_donor_map(name), {})


def read_points(name: str, paths: Sequence[Path]) -> Layout:
    """The landmarks of a person, one file per rater."""
    return point_layout(name, median_landmarks(paths))


def measure(read: Reader, within: float | None) -> Measured | str:
    """Measure a person, with gaps between boundaries up to `within` mm; or why the person cannot be measured."""
    try:
        found = read()
        subject = found if isinstance(found, Layout) else layout(found.label_map, within)
    except ValueError as error:
        return str(error)
    if isinstance(found, Layout):
        return Measured(subject, {}, [])
    return Measured(subject, found.unknown, _doubts(found, subject))


def _doubts(segmentation: Segmentation, subject: Layout) -> list[str]:
    doubts = {
        f"{segmentation.unknown_share:.0%} of the labeled voxels have labels that the table does not name": (
            segmentation.unknown_share > MAX_UNKNOWN
        ),
        "left and right lie as in a mirror: the affine is wrong, or the table exchanges the sides": subject.mirrored,
        "the voxels' axes are not at right angles": segmentation.label_map.shear > MAX_SHEAR,
    }
    return [why for why, applies in doubts.items() if applies]


def write_graphs(name: str, subject: Layout, folder: Path) -> list[Path]:
    """Write the graphs of a person (GraphML): of the nearest and, unless structures are points, of those that touch."""
    graphs = {"nearest": nearest_graph(subject, min(NEIGHBORS, len(subject.structures) - 1))}
    if not subject.points:
        graphs["adjacent"] = adjacency_graph(subject)
    files = {folder / f"{name}_{kind}.graphml": graph for kind, graph in graphs.items()}
    for file, graph in files.items():
        with atomic_path(file) as unfinished:
            write_graph(graph, str(unfinished))
    return list(files)


def csv_text(table: pd.DataFrame) -> str:
    """A table as CSV, with six digits."""
    return table.to_csv(index=False, float_format="%.6g")


def write_person(named: tuple[str, Layout], folder: Path) -> tuple[list[Path], tuple[str, str]]:
    """`write_graphs`, and the person's rows of the largest tables as CSV: relations, also across sides, and distances.

    The first line of each names the columns.
    """
    name, subject = named
    tables = topology_table({name: subject}, sides="all"), distance_table({name: subject})
    return write_graphs(name, subject, folder), (csv_text(tables[0]), csv_text(tables[1]))
