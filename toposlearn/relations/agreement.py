"""How well people agree on who is next to whom, and on who lies where, against a null of shuffled names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from toposlearn.anatomy import Structure
from toposlearn.intervals import bootstrap_subjects
from toposlearn.relations.frame import Array
from toposlearn.relations.graphs import nearest_structures, shared_structures, structure_distances
from toposlearn.relations.layout import Layout
from toposlearn.relations.null import permuted_within_sides
from toposlearn.relations.relations import UNDECIDED

Null = Literal["side", "all"]
AXES = ("medial", "anterior", "superior")
DRAWS = 20_000  # of people: among six, the ends of the interval are values that 1 draw in 400 goes beyond


def neighborhood_agreement(
    subjects: Sequence[Layout], k: int = 5, *, permutations: int = 200, seed: int = 0, null: Null = "side"
) -> pd.DataFrame:
    """How well people agree on who is next to whom, averaged over pairs of people.

    Over the structures that everyone has:

    * ``relations``: the consistency score. Of the relations medial, anterior and superior between any two structures
      that are decided in at least one of two people, the share that both decide alike, less the share that they decide
      oppositely; -1 to 1, and 0 if one person's answers told nothing of the other's;
    * ``touching``: Jaccard index of the sets of pairs that share a boundary, 0 to 1;
    * ``neighbors``: Jaccard index of the sets of `k` nearest structures (by centroid), 0 to 1;
    * ``order``: Kendall's tau of all other structures ranked by distance, -1 to 1, mean over structures;
    * ``medial``, ``anterior``, ``superior``: Kendall's tau of the structures along the person's own axes.

    Columns: `measure, value, low, high` (95 % bootstrap over people, expanded for few; NaN where there are only two),
    `null` (mean under permuted names), `null_high` (its 95th percentile), `p`, `subjects`, `structures`. The null
    ``"side"`` permutes structure names within a side, so that knowing left from right earns nothing; ``"all"`` permutes
    them freely.

    Raises:
        ValueError: fewer than two people, no structures that all have, `k` too large, or an unknown null.
    """
    if len(subjects) < 2:
        raise ValueError(f"people must be at least two to agree or not, got {len(subjects)}")
    if null not in ("side", "all"):
        raise ValueError(f"null must be 'side' or 'all', got {null!r}")
    shared = shared_structures(subjects)
    if len(shared) < 3:
        names = ", ".join(subject.name for subject in subjects)
        raise ValueError(f"people have {len(shared)} structures in common, three are needed: {names}")
    rng = np.random.default_rng(seed)
    places = _places(subjects, shared)
    observed = _agreements(places, k)
    nulls = [_agreements(_permuted(places, null, rng), k) for _ in range(permutations)]
    rows = [
        {"measure": measure, **_summary(observed[measure], np.array([n[measure] for n in nulls]), len(subjects), seed)}
        for measure in observed
    ]
    return pd.DataFrame(rows).assign(subjects=len(subjects), structures=len(shared))


def neighborhood_sweep(
    subjects: Sequence[Layout], ks: Sequence[int], *, permutations: int = 50, seed: int = 0
) -> pd.DataFrame:
    """The ``neighbors`` row of `neighborhood_agreement` for each number of neighbors, with a column `k`."""
    tables = (neighborhood_agreement(subjects, k, permutations=permutations, seed=seed).assign(k=k) for k in ks)
    return pd.concat([table[table["measure"] == "neighbors"] for table in tables], ignore_index=True)


@dataclass(frozen=True, eq=False)
class _Places:
    """What is compared, of P people and the S structures that all have."""

    structures: tuple[Structure, ...]
    distances: Array  # (P, S, S) mm
    positions: Array  # (P, 3, S) mm along medial, anterior, superior
    touching: npt.NDArray[np.bool_]  # (P, S, S)
    least: Array  # (P,) mm, a margin below decides nothing


def _places(subjects: Sequence[Layout], shared: Sequence[str]) -> _Places:
    distances, positions, touching = [], [], []
    for subject in subjects:
        row_of = {each.full_name: row for row, each in enumerate(subject.structures)}
        rows = [row_of[name] for name in shared]
        distances.append(structure_distances(subject)[np.ix_(rows, rows)])
        positions.append(np.stack([-subject.depth, subject.centers[:, 1], subject.centers[:, 2]])[:, rows])
        touching.append(subject.shared[np.ix_(rows, rows)] > 0)
    least = UNDECIDED * np.array([subject.size for subject in subjects])
    structures = tuple(each for each in subjects[0].structures if each.full_name in shared)
    return _Places(structures, np.stack(distances), np.stack(positions), np.stack(touching), least)


def _permuted(places: _Places, null: Null, rng: np.random.Generator) -> _Places:
    """The same places under names shuffled in each person."""
    count = len(places.structures)
    orders = np.stack(
        [
            permuted_within_sides(places.structures, rng) if null == "side" else rng.permutation(count)
            for _ in places.least
        ]
    )
    who = np.arange(len(orders))[:, None, None]
    across, along = orders[:, :, None], orders[:, None, :]
    return _Places(
        places.structures,
        places.distances[who, across, along],
        np.take_along_axis(places.positions, along, axis=2),
        places.touching[who, across, along],
        places.least,
    )


def _agreements(places: _Places, k: int) -> dict[str, Array]:
    """Agreement of each pair of people, in the order of `numpy.triu_indices`, for each measure."""
    first, second = np.triu_indices(len(places.least), k=1)
    nearest = np.stack([nearest_structures(each, k) for each in places.distances])
    member = np.zeros(places.distances.shape, dtype=bool)
    np.put_along_axis(member, nearest, True, axis=2)
    found = {
        "relations": _concordance(places.positions, least=places.least)[first, second],
        "touching": _jaccard(places.touching[first], places.touching[second], axis=(1, 2)),
        "neighbors": _jaccard(member[first], member[second], axis=2).mean(axis=1),
        "order": _concordance(places.distances, without_anchor=True)[first, second],
    }
    return found | {name: _concordance(places.positions[:, [axis]])[first, second] for axis, name in enumerate(AXES)}


def _jaccard(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_], axis: int | tuple[int, ...]) -> Array:
    """Both over either; two empty sets agree."""
    both, either = (a & b).sum(axis=axis), (a | b).sum(axis=axis)
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)


def _concordance(values: Array, *, least: Array | None = None, without_anchor: bool = False) -> Array:
    """Pairs of structures that two people order alike, less those ordered oppositely, as a share (P, P).

    Args:
        values: (P, R, S), R rankings of S structures for each of P people.
        least: (P,) differences up to it are no order; the share is then of the pairs that either person orders.
            Without it, of the pairs that both order: Kendall's tau.
        without_anchor: row r ranks the others by their distance to structure r, which is left out.
    """
    concordant = np.zeros((len(values), len(values)))
    counted = np.zeros_like(concordant)
    bound = np.zeros(len(values)) if least is None else least
    for row in range(values.shape[1]):  # one ranking at a time: (P, S, S) signs fit the cache
        difference = values[:, row, :, None] - values[:, row, None, :]
        signs = np.sign(difference) * (np.abs(difference) > bound[:, None, None])
        if without_anchor:
            signs[:, row, :] = signs[:, :, row] = 0
        signs = signs.reshape(len(values), -1).astype(np.float32)  # whole numbers up to S², exact
        ordered = np.abs(signs)
        both, each = ordered @ ordered.T, ordered.sum(axis=1)
        concordant += signs @ signs.T
        counted += both if least is None else each[:, None] + each[None, :] - both
    return np.asarray(concordant / np.maximum(counted, 1))


def _summary(pairs: Array, nulls: Array, subjects: int, seed: int) -> dict[str, float]:
    """Mean over pairs of people, its bootstrap interval over people, and where the null lies."""
    low, high = _interval(pairs, subjects, seed)
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


def _interval(pairs: Array, subjects: int, seed: int) -> tuple[float, float]:
    """95 % interval of the mean over pairs when people, not pairs, are drawn again; NaN for one pair."""
    if subjects < 3:
        return float("nan"), float("nan")
    matrix = np.zeros((subjects, subjects))
    first, second = np.triu_indices(subjects, k=1)
    matrix[first, second] = matrix[second, first] = pairs
    return bootstrap_subjects(matrix[None], draws=DRAWS, seed=seed)
