"""The decoder: the volume's shape from any stride, never heavier than the encoder, as shipped up to stride 4."""

from pathlib import Path

import pytest
import torch
from einops import rearrange
from monai.networks.blocks import SubpixelUpsample
from torch.nn import functional as F

from toposlearn.config import PRESETS, preset
from toposlearn.models import load_weights
from toposlearn.models.taco import LARGEST_STEP, light_decoder, swin_encoder

SHIPPED = sorted((Path(__file__).parents[2] / "checkpoints/lab").glob("*.safetensors"))
KEYS = ["0.conv_block.weight", "0.conv_block.bias"]


def weights(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5, 6, 8, 12, 16, 32, 64])
@torch.no_grad()
def test_the_output_has_the_volume_s_shape(stride):
    decoder = light_decoder(8, stride)
    assert decoder(torch.rand(2, 8, 1, 2, 3)).shape == (2, 1, stride, 2 * stride, 3 * stride)
    (rearranged,) = (part for part in decoder if isinstance(part, SubpixelUpsample))
    assert rearranged.scale_factor <= max(LARGEST_STEP, stride % 2 * stride)  # an odd stride cannot be halved


@pytest.mark.parametrize("name", PRESETS)
def test_no_decoder_outweighs_its_encoder_whichever_stage_it_reads(name):
    model = preset(name).model
    encoder = weights(swin_encoder(model))
    for stride, width in zip(model.stage_strides, model.stage_features, strict=True):
        features = model.token_features if model.top_down else width
        assert weights(light_decoder(features, stride)) < encoder, stride


def test_the_paper_s_decoder_is_as_large_as_the_released_one():
    """10.6 M weights there."""
    model = preset("paper").model
    assert weights(light_decoder(model.stage_features[-1], model.reconstruct_stride)) == pytest.approx(10.6e6, rel=0.05)


def test_the_paper_s_decoder_redraws_a_map_and_every_weight_of_it_learns():
    model = preset("paper").model
    width = model.stage_features[model.stage_strides.index(model.reconstruct_stride)]
    decoder, features = light_decoder(width, model.reconstruct_stride), torch.rand(1, width, 2, 2, 2)
    volume = decoder(features)
    assert volume.shape == (1, 1, 64, 64, 64)
    volume.square().mean().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in decoder.parameters())


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
@torch.no_grad()
def test_shipped_weights_decode_by_one_linear_layer_and_one_rearrangement(file):
    decoder = load_weights(file)[0].decoder
    assert list(decoder.state_dict()) == KEYS
    linear, features = decoder[0].conv_block, torch.rand(1, 48, 3, 4, 5)
    voxels = F.linear(features.movedim(1, -1), linear.weight.flatten(1), linear.bias)
    expected = rearrange(voxels, "b d h w (i j k) -> b 1 (d i) (h j) (w k)", i=4, j=4, k=4)
    torch.testing.assert_close(decoder(features), expected)


def test_weights_are_shipped():
    assert [file.stem for file in SHIPPED] == ["full", "intra", "reconstruction"]
