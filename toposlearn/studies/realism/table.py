"""The table of the realism page: each measured number with its interval, its reference and its verdict."""

from collections.abc import Callable, Mapping
from functools import partial
from math import isnan, nan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import pdist, squareform

from toposlearn.arrays import Float64s
from toposlearn.intervals import bootstrap_number, bootstrap_subjects
from toposlearn.studies.realism.measure import Measured, healthy_of
from toposlearn.studies.realism.published import PUBLISHED

Ends = tuple[float, float]
Number = tuple[float, int, Ends, Ends]  # value, n, 5th and 95th percentile of scans or subjects, 95 % interval
UNKNOWN: Ends = (nan, nan)
PLACES = {place: row for row, place in enumerate((g, name) for g, names in PUBLISHED["rows"].items() for name in names)}


def realism_table(measured: Measured) -> pd.DataFrame:
    """All rows of ``realism.csv``, in the order of ``published.yaml``; what a folder does not contain is left out."""
    rows, healthy = measured.rows, [record.subject for record in healthy_of(measured.records)]
    rows = rows[rows["subject"].isin(healthy) | ~rows["group"].isin(PUBLISHED["healthy"])]
    parts = rows.groupby([[_place(*pair) for pair in rows[["group", "name"]].to_numpy()], "group", "name"])
    lines = [table_row(str(group), str(name), part, measured.real) for (_, group, name), part in parts]
    return pd.DataFrame(lines, columns=PUBLISHED["columns"]).dropna(subset="value")


def _place(group: str, name: str) -> float:
    return PLACES.get((group, _kind(name)), PLACES.get((group, "any"), nan))


def _kind(name: str) -> str:
    return name.partition(", ")[0]


def table_row(group: str, name: str, rows: pd.DataFrame, real: pd.DataFrame) -> tuple[Any, ...]:
    """A row of the table from its rows in the long table of subjects, and from the long table of real people."""
    statistic = STATISTICS.get(name, STATISTICS.get(group, mean))
    value, n, people, interval = statistic(rows)
    low, high, text, sources = reference_of(group, name, real)
    verdict = status_of(value, low, high, *interval)
    if group == "order of tissues":
        verdict = "as known" if value == 1 else f"outside: wrong in {1 - value:.0%} of people"
    unit = PUBLISHED["units"].get(group, PUBLISHED["units"].get(_kind(name), ""))
    return group, name, value, n, unit, text, low, high, sources, verdict, *people, *interval


def mean(rows: pd.DataFrame) -> Number:
    """The mean over scans or subjects."""
    values = rows["value"].to_numpy(dtype=float)
    return _mean_of(values, values)


def neighbors_shared(rows: pd.DataFrame) -> Number:
    """How many neighbors two subjects share; the interval is over subjects, as pairs of them are dependent."""
    shares = shares_of(rows)
    return _mean_of(shares, squareform(shares))


def _mean_of(values: Float64s, of_subjects: Float64s) -> Number:
    if not len(values):
        return nan, 0, UNKNOWN, UNKNOWN
    low, high = np.percentile(values, [5, 95]).tolist()
    interval = bootstrap_subjects(of_subjects[None]) if len(values) > 1 else UNKNOWN
    return float(values.mean()), len(values), (low, high), interval


def shares_of(rows: pd.DataFrame) -> Float64s:
    """Share of the pairs of structures that touch in one of two subjects that touch in both, for each two subjects."""
    touching = pd.crosstab(rows["subject"], rows["value"]).to_numpy(dtype=bool)
    return np.asarray(1 - pdist(touching, "jaccard"))


def resampled(statistic: Callable[[Float64s, NDArray[np.object_]], float], rows: pd.DataFrame) -> Number:
    """A number of the values and sexes (S,) of a group of subjects, with its interval from resampled subjects."""
    values, sexes = rows["value"].to_numpy(float), rows["sex"].to_numpy(object)
    value = statistic(values, sexes)
    drawn = partial(bootstrap_number, lambda index: statistic(values[index], sexes[index]), len(values))
    return value, len(values), UNKNOWN, UNKNOWN if isnan(value) else drawn()


def _spread(values: Float64s, _: NDArray[np.object_]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else nan


def _variation(values: Float64s, sexes: NDArray[np.object_]) -> float:
    return _spread(values, sexes) / float(values.mean())


def _men_over_women(values: Float64s, sexes: NDArray[np.object_]) -> float:
    men, women = values[sexes == "M"], values[sexes == "F"]
    return float(men.mean() / women.mean()) if len(men) and len(women) else nan


def slope(rows: pd.DataFrame) -> Number:
    """Change in ten years, from a straight line through subjects of all ages."""
    ages = pd.to_numeric(rows["age"], errors="coerce") / 10
    if len(ages) < 3 or ages.isna().any() or ages.nunique() == 1:
        return nan, len(ages), UNKNOWN, UNKNOWN
    line = stats.linregress(ages, rows["value"])
    value, half = float(line.slope), float(stats.t.ppf(0.975, len(ages) - 2) * line.stderr)
    return value, len(ages), UNKNOWN, (value - half, value + half)


STATISTICS: Mapping[str, Callable[[pd.DataFrame], Number]] = {  # of a row or a group; the mean of all others
    "variation of the intracranial volume": partial(
        resampled, lambda values, sexes: _spread(values, sexes) / values.mean()
    ),
    "men over women": partial(resampled, _men_over_women),
    "spread between people": partial(resampled, _spread),  # of logarithms
    "neighbors that two people share": neighbors_shared,
    "aging": slope,
}


def reference_of(group: str, name: str, real: pd.DataFrame) -> tuple[float, float, str, str]:
    """Low, high, text and sources: what is published, or the range of real people measured by the same code."""
    if group == "order of tissues":
        return nan, nan, f"order only: {' < '.join(PUBLISHED['order'][name])}", ""
    real = real[(real["group"] == group) & (real["name"] == name)]
    if group not in PUBLISHED["measured"] or real.empty:
        low, high, text, sources = PUBLISHED["ranges"].get(group, {}).get(_kind(name), (nan, nan, "", ""))
        return low, high, text, sources
    text, source = PUBLISHED["measured"][group]
    values = shares_of(real) if group == "one brain, bent" else real["value"].to_numpy()
    low, high, sd = values.min(), values.max(), values.std(ddof=1)
    if group == "spread between people":
        low, high = sd * np.sqrt((len(values) - 1) / stats.chi2.ppf([0.975, 0.025], len(values) - 1))
    return float(low), float(high), text.format(low=low, high=high, sd=sd), source


def status_of(value: float, lower: float, upper: float, low: float = nan, high: float = nan) -> str:
    """``within``, ``outside`` and how far, or ``undecided`` where the interval [low, high] crosses an end."""
    if isnan(lower):
        return "not judged"
    if lower < upper and any(low <= end <= high for end in (lower, upper)):
        return "undecided: the interval crosses the end"
    if lower <= value <= upper:
        return "within"
    end, name = (lower, "lower") if value < lower else (upper, "upper")
    far = f"{value / end:.2f} ×" if value * end > 0 else f"{abs(value - end):.2g} from"
    return f"outside: {far} the {name} end"
