"""Classification and regression of subjects: AUC, its interval, its null and its refusal; R²; the confounders."""

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


def test_the_mean_over_subsets_is_one_number_per_person():
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
def test_confounders_are_finite_with_one_row_per_person(name, posed):
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


def vectors(features=96, count=64):
    return np.random.default_rng(0).normal(size=(count, features))


def test_a_number_that_the_features_hold_is_read():
    features = vectors()
    value = 3 + features[:, :40].sum(axis=1)
    assert classification.cross_validated_r2(np.hstack([features, value[:, None] * np.ones((64, 60))]), value) > 0.95


def test_a_number_that_they_do_not_hold_is_not_read():
    values = np.random.default_rng(1).normal(size=64)
    assert classification.cross_validated_r2(vectors(), values) < 0.05


def test_a_subject_is_read_by_a_reader_without_that_subject():
    values = np.random.default_rng(2).normal(size=64)
    one_per_person = np.eye(64)  # known only to a reader fitted to that person
    assert classification.cross_validated_r2(one_per_person, values) < 0


def test_the_unit_of_a_number_does_not_matter():
    features = vectors(features=5)
    values = features[:, 0] + 0.5 * np.random.default_rng(3).normal(size=64)
    one = classification.cross_validated_r2(features, values)
    assert 0.5 < one < 0.95
    assert classification.cross_validated_r2(features, 1000 * values - 7) == pytest.approx(one)


@pytest.mark.parametrize(("shape", "count"), [((7, 2), 7), ((64, 2), 63), ((64,), 64)])
def test_people_that_do_not_fit_are_refused(shape, count):
    with pytest.raises(ValueError, match="features must be"):
        classification.cross_validated_r2(np.zeros(shape), np.zeros(count))
