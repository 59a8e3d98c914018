"""AUC of a label from features, with its interval and its null: the AUC of the label in random order."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from toposlearn.arrays import Float64s
from toposlearn.intervals import bootstrap_groups, central_range

FOLDS, REPEATS, PERMUTATIONS = 5, 4, 500
NUMBERS = ("value", "low", "high", "null", "null_low", "null_high", "p")  # of an AUC
PENALTIES = np.logspace(0, 4, 5)  # of the ridge, chosen within the training people

Splits = list[tuple[NDArray[np.int64], NDArray[np.int64]]]  # training people and tested people of each fold
Fold = tuple[NDArray[np.int64], Float64s]  # tested people (n,), their scores (n, 1 + permutations)


def random_splits(positive: NDArray[np.bool_]) -> list[Splits]:
    """`REPEATS` partitions into `FOLDS` folds with equal shares of each class."""
    # Folds that were also balanced for sites would favor the label over its random orders.
    folds = [StratifiedKFold(FOLDS, shuffle=True, random_state=repeat) for repeat in range(REPEATS)]
    return [list(each.split(positive, positive)) for each in folds]


def permuted(positive: NDArray[np.bool_], blocks: NDArray[Any], count: int) -> Float64s:
    """The label and `count` random orders of it within each of `blocks` (S,): (S, 1 + count) of 0 and 1."""
    generator = np.random.default_rng(0)
    labels = np.repeat(positive[:, None].astype(float), 1 + count, axis=1)
    for block in np.unique(blocks):
        labels[blocks == block, 1:] = generator.permuted(labels[blocks == block, 1:], axis=0)
    return labels


def cross_validate(features: Float64s, labels: Float64s, partitions: Iterable[Splits]) -> list[Fold]:
    """Scores of tested people, from features (S, F), for the label and each of its random orders: labels (S, 1 + P).

    The classifier is a linear discriminant, a ridge regression of 0 and 1, because one fit then serves all orders of
    the label; `permutation_test_score` fits once per order and takes about 180 times as long.
    """
    discriminant = make_pipeline(StandardScaler(), RidgeCV(PENALTIES, alpha_per_target=True))
    folds = []
    for splits in partitions:
        scores = cross_val_predict(discriminant, features, labels, cv=splits)
        folds += [(tested, scores[tested]) for _, tested in splits]
    return folds


def area_under_curve(folds: list[Fold], labels: Float64s) -> dict[str, float]:
    """The share of pairs of a positive and a negative subject that are scored in order, with interval and null.

    People of different folds are not compared: the offsets of classifiers differ. ``p`` is by a normal law of the null.
    """
    won, pairs = np.zeros((2, labels.shape[1]))
    for tested, scores in folds:
        ranks, positive = stats.rankdata(scores, axis=0), labels[tested]
        count = positive.sum(axis=0)
        won += (ranks * positive).sum(axis=0) - count * (count + 1) / 2  # Mann and Whitney's U
        pairs += count * (len(tested) - count)
    share = won / np.maximum(pairs, 1)
    value, null = share[0], share[1:]
    p = stats.norm.sf((value - null.mean()) / max(null.std(), 1e-9))
    numbers = (value, *_interval(folds, labels[:, 0] > 0), null.mean(), *central_range(null), p)
    return dict(zip(NUMBERS, map(float, numbers), strict=True))


def _interval(folds: list[Fold], positive: NDArray[np.bool_]) -> tuple[float, float]:
    """People are resampled within each class; their scores stay."""
    won, pairs = np.zeros((2, len(positive), len(positive)))
    for tested, scores in folds:
        gap = scores[:, :1] - scores[:, 0]
        won[np.ix_(tested, tested)] += (gap > 0) + 0.5 * (gap == 0)
        pairs[np.ix_(tested, tested)] += 1
    known = pairs.any(axis=0)
    between = np.ix_(known & positive, known & ~positive)
    return bootstrap_groups(won[between][None], counted=pairs[between][None])
