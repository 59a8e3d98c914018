"""Which properties of people go together in a table: strength between 0 and 1, and its p-value by permutation."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from toposlearn.studies.shortcuts.labels import UNKNOWN

NESTED = ({"diagnosis", "degree"}, {"lesion", "lesion_type"})  # one is a part of the other: not asked
CRAMER, KRUSKAL = "Cramer's V", "Kruskal-Wallis, H/(n-1)"
ORDERS = 999


def association(table: pd.DataFrame, *, orders: int = ORDERS, seed: int = 0) -> pd.DataFrame:
    """How strongly each pair of columns goes together.

    Args:
        table: of `people_table`, a row a person.
        orders: permutations of one of the two.
        seed: of the permutations.

    Returns:
        A row a pair: ``first, second, measure, strength, p, n``. Age against another is the share of the variance of
        its ranks that lies between the groups. People of whom one of the two is not known are left out; n/a of
        ``degree`` and ``lesion_type`` are not asked of those who have none.
    """
    rows = []
    for first, second in combinations(table.columns, 2):
        known = ~(table[first].isin(UNKNOWN) | table[second].isin(UNKNOWN))
        a, b = table.loc[known, first], table.loc[known, second]
        if {first, second} in NESTED or a.nunique() < 2 or b.nunique() < 2:
            continue
        rows.append((first, second, *_strength(a, b, orders, seed), int(known.sum())))
    return pd.DataFrame(rows, columns=["first", "second", "measure", "strength", "p", "n"])


def _strength(a: pd.Series[str], b: pd.Series[str], orders: int, seed: int) -> tuple[str, float, float]:
    if "age" in (a.name, b.name):
        age, groups = (a, b) if a.name == "age" else (b, a)
        return KRUSKAL, *_permuted(_between(groups), age.astype(float).to_numpy(), orders, seed)
    return CRAMER, *_permuted(_cramer(b), a.factorize()[0], orders, seed)


def _permuted(statistic: Callable[..., float], values: NDArray[Any], orders: int, seed: int) -> tuple[float, float]:
    found = stats.permutation_test(
        (values,),
        statistic,
        permutation_type="pairings",
        vectorized=False,
        n_resamples=orders,
        alternative="greater",
        random_state=np.random.default_rng(seed),
    )
    return float(found.statistic), float(found.pvalue)


def _cramer(other: pd.Series[str]) -> Callable[..., float]:
    codes = other.factorize()[0]

    def statistic(values: NDArray[np.int64]) -> float:
        counts = stats.contingency.crosstab(values, codes).count
        return float(stats.contingency.association(counts, method="cramer"))

    return statistic


def _between(groups: pd.Series[str]) -> Callable[..., float]:
    codes = groups.factorize()[0]
    index = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]

    def statistic(age: NDArray[np.float64]) -> float:
        return float(stats.kruskal(*(age[one] for one in index)).statistic / (len(age) - 1))

    return statistic
