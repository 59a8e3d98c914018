"""Do the relations of structures hold across people? Always with an interval: six of six leaves a lot open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from toposlearn.anatomy import LabelMap, structure
from toposlearn.relations.frame import SIDES
from toposlearn.relations.layout import Layout, as_layout
from toposlearn.relations.relations import COLUMNS, VERDICTS, relation_margin, verdicts

PAIR = ["structure_a", "side_a", "structure_b", "side_b", "relation"]
BASAL_GANGLIA = ("putamen", "pallidum", "caudate", "accumbens")  # what the paper says the thalamus is medial to


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

    One row a relation: `subjects`, `holds` (in how many the margin is positive), how many verdicts are `clearly_holds`,
    `undecided`, `clearly_not`, then `fraction`, `low`, `high` of `holds`, and the smallest, mean and largest margin.
    """
    verdict_is = dict(zip(("clearly_not", "undecided", "clearly_holds"), VERDICTS, strict=True))
    told = table.assign(subjects=1, **{name: table["verdict"] == verdict for name, verdict in verdict_is.items()})
    groups = told.groupby(PAIR, sort=False)
    result = groups[["people", "holds", *reversed(verdict_is)]].sum().reset_index()
    distinct = result[["holds", "people"]].drop_duplicates()
    bounds = {(k, n): fraction_interval(k, n) for k, n in distinct.itertuples(index=False)}
    result["fraction"] = result["holds"] / result["people"]
    counted = zip(result["holds"], result["people"], strict=True)
    result["low"], result["high"] = np.array([bounds[each] for each in counted], dtype=float).reshape(-1, 2).T
    margins = groups["margin"].agg(margin_min="min", margin_mean="mean", margin_max="max").reset_index(drop=True)
    return pd.concat([result, margins], axis=1)


def disputed_relations(table: pd.DataFrame) -> pd.DataFrame:
    """Relations that hold in some people and do not in others, both beyond the undecided margin, and in whom.

    Columns: those of a relation, then who is of each verdict, and how far apart the margins are. Each is told once,
    from the structure for which it holds in more people; where the minority is largest comes first.
    """
    columns = {verdict: table["person"].where(table["verdict"] == verdict) for verdict in VERDICTS}
    named = table.assign(**columns).groupby(PAIR, sort=False)
    who = named[list(columns)].agg(_joined)
    number = named[list(columns)].count()
    spread = (named["margin"].max() - named["margin"].min()).rename("spread")
    fewer = number[["holds", "does not hold"]].min(axis=1)
    # A direction is told from the side that more people take; touching is the same from both.
    told = (number["holds"] >= number["does not hold"]) | (number.index.get_level_values("relation") == "adjacent")
    mixed = told & (fewer > 0)
    result = who.join(spread)[mixed].assign(fewer=fewer[mixed])
    result = result.sort_values(["fewer", "spread"], ascending=False, kind="stable").reset_index()
    pairs = [frozenset([row[0:2], row[2:4]]) for row in result[PAIR].itertuples(index=False, name=None)]
    once = ~pd.DataFrame({"pair": pairs, "relation": result["relation"]}).duplicated()
    return result[once].drop(columns="fewer").reset_index(drop=True)


def _joined(names: pd.Series[str]) -> str:
    return ", ".join(names.dropna())


def medial_table(
    subjects: Mapping[str, LabelMap] | Mapping[str, Layout],
    inner: str = "thalamus",
    outer: Sequence[str] = BASAL_GANGLIA,
) -> pd.DataFrame:
    """Is `inner` medial to each of `outer`? One row per person, side and pair, margins in mm."""
    rows = []
    for name, subject in subjects.items():
        measured = as_layout(subject)
        told = verdicts(measured, "medial")
        for other in outer:
            for side in SIDES:
                a, b = structure(inner, side), structure(other, side)
                margin = relation_margin(measured, a, "medial", b)
                verdict = VERDICTS[told[measured.index(a), measured.index(b)] + 1]
                rows.append((name, inner, side, other, side, "medial", margin > 0, margin, verdict))
    return pd.DataFrame(rows, columns=list(COLUMNS))
