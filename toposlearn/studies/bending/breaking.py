"""Share of relations kept at each amount of a change, and which relations break first."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from toposlearn.arrays import Float32s, Float64s
from toposlearn.intervals import bootstrap_subjects
from toposlearn.studies.bending.changes import CHANGES
from toposlearn.studies.bending.kept import DIRECTIONS, Kept


def kept_curves(result: Kept, *, at_cohort: bool = False) -> pd.DataFrame:
    """Share of relations kept at each amount, or only where the range of the cohort ends; interpolated linearly.

    Columns: `change, relation, amount`, `at` (mean over draws of what is on the axis), `share, low, high` (95 %
    interval over draws), `chance, draws`.
    """
    rows: list[dict[str, object]] = []
    for change in result.draws["change"].unique().tolist():
        tried, at, margins = _paths(result, change)
        wanted = np.array([CHANGES[change].cohort[1]]) if at_cohort else tried
        places = np.array([np.interp(wanted, tried, path) for path in at]).mean(axis=0)
        for kind, chance in result.chance.items():
            shares = (margins > 0)[:, :, (result.relations["relation"] == kind).to_numpy()].mean(axis=2)
            reached = np.array([np.interp(wanted, tried, path) for path in shares])  # (draws, wanted)
            known = {"change": change, "relation": kind, "chance": chance, "draws": len(reached)}
            for amount, place, share in zip(wanted.tolist(), places.tolist(), reached.T, strict=True):
                low, high = bootstrap_subjects(share[None])
                rows.append({**known, "amount": amount, "at": place, "share": share.mean(), "low": low, "high": high})
    return pd.DataFrame(rows)


def _paths(result: Kept, change: str) -> tuple[Float64s, Float64s, Float32s]:
    """One change as paths, one per draw: amounts (A,), what is on the axis (draws, A), margins (draws, A, R)."""
    mine = (result.draws["change"] == change).to_numpy()
    if not mine.any():
        raise ValueError(f"change must be one of {', '.join(result.draws['change'].unique())}, got {change!r}")
    rows = result.draws[mine]
    draws = rows["draw"].nunique()
    amounts, at = (rows[name].to_numpy(dtype=float).reshape(draws, -1) for name in ("amount", CHANGES[change].measure))
    return amounts[0], at, result.margins[mine].reshape(*at.shape, -1)


def cohort_range(result: Kept, change: str) -> tuple[float, float]:
    """Minimum and maximum, over draws, of what the cohort's own subjects reach on the axis."""
    amounts, at, _ = _paths(result, change)
    low, high = ([np.interp(end, amounts, path) for path in at] for end in CHANGES[change].cohort)
    return float(min(low)), float(max(high))


def breaking_points(result: Kept, change: str) -> Float64s:
    """Where on the axis each relation first fails in each draw, (draws, R); infinite where it never does.

    Between two amounts the margin is interpolated linearly.
    """
    _, at, margins = _paths(result, change)
    holds = margins > 0
    after = np.argmax(~holds, axis=1)[:, None]  # (draws, 1, R), 0 also where nothing fails
    before = np.maximum(after - 1, 0)
    high, low = (np.take_along_axis(margins, part, axis=1)[:, 0] for part in (before, after))
    start, end = (np.take_along_axis(at[:, :, None], part, axis=1)[:, 0] for part in (before, after))
    share = np.nan_to_num(high / np.maximum(high - low, 1e-9), nan=1.0)  # a structure that is gone was there before
    points = np.where(after[:, 0] == 0, start, start + np.clip(share, 0, 1) * (end - start))
    return np.asarray(np.where(holds.all(axis=1), np.inf, points))


def first_to_break(result: Kept, change: str) -> pd.DataFrame:
    """The directions of a study in the order in which they break; those that voxels alone break are left out.

    Adds `half`, where on the axis it has failed in half of the draws, and `first`, where it fails in any; infinite
    where neither happens.
    """
    directed = _directed(result, change)
    ordered = np.sort(breaking_points(result, change)[:, directed], axis=0)
    half = ordered[(len(ordered) + 1) // 2 - 1]
    table = result.relations[directed].assign(half=half, first=ordered[0])
    return table.sort_values(["half", "first", "margin"], ignore_index=True)


def _directed(result: Kept, change: str) -> NDArray[np.bool_]:
    """Which relations (R,) are directions that the first amount, usually 0, keeps in every draw."""
    whole = (_paths(result, change)[2][:, 0] > 0).all(axis=0)
    return np.asarray(result.relations["relation"].isin(DIRECTIONS).to_numpy() & whole)


def what_predicts(result: Kept, change: str) -> pd.DataFrame:
    """How well what is known before a head is bent predicts which of its directions break first.

    Predictors: ``margin``; ``steepness``, the margin over the distance of the centroids (a bend moves neighbors
    alike); and as a null ``shuffled`` margins. Measures: ``concordance``, and Spearman's ``rank correlation``, which
    cannot reach 1 as those that never break are tied. Columns: `predictor, measure, value, low, high, draws`; means
    and 95 % intervals over draws in which anything broke, two or more, or ValueError.
    """
    directed = _directed(result, change)
    relations, points = result.relations[directed], breaking_points(result, change)[:, directed]
    points = points[[len(np.unique(path)) > 1 for path in points]]
    if len(points) < 2:
        raise ValueError(f"change {change!r} breaks directions in {len(points)} draws: at least 2 are needed")
    margin = relations["margin"].to_numpy(dtype=np.float64)
    predictors = {
        "margin": margin,
        "steepness": relations["margin_mm"].to_numpy(dtype=np.float64) / relations["distance_mm"].to_numpy(),
        "shuffled": np.random.default_rng(0).permutation(margin),
    }
    rows = []
    for predictor, values in predictors.items():
        agree = np.array([concordance(values, path) for path in points])
        ranks = np.array([spearmanr(values, path).statistic for path in points])
        for measure, each in {"concordance": agree, "rank correlation": ranks}.items():
            low, high = bootstrap_subjects(each[None])
            rows.append((predictor, measure, each.mean(), low, high, len(each)))
    return pd.DataFrame(rows, columns=["predictor", "measure", "value", "low", "high", "draws"])


def concordance(values: Float64s, points: Float64s) -> float:
    """Share of the pairs that differ in `points` (R,) with `values` (R,) in the same order; equal values count half."""
    ranks = rankdata(points)  # infinities are equal
    order, agree = np.sign(ranks[:, None] - ranks), np.sign(values[:, None] - values)
    return float((1 + (order * agree).sum() / np.abs(order).sum()) / 2)
