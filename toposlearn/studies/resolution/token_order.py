"""Do tokens keep the neighbor order of structures? Agreement of two tables of distances, where ties may occur.

Two structures in one token are at distance 0 of each other and equally far from all others. A tie is no order: it earns
nothing here, where Kendall's tau over the pairs ordered in both would leave it out. S structures, K neighbors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from toposlearn.anatomy import Structure
from toposlearn.relations.frame import Array

_SAME = 9  # digits, of the largest distance, to which two distances are one


def distances_between(places: Array) -> Array:
    """Euclidean distances (S, S) between rows (S, F); NaN for rows that are NaN."""
    return np.asarray(np.linalg.norm(places[:, None] - places[None], axis=-1))


def order_agreement(true: Array, seen: Array) -> float:
    """Somers' D of neighbor order: right minus wrong orders, over all that are ordered in truth.

    From every structure, each two others are compared: which of them is nearer, in truth and among tokens? 1 is the
    same order, 0 what ties or a coin give, -1 the opposite. `scipy.stats.somersd` does the same for one structure.

    Args:
        true: (S, S) distances between structures.
        seen: (S, S) distances between what tokens say of them; a row of NaN is a structure they do not hold, and
            earns nothing.
    """
    return order_share(_order_signs(true), _order_signs(seen))


def neighbor_agreement(true: Array, seen: Array, k: int = 5) -> float:
    """Weighted Jaccard index of the K nearest structures, mean over structures; ties for the last places share them.

    Raises:
        ValueError: K is not between 1 and S - 1.
    """
    a, b = _membership(true, k), _membership(seen, k)
    return float(np.mean(np.minimum(a, b).sum(axis=1) / np.maximum(a, b).sum(axis=1)))


def depth_ordered(depth: Array, structures: Sequence[Structure], names: Sequence[str]) -> float:
    """Share of the two sides on which these structures lie ever further from the middle plane, by `depth` (S,) mm.

    A tie, or a structure that is NaN, breaks the order.
    """
    at = {(each.name, each.side): value for each, value in zip(structures, depth, strict=True)}
    gaps = [np.diff([at[name, side] for name in names]) for side in ("left", "right")]
    return float(np.mean([bool((gap > 10.0**-6).all()) for gap in gaps]))


def _order_signs(distances: Array) -> npt.NDArray[np.int8]:
    """(S, S, S): entry (i, j, l) says which of j and l is nearer to i; 0 for ties, for i itself, and for NaN."""
    largest = np.nanmax(distances) if np.isfinite(distances).any() else 1.0
    rounded = np.round(distances / max(largest, 1e-300), _SAME)
    signs = np.nan_to_num(np.sign(rounded[:, :, None] - rounded[:, None, :])).astype(np.int8)
    anchors = np.arange(len(distances))
    signs[anchors, anchors, :] = signs[anchors, :, anchors] = 0
    return signs


def order_share(true: npt.NDArray[np.int8], seen: npt.NDArray[np.int8]) -> float:
    """Right minus wrong orders of `_order_signs`, over those ordered in truth."""
    return float((true * seen).sum(dtype=np.int64) / np.count_nonzero(true))


def _membership(distances: Array, k: int) -> Array:
    """(S, S): 1 for the K nearest of each row, and an equal part of the last places for those that tie for them."""
    count = len(distances)
    if not 1 <= k < count:
        raise ValueError(f"k must be between 1 and {count - 1} for {count} structures, got {k}")
    largest = np.nanmax(distances) if np.isfinite(distances).any() else 1.0
    rounded = np.nan_to_num(np.round(distances / max(largest, 1e-300), _SAME), nan=np.inf)
    np.fill_diagonal(rounded, np.inf)
    last = np.sort(rounded, axis=1)[:, k - 1 : k]
    nearer = rounded < last
    tied = (rounded == last) & ~np.eye(count, dtype=bool)
    left = k - nearer.sum(axis=1, keepdims=True)
    return np.asarray(nearer + tied * left / tied.sum(axis=1, keepdims=True), dtype=np.float64)
