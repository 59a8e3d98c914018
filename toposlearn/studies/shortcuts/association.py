"""Which properties of people go together in a table of people."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from toposlearn.arrays import Float64s
from toposlearn.studies.shortcuts.inputs import UNKNOWN

NESTED = ({"diagnosis", "degree"}, {"lesion", "lesion_type"})  # one is a part of the other
PERMUTATIONS = 999


def association(table: pd.DataFrame, *, permutations: int = PERMUTATIONS) -> pd.DataFrame:
    """How strongly each pair of columns of `subject_table` goes together, from 0 to 1.

    Returns:
        One row per pair: ``first, second, measure, strength, p, n``, p by permutation. With age, the strength is the
        share of the variance of its ranks that lies between the groups. People with an unknown value are left out.
    """
    rows = []
    for first, second in combinations(table.columns, 2):
        pair = table[[first, second]]
        pair = pair[~pair.isin(UNKNOWN).any(axis=1)]
        if {first, second} not in NESTED and (pair.nunique() > 1).all():
            rows.append((first, second, *_strength(pair, permutations), len(pair)))
    return pd.DataFrame(rows, columns=["first", "second", "measure", "strength", "p", "n"])


def _strength(pair: pd.DataFrame, permutations: int) -> tuple[str, float, float]:
    a, b = (pair[name] for name in sorted(pair, key=lambda name: name != "age"))
    codes = b.factorize()[0]

    def kruskal(ages: Float64s) -> float:
        return float(stats.kruskal(*(ages[codes == code] for code in np.unique(codes))).statistic / (len(ages) - 1))

    def cramer(values: NDArray[np.int64]) -> float:
        return float(stats.contingency.association(stats.contingency.crosstab(values, codes).count, method="cramer"))

    test = stats.permutation_test(
        (a.astype(float).to_numpy() if a.name == "age" else a.factorize()[0],),
        kruskal if a.name == "age" else cramer,
        permutation_type="pairings",
        vectorized=False,
        n_resamples=permutations,
        alternative="greater",
        random_state=np.random.default_rng(0),
    )
    return "Kruskal-Wallis, H/(n-1)" if a.name == "age" else "Cramer's V", float(test.statistic), float(test.pvalue)
