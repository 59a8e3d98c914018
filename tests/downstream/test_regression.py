import numpy as np
import pytest

from toposlearn.downstream.regression import cross_validated_r2


def subjects(features=96, count=64):
    return np.random.default_rng(0).normal(size=(count, features))


def test_a_number_that_the_features_hold_is_read():
    vectors = subjects()
    value = 3 + vectors[:, :40].sum(axis=1)
    assert cross_validated_r2(np.hstack([vectors, value[:, None] * np.ones((64, 60))]), value) > 0.95


def test_a_number_that_they_do_not_hold_is_not_read():
    values = np.random.default_rng(1).normal(size=64)
    assert cross_validated_r2(subjects(), values) < 0.05


def test_nobody_is_read_by_a_reader_that_saw_them():
    values = np.random.default_rng(2).normal(size=64)
    assert cross_validated_r2(np.eye(64), values) < 0  # one feature per person: known only to who was fitted


def test_the_unit_of_a_number_does_not_matter():
    vectors = subjects(features=5)
    values = vectors[:, 0] + 0.5 * np.random.default_rng(3).normal(size=64)
    one = cross_validated_r2(vectors, values)
    assert 0.5 < one < 0.95
    assert cross_validated_r2(vectors, 1000 * values - 7) == pytest.approx(one)


@pytest.mark.parametrize(("features", "values"), [((7, 2), 7), ((64, 2), 63), ((64,), 64)])
def test_people_that_do_not_fit_are_refused(features, values):
    with pytest.raises(ValueError, match="features must be"):
        cross_validated_r2(np.zeros(features), np.zeros(values))
