"""AUC of a label from features, with its null: a dependence is measured where there is one, and only there."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import LeaveOneGroupOut

from toposlearn.downstream.classification import cross_validated
from toposlearn.studies.shortcuts.auc import (
    FOLDS,
    PERMUTATIONS,
    REPEATS,
    area_under_curve,
    cross_validate,
    permuted,
    random_splits,
)

POSITIVE = np.tile([False, True], 40)
SITES = np.repeat(["a", "b", "c", "d"], 20)


def noise(seed, features=6):
    return np.random.default_rng(seed).normal(size=(80, features))


def auc(features, positive, partitions=None, blocks=None, permutations=PERMUTATIONS):
    labels = permuted(positive, np.zeros(len(positive)) if blocks is None else blocks, permutations)
    partitions = random_splits(positive) if partitions is None else partitions
    return area_under_curve(cross_validate(features, labels, partitions), labels)


def auc_across_sites(features, positive):
    return auc(features, positive, [list(LeaveOneGroupOut().split(SITES, groups=SITES))], SITES)


def above(one):
    return one["value"] > one["null_high"]


def test_a_dependence_is_measured():
    one = auc(noise(0) + POSITIVE[:, None], POSITIVE)
    assert above(one)
    assert one["p"] < 1e-6
    assert 0.8 < one["low"] < one["value"] < one["high"] <= 1


def test_independent_features_are_at_chance():
    aucs = []
    for seed in range(40):
        site = np.random.default_rng(100 + seed).integers(4, size=80)
        aucs.append(auc(np.hstack([np.eye(4)[site], noise(seed, 2)]), POSITIVE, permutations=60))
    assert sum(above(one) for one in aucs) <= 4  # 1 expected; 5 or more have probability 0.003
    assert abs(np.mean([one["value"] for one in aucs]) - 0.5) < 0.04
    assert abs(np.mean([one["null"] for one in aucs]) - 0.5) < 0.02
    assert 0.2 < np.mean([one["p"] < 0.5 for one in aucs]) < 0.8


def test_it_is_about_what_logistic_regression_gives():
    features = noise(1) + 0.5 * POSITIVE[:, None] * np.array([1, 1, 0, 0, 0, 0])
    expected = roc_auc_score(POSITIVE, cross_validated(features, POSITIVE.astype(int)))
    assert auc(features, POSITIVE)["value"] == pytest.approx(expected, abs=0.05)


def test_auc_is_the_share_of_pairs_within_a_fold():
    splits = [(np.arange(40, 80), np.arange(40)), (np.arange(40), np.arange(40, 80))]
    features = noise(2, 1) + POSITIVE[:, None]
    expected = np.mean([roc_auc_score(POSITIVE[tested], features[tested, 0]) for _, tested in splits])
    assert auc(features, POSITIVE, [splits])["value"] == pytest.approx(expected)


def test_an_offset_of_a_site_does_no_harm_and_is_no_help():
    shift = np.repeat([0.0, 50.0, -30.0, 10.0], 20)[:, None]
    assert auc_across_sites(noise(3, 1) + 2 * POSITIVE[:, None] + shift, POSITIVE)["value"] > 0.85
    only_site = auc_across_sites(shift, POSITIVE)
    assert only_site["value"] == 0.5
    assert not above(only_site)


def test_a_site_that_goes_with_the_label_is_a_shortcut_only_within_sites_seen():
    generator = np.random.default_rng(0)
    positive = generator.random(80) < np.repeat([0.9, 0.1, 0.8, 0.2], 20)
    brightness = np.repeat([0.0, 1.0, 0.2, 0.9], 20)[:, None] + 0.01 * generator.normal(size=(80, 1))
    assert above(auc(brightness, positive))
    assert not above(auc_across_sites(brightness, positive))


def test_classifiers_score_only_people_whom_they_were_not_fitted_to():
    splits = [split for partition in random_splits(POSITIVE) for split in partition]
    assert len(splits) == FOLDS * REPEATS
    assert np.all(np.bincount(np.concatenate([tested for _, tested in splits])) == REPEATS)
    assert all(not set(fitted) & set(tested) for fitted, tested in splits)
    assert all(0 < POSITIVE[tested].mean() < 1 for _, tested in splits)


def test_same_input_same_numbers():
    assert auc(noise(0), POSITIVE) == auc(noise(0), POSITIVE)
