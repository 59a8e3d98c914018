"""AUC of a label from features, beside its null: what is there is found, what is not is not."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from toposlearn.downstream.classification import cross_validated
from toposlearn.studies.shortcuts.chance import FOLDS, REPEATS, judge, random_folds, site_folds

POSITIVE = np.tile([False, True], 40)


def noise(seed, features=6):
    return np.random.default_rng(seed).normal(size=(80, features))


def test_what_the_features_tell_is_found():
    told = judge(noise(0) + POSITIVE[:, None], POSITIVE, random_folds(POSITIVE))
    assert told.above
    assert told.p < 1e-6
    assert 0.8 < told.low < told.value < told.high <= 1


def test_nothing_is_found_where_nothing_is():
    found = []
    for seed in range(40):
        site = np.random.default_rng(100 + seed).integers(4, size=80)
        features = np.hstack([np.eye(4)[site], noise(seed, 2)])
        found.append(judge(features, POSITIVE, random_folds(POSITIVE), permutations=60, seed=seed))
    assert sum(one.above for one in found) <= 4  # 1 expected; 5 or more have probability 0.003
    assert abs(np.mean([one.value for one in found]) - 0.5) < 0.04
    assert abs(np.mean([one.null for one in found]) - 0.5) < 0.02
    assert 0.2 < np.mean([one.p < 0.5 for one in found]) < 0.8


def test_it_is_about_what_logistic_regression_gives():
    features = noise(1) + 0.5 * POSITIVE[:, None] * np.array([1, 1, 0, 0, 0, 0])
    told = judge(features, POSITIVE, random_folds(POSITIVE)).value
    assert told == pytest.approx(roc_auc_score(POSITIVE, cross_validated(features, POSITIVE.astype(int))), abs=0.05)


def test_auc_is_the_share_of_pairs_within_a_fold():
    folds = [(np.arange(40, 80), np.arange(40)), (np.arange(40), np.arange(40, 80))]
    features = noise(2, 1) + POSITIVE[:, None]
    expected = np.mean([roc_auc_score(POSITIVE[tested], features[tested, 0]) for _, tested in folds])
    assert judge(features, POSITIVE, folds).value == pytest.approx(expected)


def test_an_offset_of_a_site_does_no_harm_and_is_no_help():
    sites = np.repeat(["a", "b", "c", "d"], 20)
    shift = np.repeat([0.0, 50.0, -30.0, 10.0], 20)[:, None]
    told = judge(noise(3, 1) + 2 * POSITIVE[:, None] + shift, POSITIVE, site_folds(sites), blocks=sites)
    assert told.value > 0.85
    only_site = judge(shift, POSITIVE, site_folds(sites), blocks=sites)
    assert only_site.value == 0.5
    assert not only_site.above


def test_a_site_that_goes_with_the_label_is_a_shortcut_only_within_sites_seen():
    generator = np.random.default_rng(0)
    sites = np.repeat(["a", "b", "c", "d"], 20)
    positive = generator.random(80) < np.repeat([0.9, 0.1, 0.8, 0.2], 20)
    brightness = np.repeat([0.0, 1.0, 0.2, 0.9], 20)[:, None] + 0.01 * generator.normal(size=(80, 1))
    assert judge(brightness, positive, random_folds(positive)).above
    assert not judge(brightness, positive, site_folds(sites), blocks=sites).above


def test_folds_score_everybody_by_classifiers_that_did_not_see_them():
    folds = random_folds(POSITIVE)
    assert len(folds) == FOLDS * REPEATS
    assert np.all(np.bincount(np.concatenate([tested for _, tested in folds])) == REPEATS)
    assert all(not set(fitted) & set(tested) for fitted, tested in folds)
    assert all(0 < POSITIVE[tested].mean() < 1 for _, tested in folds)


def test_same_seed_same_numbers():
    assert judge(noise(0), POSITIVE, random_folds(POSITIVE)) == judge(noise(0), POSITIVE, random_folds(POSITIVE))
