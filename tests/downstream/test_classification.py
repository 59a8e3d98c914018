"""Classification of people: AUC and its interval, its null, its refusal of few people, and the confounders."""

import dataclasses

import numpy as np
import pytest
import torch

from toposlearn.data import pose_people
from toposlearn.downstream import classification

LABELS = np.repeat([0, 1], 16)


@pytest.fixture(scope="module")
def posed(people, smoke):
    return pose_people(people, smoke)


def test_auc_of_perfect_reversed_and_constant_scores():
    perfect = LABELS[None].astype(float)
    assert classification.mean_auc(perfect, LABELS) == 1
    assert classification.mean_auc(1 - perfect, LABELS) == 0
    assert classification.mean_auc(np.zeros((1, 32)), LABELS) == 0.5


def test_auc_is_refused_for_few_people():
    with pytest.raises(ValueError, match="at least 16 people in each class, got 15"):
        classification.mean_auc(np.zeros((1, 31)), LABELS[1:])


def test_interval_holds_the_truth_and_chance_where_there_is_nothing():
    generator = np.random.default_rng(0)
    low, high = classification.bootstrap_auc(generator.normal(size=(3, 32)), LABELS)
    assert low < 0.5 < high
    low, high = classification.bootstrap_auc(generator.normal(size=(3, 32)) + 2 * LABELS, LABELS)
    assert 0.7 < low < high <= 1


def test_difference_is_paired():
    scores = np.random.default_rng(0).normal(size=(3, 32)) + LABELS
    assert classification.bootstrap_auc(scores, LABELS, minus=scores) == pytest.approx((0, 0))


def test_mean_over_subsets_has_the_shape_of_a_number():
    scores = np.random.default_rng(0).normal(size=(2, 15, 32)) + LABELS
    low, high = classification.bootstrap_auc(scores, LABELS, draws=50)
    assert low < classification.mean_auc(scores, LABELS) < high


def test_an_oracle_is_near_the_ceiling_and_shuffled_labels_are_at_chance():
    generator = np.random.default_rng(0)
    train, test = np.repeat([0, 1], 24), LABELS
    know = {
        name: np.stack([labels, generator.normal(size=len(labels))], 1)
        for name, labels in (("train", train), ("test", test))
    }
    fitted = classification.linear_classifier().fit(know["train"], train)
    assert classification.mean_auc(classification.scores_of(fitted, know["test"]), test) > 0.95
    aucs = []
    for _ in range(40):
        features = generator.normal(size=(48, 5)) + train[:, None], generator.normal(size=(32, 5)) + test[:, None]
        fitted = classification.linear_classifier().fit(features[0], generator.permutation(train))
        aucs.append(classification.mean_auc(classification.scores_of(fitted, features[1]), test))
    assert abs(np.mean(aucs) - 0.5) < 0.12


def test_pooled_features_are_mean_and_spread_of_the_foreground():
    tokens, mask = torch.randn(2, 6, 3), torch.tensor([[1, 1, 1, 0, 0, 0], [1] * 6]).bool()
    pooled = classification.pool(tokens, mask)
    np.testing.assert_allclose(pooled[0, :3], tokens[0, :3].mean(dim=0), rtol=1e-5)
    np.testing.assert_allclose(pooled[1, 3:], tokens[1].std(dim=0), rtol=1e-5)


@pytest.mark.parametrize("name", classification.CONFOUNDERS)
def test_confounders_are_finite_and_one_row_a_person(name, posed):
    features = classification.CONFOUNDERS[name](posed)
    assert features.shape[0] == len(posed.subjects)
    assert np.isfinite(features).all()


def test_diagnoses_are_read_and_what_is_missing_is_said(posed):
    assert set(classification.diagnoses(posed)) == {0, 1}
    with pytest.raises(ValueError, match="no column diagnosis"):
        classification.diagnoses(dataclasses.replace(posed, info=()))
    ill = tuple({"diagnosis": "atrophy"} for _ in posed.subjects)
    with pytest.raises(ValueError, match="all 6 people have the same diagnosis"):
        classification.diagnoses(dataclasses.replace(posed, info=ill))
