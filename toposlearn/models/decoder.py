"""A light decoder: one feature map back to the volume, by a convolution and channels rearranged into voxels."""

from __future__ import annotations

from monai.networks.blocks import Convolution, SubpixelUpsample
from torch import nn


def light_decoder(features: int, stride: int) -> nn.Sequential:
    """(B, features, D/stride, H/stride, W/stride) -> (B, 1, D, H, W), as in SimMIM (Xie et al. 2022, arXiv:2111.09886).

    Args:
        features: channels of the map.
        stride: voxels of input per step of the map.
    """
    return nn.Sequential(
        Convolution(3, features, features, kernel_size=3, act="GELU", norm=None),
        SubpixelUpsample(3, features, out_channels=1, scale_factor=stride, apply_pad_pool=False),
    )
