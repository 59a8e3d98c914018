"""Spatial relations between the structures of one person, as margins in mm.

A relation holds when its margin is positive, and by how much is the margin itself: "the thalamus is medial to the
putamen by 14 mm" says more than a yes. All margins are read in the person's own frame, so a tilted head changes none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from toposlearn.anatomy import LabelMap, Structure, structure_of
from toposlearn.topology.boundaries import boundary_gaps
from toposlearn.topology.frame import Array, Frame, body_frame, centroids

DIRECTIONS = ("medial", "lateral", "anterior", "posterior", "superior", "inferior")
RELATIONS = (*DIRECTIONS, "adjacent")
TABLE_RELATIONS = ("medial", "anterior", "superior", "adjacent")  # of a to b and of b to a: opposites are included
COLUMNS = ("person", "structure_a", "side_a", "structure_b", "side_b", "relation", "holds", "margin")

ADJACENT_MM = 3.0  # structures whose boundaries come this close are neighbors


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the S structures of one person lie.

    Attributes:
        name: the person.
        structures: the S structures, in order of their labels.
        centers: (S, 3) mm, centroids in the person's own frame: right, anterior, superior.
        depth: (S,) mm, mean distance of a structure's voxels to the mid-sagittal plane.
        gaps: (S, S) mm, shortest distance between boundaries; 0 where two structures touch.
    """

    name: str
    structures: tuple[Structure, ...]
    centers: Array
    depth: Array
    gaps: Array

    def index(self, structure: Structure) -> int:
        """Row of a structure.

        Raises:
            ValueError: this person's label map does not hold it.
        """
        if structure not in self.structures:
            raise ValueError(f"{self.name} has no {structure.full_name}: its label map does not hold that structure")
        return self.structures.index(structure)


def layout(label_map: LabelMap) -> Layout:
    """Measure where every structure of a label map lies, in the person's own frame."""
    labels, world_centers = centroids(label_map)
    frame = body_frame(labels, world_centers)
    return Layout(
        name=label_map.name,
        structures=tuple(structure_of(label) for label in labels.tolist()),
        centers=frame.coordinates(world_centers),
        depth=_mean_depth(label_map, frame, labels),
        gaps=boundary_gaps(label_map, labels),
    )


def _mean_depth(label_map: LabelMap, frame: Frame, labels: npt.NDArray[np.int64]) -> Array:
    """Mean distance (S,) in mm of each structure's voxels to the mid-sagittal plane."""
    voxels = np.argwhere(label_map.labels)
    values = label_map.labels[tuple(voxels.T)]
    # Only the first own coordinate is needed: fold affine and frame into one row.
    row = frame.axes[0] @ label_map.affine[:3, :3]
    distance = np.abs(voxels @ row + frame.axes[0] @ (label_map.affine[:3, 3] - frame.origin))
    depth: Array = np.bincount(values, weights=distance)[labels] / np.bincount(values)[labels]
    return depth


def relation_margins(person: Layout, relation: str, adjacent_mm: float = ADJACENT_MM) -> Array:
    """Margins (S, S) in mm of a relation: entry (i, j) says by how much it holds between structures i and j.

    * ``medial``: how much further j lies from the mid-sagittal plane, on average; ``lateral`` is its negative.
    * ``anterior``, ``superior``: how much further front or up the centroid of i lies; ``posterior``, ``inferior``.
    * ``adjacent``: `adjacent_mm` minus the gap between the boundaries.

    Raises:
        ValueError: unknown relation.
    """
    if relation not in RELATIONS:
        raise ValueError(f"unknown relation {relation!r}: choose one of {', '.join(RELATIONS)}")
    if relation == "adjacent":
        return adjacent_mm - person.gaps
    axis, sign = divmod(DIRECTIONS.index(relation), 2)  # each axis has a relation and its opposite
    value = -person.depth if axis == 0 else person.centers[:, axis]
    margins = value[:, None] - value[None, :]
    return np.asarray(-margins if sign else margins, dtype=np.float64)


def relation_margin(person: Layout, a: Structure, relation: str, b: Structure) -> float:
    """Margin in mm of "a is … to b", e.g. ``relation_margin(person, thalamus, "medial", putamen)``."""
    return float(relation_margins(person, relation)[person.index(a), person.index(b)])


def topology_table(people: Mapping[str, LabelMap] | Mapping[str, Layout]) -> pd.DataFrame:
    """Every relation between every two structures of a side, for every person.

    Columns are `COLUMNS`; `margin` is in mm and a relation holds when it is positive. Midline structures are paired
    with those of both sides.

    Raises:
        ValueError: no people.
    """
    if not people:
        raise ValueError("people is empty: give at least one label map")
    tables = [layout_table(as_layout(person), name) for name, person in people.items()]
    return pd.concat(tables, ignore_index=True)


def as_layout(person: LabelMap | Layout) -> Layout:
    """A layout as it is, a label map measured."""
    return person if isinstance(person, Layout) else layout(person)


def layout_table(person: Layout, name: str | None = None) -> pd.DataFrame:
    """The rows of `topology_table` for one person."""
    pairs = _same_side_pairs(person.structures)
    first, second = pairs.T
    frames = [_relation_rows(person, relation, first, second) for relation in TABLE_RELATIONS]
    table = pd.concat(frames, ignore_index=True)
    table.insert(0, "person", name or person.name)
    return table


def _same_side_pairs(structures: tuple[Structure, ...]) -> npt.NDArray[np.int64]:
    """Index pairs (P, 2), i != j, left out when one is left and the other right."""
    sides = [structure.side for structure in structures]
    indices = range(len(structures))
    pairs = [(i, j) for i in indices for j in indices if i != j and {sides[i], sides[j]} != {"left", "right"}]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _relation_rows(
    person: Layout, relation: str, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
) -> pd.DataFrame:
    margin = relation_margins(person, relation)[first, second]
    a, b = ([person.structures[i] for i in side] for side in (first, second))
    columns = {
        "structure_a": [structure.name for structure in a],
        "side_a": [structure.side for structure in a],
        "structure_b": [structure.name for structure in b],
        "side_b": [structure.side for structure in b],
        "relation": relation,
        "holds": margin > 0,
        "margin": margin,
    }
    return pd.DataFrame(columns)
