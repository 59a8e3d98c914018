"""Do relations and neighborhoods hold across people? Always with an interval, and against a null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binomtest

from toposlearn.anatomy import LabelMap, Structure, structure
from toposlearn.topology.frame import SIDES, Array
from toposlearn.topology.graphs import nearest_structures, structure_distances
from toposlearn.topology.relations import COLUMNS, Layout, as_layout, relation_margin

Null = Literal["side", "all"]
PAIR = ["structure_a", "side_a", "structure_b", "side_b", "relation"]


def fraction_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact (Clopper-Pearson) interval of a fraction. Six out of six still leaves 0.54 to 1.

    Raises:
        ValueError: not 0 <= successes <= n with n >= 1.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"successes must be between 0 and n >= 1, got {successes} of {n}")
    interval = binomtest(successes, n).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


def relation_consistency(table: pd.DataFrame) -> pd.DataFrame:
    """In what fraction of people each relation of a topology table holds, with its exact 95 % interval.

    One row a relation: `people`, `holds` (how many), `fraction`, `low`, `high`, and the smallest, mean and largest
    margin in mm.
    """
    groups = table.groupby(PAIR, sort=False)
    result = groups["holds"].agg(people="size", holds="sum").reset_index()
    bounds = [fraction_interval(k, n) for k, n in zip(result["holds"], result["people"], strict=True)]
    result["fraction"] = result["holds"] / result["people"]
    result["low"], result["high"] = np.array(bounds).T
    margins = groups["margin"].agg(margin_min="min", margin_mean="mean", margin_max="max").reset_index(drop=True)
    return pd.concat([result, margins], axis=1)


def medial_table(
    people: Mapping[str, LabelMap] | Mapping[str, Layout],
    inner: str = "thalamus",
    outer: Sequence[str] = ("putamen", "pallidum"),
) -> pd.DataFrame:
    """Is `inner` medial to each of `outer`? One row per person, side and pair, margins in mm."""
    rows = []
    for name, person in people.items():
        measured = as_layout(person)
        for other in outer:
            for side in SIDES:
                margin = relation_margin(measured, structure(inner, side), "medial", structure(other, side))
                rows.append((name, inner, side, other, side, "medial", margin > 0, margin))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def neighborhood_agreement(
    people: Sequence[Layout], k: int = 5, *, permutations: int = 200, seed: int = 0, null: Null = "side"
) -> pd.DataFrame:
    """How well people agree on who is next to whom, averaged over pairs of people.

    Over the structures that everyone has:

    * ``neighbors``: Jaccard index of the sets of `k` nearest structures (by centroid), 0 to 1;
    * ``order``: Kendall's tau of all other structures ranked by distance, -1 to 1, mean over structures;
    * ``medial``, ``anterior``, ``superior``: Kendall's tau of the structures along the person's own axes.

    Columns: `measure, value, low, high` (95 % bootstrap over people; NaN where there are only two), `null` (mean under
    permuted names), `null_high` (its 95th percentile), `p`, `people`, `structures`. The null ``"side"`` permutes
    structure names within a side, so that knowing left from right earns nothing; ``"all"`` permutes them freely.

    Raises:
        ValueError: fewer than two people, `k` too large, or an unknown null.
    """
    if len(people) < 2:
        raise ValueError(f"people must be at least two to agree or not, got {len(people)}")
    if null not in ("side", "all"):
        raise ValueError(f"null must be 'side' or 'all', got {null!r}")
    rng = np.random.default_rng(seed)
    shared, parts = _shared_parts(people)
    observed = _pair_agreements([_descriptors(*part, k) for part in parts])
    nulls = [
        _pair_agreements([_descriptors(*_permuted(part, shared, null, rng), k) for part in parts])
        for _ in range(permutations)
    ]
    rows = [
        {"measure": measure, **_summary(observed[measure], np.array([n[measure] for n in nulls]), len(people), rng)}
        for measure in observed
    ]
    return pd.DataFrame(rows).assign(people=len(people), structures=len(shared))


def neighborhood_sweep(
    people: Sequence[Layout], ks: Sequence[int], *, permutations: int = 50, seed: int = 0
) -> pd.DataFrame:
    """The ``neighbors`` row of `neighborhood_agreement` for each number of neighbors, with a column `k`."""
    rows = [neighborhood_agreement(people, k, permutations=permutations, seed=seed).iloc[[0]].assign(k=k) for k in ks]
    return pd.concat(rows, ignore_index=True)


Part = tuple[Array, Array]  # distances (S, S) and positions (3, S) along medial, anterior, superior


def _shared_parts(people: Sequence[Layout]) -> tuple[list[Structure], list[Part]]:
    """The structures everyone has, and each person's distances and positions of just those."""
    shared = [s for s in people[0].structures if all(s in person.structures for person in people)]
    parts = []
    for person in people:
        rows = [person.index(s) for s in shared]
        positions = np.stack([-person.depth, person.centers[:, 1], person.centers[:, 2]])
        parts.append((structure_distances(person)[np.ix_(rows, rows)], positions[:, rows]))
    return shared, parts


def _permuted(part: Part, shared: Sequence[Structure], null: Null, rng: np.random.Generator) -> Part:
    """The same places under shuffled names."""
    order = np.arange(len(shared))
    sides = np.array([s.side if null == "side" else "any" for s in shared])
    for side in np.unique(sides):
        order[sides == side] = rng.permutation(order[sides == side])
    distances, positions = part
    return distances[np.ix_(order, order)], positions[:, order]


def _descriptors(distances: Array, positions: Array, k: int) -> dict[str, npt.NDArray[np.int8]]:
    """What two people are compared by: neighbor membership (S, S), and signs of order (R, S, S)."""
    member = np.zeros(distances.shape, dtype=np.int8)
    np.put_along_axis(member, nearest_structures(distances, k), 1, axis=1)
    orders = {"order": distances, "medial": positions[:1], "anterior": positions[1:2], "superior": positions[2:]}
    return {"neighbors": member} | {name: _order_signs(values) for name, values in orders.items()}


def _order_signs(values: Array) -> npt.NDArray[np.int8]:
    """Signs (R, S, S) of value_j - value_l for each of R rankings of S structures; in "order" the anchor is left out.

    A distance matrix has R = S, and row i ranks the others by their distance to i.
    """
    signs = np.sign(values[:, :, None] - values[:, None, :]).astype(np.int8)
    if len(values) == values.shape[1]:
        anchors = np.arange(len(values))
        signs[anchors, anchors, :] = signs[anchors, :, anchors] = 0
    return signs


def _pair_agreements(people: Sequence[dict[str, npt.NDArray[np.int8]]]) -> dict[str, Array]:
    """Agreement of each pair of people, in the order of `itertools.combinations`, for each measure."""
    pairs = list(combinations(people, 2))
    return {
        measure: np.array([(_jaccard if measure == "neighbors" else _tau)(p[measure], q[measure]) for p, q in pairs])
        for measure in people[0]
    }


def _jaccard(a: npt.NDArray[np.int8], b: npt.NDArray[np.int8]) -> float:
    both, either = (a & b).sum(axis=1), (a | b).sum(axis=1)
    return float((both / either).mean())


def _tau(a: npt.NDArray[np.int8], b: npt.NDArray[np.int8]) -> float:
    """Kendall's tau from order signs: concordant minus discordant pairs, over the pairs that are ordered in both."""
    product = a * b
    return float(product.sum(dtype=np.int64) / np.count_nonzero(product))


def _summary(pairs: Array, nulls: Array, people: int, rng: np.random.Generator) -> dict[str, float]:
    """Mean over pairs of people, its bootstrap interval over people, and where the null lies."""
    low, high = _bootstrap(pairs, people, rng)
    null = nulls.mean(axis=1)
    value = float(pairs.mean())
    return {
        "value": value,
        "low": low,
        "high": high,
        "null": float(null.mean()),
        "null_high": float(np.quantile(null, 0.95)),
        "p": float((1 + (null >= value).sum()) / (1 + len(null))),
    }


def _bootstrap(pairs: Array, people: int, rng: np.random.Generator, draws: int = 2000) -> tuple[float, float]:
    """95 % interval of the mean over pairs when people, not pairs, are drawn again. One pair tells none."""
    if people < 3:
        return float("nan"), float("nan")
    matrix = np.full((people, people), np.nan)
    first, second = np.triu_indices(people, k=1)
    matrix[first, second] = matrix[second, first] = pairs
    drawn = rng.integers(people, size=(draws, people))
    values = matrix[drawn[:, :, None], drawn[:, None, :]]  # (draws, people, people), NaN where a person meets himself
    usable = values[~np.isnan(values).all(axis=(1, 2))]
    low, high = np.quantile(np.nanmean(usable, axis=(1, 2)), [0.025, 0.975])
    return float(low), float(high)
