"""From scores of tokens to Dice of voxels: geometry, known overlaps, the ceiling, errors."""

import dataclasses

import numpy as np
import pytest
import torch

from toposlearn.data import pose_subjects
from toposlearn.downstream import segmentation
from toposlearn.downstream.tasks import oracle_dice


@pytest.fixture(scope="module")
def posed(subjects, smoke):
    return pose_subjects(subjects, smoke)


def test_values_are_read_where_the_token_centers_are():
    grid = (2, 3, 4)
    tokens = torch.arange(24.0)[None, :, None]
    centers = torch.stack(torch.meshgrid(*[(2 * torch.arange(n) + 1) / n - 1 for n in grid], indexing="ij"), dim=-1)
    read = segmentation.read_at(tokens, centers.reshape(1, -1, 3), grid)
    torch.testing.assert_close(read[0, :, 0], torch.arange(24.0))


def test_between_two_centers_the_mean_is_read():
    tokens = torch.tensor([1.0, 3.0]).reshape(1, 2, 1)
    assert segmentation.read_at(tokens, torch.zeros(1, 1, 3), (2, 1, 1)).item() == pytest.approx(2)


def test_voxels_are_drawn_inside_the_head_with_their_own_labels(posed):
    voxels = segmentation.draw_voxels(posed, 300, torch.Generator().manual_seed(0))
    size = torch.tensor(posed.foreground.shape[2:])
    index = ((voxels.points + 1) * size / 2).floor().long()
    for subject in range(len(posed.names)):
        where = tuple(index[subject].T)
        assert posed.foreground[subject, 0][where].all()
        assert (posed.labels[subject, 0][where] == voxels.labels[subject]).all()
        assert (posed.lesion[subject, 0][where] == voxels.lesion[subject]).all()


def test_people_are_always_evaluated_at_the_same_voxels(posed):
    assert torch.equal(segmentation.evaluation_voxels(posed).points, segmentation.evaluation_voxels(posed).points)


def test_labels_become_classes_and_unknown_ones_none():
    classes = torch.tensor([0, 3, 7])
    assert segmentation.class_index(torch.tensor([[0, 7], [3, 5], [9, 1]]), classes).tolist() == [
        [0, 2],
        [1, 0],
        [0, 0],
    ]


def test_dice_of_known_overlaps():
    voxels = segmentation.Voxels(torch.zeros(1, 4, 3), torch.tensor([[5, 5, 5, 0]]), None)
    classes = torch.tensor([0, 5, 8])
    scores = [torch.nn.functional.one_hot(torch.tensor([1, 1, 0, 2]), 3).float()]
    dice = segmentation.structure_dice(scores, voxels, classes)
    assert dice[0, 0] == pytest.approx(2 * 2 / (2 + 3))
    assert np.isnan(dice[0, 1])  # no subject here has structure 8


def test_lesion_dice_and_its_threshold():
    voxels = segmentation.Voxels(torch.zeros(2, 4, 3), None, torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0]]))
    odds = torch.tensor([[2.0, 1.4, 0.6, -1.0], [-2.0, -2.0, -2.0, -2.0]])
    dice = segmentation.lesion_dice(odds, voxels, 1.0)
    assert dice[0] == pytest.approx(1)
    assert np.isnan(dice[1])  # this person has no lesion
    assert 0.6 < segmentation.choose_threshold(odds, voxels) <= 1.4


def test_perfect_scores_of_voxels_give_one(posed):
    voxels, classes = segmentation.evaluation_voxels(posed), segmentation.structure_classes(posed)
    index = segmentation.class_index(voxels.labels, classes)
    dice = segmentation.structure_dice(
        [torch.nn.functional.one_hot(one, len(classes)).float() for one in index], voxels, classes
    )
    assert np.nanmin(dice) == pytest.approx(1)


def test_the_ceiling_falls_as_tokens_grow(posed):
    fine, coarse = oracle_dice(posed, 2).mean(), oracle_dice(posed, 8).mean()
    assert oracle_dice(posed, 1).mean() > 0.9
    assert 0.9 > fine > coarse > 0


def test_shares_of_a_token_sum_to_one(posed):
    classes = segmentation.structure_classes(posed)
    shares = segmentation.token_shares(segmentation.class_index(posed.labels[:, 0], classes), len(classes), 4)
    assert shares.shape == (len(posed.names), 512, len(classes))
    torch.testing.assert_close(shares.sum(dim=-1), torch.ones(shares.shape[:2]))


def test_without_labels_there_is_no_structure_to_evaluate(posed):
    with pytest.raises(ValueError, match="no structure labels"):
        segmentation.structure_classes(dataclasses.replace(posed, labels=None))
