"""How far a claim about structures reaches a grid of tokens, as a function of how fine the grid is.

Structures become places on the grid, places have an order, and that order is held against the true one: person by
person, pose by pose. G cells an axis, P poses, S structures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from toposlearn.anatomy import LabelMap, Structure, structure
from toposlearn.intervals import bootstrap_subjects
from toposlearn.relations.frame import SIDES, Array, Frame, frame_of
from toposlearn.relations.null import permuted_within_sides
from toposlearn.studies.resolution.token_order import (
    depth_ordered,
    distances_between,
    neighbor_agreement,
    order_agreement,
)
from toposlearn.studies.resolution.token_structures import (
    BOX,
    HeadPoints,
    Read,
    TokenStructures,
    head_points,
    tokens_on_box,
)

CELLS = (3, 6, 8, 12, 16)
NUCLEI = ("thalamus", "pallidum", "putamen")  # from the middle outward
PAIRS = (("thalamus", "putamen"), ("thalamus", "pallidum"), ("pallidum", "putamen"))
UPRIGHT: Array = np.eye(3, 4)[None]  # one pose (1, 3, 4): as scanned
MEASURES = ("order", "neighbors", "medial")

Poses = Array | Mapping[str, Array]


def shared_structures(subjects: Mapping[str, LabelMap]) -> list[Structure]:
    """The structures that all of these people have, in order of their labels."""
    found = [head_points(subject).structures for subject in subjects.values()]
    return [each for each in found[0] if all(each in other for other in found)]


def resolution_table(
    subjects: Mapping[str, LabelMap],
    poses: Poses,
    cells: Sequence[int] = CELLS,
    *,
    structures: Sequence[Structure] | None = None,
    box: float = BOX,
    k: int = 5,
    seed: int = 0,
) -> pd.DataFrame:
    """Agreement of the order among tokens with the order among structures, one row a person, pose, grid and reading.

    Args:
        subjects: name -> label map.
        poses: (P, 3, 4), posed mm -> original mm, for everybody; or name -> poses. With poses of their own, an interval
            over people also covers the luck of where the grid falls.
        cells: G of each grid.
        structures: which count; absent: those that all people have.
        box: mm, side of the grid.
        k: neighbors K.
        seed: of the null, which gives each person other names within a side, anew for each pose.

    Returns:
        Columns `person, pose, cells, mm, how` (`token_structures.Read`); `order`, `neighbors`,
        `medial` (share of sides on which `NUCLEI` keep their order from the middle) and the same with ``_null``;
        `merged`, the share of pairs that have one home; `dominant`, how many structures fill most of any token;
        `lost`, how many the grid does not reach; `mixing`, the mean over tokens that hold any structure.
    """
    chosen, rng = structures or shared_structures(subjects), np.random.default_rng(seed)
    rows = []
    for name, subject in subjects.items():
        head, frame = head_points(subject).of(chosen), frame_of(subject)
        for number, pose in enumerate(_poses_of(poses, name)):
            turned = head.posed(pose)
            for count in cells:
                tokens = tokens_on_box(turned, count, box)
                known = {"person": name, "pose": number, "cells": count, "mm": box / count, **_contents(tokens)}
                rows += [known | found for found in _agreements(tokens, head, frame, pose, k, rng)]
    return pd.DataFrame(rows)


def _poses_of(poses: Poses, name: str) -> Array:
    return poses[name] if isinstance(poses, Mapping) else poses


def _contents(tokens: TokenStructures) -> dict[str, float]:
    pairs = np.triu_indices(len(tokens.structures), k=1)
    return {
        "merged": float(tokens.same_home()[pairs].mean()),
        "dominant": len(np.unique(tokens.dominant[tokens.dominant >= 0])),
        "lost": int((tokens.homes < 0).sum()),
        "mixing": float(np.nanmean(tokens.mixing)),
    }


def _agreements(
    tokens: TokenStructures, head: HeadPoints, frame: Frame, pose: Array, k: int, rng: np.random.Generator
) -> Iterator[dict[str, object]]:
    true, order = distances_between(head.centers), permuted_within_sides(tokens.structures, rng)
    readings: tuple[Read, Read] = ("home", "mean")
    for how in readings:
        places = tokens.read(tokens.positions, how)
        original = places @ pose[:, :3].T + pose[:, 3] + head.middle
        depth, seen = np.abs(frame.coordinates(original)[:, 0]), distances_between(places)
        found: dict[str, object] = {"how": how}
        for ending, names in (("", np.arange(len(order))), ("_null", order)):
            renamed = seen[np.ix_(names, names)]
            found["order" + ending] = order_agreement(true, renamed)
            found["neighbors" + ending] = neighbor_agreement(true, renamed, k)
            found["medial" + ending] = depth_ordered(depth[names], tokens.structures, NUCLEI)
        yield found


def resolution_summary(table: pd.DataFrame, subjects: Sequence[str]) -> pd.DataFrame:
    """Mean over poses and people of each measure, a row a grid and reading.

    Columns: `cells, mm, how, measure, value, low, high` (95 %, people drawn again), `null`, `null_high` (95th
    percentile over draws of names of the mean over people), `subjects`.

    Raises:
        ValueError: fewer than two people.
    """
    rows = []
    for (cells, mm, how), part in table[table["person"].isin(subjects)].groupby(["cells", "mm", "how"]):
        for measure in MEASURES:
            each = part.groupby("person")[measure].mean().to_numpy()
            low, high = bootstrap_subjects(each[None])
            null = part.groupby("pose")[f"{measure}_null"].mean()
            rows.append((cells, mm, how, measure, each.mean(), low, high, null.mean(), null.quantile(0.95), len(each)))
    names = ["cells", "mm", "how", "measure", "value", "low", "high", "null", "null_high", "people"]
    return pd.DataFrame(rows, columns=names)


def parting_table(
    subjects: Mapping[str, LabelMap], poses: Poses, cells: Sequence[int], *, box: float = BOX
) -> pd.DataFrame:
    """In what share of poses do two nuclei have homes of their own? A row a person, pair of `PAIRS`, and grid.

    Poses as in `resolution_table`.

    Columns: `person, pair, cells, mm, parted` (mean over poses and the two sides), and `points`: the same for two mere
    points at the centroids, on a grid that may lie anywhere, `parted_points`.
    """
    chosen = [structure(name, side) for side in SIDES for name in NUCLEI]
    rows = []
    for name, subject in subjects.items():
        head = head_points(subject).of(chosen)
        turned = [head.posed(pose) for pose in _poses_of(poses, name)]
        apart = np.stack([each.centers[:, None] - each.centers[None] for each in turned])  # (P, 6, 6, 3)
        for count in cells:
            same = np.mean([tokens_on_box(each, count, box).same_home() for each in turned], axis=0)
            points = parted_points(apart, box / count).mean(axis=0)
            for a, b in PAIRS:
                at = [(chosen.index(structure(a, side)), chosen.index(structure(b, side))) for side in SIDES]
                first, second = np.array(at).T
                parted = 1 - same[first, second].mean(), points[first, second].mean()
                rows.append((name, f"{a} – {b}", count, box / count, *parted))
    return pd.DataFrame(rows, columns=["person", "pair", "cells", "mm", "parted", "points"])


def parted_points(apart: Array, side: float) -> Array:
    """Probability (…) that two points fall into different cells of a grid that lies anywhere.

    1 - product over axes of max(0, 1 - |d| / side): along each axis a border lies between them with |d| / side.

    Args:
        apart: (…, 3) mm from one to the other.
        side: mm of a cell.
    """
    return np.asarray(1 - np.clip(1 - np.abs(apart) / side, 0, None).prod(axis=-1))


def finest_needed(table: pd.DataFrame, share: float = 0.95) -> pd.Series[float]:
    """Smallest number of cells from which on a pair is parted in `share` of poses in everybody; NaN for none."""
    worst = table.groupby(["pair", "cells"])["parted"].min().unstack("cells").sort_index(axis=1)
    enough = (worst >= share).iloc[:, ::-1].cummin(axis=1).iloc[:, ::-1]
    return enough.apply(lambda row: float(row.index[row][0]) if row.any() else np.nan, axis=1)
