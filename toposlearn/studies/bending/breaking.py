"""Which relations break first as a head is changed more and more, and whether their margin tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from toposlearn.intervals import bootstrap_subjects
from toposlearn.studies.bending.changes import CHANGES, Array
from toposlearn.studies.bending.relations_kept import KINDS, Kept

DIRECTIONS = KINDS[:3]


def kept_curves(found: Kept) -> pd.DataFrame:
    """Share of relations kept at each amount, with its 95 % interval over draws.

    Columns: `change, relation, amount`, `at` (mean over draws of what is on the axis), `share, low, high, chance,
    draws`.
    """
    return _table(found, lambda change: paths(found, change)[0])


def as_in_cohort(found: Kept) -> pd.DataFrame:
    """The same at one amount of each change: where the range of the cohort's own people ends."""
    return _table(found, lambda change: np.array([CHANGES[change].cohort[1]]))


def _table(found: Kept, amounts_of: Callable[[str], Array]) -> pd.DataFrame:
    """Rows for each change, kind of relation and amount; between the amounts of a study, along straight lines."""
    rows: list[dict[str, object]] = []
    for change in found.draws["change"].unique().tolist():
        tried, at, margins = paths(found, change)
        wanted = amounts_of(change)
        places = np.array([np.interp(wanted, tried, path) for path in at]).mean(axis=0)
        for kind, chance in found.chance.items():
            shares = (margins > 0)[:, :, (found.relations["relation"] == kind).to_numpy()].mean(axis=2)
            reached = np.array([np.interp(wanted, tried, path) for path in shares])  # (draws, wanted)
            known = {"change": change, "relation": kind, "chance": chance, "draws": len(reached)}
            for amount, place, share in zip(wanted.tolist(), places.tolist(), reached.T, strict=True):
                low, high = bootstrap_subjects(share[None])
                rows.append({**known, "amount": amount, "at": place, "share": share.mean(), "low": low, "high": high})
    return pd.DataFrame(rows)


def paths(found: Kept, change: str) -> tuple[Array, Array, NDArray[np.float32]]:
    """One change as paths, one a draw: amounts (A,), what is on the axis (draws, A), margins (draws, A, R).

    Raises:
        ValueError: the study has no such change.
    """
    mine = (found.draws["change"] == change).to_numpy()
    if not mine.any():
        raise ValueError(f"change must be one of {', '.join(found.draws['change'].unique())}, got {change!r}")
    rows = found.draws[mine]
    draws = rows["draw"].nunique()
    amounts = rows["amount"].to_numpy().reshape(draws, -1)[0]
    at = rows[CHANGES[change].measure].to_numpy(dtype=np.float64).reshape(draws, -1)
    return amounts, at, found.margins[mine].reshape(draws, len(amounts), -1)


def cohort_range(found: Kept, change: str) -> tuple[float, float]:
    """Where the cohort's own people lie on the axis: lowest and highest over draws."""
    amounts, at, _ = paths(found, change)
    low, high = ([np.interp(end, amounts, path) for path in at] for end in CHANGES[change].cohort)
    return float(min(low)), float(max(high))


def breaking_points(found: Kept, change: str) -> Array:
    """Where on the axis each relation first fails in each draw, (draws, R); infinite where it never does.

    Between two amounts the margin is taken to fall in a straight line.
    """
    _, at, margins = paths(found, change)
    holds = margins > 0
    after = np.argmax(~holds, axis=1)[:, None]  # (draws, 1, R), 0 also where nothing fails
    before = np.maximum(after - 1, 0)
    high, low = (np.take_along_axis(margins, part, axis=1)[:, 0] for part in (before, after))
    start, end = (np.take_along_axis(at[:, :, None], part, axis=1)[:, 0] for part in (before, after))
    share = np.nan_to_num(high / np.maximum(high - low, 1e-9), nan=1.0)  # a structure that is gone was there before
    points = np.where(after[:, 0] == 0, start, start + np.clip(share, 0, 1) * (end - start))
    return np.asarray(np.where(holds.all(axis=1), np.inf, points))


def first_to_break(found: Kept, change: str, kinds: Sequence[str] = DIRECTIONS) -> pd.DataFrame:
    """The relations of a study, the first to break on top; those that voxels alone break are left out.

    Adds `half`, where on the axis it has failed in at least half of the draws, and `first`, where it fails in any;
    infinite where neither happens.
    """
    chosen = found.relations["relation"].isin(kinds).to_numpy() & _whole(found, change)
    ordered = np.sort(breaking_points(found, change)[:, chosen], axis=0)
    half = ordered[(len(ordered) + 1) // 2 - 1]
    table = found.relations[chosen].assign(half=half, first=ordered[0])
    return table.sort_values(["half", "first", "margin"], ignore_index=True)


def _whole(found: Kept, change: str) -> NDArray[np.bool_]:
    """Which relations (R,) the first amount, usually none at all, keeps in every draw."""
    return np.asarray((paths(found, change)[2][:, 0] > 0).all(axis=0))


def what_predicts(found: Kept, change: str) -> pd.DataFrame:
    """Does anything that is known before a head is bent tell which of its directions break first?

    Predictors: ``margin``; ``steepness``, the margin over the distance of the centroids (a bend moves neighbors alike);
    and as a null ``shuffled`` margins. One number a draw: ``concordance``, how often the one with the smaller value of
    two relations breaks first, of the pairs of which one does (0.5: a coin); ``rank correlation``, Spearman's, which
    cannot reach 1 as those that never break are tied. Columns: `predictor, measure, value, low, high, draws`; the 95 %
    interval is over draws in which anything broke.

    Raises:
        ValueError: directions break in fewer than two draws.
    """
    directed = found.relations["relation"].isin(DIRECTIONS).to_numpy() & _whole(found, change)
    relations, points = found.relations[directed], breaking_points(found, change)[:, directed]
    points = points[[len(np.unique(path)) > 1 for path in points]]
    if len(points) < 2:
        raise ValueError(f"change {change!r} breaks directions in {len(points)} draws: at least 2 are needed")
    margin = relations["margin"].to_numpy(dtype=np.float64)
    predictors = {
        "margin": margin,
        "steepness": relations["margin_mm"].to_numpy(dtype=np.float64) / relations["distance_mm"].to_numpy(),
        "shuffled": np.random.default_rng(0).permutation(margin),
    }
    measures = {"concordance": concordance, "rank correlation": _spearman}
    rows = []
    for predictor, values in predictors.items():
        for measure, function in measures.items():
            each = np.array([function(values, path) for path in points])
            low, high = bootstrap_subjects(each[None])
            rows.append((predictor, measure, each.mean(), low, high, len(each)))
    return pd.DataFrame(rows, columns=["predictor", "measure", "value", "low", "high", "draws"])


def concordance(values: Array, points: Array) -> float:
    """Of pairs that differ in `points` (R,), the share with `values` (R,) in that order; equal values count half."""
    ranks = rankdata(points)  # infinities are equal
    order, agree = np.sign(ranks[:, None] - ranks), np.sign(values[:, None] - values)
    return float((1 + (order * agree).sum() / np.abs(order).sum()) / 2)


def _spearman(values: Array, points: Array) -> float:
    return float(spearmanr(values, points).statistic)
