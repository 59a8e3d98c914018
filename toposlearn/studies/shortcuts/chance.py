"""How well features tell a label, beside how well they tell it in random order: AUC, its interval and its null.

The classifier is a linear discriminant, fitted as a ridge regression of 0 and 1: one decomposition serves the label and
every random order of it, where a logistic regression would be fitted hundreds of times. Only people of one fold are
compared with each other: classifiers of different folds differ in offset, and at a site that was left out so does all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import LeaveOneGroupOut, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from toposlearn.arrays import Float64s
from toposlearn.intervals import bootstrap_groups, central_range

FOLDS, REPEATS = 5, 4
PERMUTATIONS = 500
PENALTIES = np.logspace(0, 4, 5)  # of the ridge, chosen within the training people

Bools = NDArray[np.bool_]
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]  # who is fitted to, who is scored


@dataclass(frozen=True)
class Judged:
    """An AUC with its interval over people and the range of its null."""

    value: float
    low: float
    high: float
    null: float
    null_low: float
    null_high: float
    p: float  # of an AUC as high, by the normal law through the null's mean and spread

    @property
    def above(self) -> bool:
        """True when the AUC lies above its null's range."""
        return self.value > self.null_high


def random_folds(positive: Bools, seed: int = 0) -> list[Fold]:
    """`REPEATS` times `FOLDS` folds with as many of each class in each.

    They are balanced for nothing else: folds that also held sites alike would favor the label over its random orders,
    for which they would not be balanced.
    """
    folds: list[Fold] = []
    for repeat in range(REPEATS):
        folds += StratifiedKFold(FOLDS, shuffle=True, random_state=seed + repeat).split(positive, positive)
    return folds


def site_folds(sites: NDArray[np.str_]) -> list[Fold]:
    """One fold a site, in sorted order: it is scored by a classifier of all the others."""
    return list(LeaveOneGroupOut().split(sites, groups=sites))


def judge(
    features: Float64s,
    positive: Bools,
    folds: Iterable[Fold],
    *,
    blocks: NDArray[np.str_] | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Judged:
    """How well features tell who is positive among people whom the classifier has not seen.

    Args:
        features: (S, F).
        positive: (S,).
        folds: from `random_folds` or `site_folds`.
        blocks: (S,), labels are permuted within; None permutes them over everybody.
        permutations: random orders of the label.
        seed: of the orders and of the bootstrap.
    """
    folds = list(folds)
    labels = _orders(positive, blocks, permutations, np.random.default_rng(seed))
    scores = [_scores(features, labels, fold) for fold in folds]
    won = np.zeros(labels.shape[1])
    pairs = np.zeros(labels.shape[1])
    for score, (_, tested) in zip(scores, folds, strict=True):
        ranks, chosen = stats.rankdata(score, axis=0), labels[tested]
        many = chosen.sum(axis=0)
        won += (ranks * chosen).sum(axis=0) - many * (many + 1) / 2  # Mann and Whitney's U
        pairs += many * (len(tested) - many)
    value, *null = (won / np.maximum(pairs, 1)).tolist()
    null_low, null_high = central_range(np.array(null))
    low, high = _interval([score[:, 0] for score in scores], folds, positive, seed)
    p = float(stats.norm.sf((value - np.mean(null)) / max(np.std(null), 1e-9)))
    return Judged(value, low, high, float(np.mean(null)), null_low, null_high, p)


def _orders(positive: Bools, blocks: NDArray[np.str_] | None, count: int, generator: np.random.Generator) -> Float64s:
    """The label, and random orders of it: (S, 1 + count) of 0 and 1."""
    labels = np.repeat(positive[:, None].astype(float), 1 + count, axis=1)
    for block in [None] if blocks is None else np.unique(blocks):
        inside = np.flatnonzero(np.ones(len(positive), bool) if block is None else blocks == block)
        labels[inside, 1:] = generator.permuted(labels[inside, 1:], axis=0)
    return labels


def _scores(features: Float64s, labels: Float64s, fold: Fold) -> Float64s:
    """Scores (people of the fold, 1 + permutations)."""
    fitted, tested = fold
    discriminant = make_pipeline(StandardScaler(), RidgeCV(PENALTIES, alpha_per_target=True))
    return np.asarray(discriminant.fit(features[fitted], labels[fitted]).predict(features[tested]))


def _interval(scores: Iterable[Float64s], folds: Iterable[Fold], positive: Bools, seed: int) -> tuple[float, float]:
    """Expanded percentile interval: people drawn again within each class, their scores as they are."""
    won, pairs = np.zeros((2, len(positive), len(positive)))
    judged = np.zeros(len(positive), bool)
    for score, (_, tested) in zip(scores, folds, strict=True):
        gap = score[:, None] - score
        won[np.ix_(tested, tested)] += (gap > 0) + 0.5 * (gap == 0)
        pairs[np.ix_(tested, tested)] += 1
        judged[tested] = True
    yes, no = judged & positive, judged & ~positive
    between = np.ix_(yes, no)
    return bootstrap_groups(won[between][None], counted=pairs[between][None], seed=seed)
