"""Tokens of one posed volume read at the places of another's."""

import torch

from toposlearn.config import VolumeConfig
from toposlearn.models import TacoOutput
from toposlearn.pretrain.correspond import read_at_same_places
from toposlearn.topology import tokens_from_map

VOLUME = VolumeConfig(shape=(32, 32, 32), spacing=2.0)
NOWHERE = torch.eye(3, 4)[None].repeat(2, 1, 1)


def output(features: torch.Tensor, mask: torch.Tensor | None) -> TacoOutput:
    volume = torch.zeros(len(features), 1, *VOLUME.shape)
    return TacoOutput({4: tokens_from_map(features)}, {4: mask}, None, volume, None)


def features() -> torch.Tensor:
    return torch.rand(2, 5, 8, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_same_pose_changes_nothing():
    mask = torch.rand(2, 512) > 0.5
    before = output(features(), mask)
    after = read_at_same_places(before, NOWHERE, VOLUME)
    torch.testing.assert_close(after.tokens[4], before.tokens[4], atol=1e-5, rtol=1e-5)
    assert torch.equal(after.masks[4], mask)
    assert after.volume is before.volume


def test_no_mask_stays_no_mask():
    assert read_at_same_places(output(features(), None), NOWHERE, VOLUME).masks[4] is None


def test_a_shift_by_one_token_reads_the_next_token():
    pose = NOWHERE.clone()
    pose[:, 1, 3] = 8.0  # mm: one token of stride 4 at 2 mm, along the second axis
    mask = torch.ones(2, 512, dtype=torch.bool)
    moved = read_at_same_places(output(features(), mask), pose, VOLUME)
    expected = features().roll(-1, dims=3)
    expected[:, :, :, -1] = 0
    torch.testing.assert_close(moved.tokens[4], tokens_from_map(expected), atol=1e-5, rtol=1e-5)
    inside = torch.ones(2, 8, 8, 8, dtype=torch.bool)
    inside[:, :, -1] = False  # beyond the volume is no token
    assert torch.equal(moved.masks[4], inside.flatten(1))


def test_gradients_reach_the_tokens_that_were_read():
    tokens = features().requires_grad_()
    read_at_same_places(output(tokens, None), NOWHERE, VOLUME).tokens[4].sum().backward()
    torch.testing.assert_close(tokens.grad, torch.ones_like(tokens), atol=1e-4, rtol=1e-4)
