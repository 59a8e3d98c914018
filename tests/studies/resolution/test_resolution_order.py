"""Agreement of neighbor order where ties occur, compared with scipy and closed forms."""

import numpy as np
import pytest
from scipy.stats import somersd

from toposlearn.anatomy import structure
from toposlearn.relations.agreement import permuted_within_sides
from toposlearn.studies.resolution.measure import (
    depth_ordered,
    distances_between,
    neighbor_agreement,
    order_agreement,
)

RNG = np.random.default_rng(0)
PLACES = RNG.normal(size=(9, 3))
TRUE = distances_between(PLACES)


def test_the_same_order_is_one_whatever_the_unit_and_ties_earn_nothing() -> None:
    assert order_agreement(TRUE, 7 * TRUE) == neighbor_agreement(TRUE, 7 * TRUE) == 1
    assert order_agreement(TRUE, TRUE.max() - TRUE) == -1
    assert order_agreement(TRUE, np.zeros_like(TRUE)) == 0


def test_it_is_somers_d_of_scipy_with_ties() -> None:
    seen = distances_between(np.round(PLACES))  # a coarse grid: many ties
    others = [np.delete(np.arange(9), i) for i in range(9)]
    right = [somersd(TRUE[i, rest], seen[i, rest]).statistic for i, rest in enumerate(others)]
    assert order_agreement(TRUE, seen) == pytest.approx(np.mean(right))
    assert 0 < order_agreement(TRUE, seen) < 1


def test_ties_share_the_last_places() -> None:
    true = distances_between(np.array([[0.0], [1], [3], [7]]))
    tied = np.ones((4, 4)) - np.eye(4)
    # Of K = 2 nearest of three others, each tied one counts 2 / 3: shared 4 / 3, either 2 + 2 / 3.
    assert neighbor_agreement(true, tied, k=2) == pytest.approx((4 / 3) / (8 / 3))
    with pytest.raises(ValueError, match="k must be between 1 and 3"):
        neighbor_agreement(true, tied, k=4)


def test_rounding_is_no_order() -> None:
    places = np.array([[0.0, 0], [0.3, 0], [0, 0.1 + 0.2]])  # 0.3 and 0.30000000000000004
    true = np.array([[0.0, 1, 2], [1, 0, 3], [2, 3, 0]])
    assert order_agreement(true, distances_between(places)) == pytest.approx(2 / 3)  # seen from the first: a tie


def test_a_structure_outside_the_tokens_has_no_order_and_is_no_neighbor() -> None:
    places = PLACES.copy()
    places[4] = np.nan
    seen = distances_between(places)
    # Eight of nine structures have an order, in which 21 of 28 pairs of the others leave the missing one out.
    assert order_agreement(TRUE, seen) == pytest.approx(8 / 9 * 21 / 28)
    shared = [(5 * 5 / 8) / (5 + 3 * 5 / 8)]  # its own row: all eight others tie for the five places
    for i in (0, 1, 2, 3, 5, 6, 7, 8):
        nearest = [j for j in np.argsort(TRUE[i]).tolist() if j != i]
        kept = set([j for j in nearest if j != 4][:5])
        shared.append(len(kept & set(nearest[:5])) / len(kept | set(nearest[:5])))
    assert neighbor_agreement(TRUE, seen) == pytest.approx(np.mean(shared))
    assert min(shared[1:]) < 1


def test_names_are_permuted_within_a_side_only() -> None:
    parts = [structure(name, side) for side in ("left", "right") for name in ("thalamus", "caudate", "putamen")]
    order = permuted_within_sides(parts, np.random.default_rng(1))
    assert sorted(order[:3]) == [0, 1, 2]
    assert sorted(order) == list(range(6))
    drawn = [tuple(permuted_within_sides(parts, RNG)) for _ in range(50)]
    assert len(set(drawn)) > 10


def test_an_order_from_the_middle_is_broken_by_ties_and_missing_structures() -> None:
    names = ("thalamus", "pallidum")
    parts = [structure(name, side) for side in ("left", "right") for name in names]
    assert depth_ordered(np.array([1.0, 2, 1, 2]), parts, names) == 1
    assert depth_ordered(np.array([1.0, 2, 2, 2]), parts, names) == 0.5
    assert depth_ordered(np.array([np.nan, 2, 2, 1]), parts, names) == 0
