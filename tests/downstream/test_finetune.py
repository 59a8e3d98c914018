"""Fine-tuning: the loss falls, the first network is unchanged, the same seed gives the same network."""

import pytest
import torch

from toposlearn.data import pose_subjects
from toposlearn.downstream.finetune import FinetuneConfig, finetune
from toposlearn.downstream.segmentation import structure_classes
from toposlearn.models import Taco


@pytest.fixture(scope="module")
def setting(subjects, smoke):
    torch.manual_seed(0)
    posed = pose_subjects(subjects, smoke).take([0, 1, 2])
    return Taco(smoke.model).eval(), [posed], structure_classes(posed)


def test_loss_falls_and_the_start_is_unchanged(setting):
    model, poses, classes = setting
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    tuned = finetune(model, poses, classes, FinetuneConfig(steps=12, voxels=500))
    assert len(tuned.losses) == 12
    assert sum(tuned.losses[-3:]) < sum(tuned.losses[:3])
    assert all(torch.equal(before[name], weight) for name, weight in model.named_parameters())
    assert any(not torch.equal(before[name], weight) for name, weight in tuned.model.named_parameters())


def test_it_reads_tokens_as_a_frozen_reader_does(setting):
    model, poses, classes = setting
    tuned = finetune(model, poses, classes, FinetuneConfig(steps=1, voxels=100))
    tokens = torch.randn(7, model.config.token_features, generator=torch.Generator().manual_seed(0))
    scores = tuned(tokens)
    assert scores.shape == (7, len(classes))
    assert not scores.requires_grad
    torch.testing.assert_close(scores, tokens @ tuned.head.weight.T + tuned.head.bias)
    assert scores.std(dim=0).min() > 0  # each class depends on the token


def test_a_network_without_the_top_down_path_is_tuned(setting, smoke):
    _, poses, classes = setting
    model = smoke.replace(model={"top_down": False}).model
    tuned = finetune(Taco(model), poses, classes, FinetuneConfig(steps=1, voxels=100))
    assert tuned.head.in_features == model.stage_features[model.stage_strides.index(min(model.token_strides))]


def test_same_seed_same_losses(setting):
    model, poses, classes = setting
    runs = [finetune(model, poses, classes, FinetuneConfig(steps=2, voxels=100, seed=3)).losses for _ in range(2)]
    assert runs[0] == pytest.approx(runs[1], rel=1e-5)
