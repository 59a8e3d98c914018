"""Whether people agree on relations and neighbors, always with an interval: six of six leaves a lot open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binomtest, rankdata

from toposlearn.anatomy import Structure
from toposlearn.arrays import Float32s, Float64s
from toposlearn.intervals import bootstrap_number, bootstrap_subjects
from toposlearn.relations.graphs import nearest_structures
from toposlearn.relations.layout import Layout, shared_structures
from toposlearn.relations.relations import (
    AXIS_RELATIONS,
    DECISIONS,
    PAIR_COLUMNS,
    UNDECIDED,
    structure_distances,
    topology_table,
)

PAIR = [*PAIR_COLUMNS[1:], "relation"]
BASAL_GANGLIA = ("putamen", "pallidum", "caudate", "accumbens")  # the paper says that the thalamus is medial to these
Flags = npt.NDArray[np.bool_]
Ranks = npt.NDArray[np.int16]

AXES = AXIS_RELATIONS
WAYS = ("left-right", "front-back", "up-down")
DRAWS = 20_000  # of people: among six, the ends of the interval are values that 1 draw in 400 goes beyond


@cache
def fraction_interval(successes: int, n: int) -> tuple[float, float]:
    """Exact (Clopper-Pearson) 95 % interval of a fraction. Six out of six still leaves 0.54 to 1."""
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"successes must be between 0 and n >= 1, got {successes} of {n}")
    interval = binomtest(successes, n).proportion_ci(0.95, method="exact")
    return float(interval.low), float(interval.high)


def relation_consistency(table: pd.DataFrame) -> pd.DataFrame:
    """In what fraction of people each relation of a topology table holds, with its exact 95 % interval.

    One row per relation: numbers of `people`, of those in whom it `holds` (positive margin), `clearly_holds`, is
    `undecided` or `clearly_not`; `fraction`, `low`, `high` of `holds`; the smallest, mean and largest margin.
    """
    columns = dict(zip(("clearly_not", "undecided", "clearly_holds"), DECISIONS, strict=True))
    counted = table.assign(people=1, **{name: table["verdict"] == word for name, word in columns.items()})
    groups = counted.groupby(PAIR, sort=False)
    result = groups[["people", "holds", *reversed(columns)]].sum().reset_index()
    result["fraction"] = result["holds"] / result["people"]
    intervals = [fraction_interval(*counts) for counts in zip(result["holds"], result["people"], strict=True)]
    result[["low", "high"]] = np.array(intervals, dtype=float).reshape(-1, 2)
    margins = groups["margin"].agg(margin_min="min", margin_mean="mean", margin_max="max").reset_index(drop=True)
    return pd.concat([result, margins], axis=1)


def disputed_relations(table: pd.DataFrame) -> pd.DataFrame:
    """Relations that clearly hold in some people and clearly do not in others, the largest minority first.

    Columns: `PAIR`, the names of the people of each of `DECISIONS`, and `spread` of the margins. Each relation is
    listed once, from the structure for which it holds in more people.
    """
    relations = table.assign(**{word: table["verdict"] == word for word in DECISIONS}).groupby(PAIR, sort=False)
    number = relations[list(DECISIONS)].sum()
    minority = number[["holds", "does not hold"]].min(axis=1)
    # A direction is listed from the side that more people take; touching is the same from both.
    listed = (number["holds"] >= number["does not hold"]) | (number.index.get_level_values("relation") == "adjacent")
    table = table[(listed & (minority > 0)).to_numpy()[relations.ngroup()]]
    named = table.assign(**{word: table["person"].where(table["verdict"] == word) for word in DECISIONS})
    groups = named.groupby(PAIR, sort=False)
    spread = groups["margin"].max() - groups["margin"].min()
    result = groups[list(DECISIONS)].agg(_joined).assign(spread=spread, minority=minority)
    result = result.sort_values(["minority", "spread"], ascending=False, kind="stable").reset_index()
    pairs = [frozenset([row[0:2], row[2:4]]) for row in result[PAIR].itertuples(index=False, name=None)]
    once = ~pd.DataFrame({"pair": pairs, "relation": result["relation"]}).duplicated()
    return result[once].drop(columns="minority").reset_index(drop=True)


def _joined(names: pd.Series[str]) -> str:
    return ", ".join(names.dropna())


def medial_table(subjects: Mapping[str, Layout]) -> pd.DataFrame:
    """Rows of the topology table that say whether the thalamus is medial to each of `BASAL_GANGLIA`."""
    table = topology_table(subjects)
    wanted = (table["relation"] == "medial") & (table["structure_a"] == "thalamus")
    rows = table[wanted & table["structure_b"].isin(BASAL_GANGLIA)]
    return rows.sort_values("structure_b", key=lambda b: b.map(BASAL_GANGLIA.index), kind="stable", ignore_index=True)


def sign_agreement(subjects: Sequence[Layout]) -> pd.DataFrame:
    """How many people are on the side of the majority about which of two structures is further right, front or up.

    One row per axis of `WAYS`: `value`, mean over the pairs of structures that all people have (0.5 to 1), with its
    95 % bootstrap interval over people, `low` and `high`. Of two midline structures none is further right.
    """
    shared, people = shared_structures(subjects), len(subjects)
    centers = np.stack([subject.only(shared).centers for subject in subjects])  # (P, S, 3)
    first, second = np.triu_indices(len(shared), k=1)
    sided = np.array([each.side != "midline" for each in shared])
    rows = []
    for axis, way in enumerate(WAYS):
        counts = sided[first] | sided[second] | (axis > 0)
        further = (centers[:, first[counts], axis] > centers[:, second[counts], axis]).astype(np.float32)  # (P, pairs)

        def majority(who: npt.NDArray[np.int64], further: Float32s = further) -> float:
            share = np.bincount(who, minlength=people) @ further / people
            return float(np.maximum(share, 1 - share).mean())

        low, high = bootstrap_number(majority, people)
        rows.append({"measure": way, "value": majority(np.arange(people)), "low": low, "high": high})
    return pd.DataFrame(rows)


def neighborhood_agreement(
    subjects: Sequence[Layout], k: int = 5, *, permutations: int = 200, seed: int = 0
) -> pd.DataFrame:
    """Agreement of people on where the structures lie that all of them have, mean over pairs of people.

    * ``relations``: the consistency score. Of the relations medial, anterior and superior between any two structures
      that at least one of two people decides, the share that both decide alike, minus the share that they decide
      oppositely; -1 to 1, and 0 if one person's answers predict nothing of the other's;
    * ``touching``: Jaccard index of the sets of pairs that share a boundary;
    * ``neighbors``: Jaccard index of the sets of `k` nearest structures (by centroid);
    * ``order``: Kendall's tau of all other structures ranked by distance, mean over structures;
    * ``medial``, ``anterior``, ``superior``: Kendall's tau of the structures along the person's own axes.

    Columns: `measure, value, low, high` (95 % bootstrap over people; NaN for two), `null` (mean when names are permuted
    within a side), `null_high` (its 95th percentile), `p`, `people`, `structures`.
    """
    if len(subjects) < 2:
        raise ValueError(f"subjects must be at least two people, got {len(subjects)}")
    shared = shared_structures(subjects)
    if len(shared) < 3:
        names = ", ".join(subject.name for subject in subjects)
        raise ValueError(f"people have {len(shared)} structures in common, three are needed: {names}")
    rng = np.random.default_rng(seed)
    group = _group([subject.only(shared) for subject in subjects], k)
    observed = _agreements(group)
    nulls = []
    for _ in range(permutations):  # the same places under other names: in the rows of a structure stands another
        nulls.append(_agreements(group.renamed([permuted_within_sides(shared, rng) for _ in subjects])))
    rows = [
        {"measure": measure, **_summary(values, np.array([null[measure] for null in nulls]), len(subjects), seed)}
        for measure, values in observed.items()
    ]
    return pd.DataFrame(rows).assign(people=len(subjects), structures=len(shared))


def neighborhood_sweep(
    subjects: Sequence[Layout], ks: Sequence[int], *, permutations: int = 50, seed: int = 0
) -> pd.DataFrame:
    """The ``neighbors`` row of `neighborhood_agreement` for each number of neighbors, with a column `k`."""
    tables = (neighborhood_agreement(subjects, k, permutations=permutations, seed=seed).assign(k=k) for k in ks)
    return pd.concat([table[table["measure"] == "neighbors"] for table in tables], ignore_index=True)


def permuted_within_sides(structures: Sequence[Structure], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """A random order (S,) that keeps left, right and midline: the null that knows places and sides but no names."""
    order = np.arange(len(structures))
    sides = np.array([each.side for each in structures])
    for side in np.unique(sides):
        order[sides == side] = rng.permutation(order[sides == side])
    return order


@dataclass(frozen=True, eq=False)
class _Group:
    """What agreement is measured from: S structures of P people."""

    ranks: Ranks  # (P, S, S) of each distance among those from one structure
    positions: Float64s  # (P, 3, S) mm along `AXES`
    nearest: Flags  # (P, S, S) whether the second structure is among the nearest of the first
    touching: Flags | None  # (P, S, S); None where structures are points
    minimum: Float64s  # (P,) mm

    def renamed(self, orders: Sequence[npt.NDArray[np.int64]]) -> _Group:
        """The same people, each with structures in another order (S,)."""
        tables = {"ranks": self.ranks, "nearest": self.nearest, "touching": self.touching}
        pairs = [np.ix_(order, order) for order in orders]
        moved: dict[str, Any] = {
            name: np.stack([of_one[pair] for of_one, pair in zip(table, pairs, strict=True)])
            for name, table in tables.items()
            if table is not None
        }
        places = np.stack([of_one[:, order] for of_one, order in zip(self.positions, orders, strict=True)])
        return replace(self, positions=places, **moved)


def _group(subjects: Sequence[Layout], k: int) -> _Group:
    """People whose structures are the same, in the same order."""
    distances = np.stack([structure_distances(subject) for subject in subjects])
    nearest = np.zeros(distances.shape, dtype=bool)
    np.put_along_axis(nearest, np.stack([nearest_structures(each, k) for each in distances]), True, axis=2)
    places = [np.stack([-subject.depth, subject.centers[:, 1], subject.centers[:, 2]]) for subject in subjects]
    return _Group(
        ranks=rankdata(distances, method="dense", axis=2).astype(np.int16),
        positions=np.stack(places),
        nearest=nearest,
        touching=None if subjects[0].points else np.stack([subject.shared > 0 for subject in subjects]),
        minimum=UNDECIDED * np.array([subject.size for subject in subjects]),
    )


def _agreements(group: _Group) -> dict[str, Float64s]:
    """Agreement of each pair of people, in the order of `numpy.triu_indices`, for each measure."""
    touching = group.touching
    agreements = {"relations": _concordance(group.positions, minimum=group.minimum)}
    if touching is not None:
        agreements["touching"] = _jaccard(touching.reshape(1, len(touching), -1))
    agreements["neighbors"] = _jaccard(group.nearest.swapaxes(0, 1))
    agreements["order"] = _concordance(group.ranks, without_anchor=True)
    agreements |= {name: _concordance(group.positions[:, [axis]]) for axis, name in enumerate(AXES)}
    pairs = np.triu_indices(len(group.positions), k=1)
    return {measure: values[pairs] for measure, values in agreements.items()}


def _jaccard(sets: Flags) -> Float64s:
    """Jaccard index of the sets of two people (P, P), mean over R sets (R, P, S) of each; two empty sets agree."""
    members = sets.astype(np.float32)
    both = (members @ members.swapaxes(1, 2)).astype(np.float64)  # whole numbers, exact
    size = sets.sum(axis=2)
    either = size[:, :, None] + size[:, None, :] - both
    return np.asarray(np.where(either > 0, both / np.maximum(either, 1), 1.0).mean(axis=0))


def _concordance(
    values: Float64s | Ranks, *, minimum: Float64s | None = None, without_anchor: bool = False
) -> Float64s:
    """Pairs of structures that two people order alike, minus those ordered oppositely, as a share (P, P).

    `values` (P, R, S): R rankings of S structures per person. The share is of the pairs that both order (Kendall's tau)
    or, given the `minimum` (P,) of an ordered difference, of those that either orders. `without_anchor`: ranking r is
    by distance to structure r, which is left out.
    """
    concordant = np.zeros((len(values), len(values)))
    counted = np.zeros_like(concordant)
    first, second = np.triu_indices(values.shape[2], k=1)
    for row in range(values.shape[1]):  # one ranking at a time: signs (P, pairs of structures) fit the cache
        difference = values[:, row, first] - values[:, row, second]
        signs = np.sign(difference).astype(np.float32)  # their products are whole numbers up to S², exact
        if minimum is not None:
            signs *= np.abs(difference) > minimum[:, None]
        if without_anchor:
            signs[:, (first == row) | (second == row)] = 0
        ordered = np.abs(signs)
        both, each = ordered @ ordered.T, ordered.sum(axis=1)
        concordant += signs @ signs.T
        counted += both if minimum is None else each[:, None] + each[None, :] - both
    return np.asarray(concordant / np.maximum(counted, 1))


def _summary(pairs: Float64s, nulls: Float64s, subjects: int, seed: int) -> dict[str, float]:
    """Mean over pairs, its 95 % interval when people (not pairs) are resampled, and the null."""
    low = high = float("nan")
    if subjects > 2:
        matrix = np.zeros((1, subjects, subjects))
        matrix[:, *np.triu_indices(subjects, k=1)] = pairs
        low, high = bootstrap_subjects(matrix + matrix.swapaxes(1, 2), draws=DRAWS, seed=seed)
    null, value = nulls.mean(axis=1), float(pairs.mean())
    return {
        "value": value,
        "low": low,
        "high": high,
        "null": float(null.mean()),
        "null_high": float(np.quantile(null, 0.95)),
        "p": float((1 + (null >= value).sum()) / (1 + len(null))),
    }
