"""Intervals over people: compared with closed forms, and their coverage on synthetic people."""

import numpy as np
import pytest

from toposlearn.intervals import across_subjects, bootstrap_subjects, mean_metric, same_person


def test_the_diagonal_is_the_same_person_and_the_rest_is_two_people():
    errors = np.arange(2 * 3 * 3, dtype=float).reshape(2, 3, 3)
    np.testing.assert_array_equal(same_person(errors), [[0, 4, 8], [9, 13, 17]])
    off = [errors[r, p, q] for r in range(2) for p in range(3) for q in range(3) if p != q]
    assert across_subjects(errors) == pytest.approx(np.mean(off))


@pytest.mark.parametrize("shape", [(4,), (1, 1), (2, 1, 1), (2, 3, 4), (1, 2, 2, 2)])
def test_shapes_that_make_no_sense_are_refused(shape):
    with pytest.raises(ValueError, match="at least two people"):
        bootstrap_subjects(np.zeros(shape))


def test_a_metric_holds_the_mean_with_its_interval():
    errors = np.random.default_rng(0).normal(size=(2, 6, 6))
    low, high = bootstrap_subjects(errors)
    assert mean_metric(errors, unit="mm", null=0.0) == {
        "value": across_subjects(errors),
        "low": low,
        "high": high,
        "unit": "mm",
        "n": 6,
        "null": 0.0,
    }
    assert mean_metric(np.array([[3.0]])) == {"value": 3.0, "n": 1}  # no interval over one person


def test_the_same_seed_gives_the_same_interval():
    errors = np.random.default_rng(0).normal(size=(2, 8))
    assert bootstrap_subjects(errors, seed=1) == bootstrap_subjects(errors, seed=1)
    assert bootstrap_subjects(errors, seed=1) != bootstrap_subjects(errors, seed=2)


def test_people_who_are_all_alike_leave_no_doubt():
    assert bootstrap_subjects(np.full((2, 5), 3.0)) == pytest.approx((3.0, 3.0))
    assert bootstrap_subjects(np.full((2, 5, 5), 3.0)) == pytest.approx((3.0, 3.0))


def test_the_interval_of_many_people_is_that_of_the_normal_law():
    subjects = 400
    errors = np.random.default_rng(0).normal(10, 2, size=(1, subjects))
    low, high = bootstrap_subjects(errors)
    half = 1.96 * errors.std() / np.sqrt(subjects)
    assert (low, high) == pytest.approx((errors.mean() - half, errors.mean() + half), abs=0.05)


def test_a_pair_of_a_person_with_themselves_never_counts():
    errors = np.ones((1, 6, 6))
    errors[0][np.eye(6, dtype=bool)] = np.nan  # would spread into every mean
    assert bootstrap_subjects(errors) == (1.0, 1.0)


def test_seeds_that_differ_widen_the_interval():
    errors = np.random.default_rng(0).normal(size=(1, 12))
    narrow = np.ptp(bootstrap_subjects(np.repeat(errors, 3, axis=0)))
    wide = np.ptp(bootstrap_subjects(errors + np.array([[-3.0], [0.0], [3.0]])))
    assert wide > 2 * narrow


@pytest.mark.parametrize("count", [6, 8, 16])
@pytest.mark.parametrize("pairs", [False, True])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(count, pairs):
    """Each person has an effect of their own that all of their pairs share: pairs are not independent."""
    generator = np.random.default_rng(1)
    trials, covered = 1000, 0
    for trial in range(trials):
        effect = generator.normal(size=count)
        errors = effect[None]
        if pairs:
            noise = 0.3 * generator.normal(size=(count, count))
            errors = (effect[:, None] + effect[None, :] + noise)[None]
        low, high = bootstrap_subjects(errors, draws=1000, seed=trial)
        covered += low <= 0 <= high
    assert 0.90 <= covered / trials <= 0.97
