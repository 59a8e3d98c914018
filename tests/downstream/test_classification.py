"""Classification of people: AUC and its interval, its null, its refusal of few people, and the confounders."""

import dataclasses

import numpy as np
import pytest
import torch

from toposlearn.data import pose_subjects
from toposlearn.downstream import classification

LABELS = np.repeat([0, 1], 16)


@pytest.fixture(scope="module")
def posed(subjects, smoke):
    return pose_subjects(subjects, smoke)


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


def test_the_mean_over_subsets_is_one_number_a_person():
    """Subsets that are all alike are as good as one, and their order says nothing; unlike ones narrow the interval."""
    scores = np.random.default_rng(0).normal(size=(2, 15, 32)) + LABELS
    found = classification.bootstrap_auc(scores, LABELS)
    assert found == pytest.approx(classification.bootstrap_auc(scores[:, ::-1], LABELS))
    one = classification.bootstrap_auc(scores[:, 0], LABELS)
    assert one == pytest.approx(classification.bootstrap_auc(scores[:, :1].repeat(15, axis=1), LABELS))
    assert np.ptp(found) < np.ptp(one)
    assert found[0] < classification.mean_auc(scores, LABELS) < found[1]


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
    assert features.shape[0] == len(posed.names)
    assert np.isfinite(features).all()
    assert len(np.unique(features, axis=0)) == len(posed.names)  # six different people


def test_confounders_are_what_they_are_called(posed):
    """Ages as in the table, milliliters, square roots of shares, logarithms of shares."""
    ages = [float(row["age"]) for row in posed.info]
    assert classification.age_sex_site(posed)[:, -1].tolist() == ages
    voxels = posed.foreground.flatten(1).sum(dim=1).numpy()
    np.testing.assert_allclose(classification.brain_size(posed)[:, 0], voxels * posed.spacing**3 / 1000)
    histogram = classification.intensity_histogram(posed).reshape(6, 4, classification.BINS)
    np.testing.assert_allclose((histogram**2).sum(axis=2), 1, atol=1e-3)  # a few voxels are beyond the last bin
    inside = posed.volumes[2, 1][posed.foreground[2, 0]]
    darkest = (inside < 1 / classification.BINS).float().mean().item()
    assert histogram[2, 1, 0] ** 2 == pytest.approx(darkest)
    shares = np.exp(classification.region_volumes(posed)) - 1e-5
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    labels = posed.labels[3][posed.labels[3] > 0]
    assert shares[3, 1] == pytest.approx((labels == 2).float().mean().item())  # the left thalamus


def test_diagnoses_are_read_and_what_is_missing_is_said(posed):
    assert set(classification.diagnoses(posed)) == {0, 1}
    with pytest.raises(ValueError, match="no column diagnosis"):
        classification.diagnoses(dataclasses.replace(posed, info=()))
    ill = tuple({"diagnosis": "atrophy"} for _ in posed.names)
    with pytest.raises(ValueError, match="all 6 people have the same diagnosis"):
        classification.diagnoses(dataclasses.replace(posed, info=ill))
