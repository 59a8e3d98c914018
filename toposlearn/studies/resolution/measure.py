"""How far a claim about structures reaches the tokens: their neighbor order compared with the anatomy's.

Two structures in one token are at distance 0 of each other and equally far from all others. A tie is no order: it earns
nothing here, where Kendall's tau would leave it out. S structures, K neighbors, P poses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from toposlearn.anatomy import LabelMap, Structure, structure
from toposlearn.arrays import Float64s
from toposlearn.intervals import bootstrap_subjects
from toposlearn.relations.agreement import permuted_within_sides
from toposlearn.relations.frame import SIDES, Frame, frame_of
from toposlearn.studies.resolution.tokens import BOX, READINGS, HeadPoints, TokenStructures, head_points, tokens_on_box

CELLS = (3, 6, 8, 12, 16)  # per axis
NUCLEI = ("thalamus", "pallidum", "putamen")  # from the middle outward
PAIRS = (("thalamus", "putamen"), ("thalamus", "pallidum"), ("pallidum", "putamen"))
UPRIGHT: Float64s = np.eye(3, 4)[None]  # the one pose of a head as scanned
MEASURES = ("order", "neighbors", "medial")
SHARE = 0.95  # of poses in which a pair must be parted


def distances_between(places: Float64s) -> Float64s:
    """Euclidean distances (S, S) between rows (S, F); NaN for rows that are NaN."""
    return np.asarray(np.linalg.norm(places[:, None] - places[None], axis=-1))


def order_agreement(true: Float64s, seen: Float64s) -> float:
    """Somers' D of neighbor order: right minus wrong orders, over all that are ordered in truth.

    From every structure, each two others are compared: which of them is nearer by the `true` distances (S, S) and by
    those `seen` among tokens (S, S; NaN for a structure outside the grid)? 1 is the same order, 0 what ties or a coin
    give, -1 the opposite. `scipy.stats.somersd` does the same for one structure.
    """
    ordered, observed = (_order_signs(distances) for distances in (true, seen))
    return float((ordered * observed).sum(dtype=np.int64) / np.count_nonzero(ordered))


def neighbor_agreement(true: Float64s, seen: Float64s, k: int = 5) -> float:
    """Weighted Jaccard index of the K nearest structures, mean over structures; ties for the last places share them."""
    a, b = _membership(true, k), _membership(seen, k)
    return float(np.mean(np.minimum(a, b).sum(axis=1) / np.maximum(a, b).sum(axis=1)))


def depth_ordered(depth: Float64s, structures: Sequence[Structure], names: Sequence[str] = NUCLEI) -> float:
    """Share of sides on which these structures lie ever further from the middle plane, by `depth` (S,) mm, no NaN."""
    at = {(each.name, each.side): value for each, value in zip(structures, depth, strict=True)}
    gaps = [np.diff([at[name, side] for name in names]) for side in SIDES]
    return float(np.mean([bool((gap > 10.0**-6).all()) for gap in gaps]))


def _rounded(distances: Float64s) -> Float64s:
    """Distances as shares of the largest, without differences that are due to rounding."""
    largest = np.max(distances, initial=1e-300, where=np.isfinite(distances))
    return np.asarray(np.round(distances / largest, 9))


def _order_signs(distances: Float64s) -> npt.NDArray[np.int8]:
    """(S, S, S): entry (i, j, l) says which of j and l is nearer to i; 0 for ties, for i itself, and for NaN."""
    rounded = _rounded(distances)
    signs = np.nan_to_num(np.sign(rounded[:, :, None] - rounded[:, None, :])).astype(np.int8)
    anchors = np.arange(len(distances))
    signs[anchors, anchors, :] = signs[anchors, :, anchors] = 0
    return signs


def _membership(distances: Float64s, k: int) -> Float64s:
    """(S, S): 1 for the K nearest of each row, and an equal part of the last places for those that tie for them."""
    count = len(distances)
    if not 1 <= k < count:
        raise ValueError(f"k must be between 1 and {count - 1} for {count} structures, got {k}")
    rounded = np.nan_to_num(_rounded(distances), nan=2.0)  # farther than all others, which are at most 1
    np.fill_diagonal(rounded, 3.0)
    first, last = (rankdata(rounded, method, axis=1) for method in ("min", "max"))
    return np.asarray(np.clip((k + 1 - first) / (last - first + 1), 0, 1))


def resolution_table(
    subjects: Mapping[str, LabelMap],
    poses: Mapping[str, Float64s],
    structures: Sequence[Structure],
    *,
    cells: Sequence[int] = CELLS,
    k: int = 5,
    seed: int = 0,
) -> pd.DataFrame:
    """Agreement of the order among tokens with the order among structures, one row per person, pose, grid and reading.

    Each subject has poses (P, 3, 4), posed mm -> original mm, and all have the `structures`. Columns: `person, pose,
    cells` (per axis), `mm, how` (`READINGS`); `order`, `neighbors` (K), `medial` (`depth_ordered`) and the same with
    ``_null``, for names permuted within a side, anew for each pose; `merged`, the share of pairs that have one home;
    `dominant`, how many structures fill most of any token; `lost`, how many the grid does not reach; `mixing`, the mean
    over tokens that hold any structure.
    """
    rng, rows, pairs = np.random.default_rng(seed), [], np.triu_indices(len(structures), k=1)
    for name, subject in subjects.items():
        head, frame = head_points(subject).of(structures), frame_of(subject)
        for number, pose in enumerate(poses[name]):
            turned = head.posed(pose)
            for count in cells:
                tokens = tokens_on_box(turned, count)
                known = {
                    "person": name,
                    "pose": number,
                    "cells": count,
                    "mm": BOX / count,
                    "merged": float(tokens.same_home()[pairs].mean()),
                    "dominant": len(np.unique(tokens.dominant[tokens.dominant >= 0])),
                    "lost": int((tokens.homes < 0).sum()),
                    "mixing": float(np.nanmean(tokens.mixing)),
                }
                rows += [known | agreements for agreements in _agreements(tokens, head, frame, pose, k, rng)]
    return pd.DataFrame(rows)


def _agreements(
    tokens: TokenStructures, head: HeadPoints, frame: Frame, pose: Float64s, k: int, rng: np.random.Generator
) -> Iterator[dict[str, object]]:
    true, order = distances_between(head.centers), permuted_within_sides(tokens.structures, rng)
    for how in READINGS:
        places = tokens.read(tokens.positions, how)
        original = places @ pose[:, :3].T + pose[:, 3] + head.middle
        depth, seen = np.abs(frame.coordinates(original)[:, 0]), distances_between(places)
        agreements: dict[str, object] = {"how": how}
        for ending, names in (("", np.arange(len(order))), ("_null", order)):
            renamed = seen[np.ix_(names, names)]
            agreements["order" + ending] = order_agreement(true, renamed)
            agreements["neighbors" + ending] = neighbor_agreement(true, renamed, k)
            agreements["medial" + ending] = depth_ordered(depth[names], tokens.structures)
        yield agreements


def resolution_summary(table: pd.DataFrame, subjects: Sequence[str]) -> pd.DataFrame:
    """Mean over poses and people of each measure, one row per grid and reading.

    `low, high`: 95 %, people drawn again; `null_high`: 95th percentile over draws of names of the mean over people.
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
    subjects: Mapping[str, LabelMap], poses: Mapping[str, Float64s], cells: Sequence[int]
) -> pd.DataFrame:
    """In what share of poses two nuclei have homes of their own, one row per person, pair of `PAIRS`, and grid.

    Arguments as in `resolution_table`. `parted` is the mean over poses and sides; `points` the same for two mere points
    at the centroids, on a grid that may lie anywhere (`parted_points`).
    """
    chosen = [structure(name, side) for side in SIDES for name in NUCLEI]
    rows = []
    for name, subject in subjects.items():
        head = head_points(subject).of(chosen)
        turned = [head.posed(pose) for pose in poses[name]]
        apart = np.stack([each.centers[:, None] - each.centers[None] for each in turned])  # (P, 6, 6, 3)
        for count in cells:
            same = np.mean([tokens_on_box(each, count).same_home() for each in turned], axis=0)
            points = parted_points(apart, BOX / count).mean(axis=0)
            for a, b in PAIRS:
                at = [(chosen.index(structure(a, side)), chosen.index(structure(b, side))) for side in SIDES]
                first, second = np.array(at).T
                parted = 1 - same[first, second].mean(), points[first, second].mean()
                rows.append((name, f"{a} – {b}", count, BOX / count, *parted))
    return pd.DataFrame(rows, columns=["person", "pair", "cells", "mm", "parted", "points"])


def parted_points(apart: Float64s, side: float) -> Float64s:
    """Probability (…) that two points `apart` (…, 3) mm fall into different cells of `side` mm, wherever the grid lies.

    Along each axis, a border lies between them with probability |d| / side.
    """
    return np.asarray(1 - np.clip(1 - np.abs(apart) / side, 0, None).prod(axis=-1))


def finest_needed(table: pd.DataFrame) -> pd.Series[float]:
    """Smallest number of cells from which on a pair is parted in `SHARE` of poses in all people; NaN for none."""
    worst = table.groupby(["pair", "cells"])["parted"].min().unstack("cells").sort_index(axis=1)
    enough = (worst >= SHARE).iloc[:, ::-1].cummin(axis=1).iloc[:, ::-1]
    return enough.apply(lambda row: float(row.index[row][0]) if row.any() else np.nan, axis=1)
