"""Posed people for measurement: tokens' masks, places and labels against loops, and truth that fits the pictures."""

import dataclasses
from itertools import product

import numpy as np
import pytest
import torch

from toposlearn.cohort.head import load_head
from toposlearn.data import Cache, Manifest, PosedSubjects, pose_subjects
from toposlearn.data.posed import pose_of
from toposlearn.topology import token_mask

STRIDE = 4


@pytest.fixture(scope="module")
def posed(subjects, smoke) -> PosedSubjects:
    return pose_subjects(subjects, smoke)


@pytest.fixture(scope="module")
def upright(subjects, smoke) -> PosedSubjects:
    return pose_subjects(subjects, smoke, posed=False)


def blocks(volume: torch.Tensor, stride: int):
    """The voxels of each token (C, stride, stride, stride) of a volume (C, D, H, W), in the order of tokens."""
    d, h, w = (side // stride for side in volume.shape[1:])
    for i, j, k in product(range(d), range(h), range(w)):
        yield volume[:, i * stride : (i + 1) * stride, j * stride : (j + 1) * stride, k * stride : (k + 1) * stride]


@pytest.mark.parametrize("stride", [4, 8])
def test_token_masks_are_those_of_a_loop(posed, stride):
    expected = [[block.float().mean().item() >= 0.5 for block in blocks(one, stride)] for one in posed.foreground]
    assert torch.equal(posed.token_mask(stride), torch.tensor(expected))
    assert torch.equal(token_mask(posed.foreground, stride), posed.token_mask(stride))


def test_a_token_that_is_half_a_head_counts():
    foreground = torch.zeros(1, 1, 4, 4, 8, dtype=torch.bool)
    foreground[0, 0, :2, :, :4] = True  # exactly half of the first token
    foreground[0, 0, 0, 0, 4:] = True  # a little of the second
    assert token_mask(foreground, 4).tolist() == [[True, False]]


def test_token_places_in_the_template_are_those_of_a_loop(posed):
    expected = torch.stack([block.mean(dim=(1, 2, 3)) for block in blocks(posed.to_template[2], STRIDE)])
    torch.testing.assert_close(posed.token_template(STRIDE)[2], expected, atol=1e-3, rtol=0)


def test_token_labels_are_the_most_frequent_of_a_loop(posed):
    for subject in (0, 3):
        tokens = posed.token_labels(STRIDE)[subject]
        for token, block in enumerate(blocks(posed.labels[subject], STRIDE)):
            counts = np.bincount(block.numpy().ravel())
            assert counts[tokens[token]] == counts.max()


def test_token_positions_are_centers_in_mm(posed):
    positions = posed.token_positions(STRIDE)
    side = 32 // STRIDE
    axis = (torch.arange(side) - (side - 1) / 2) * STRIDE * posed.spacing
    expected = torch.tensor(list(product(*[axis.tolist()] * 3)))
    torch.testing.assert_close(positions, expected)


def test_shapes_are_those_it_promises(posed):
    assert posed.volumes.shape == (6, 4, 32, 32, 32)
    assert posed.foreground.shape == (6, 1, 32, 32, 32)
    assert posed.to_template.shape == (6, 3, 32, 32, 32)
    assert (posed.labels.shape, posed.labels.dtype) == ((6, 1, 32, 32, 32), torch.int16)
    assert posed.names == tuple(f"sub-{number:03d}" for number in range(1, 7))
    assert posed.modalities == ("T1w", "T2w", "FLAIR", "PDw")


def test_upright_people_are_those_of_the_cache(subjects, upright):
    for subject in (0, 4):
        assert torch.equal(upright.volumes[subject], subjects[subject].volumes)
        assert torch.equal(upright.to_template[subject], subjects[subject].to_template)
        assert torch.equal(upright.labels[subject, 0], subjects[subject].labels)


@pytest.mark.parametrize("which", ["posed", "upright"])
def test_the_label_at_a_voxel_is_that_of_the_head_at_its_template_point(request, which):
    """Pictures, labels and the map moved together, through resampling and posing: up to a voxel of 6 mm."""
    some: PosedSubjects = request.getfixturevalue(which)
    head = load_head("A")
    place = some.to_template.movedim(1, -1).numpy()
    voxels = np.rint((place - head.affine[:3, 3]) / head.spacing).astype(int)
    voxels = np.clip(voxels, 0, np.array(head.labels.shape) - 1)
    expected = head.labels[tuple(np.moveaxis(voxels, -1, 0))]
    inside = some.foreground[:, 0].numpy()
    assert (some.labels[:, 0].numpy() == expected)[inside].mean() > 0.6
    left, right = (some.labels[:, 0].numpy() // 100 == side for side in (0, 1))
    deep = inside & (np.abs(place[..., 0]) > 8) & (some.labels[:, 0].numpy() > 0) & (expected < 200)
    assert (place[..., 0] < 0)[deep & left].mean() > 0.99
    assert (place[..., 0] > 0)[deep & right].mean() > 0.99


def test_labels_of_tokens_agree_across_people_at_the_same_template_point(posed):
    """The nearest token in template mm shows mostly the same structure: what makes the map a ground truth."""
    template, mask, labels = posed.token_template(STRIDE), posed.token_mask(STRIDE), posed.token_labels(STRIDE)
    distance = torch.cdist(template[0][mask[0]], template[1][mask[1]])
    agree = (labels[0][mask[0]] == labels[1][mask[1]][distance.argmin(1)]).float().mean()
    shuffled = labels[1][mask[1]][torch.randperm(int(mask[1].sum()), generator=torch.Generator().manual_seed(0))]
    chance = (labels[0][mask[0]] == shuffled[distance.argmin(1)]).float().mean()
    assert agree > 0.5 > chance + 0.2


def test_each_person_has_a_pose_of_their_own(smoke):
    poses = torch.cat([pose_of(subject, smoke, 0) for subject in range(8)])
    assert len(poses.flatten(1).unique(dim=0)) == 8
    assert not torch.equal(poses[:1], pose_of(0, smoke, 1))
    backwards = {subject: pose_of(subject, smoke, 0) for subject in reversed(range(4))}
    assert torch.equal(poses[3:4], backwards[3])  # independent of the other people


def test_one_seed_one_pose_another_seed_another(subjects, smoke):
    two = Cache(Manifest(subjects.manifest.root, subjects.manifest.records[:2]), subjects.folder)
    first, again, other = (pose_subjects(two, smoke, seed=seed).volumes for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_data_set_without_truth_says_so(posed):
    bare = dataclasses.replace(posed, to_template=None, labels=None)
    assert bare.token_mask(STRIDE).any()
    with pytest.raises(ValueError, match="no ground-truth map to a template"):
        bare.token_template(STRIDE)
    with pytest.raises(ValueError, match="no structure labels"):
        bare.token_labels(STRIDE)


def test_one_person_without_truth_and_no_person_has_it(subjects, smoke):
    class Mixed(Cache):
        def __getitem__(self, index):
            subject = super().__getitem__(index)
            return dataclasses.replace(subject, labels=None, to_template=None) if index == 1 else subject

    mixed = pose_subjects(Mixed(subjects.manifest, subjects.folder), smoke)
    assert (mixed.to_template, mixed.labels) == (None, None)
    assert len(mixed.volumes) == 6
