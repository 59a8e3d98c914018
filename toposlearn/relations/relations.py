"""Spatial relations between the structures of one person: "the thalamus is medial to the putamen by 14 mm".

A relation holds when its margin is positive, and is undecided when the margin is small beside the brain. Margins are
read in the person's own frame, so a tilted head changes none.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from toposlearn.anatomy import Structure
from toposlearn.arrays import Float64s
from toposlearn.relations.layout import Layout

DIRECTIONS = ("medial", "lateral", "anterior", "posterior", "superior", "inferior")
RELATIONS = (*DIRECTIONS, "adjacent")
AXIS_RELATIONS = ("medial", "anterior", "superior")
TABLE_RELATIONS = (*AXIS_RELATIONS, "adjacent")  # of a to b and of b to a: opposites are included
PAIR_COLUMNS = ("person", "structure_a", "side_a", "structure_b", "side_b")
COLUMNS = (*PAIR_COLUMNS, "relation", "holds", "margin", "verdict")

UNDECIDED = 0.02  # of the brain's size: about a millimeter, a voxel of a common scan
DECISIONS = ("does not hold", "undecided", "holds")  # words for -1, 0, 1

Sides = Literal["same", "all"]
Pairs = tuple[npt.NDArray[np.int64], ...]  # rows and columns of pairs of structures, each (P,)


def relation_margins(subject: Layout, relation: str) -> Float64s:
    """Margins (S, S) of a relation: entry (i, j) says by how much it holds between structures i and j.

    * ``medial``: how many mm further j lies from the mid-sagittal plane, on average; ``lateral`` is its negative.
    * ``anterior``, ``superior``: how many mm further front or up the centroid of i lies; ``posterior``, ``inferior``.
    * ``adjacent``: the boundary they share, in mm².
    """
    if relation not in RELATIONS:
        raise ValueError(f"unknown relation {relation!r}: choose one of {', '.join(RELATIONS)}")
    if relation == "adjacent":
        return subject.shared
    axis, sign = divmod(DIRECTIONS.index(relation), 2)  # each axis has a relation and its opposite
    value = -subject.depth if axis == 0 else subject.centers[:, axis]
    margins = value[:, None] - value[None, :]
    return np.asarray(-margins if sign else margins, dtype=np.float64)


def decisions(subject: Layout, relation: str) -> npt.NDArray[np.int8]:
    """Whether a relation holds (1), does not (-1), or is undecided (0), between every two structures (S, S).

    Undecided is a margin below `UNDECIDED` of the brain's size, either way, or a shared boundary below its square.
    """
    margins, minimum = relation_margins(subject, relation), UNDECIDED * subject.size
    if relation == "adjacent":
        return np.select([margins > minimum**2, margins > 0], [1, 0], -1).astype(np.int8)
    return np.select([margins > minimum, margins < -minimum], [1, -1], 0).astype(np.int8)


def relation_margin(subject: Layout, a: Structure, relation: str, b: Structure) -> float:
    """Margin of "a is … to b", e.g. ``relation_margin(subject, thalamus, "medial", putamen)``."""
    return float(relation_margins(subject, relation)[subject.index(a), subject.index(b)])


def topology_table(subjects: Mapping[str, Layout], sides: Sides = "same") -> pd.DataFrame:
    """Every relation between every two structures, for every subject.

    Columns are `COLUMNS`: `holds` where the `margin` in mm (mm² for ``adjacent``) is positive, `verdict` one of
    `DECISIONS`. ``"same"`` pairs structures of one side, the midline with both; ``"all"`` also left with right. Points
    are not ``adjacent``.
    """
    if sides not in ("same", "all"):
        raise ValueError(f"sides must be 'same' or 'all', got {sides!r}")
    tables = []
    for name, subject in subjects.items():
        pairs, table = _pairs(subject, name, sides)
        for relation in AXIS_RELATIONS if subject.points else TABLE_RELATIONS:
            margin, decision = (each(subject, relation)[pairs] for each in (relation_margins, decisions))
            columns = {"holds": margin > 0, "margin": margin, "verdict": np.array(DECISIONS)[decision + 1]}
            tables.append(table.assign(relation=relation, **columns))
    return pd.concat(tables, ignore_index=True)


def distance_table(subjects: Mapping[str, Layout]) -> pd.DataFrame:
    """How far every structure is from every other, for every subject, nearest first.

    `PAIR_COLUMNS`, distance of the centroids (`center`, mm), `gap` between the boundaries (mm, NaN beyond the measured
    range), `shared` boundary (mm², NaN between points), and `rank` of b among the structures nearest to a, from 1.
    """
    tables = []
    for name, subject in subjects.items():
        pairs, table = _pairs(subject, name, "all")
        center = structure_distances(subject)
        gaps = np.full_like(center, np.nan) if subject.gaps is None else subject.gaps
        rank = center.argsort(axis=1, kind="stable").argsort(axis=1)
        gaps = np.where(np.isinf(gaps), np.nan, gaps)
        shared = np.full_like(center, np.nan) if subject.points else subject.shared
        measured = {"center": center, "gap": gaps, "shared": shared, "rank": rank}
        table = table.assign(**{column: value[pairs] for column, value in measured.items()})
        tables.append(table.sort_values(["structure_a", "side_a", "rank"], kind="stable"))
    return pd.concat(tables, ignore_index=True)


def structure_distances(subject: Layout) -> Float64s:
    """Distances (S, S) in mm between the centroids of structures."""
    return np.asarray(np.linalg.norm(subject.centers[:, None] - subject.centers[None], axis=-1), dtype=np.float64)


def _pairs(subject: Layout, name: str, sides: Sides) -> tuple[Pairs, pd.DataFrame]:
    """The pairs i != j, without those of left and right unless `sides` is "all", and their `PAIR_COLUMNS`."""
    names, side = (np.array([getattr(each, what) for each in subject.structures]) for what in ("name", "side"))
    counts = ~np.eye(len(side), dtype=bool)
    if sides == "same":
        counts &= (side[:, None] == side) | (side == "midline") | (side[:, None] == "midline")
    first, second = np.nonzero(counts)
    values = (name, names[first], side[first], names[second], side[second])
    return (first, second), pd.DataFrame(dict(zip(PAIR_COLUMNS, values, strict=True)))
