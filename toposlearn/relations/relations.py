"""Spatial relations between the structures of one person, with margins.

A relation holds when its margin is positive, and by how much is the margin itself: "the thalamus is medial to the
putamen by 14 mm" says more than a yes. A margin that is small beside the brain decides nothing, and says so. All
margins are read in the person's own frame, so a tilted head changes none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from toposlearn.anatomy import LabelMap, Structure
from toposlearn.relations.frame import Array
from toposlearn.relations.layout import Layout, as_layout

DIRECTIONS = ("medial", "lateral", "anterior", "posterior", "superior", "inferior")
RELATIONS = (*DIRECTIONS, "adjacent")
TABLE_RELATIONS = ("medial", "anterior", "superior", "adjacent")  # of a to b and of b to a: opposites are included
PAIR_COLUMNS = ("person", "structure_a", "side_a", "structure_b", "side_b")
COLUMNS = (*PAIR_COLUMNS, "relation", "holds", "margin", "verdict")
DISTANCE_COLUMNS = (*PAIR_COLUMNS, "center", "gap", "shared", "rank")

UNDECIDED = 0.02  # of the brain's size: about a millimeter, a voxel of a common scan
VERDICTS = ("does not hold", "undecided", "holds")  # of -1, 0, 1

Sides = Literal["same", "all"]


def relation_margins(subject: Layout, relation: str) -> Array:
    """Margins (S, S) of a relation: entry (i, j) says by how much it holds between structures i and j.

    * ``medial``: how many mm further j lies from the mid-sagittal plane, on average; ``lateral`` is its negative.
    * ``anterior``, ``superior``: how many mm further front or up the centroid of i lies; ``posterior``, ``inferior``.
    * ``adjacent``: the boundary they share, in mm².

    Raises:
        ValueError: unknown relation.
    """
    if relation not in RELATIONS:
        raise ValueError(f"unknown relation {relation!r}: choose one of {', '.join(RELATIONS)}")
    if relation == "adjacent":
        return subject.shared
    axis, sign = divmod(DIRECTIONS.index(relation), 2)  # each axis has a relation and its opposite
    value = -subject.depth if axis == 0 else subject.centers[:, axis]
    margins = value[:, None] - value[None, :]
    return np.asarray(-margins if sign else margins, dtype=np.float64)


def verdicts(subject: Layout, relation: str, undecided: float = UNDECIDED) -> npt.NDArray[np.int8]:
    """Whether a relation holds (1), does not (-1), or is undecided (0), between every two structures (S, S).

    Undecided is a margin of less than `undecided` of the brain's size, either way. Structures that touch are undecided
    as long as the boundary they share is smaller than the square of that length.
    """
    margins, least = relation_margins(subject, relation), undecided * subject.size
    if relation == "adjacent":
        return np.select([margins > least**2, margins > 0], [1, 0], -1).astype(np.int8)
    return np.select([margins > least, margins < -least], [1, -1], 0).astype(np.int8)


def relation_margin(subject: Layout, a: Structure, relation: str, b: Structure) -> float:
    """Margin of "a is … to b", e.g. ``relation_margin(person, thalamus, "medial", putamen)``."""
    return float(relation_margins(subject, relation)[subject.index(a), subject.index(b)])


def topology_table(subjects: Mapping[str, LabelMap] | Mapping[str, Layout], sides: Sides = "same") -> pd.DataFrame:
    """Every relation between every two structures, for every person.

    Columns are `COLUMNS`; `margin` is in mm (mm² for ``adjacent``), a relation holds when it is positive, and `verdict`
    says whether it is large enough to count (`verdicts`). ``"same"`` pairs structures of one side, those of the midline
    with both; ``"all"`` pairs left with right as well.

    Raises:
        ValueError: no people, or unknown sides.
    """
    _check(subjects, sides)
    return pd.concat(
        [_relations(as_layout(subject), name, sides) for name, subject in subjects.items()], ignore_index=True
    )


def distance_table(subjects: Mapping[str, Layout], sides: Sides = "all") -> pd.DataFrame:
    """How far every structure is from every other, for every person, nearest first.

    Columns are `DISTANCE_COLUMNS`: distance of the centroids, gap between the boundaries (NaN where farther than was
    measured), mm, the boundary they share, mm², and which nearest structure b is to a by centroid, from 1.

    Raises:
        ValueError: no people, or unknown sides.
    """
    _check(subjects, sides)
    return pd.concat([_distances(subject, name, sides) for name, subject in subjects.items()], ignore_index=True)


def _check(subjects: Mapping[str, LabelMap] | Mapping[str, Layout], sides: Sides) -> None:
    if not subjects:
        raise ValueError("people is empty: give at least one label map")
    if sides not in ("same", "all"):
        raise ValueError(f"sides must be 'same' or 'all', got {sides!r}")


def _relations(subject: Layout, name: str, sides: Sides) -> pd.DataFrame:
    pairs = _pairs(subject, sides)
    tables = []
    for relation in TABLE_RELATIONS:
        margin, verdict = (each(subject, relation)[*pairs] for each in (relation_margins, verdicts))
        told = {"holds": margin > 0, "margin": margin, "verdict": np.array(VERDICTS)[verdict + 1]}
        tables.append(_pair_columns(subject, name, pairs).assign(relation=relation, **told))
    return pd.concat(tables, ignore_index=True)


def _distances(subject: Layout, name: str, sides: Sides) -> pd.DataFrame:
    pairs = _pairs(subject, sides)
    center = np.linalg.norm(subject.centers[:, None] - subject.centers[None], axis=-1)
    gaps = (
        np.full_like(center, np.nan) if subject.gaps is None else np.where(np.isinf(subject.gaps), np.nan, subject.gaps)
    )
    rank = center.argsort(axis=1, kind="stable").argsort(axis=1)
    measured = {"center": center, "gap": gaps, "shared": subject.shared, "rank": rank}
    table = _pair_columns(subject, name, pairs).assign(**{column: value[*pairs] for column, value in measured.items()})
    return table.sort_values(["structure_a", "side_a", "rank"], kind="stable", ignore_index=True)


def _pairs(subject: Layout, sides: Sides) -> tuple[npt.NDArray[np.int64], ...]:
    """Rows and columns (P,), (P,) of the pairs i != j, without those of left and right unless `sides` is "all"."""
    side = np.array([each.side for each in subject.structures])
    counts = ~np.eye(len(side), dtype=bool)
    if sides == "same":
        counts &= (side[:, None] == side) | (side == "midline") | (side[:, None] == "midline")
    return np.nonzero(counts)


def _pair_columns(subject: Layout, name: str, pairs: tuple[npt.NDArray[np.int64], ...]) -> pd.DataFrame:
    names, sides = (np.array([getattr(each, what) for each in subject.structures]) for what in ("name", "side"))
    first, second = pairs
    values = (name, names[first], sides[first], names[second], sides[second])
    return pd.DataFrame(dict(zip(PAIR_COLUMNS, values, strict=True)))
