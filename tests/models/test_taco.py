"""The network: tokens are places, every weight learns, fine tokens see far."""

import dataclasses

import pytest
import torch

from toposlearn.config import ModelConfig, TacoConfig, preset
from toposlearn.losses import TacoLoss
from toposlearn.models import Taco


def small(name: str) -> TacoConfig:
    """A preset's network on the smallest volume that gives the losses enough tokens."""
    config = preset(name)
    return config.replace(volume={"shape": (config.model.stage_strides[-1],) * 3})


def volumes(config: TacoConfig, count: int = 2) -> torch.Tensor:
    return torch.rand(count, 1, *config.volume.shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model(smoke) -> Taco:
    torch.manual_seed(0)
    return Taco(smoke.model)


@pytest.mark.parametrize("name", ["smoke", "lab", "gpu", "paper"])
@torch.no_grad()
def test_shapes_of_every_preset(name):
    config = preset(name)
    side = config.model.stage_strides[-1]
    volume = torch.rand(1, 1, side, side, side)
    output = Taco(config.model)(volume, torch.ones_like(volume, dtype=torch.bool))
    assert tuple(output.tokens) == config.model.token_strides
    for stride, tokens in output.tokens.items():
        stage = config.model.stage_strides.index(stride)
        features = config.model.token_features if config.model.top_down else config.model.stage_features[stage]
        assert tokens.shape == (1, (side // stride) ** 3, features)
        assert output.masks[stride].shape == tokens.shape[:2]
    assert output.reconstruction.shape == volume.shape
    assert output.volume is volume


@torch.no_grad()
def test_volumes_need_not_be_cubes(model):
    output = model(torch.rand(1, 1, 32, 64, 32))
    assert {stride: tokens.shape[1] for stride, tokens in output.tokens.items()} == {4: 8 * 16 * 8, 8: 4 * 8 * 4}
    assert output.reconstruction.shape == (1, 1, 32, 64, 32)


@torch.no_grad()
def test_masks_are_tokens_half_full_of_foreground(model, smoke):
    foreground = torch.zeros(2, 1, 32, 32, 32, dtype=torch.bool)
    foreground[0, 0, :4, :4, :2] = True  # half of the first token of stride 4, one sixteenth of that of stride 8
    output = model(volumes(smoke), foreground)
    assert output.masks[4].nonzero().tolist() == [[0, 0]]
    assert not output.masks[8].any()
    bare = model(volumes(smoke))
    assert set(bare.masks.values()) == {None}
    assert bare.foreground is None


@torch.no_grad()
def test_without_reconstruction_the_tokens_are_the_same(model, smoke):
    model.eval()
    full, tokens = model(volumes(smoke)), model(volumes(smoke), reconstruct=False)
    assert tokens.reconstruction is None
    for stride in full.tokens:
        torch.testing.assert_close(tokens.tokens[stride], full.tokens[stride])


@torch.no_grad()
def test_people_of_a_batch_do_not_see_each_other(model, smoke):
    model.eval()
    both = volumes(smoke)
    alone = model(both[:1])
    together = model(both)
    for stride in alone.tokens:
        torch.testing.assert_close(together.tokens[stride][:1], alone.tokens[stride], atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_halves_are_the_first_and_the_last(model, smoke):
    volume = volumes(smoke, 4)
    output = model(volume, volume > 0.4)
    first, last = output.halves()
    for half, rows in ((first, slice(2)), (last, slice(2, 4))):
        assert torch.equal(half.volume, volume[rows])
        assert torch.equal(half.foreground, (volume > 0.4)[rows])
        assert torch.equal(half.reconstruction, output.reconstruction[rows])
        for stride in output.tokens:
            assert torch.equal(half.tokens[stride], output.tokens[stride][rows])
            assert torch.equal(half.masks[stride], output.masks[stride][rows])
    bare = model(volume, reconstruct=False).halves()[0]
    assert bare.reconstruction is None
    assert set(bare.masks.values()) == {None}


def unreached(config: TacoConfig) -> list[str]:
    """Weights that get no gradient, or a zero one, from the total loss of two people."""
    torch.manual_seed(0)
    model = Taco(config.model)
    outputs = [model(volumes(config) ** power, torch.ones(2, 1, *config.volume.shape) > 0) for power in (1, 2)]
    TacoLoss(config)(*outputs).total.backward()
    return [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]


@pytest.mark.parametrize("name", ["smoke", "lab"])
def test_every_weight_learns(name):
    assert unreached(small(name)) == []


def test_without_the_top_down_path_stages_that_feed_no_loss_do_not_learn():
    """As in the released code: what lies above the deepest level read is work for nothing."""
    config = small("smoke").replace(model={"top_down": False, "token_strides": (4,)})
    wasted = unreached(config)
    assert wasted
    assert {name.split(".")[1].rstrip("c") for name in wasted} == {"layers2", "layers3", "layers4"}


def influence(config: ModelConfig, side: int = 64) -> torch.Tensor:
    """Share of the gradient of the first fine token, in the corner, by distance from it in voxels (side,)."""
    torch.manual_seed(0)
    model = Taco(config).eval()
    volume = torch.rand(1, 1, side, side, side, requires_grad=True)
    model(volume, reconstruct=False).tokens[4][0, 0].square().sum().backward()
    distance = torch.stack(torch.meshgrid(*[torch.arange(side)] * 3, indexing="ij")).amax(0)
    share = torch.zeros(side).index_add(0, distance.flatten(), volume.grad.abs().flatten())
    return share / share.sum()


def test_fine_tokens_see_far_only_with_the_top_down_path():
    """The convolutions of ``use_v2`` hold instance norms, through which every token feels a little of the whole."""
    alone = ModelConfig(patch_size=2, top_down=False, token_strides=(4,), use_v2=False)
    assert influence(alone)[16:].max() == 0
    assert influence(dataclasses.replace(alone, use_v2=True))[16:].sum() < 0.4
    assert influence(preset("smoke").model)[16:].sum() > 0.8


def test_the_seed_decides_the_weights(smoke):
    networks = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        networks.append(torch.cat([weight.flatten() for weight in Taco(smoke.model).parameters()]))
    first, again, other = networks
    assert torch.equal(first, again)
    assert (first != other).float().mean() > 0.9


def test_bf16_gives_finite_tokens_and_gradients(model, smoke):
    # Not 32 deep: on a processor torch 2.13 reads memory it never wrote, in the gradient over a map two voxels deep.
    volume = torch.rand(4, 1, 64, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(volume, torch.ones_like(volume) > 0)
    total = TacoLoss(smoke)(*output.halves()).total
    total.backward()
    assert torch.isfinite(total)
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert len(gradients) == len(list(model.parameters()))
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    model.zero_grad(set_to_none=True)
