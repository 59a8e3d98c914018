"""Intervals by bootstrap over people, crossed with pre-training seeds. Pairs of people are not independent: people are.

An array of errors has axes (R, S) for one number per person, or (R, S, S) for one per pair of people; R are seeds.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
DRAWS = 2000


def same_person(errors: Floats) -> Floats:
    """(R, S, S) -> (R, S): the diagonal, each person against themselves."""
    return np.asarray(np.diagonal(errors, axis1=-2, axis2=-1))


def across_people(errors: Floats) -> float:
    """Mean of (R, S, S) over pairs of different people."""
    different = ~np.eye(errors.shape[-1], dtype=bool)
    return float(errors[..., different].mean())


def bootstrap_people(errors: Floats, *, draws: int = DRAWS, seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    """Expanded percentile interval of the mean over people (and pairs of different people), crossed with seeds.

    Args:
        errors: (R, S) or (R, S, S).
        draws: bootstrap samples.
        seed: of the resampling.
        level: coverage.

    Returns:
        Low and high end.

    Raises:
        ValueError: fewer than two people, or a shape that is neither.
    """
    if errors.ndim not in (2, 3) or errors.shape[1] < 2 or (errors.ndim == 3 and errors.shape[1] != errors.shape[2]):
        raise ValueError(f"errors must be (R, S) or (R, S, S) with at least two people S, got {errors.shape}")
    generator = np.random.default_rng(seed)
    if errors.ndim == 2:
        means = resampled_means(errors, draws, generator)
    else:
        means = np.array([_mean_of_drawn_pairs(errors, generator) for _ in range(draws)])
    tail = 100 * expanded_tail(errors.shape[1], (1 - level) / 2)
    low, high = np.nanpercentile(means, [tail, 100 - tail])
    return float(low), float(high)


def bootstrap_ratio(
    top: Floats, bottom: Floats, *, draws: int = DRAWS, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Expanded percentile interval of mean(top) / mean(bottom), both (R, S), the same people and seeds in each draw."""
    above, below = (resampled_means(part, draws, np.random.default_rng(seed)) for part in (top, bottom))
    tail = 100 * expanded_tail(top.shape[1], (1 - level) / 2)
    low, high = np.percentile(above / below, [tail, 100 - tail])
    return float(low), float(high)


def resampled_means(values: Floats, draws: int, generator: np.random.Generator) -> Floats:
    """Means (draws,) of values (R, S) over seeds and people that are both drawn again, with replacement."""
    seeds, people = (draw_weights(size, draws, generator) for size in values.shape)
    return np.asarray(np.einsum("dr,rs,ds->d", seeds, values, people, optimize=True))


def draw_weights(size: int, draws: int, generator: np.random.Generator) -> Floats:
    """How often each of `size` is drawn, as a share: (draws, size), rows sum to one."""
    return generator.multinomial(size, np.full(size, 1 / size), size=draws) / size


def expanded_tail(people: int, tail: float) -> float:
    """The tail to cut so that few people cover what they should (Hesterberg 2015, doi:10.1080/00031305.2015.1089789).

    A plain percentile interval has the width of a normal law whose variance was divided by n: too narrow for few.
    """
    return float(stats.norm.cdf(math.sqrt(people / (people - 1)) * stats.t.ppf(tail, people - 1)))


def _mean_of_drawn_pairs(errors: Floats, generator: np.random.Generator) -> float:
    """One draw of (R, S, S). Pairs of one person with themselves, which resampling makes, are left out."""
    seeds = generator.integers(len(errors), size=(len(errors),))
    people = generator.integers(errors.shape[1], size=(errors.shape[1],))
    different = people[:, None] != people[None, :]
    if not different.any():
        return float("nan")
    return float(errors[seeds][:, people[:, None], people[None, :]][:, different].mean())
