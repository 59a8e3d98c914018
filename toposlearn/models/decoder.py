"""A light decoder: one feature map back to the volume, by convolutions and channels rearranged into voxels."""

from __future__ import annotations

from monai.networks.blocks import Convolution, SubpixelUpsample, UpSample
from torch import nn

LARGEST_STEP = 4  # voxels per side, rearranged from channels at once


def light_decoder(features: int, stride: int) -> nn.Sequential:
    """(B, features, D/stride, H/stride, W/stride) -> (B, 1, D, H, W).

    Up to stride 4 it is that of SimMIM (Xie et al. 2022, arXiv:2111.09886): a convolution, then channels rearranged
    into stride³ voxels. The weights of that step grow with stride³: at stride 32, in the preset `paper`, they would
    number 37 times those of the encoder. So a stride above 4 is first halved as long as it is even: a convolution to
    half the channels, then the map at twice the resolution by nearest neighbor (Odena et al. 2016,
    doi:10.23915/distill.00003).

    Args:
        features: channels of the map.
        stride: voxels of input per step of the map.
    """
    halvings: list[nn.Module] = []
    while stride > LARGEST_STEP and stride % 2 == 0:
        fewer = max(features // 2, 1)
        twice = UpSample(3, mode="nontrainable", pre_conv=None, interp_mode="nearest", align_corners=None)
        halvings += [_convolution(features, fewer), twice]
        features, stride = fewer, stride // 2
    return nn.Sequential(
        *halvings,
        _convolution(features, features),
        SubpixelUpsample(3, features, out_channels=1, scale_factor=stride, apply_pad_pool=False),
    )


def _convolution(features: int, out: int) -> Convolution:
    return Convolution(3, features, out, kernel_size=3, act="GELU", norm=None)
