"""AUC and balanced accuracy of classes, errors of numbers: one prediction per person, by R networks (seeds).

Intervals are over people, crossed with seeds. They are left out where a class, or with numbers the whole group, has
fewer than `FEWEST` people. Where all answers are right, an interval has no width and says nothing. The null is the same
measure with people in random order: its mean, and the range of its middle 95 %. In cross-validation AUC compares people
who were judged by different networks: it is too low rather than too high.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from toposlearn.arrays import Float64s
from toposlearn.intervals import bootstrap_groups, bootstrap_subjects, central_range
from toposlearn.reproducibility import metric

FEWEST = 5
PERMUTATIONS = 500

Labels = NDArray[np.int64]  # (S,) places among the K classes
Metrics = dict[str, dict[str, Any]]


def classification_metrics(probabilities: Float64s, truth: Labels, names: Sequence[str]) -> Metrics:
    """Metric objects from probabilities (R, S, K) of K classes, which have `names`, and the true ones (S,), 0 to K - 1.

    ``auc`` is that of the second of two classes, or the mean over several, each against the rest, as in ``auc/NAME``.
    ``balanced_accuracy`` is the mean of ``recall/NAME``, the share of the people of a class who are recognized; its
    baseline, 1 / K, is the same answer for all. ValueError for other shapes, NaN, and a class without people.
    """
    truth = _checked(probabilities, truth)
    people, count = probabilities.shape[1:]
    if len(names) != count:
        raise ValueError(f"names must name the {count} classes of the probabilities, got {', '.join(names)}")
    facts = {"auc": {}, "balanced_accuracy": {"baseline": 1 / count}}
    metrics: Metrics = {}
    for name, (measure, pairs) in MEASURES.items():
        low, high = _interval(pairs, probabilities, truth)
        value = metric(measure(probabilities, truth), low=low, high=high, n=people, **facts[name])
        metrics[name] = value | _chance(measure, probabilities, truth)
    for place, name in enumerate(names):
        inside = truth == place
        metrics[f"recall/{name}"] = _share_metric((probabilities.argmax(-1) == place)[:, inside].astype(float))
        if count > 2:
            area = float(area_under_curve(probabilities[..., place], inside).mean())
            known = min(inside.sum(), (~inside).sum()) >= FEWEST
            low, high = bootstrap_groups(_won(probabilities, truth, place)) if known else (None, None)
            metrics[f"auc/{name}"] = metric(area, low=low, high=high, n=people, null=0.5)
    return metrics


def classification_differences(first: Float64s, second: Float64s, truth: Labels) -> Metrics:
    """``auc`` and ``balanced_accuracy`` of one method minus another, (R, S, K) and (R', S, K), on the same people.

    Seeds are paired where both have as many, else the second is averaged over its own. Above zero the first is better.
    """
    truth = _checked(first, _checked(second, truth))
    metrics: Metrics = {}
    for name, (measure, pairs) in MEASURES.items():
        low, high = _interval(pairs, first, truth, minus=second)
        value = measure(first, truth) - measure(second, truth)
        metrics[name] = metric(value, low=low, high=high, n=len(truth), null=0.0)
    return metrics


def regression_metrics(
    predictions: Float64s, numbers: Float64s, *, medians: Float64s | float | None = None, unit: str | None = None
) -> Metrics:
    """Metric objects of predictions (R, S) of numbers (S,): ``mae`` in `unit`, ``r2``, ``correlation`` (Pearson's).

    The baseline of ``mae`` is that of the median of the people trained on, for each judged person (S,) or for all.
    Constant predictions have no ``correlation``. ValueError for other shapes, NaN, and numbers that are all the same.
    """
    _check_numbers(predictions, numbers)
    baseline = None if medians is None else float(np.abs(medians - numbers).mean())
    facts: dict[str, dict[str, Any]] = {"mae": {"unit": unit, "baseline": baseline}}
    metrics: Metrics = {}
    for name, (shares_of, limits) in SHARES.items():
        if name == "correlation" and _constant(predictions):
            continue
        value = _share_metric(shares_of(predictions, numbers), limits, **facts.get(name, {}))
        metrics[name] = value | _chance(shares_of, predictions, numbers)
    return metrics


def regression_differences(first: Float64s, second: Float64s, numbers: Float64s, *, unit: str | None = None) -> Metrics:
    """One method minus another, (R, S) and (R', S), on the same people; seeds as in `classification_differences`.

    The first is better below zero in ``mae``, above zero in ``r2`` and ``correlation``.
    """
    for each in (first, second):
        _check_numbers(each, numbers)
    return {
        name: _share_metric(
            _minus(shares_of(first, numbers), shares_of(second, numbers)),
            null=0.0,
            unit=unit if name == "mae" else None,
        )
        for name, (shares_of, _) in SHARES.items()
        if name != "correlation" or not (_constant(first) or _constant(second))
    }


def area_under_curve(scores: Float64s, positive: NDArray[np.bool_]) -> Float64s:
    """Area under the ROC curve of scores (..., S), by ranks as Mann and Whitney's U: many at once, ties are half."""
    count, others = positive.sum(), (~positive).sum()
    ranks = rankdata(scores, axis=-1)[..., positive].sum(axis=-1)
    return np.asarray((ranks - count * (count + 1) / 2) / (count * others))


def mean_auc(probabilities: Float64s, truth: Labels) -> float:
    """Mean over seeds, and over several classes, of the area of each against the rest."""
    count = probabilities.shape[-1]
    judged = (1,) if count == 2 else range(count)
    return float(np.mean([area_under_curve(probabilities[..., place], truth == place) for place in judged]))


def balanced_accuracy(probabilities: Float64s, truth: Labels) -> float:
    """Mean over seeds and classes of the share of people of a class for whom it is the most probable one."""
    right = probabilities.argmax(axis=-1) == truth
    return float(np.mean([right[:, truth == place].mean() for place in range(probabilities.shape[-1])]))


def _won(probabilities: Float64s, truth: Labels, place: int) -> Float64s:
    """Whether a class is more probable in one of its people than in another person (R, A, B); the mean is the AUC."""
    scores = probabilities[..., place]
    gap = scores[:, truth == place, None] - scores[:, None, truth != place]
    return np.asarray((gap > 0) + 0.5 * (gap == 0))


def _recognized(probabilities: Float64s, truth: Labels, place: int) -> Float64s:
    """Whether the people of a class are recognized, the same for every pair (R, A, B) with another; mean: recall."""
    right = (probabilities.argmax(axis=-1) == place)[:, truth == place, None].astype(float)
    return np.broadcast_to(right, (*right.shape[:2], int((truth != place).sum())))


Pairs = Callable[[Float64s, Labels, int], Float64s]
MEASURES: dict[str, tuple[Callable[[Float64s, Labels], float], Pairs]] = {
    "auc": (mean_auc, _won),
    "balanced_accuracy": (balanced_accuracy, _recognized),
}


def _interval(
    pairs: Pairs, first: Float64s, truth: Labels, minus: Float64s | None = None
) -> tuple[float | None, float | None]:
    """Interval of a mean over classes of means over pairs, or of the difference of two methods.

    People are resampled within each of two classes; with several, all people are resampled by their `_shares`.
    """
    if np.bincount(truth).min() < FEWEST:
        return None, None
    if first.shape[-1] == 2:
        both = [
            None if each is None else (pairs(each, truth, 1) + pairs(each, truth, 0).swapaxes(1, 2)) / 2
            for each in (first, minus)
        ]
        assert both[0] is not None
        return bootstrap_groups(both[0], minus=both[1])
    shares = _shares(pairs, first, truth)
    if minus is not None:
        return bootstrap_subjects(_minus(shares, _shares(pairs, minus, truth)))
    low, high = np.clip(bootstrap_subjects(shares), 0, 1).tolist()
    return low, high


def _shares(pairs: Pairs, probabilities: Float64s, truth: Labels) -> Float64s:
    """What each person contributes (R, S): the mean over people is the measure, their spread is that of the measure.

    For the AUC these are the placement values of DeLong et al. (1988, doi:10.2307/2531595), one class after another.
    """
    people, count = probabilities.shape[1:]
    shares = np.zeros(probabilities.shape[:2])
    for place in range(count):
        won, inside = pairs(probabilities, truth, place), truth == place
        mean = won.mean(axis=(1, 2))[:, None]
        shares += mean
        shares[:, inside] += (won.mean(axis=2) - mean) * people / inside.sum()
        shares[:, ~inside] += (won.mean(axis=1) - mean) * people / (~inside).sum()
    return np.asarray(shares / count)


def _absolute_errors(predictions: Float64s, numbers: Float64s) -> Float64s:
    return np.abs(predictions - numbers)


def _r2_shares(predictions: Float64s, numbers: Float64s) -> Float64s:
    """Shares (R, S) of R² = 1 - E / V, E the mean squared error and V the variance: to first order in E and V."""
    squares, spread = (predictions - numbers) ** 2, (numbers - numbers.mean()) ** 2
    ratio = squares.mean(axis=1, keepdims=True) / spread.mean()
    return np.asarray(1 - ratio - (squares - ratio * spread) / spread.mean())


def _correlation_shares(predictions: Float64s, numbers: Float64s) -> Float64s:
    """Shares (R, S) of Pearson's r, to first order in means and variances: a b - r (a² + b²) / 2 + r, standardized."""
    a, b = (
        (each - each.mean(axis=-1, keepdims=True)) / each.std(axis=-1, keepdims=True) for each in (predictions, numbers)
    )
    r = (a * b).mean(axis=1, keepdims=True)
    return np.asarray(a * b - r * (a**2 + b**2) / 2 + r)


Shares = Callable[[Float64s, Float64s], Float64s]
SHARES: dict[str, tuple[Shares, tuple[float, float]]] = {  # with the smallest and largest value there is
    "mae": (_absolute_errors, (0, np.inf)),
    "r2": (_r2_shares, (-np.inf, 1)),
    "correlation": (_correlation_shares, (-1, 1)),
}


def _share_metric(shares: Float64s, limits: tuple[float, float] = (-np.inf, np.inf), **facts: Any) -> dict[str, Any]:
    """Metric object of the mean of (R, S), with an interval within `limits` where there are enough people."""
    low = high = None
    if shares.shape[1] >= FEWEST:
        low, high = np.clip(bootstrap_subjects(shares), *limits).tolist()
    return metric(float(shares.mean()), low=low, high=high, n=shares.shape[1], **facts)


def _chance(measure: Callable[[Float64s, Any], Any], predictions: Float64s, truth: NDArray[Any]) -> dict[str, float]:
    """The measure, or the mean of its shares, with people in random order: its mean ``null``, and its range."""
    generator = np.random.default_rng(0)
    drawn = np.array([np.mean(measure(predictions, generator.permutation(truth))) for _ in range(PERMUTATIONS)])
    low, high = central_range(drawn)
    return {"null": float(drawn.mean()), "null_low": low, "null_high": high}


def _minus(first: Float64s, second: Float64s) -> Float64s:
    """(R, S) - (R', S), paired by seed where R' is R."""
    return first - (second if len(second) == len(first) else second.mean(axis=0, keepdims=True))


def _constant(predictions: Float64s) -> bool:
    """True where the predictions (R, S) of some seed are the same for all."""
    return bool((np.ptp(predictions, axis=1) == 0).any())


def _checked(probabilities: Float64s, truth: Labels) -> Labels:
    """The true classes as whole numbers; ValueError where they do not fit the probabilities."""
    if probabilities.ndim != 3 or probabilities.shape[-1] < 2 or truth.shape != probabilities.shape[1:2]:
        seen = f"got {probabilities.shape} and {truth.shape}"
        raise ValueError(f"probabilities must be (seeds, people, classes) and truth (people,), {seen}")
    if not np.isfinite(probabilities).all():
        raise ValueError("probabilities hold NaN or infinite values: did the training diverge?")
    places, count = truth.astype(np.int64), probabilities.shape[-1]
    if (places != truth).any() or places.min() < 0 or places.max() >= count:
        raise ValueError(f"truth must hold places of classes, 0 to {count - 1}, got {places.min()} to {places.max()}")
    if lacking := sorted(set(range(count)) - set(places.tolist())):
        raise ValueError(f"no judged person is of class {lacking[0]}: judge more people, or leave out this class")
    return places


def _check_numbers(predictions: Float64s, numbers: Float64s) -> None:
    if predictions.ndim != 2 or numbers.shape != predictions.shape[1:]:
        seen = f"got {predictions.shape} and {numbers.shape}"
        raise ValueError(f"predictions must be (seeds, people) and numbers (people,), {seen}")
    if not (np.isfinite(predictions).all() and np.isfinite(numbers).all()):
        raise ValueError("predictions or numbers hold NaN or infinite values: did the training diverge?")
    if np.ptp(numbers) == 0:
        raise ValueError(f"the number is {numbers.flat[0]:g} for all {len(numbers)} people: nothing can be judged")
