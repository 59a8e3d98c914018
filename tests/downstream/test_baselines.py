"""The vote of training people, in heads of other places and sizes; confounders of any target, and their readers."""

import dataclasses

import numpy as np
import pytest
import torch

from toposlearn.data import pose_subjects
from toposlearn.downstream import classification
from toposlearn.downstream.baselines import confounder_features, confounder_reader, vote_prior
from toposlearn.downstream.person_metrics import mean_auc


def head(corner, scale=1, size=32):
    """Labels 1 to 3 of the parts of a box of 8 x 6 x 4 voxels times `scale`, and the box as foreground."""
    foreground, labels = torch.zeros(2, size, size, size, dtype=torch.int16)
    ends = [slice(start, start + scale * length) for start, length in zip(corner, (8, 6, 4), strict=True)]
    foreground[tuple(ends)] = 1
    inside = torch.ones(8, 6, 4, dtype=torch.int16)
    inside[4:] = 2
    inside[:, 5:] = 3
    labels[tuple(ends)] = inside.repeat_interleave(scale, 0).repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    return labels, foreground.bool()


def test_the_most_frequent_label_wins_and_ties_give_the_lowest():
    foregrounds = torch.ones(4, 2, 2, 2, dtype=torch.bool)
    maps = torch.zeros(4, 2, 2, 2, dtype=torch.int16)
    maps[:3, 0], maps[:2, 1, 0], maps[2:, 1, 0], maps[:2, 1, 1] = 5, 9, 4, 6
    read = vote_prior(maps, foregrounds)(foregrounds[0])
    assert (read[0] == 5).all()
    assert (read[1, 0] == 4).all()
    assert (read[1, 1] == 0).all()
    assert read.dtype == torch.int16


@pytest.mark.parametrize(("corner", "scale"), [((3, 20, 11), 1), ((5, 9, 12), 2), ((1, 2, 3), 3)])
def test_a_head_elsewhere_and_of_another_size_is_read_where_it_lies(corner, scale):
    """All heads are alike, so their labels are those of the vote in the frame of each."""
    training = [head((5, 10, 10), 2), head((4, 7, 8), 2), head((2, 3, 9), 3)]
    labels, foreground = head(corner, scale)
    prior = vote_prior(*(torch.stack(parts) for parts in zip(*training, strict=True)))
    assert torch.equal(prior(foreground), labels)


def test_nothing_is_read_outside_the_head():
    labels, foreground = head((10, 10, 10))
    prior = vote_prior(labels[None], foreground[None])
    cut = foreground.clone()
    cut[:, 12:] = False
    assert (prior(cut)[~cut] == 0).all()
    assert (prior(foreground) == labels).all()


def test_the_vote_of_people_reads_another_person_better_than_a_shuffled_vote(subjects):
    people = [subjects[index] for index in range(len(subjects))]
    train = people[:5]
    foregrounds = torch.stack([each.foreground for each in train])
    prior = vote_prior(torch.stack([each.labels for each in train]), foregrounds)
    mixed = vote_prior(torch.stack([each.labels.flip(0, 1, 2) for each in train]), foregrounds)
    truth = people[5]
    right = [
        (each(truth.foreground) == truth.labels)[truth.labels > 0].float().mean().item() for each in (prior, mixed)
    ]
    assert right[0] > 0.3
    assert right[0] > 2 * right[1]


def test_people_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"one grid, got \(2, 4, 4, 4\) and \(3, 4, 4, 4\)"):
        vote_prior(torch.zeros(2, 4, 4, 4), torch.ones(3, 4, 4, 4).bool())
    with pytest.raises(ValueError, match="a foreground is empty"):
        vote_prior(torch.zeros(2, 4, 4, 4), torch.zeros(2, 4, 4, 4).bool())


@pytest.fixture(scope="module")
def people(subjects):
    return [subjects[index] for index in range(len(subjects))]


def test_confounders_are_those_of_the_group_of_people(people, subjects, smoke):
    features = confounder_features(people, "diagnosis")
    posed = pose_subjects(subjects, smoke, posed=False)
    assert list(features) == ["age-sex-site", "brain-size", "histogram", "volumes"]
    np.testing.assert_allclose(features["brain-size"], classification.brain_size(posed), rtol=1e-6)
    np.testing.assert_allclose(features["histogram"], classification.intensity_histogram(posed))
    np.testing.assert_allclose(np.sort(features["age-sex-site"]), np.sort(classification.age_sex_site(posed)))
    for mask in ([each.labels == 2 for each in people], [each.lesion for each in people]):
        shares = np.array([(own.sum() / each.foreground.sum()).item() for own, each in zip(mask, people, strict=True)])
        assert np.isclose(features["volumes"].T, np.log(shares + 1e-5), atol=1e-6).all(axis=1).sum() == 1


def with_info(people, *rows):
    return [dataclasses.replace(each, info=info) for each, info in zip(people, rows, strict=False)]


def test_the_target_is_no_feature_of_itself(people):
    three = with_info(people, *({"Age": age, "Sex": sex} for age, sex in (("30", "F"), ("41.5", "M"), ("n/a", "F"))))
    both = confounder_features(three)["age-sex-site"]
    np.testing.assert_array_equal(both, [[1, 0, 30], [0, 1, 41.5], [1, 0, np.nan]])
    np.testing.assert_array_equal(confounder_features(three, "age")["age-sex-site"], both[:, :2])
    np.testing.assert_array_equal(confounder_features(three, "Sex")["age-sex-site"], both[:, 2:])


def test_what_is_not_known_is_left_out(people):
    bare = [dataclasses.replace(each, info=None, labels=None, lesion=None) for each in people[:2]]
    assert list(confounder_features(bare, "age")) == ["brain-size", "histogram"]
    assert "volumes" not in confounder_features([*bare, people[2]])
    with pytest.raises(ValueError, match="no people"):
        confounder_features([])


def test_people_may_come_one_by_one(people):
    one, other = confounder_features(each for each in people), confounder_features(people)
    assert all(np.array_equal(one[name], other[name], equal_nan=True) for name in other)


def test_readers_read_what_the_features_hold_also_with_gaps():
    generator = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 20)
    features = generator.normal(size=(60, 4)) + 3 * np.eye(4)[truth]
    features[::7, 3] = np.nan
    features = np.column_stack([features, np.full(60, np.nan)])  # a column that is never known
    train, test = np.arange(60) % 2 == 0, np.arange(60) % 2 == 1
    read = confounder_reader("classification").fit(features[train], truth[train]).predict_proba(features[test])
    assert mean_auc(read[None], truth[test]) > 0.9
    numbers = 50 + 10 * features[:, 0]
    read = confounder_reader("regression").fit(features[train], numbers[train]).predict(features[test])
    assert np.abs(read - numbers[test]).mean() < 1
    with pytest.raises(ValueError, match="kind must be classification or regression, got 'segmentation'"):
        confounder_reader("segmentation")
