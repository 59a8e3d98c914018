"""Intervals by bootstrap over people, crossed with pre-training seeds. Pairs of people are not independent; people are.

All intervals of the package that come from resampling are made here, so that all are widened alike for few people.
An array has axes (R, S) for one number per subject, or (R, S, S) for one number per pair of subjects; R are seeds.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from toposlearn.arrays import Float64s
from toposlearn.reproducibility import metric

DRAWS = 2000
LEVEL = 0.95


def same_person(errors: Float64s) -> Float64s:
    """The diagonal of errors (R, S, S), each person with themselves: (R, S)."""
    return np.asarray(np.diagonal(errors, axis1=-2, axis2=-1))


def across_subjects(errors: Float64s) -> float:
    """Mean of errors (..., S, S) over pairs of different people."""
    different = ~np.eye(errors.shape[-1], dtype=bool)
    return float(errors[..., different].mean())


def mean_metric(values: Float64s, **facts: Any) -> dict[str, Any]:
    """Metric object of the mean of (R, S) over people, or of (R, S, S) over pairs; one subject has no interval."""
    mean = across_subjects(values) if values.ndim == 3 else float(values.mean())
    low, high = bootstrap_subjects(values) if values.shape[1] > 1 else (None, None)
    return metric(mean, low=low, high=high, n=values.shape[1], **facts)


def bootstrap_subjects(errors: Float64s, *, draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
    """Expanded percentile interval of the mean of (R, S) over people, or of (R, S, S) over pairs of two people."""
    if errors.ndim not in (2, 3) or errors.shape[1] < 2 or (errors.ndim == 3 and errors.shape[1] != errors.shape[2]):
        raise ValueError(f"errors must be (R, S) or (R, S, S) with at least two people S, got {errors.shape}")
    means = _means if errors.ndim == 2 else _means_of_pairs
    return _interval(means(errors, draws, seed), errors.shape[1])


def bootstrap_ratio(top: Float64s, bottom: Float64s, *, draws: int = DRAWS) -> tuple[float, float]:
    """Expanded percentile interval of mean(top) / mean(bottom), both (R, S), the same people and seeds in each draw."""
    return _interval(_means(top, draws, 0) / _means(bottom, draws, 0), top.shape[1])


def bootstrap_groups(
    pairs: Float64s,
    *,
    counted: Float64s | None = None,
    minus: Float64s | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[float, float]:
    """Expanded percentile interval of a mean over pairs of people of two groups, resampled within each group.

    `pairs` (R, A, B) have one number per pair of one of A people and one of B; the R seeds are resampled as well. With
    weights `counted` (R, A, B) the mean is the sum of `pairs` over that of `counted`. With `minus` (R', A, B) of the
    same people, and the same seeds where R' is R, the interval is that of the difference of the means. An area under
    the curve is such a mean (Mann & Whitney). The smaller group decides how far the interval is expanded.
    """
    generator = np.random.default_rng(seed)
    first, second, seeds = (_shares(size, draws, generator) for size in (pairs.shape[1], pairs.shape[2], len(pairs)))

    def means(values: Float64s) -> Float64s:
        runs = seeds if len(values) == len(pairs) else np.full((draws, len(values)), 1 / len(values))
        return np.asarray(np.einsum("dr,rad,da->d", runs, values @ second.T, first, optimize=True))

    drawn = means(pairs)
    if counted is not None:
        weight = means(counted)
        drawn = drawn / np.where(weight > 0, weight, np.nan)
    if minus is not None:
        drawn = drawn - means(minus)
    return _interval(drawn, min(pairs.shape[1:]))


def bootstrap_number(number: Callable[[NDArray[np.int64]], float], subjects: int) -> tuple[float, float]:
    """Expanded percentile interval of a number that only a group has, such as its spread, from sampled indices (S,)."""
    generator = np.random.default_rng(0)
    drawn = np.array([number(generator.integers(subjects, size=subjects)) for _ in range(DRAWS)])
    return _interval(drawn, subjects)


def central_range(values: Float64s) -> tuple[float, float]:
    """The two values between which the middle 95 % lie: the range of a null, not an interval."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _interval(drawn: Float64s, subjects: int) -> tuple[float, float]:
    """Expanded percentile interval of values in resampled people; NaN are left out.

    A plain percentile interval has the width of a normal law whose variance was divided by n: too narrow for few
    people (Hesterberg 2015, doi:10.1080/00031305.2015.1089789).
    """
    quantile = math.sqrt(subjects / (subjects - 1)) * stats.t.ppf((1 - LEVEL) / 2, subjects - 1)
    tail = 100 * float(stats.norm.cdf(quantile))
    low, high = np.nanpercentile(drawn, [tail, 100 - tail])
    return float(low), float(high)


def _shares(size: int, draws: int, generator: np.random.Generator) -> Float64s:
    """How often each of `size` is drawn, with replacement, as a share: (draws, size), rows sum to one."""
    return generator.multinomial(size, np.full(size, 1 / size), size=draws) / size


def _means(values: Float64s, draws: int, seed: int) -> Float64s:
    """Means (draws,) of values (R, S) over resampled seeds and people."""
    generator = np.random.default_rng(seed)
    seeds, subjects = (_shares(size, draws, generator) for size in values.shape)
    return np.asarray(np.einsum("dr,rs,ds->d", seeds, values, subjects, optimize=True))


def _means_of_pairs(errors: Float64s, draws: int, seed: int) -> Float64s:
    """Means (draws,) of (R, S, S). Pairs of one person with themselves, which resampling makes, are left out."""
    sizes = np.array(errors.shape[:2])
    drawn = np.random.default_rng(seed).integers(sizes.repeat(sizes), size=(draws, sizes.sum()))
    seeds, subjects = map(_counts, np.split(drawn, sizes[:1], axis=1), sizes)  # (draws, R), (draws, S)
    between = np.where(np.eye(sizes[1], dtype=bool), 0, errors)
    total = np.einsum("rdq,dq,dr->d", subjects @ between, subjects, seeds)
    different = sizes[1] ** 2 - (subjects**2).sum(axis=1)  # pairs; none where one person was drawn each time
    return np.asarray(total / sizes[0] / np.where(different > 0, different, np.nan))


def _counts(drawn: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """How often each of `size` occurs in each row: (draws, any) -> (draws, size)."""
    rows = np.arange(len(drawn))[:, None] * size
    return np.bincount((rows + drawn).ravel(), minlength=len(drawn) * size).reshape(-1, size)
