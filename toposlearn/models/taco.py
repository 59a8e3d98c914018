"""The network of TACO: MONAI's Swin encoder, top-down path, tokens at named strides, light decoder."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from monai.networks.blocks import Convolution, FeaturePyramidNetwork, SubpixelUpsample, UpSample
from monai.networks.nets.swin_unetr import SwinTransformer
from torch import Tensor, nn

from toposlearn.config import ModelConfig
from toposlearn.topology import token_mask, tokens_from_map

LARGEST_STEP = 4  # voxels per side, rearranged from channels at once
FORMAT = torch.channels_last_3d  # in memory, of volumes, maps and kernels: the channels of a place lie together


class Taco(nn.Module):
    """Encoder, optional top-down path (a feature pyramid, Lin et al. 2017, arXiv:1612.03144), light decoder.

    Without the top-down path the tokens of a level are the encoder's own feature map there.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = swin_encoder(config)
        read = (*config.token_strides, config.reconstruct_stride)
        first = min(config.stage_strides.index(stride) for stride in read)
        self.stages = config.stage_strides[first:]
        widths = dict(zip(config.stage_strides, config.stage_features, strict=True))
        self.pyramid = None
        if config.top_down:
            self.pyramid = FeaturePyramidNetwork(3, [widths[s] for s in self.stages], config.token_features)
            for place, stride in enumerate(self.stages):
                if stride not in read:  # its output would feed nothing
                    self.pyramid.layer_blocks[place] = nn.Identity()
        features = config.token_features if config.top_down else widths[config.reconstruct_stride]
        self.decoder = light_decoder(features, config.reconstruct_stride)
        self.to(memory_format=FORMAT)  # type: ignore[call-overload]

    def feature_maps(self, volume: Tensor) -> dict[int, Tensor]:
        """Volume (B, 1, D, H, W) -> stride -> (B, F, D/stride, H/stride, W/stride)."""
        return self.merged(self.encoder_maps(volume))

    def encoder_maps(self, volume: Tensor) -> dict[int, Tensor]:
        """Volume (B, 1, D, H, W) -> stride -> the encoder's own map (B, F_stage, d, h, w), of every stage."""
        stages = self.encoder(volume.contiguous(memory_format=FORMAT))
        return dict(zip(self.config.stage_strides, stages, strict=True))

    def merged(self, maps: dict[int, Tensor]) -> dict[int, Tensor]:
        """The encoder's maps after the top-down path (B, F, d, h, w); the same maps where there is none."""
        if self.pyramid is None:
            return maps
        ordered = OrderedDict((str(stride), maps[stride]) for stride in self.stages)
        return {int(stride): features for stride, features in self.pyramid(ordered).items()}

    def forward(self, volume: Tensor, foreground: Tensor | None = None, reconstruct: bool = True) -> TacoOutput:
        """Volume (B, 1, D, H, W) in [0, 1], foreground of the same shape or None."""
        maps = self.feature_maps(volume)
        strides = self.config.token_strides
        tokens = {stride: tokens_from_map(maps[stride]) for stride in strides}  # (B, d*h*w, F)
        masks = {stride: None if foreground is None else token_mask(foreground, stride) for stride in strides}
        reconstruction: Tensor | None = self.decoder(maps[self.config.reconstruct_stride]) if reconstruct else None
        return TacoOutput(tokens, masks, reconstruction, volume, foreground)


@dataclass(frozen=True, eq=False)
class TacoOutput:
    """The network's output for B volumes."""

    tokens: dict[int, Tensor]  # stride in voxels -> (B, N, F)
    masks: dict[int, Tensor | None]  # stride -> (B, N) bool, foreground tokens
    reconstruction: Tensor | None  # (B, 1, D, H, W); None when it was not asked for
    volume: Tensor  # (B, 1, D, H, W), the input
    foreground: Tensor | None  # (B, 1, D, H, W) bool

    def halves(self) -> tuple[TacoOutput, TacoOutput]:
        """The output of 2B volumes as that of the first B and that of the last B."""
        middle = len(self.volume) // 2
        return self._part(slice(None, middle)), self._part(slice(middle, None))

    def _part(self, rows: slice) -> TacoOutput:
        tokens = {stride: tokens[rows] for stride, tokens in self.tokens.items()}
        masks = {stride: None if mask is None else mask[rows] for stride, mask in self.masks.items()}
        reconstruction = None if self.reconstruction is None else self.reconstruction[rows]
        foreground = None if self.foreground is None else self.foreground[rows]
        return TacoOutput(tokens, masks, reconstruction, self.volume[rows], foreground)


def swin_encoder(config: ModelConfig) -> SwinTransformer:
    """MONAI's Swin encoder: one channel in, maps of `config.stage_features` channels at `config.stage_strides` out."""
    return SwinTransformer(
        in_chans=1,
        embed_dim=config.feature_size,
        window_size=(config.window_size,) * 3,
        patch_size=(config.patch_size,) * 3,
        depths=config.depths,
        num_heads=config.num_heads,
        downsample="mergingv2",  # corrected: the first version reads some of the eight neighbors twice, others never
        use_v2=config.use_v2,
        spatial_dims=3,
    )


def light_decoder(features: int, stride: int) -> nn.Sequential:
    """A decoder (B, features, D/stride, H/stride, W/stride) -> (B, 1, D, H, W).

    Up to stride 4 it is that of SimMIM (Xie et al. 2022, arXiv:2111.09886): one linear layer, the same at every place,
    whose channels are rearranged into stride³ voxels. At stride 32 (preset `paper`) that layer would have
    25 million weights, so a stride above 4 is first halved as long as it is even: a convolution to half the channels,
    then the map at twice the resolution by nearest neighbor (Odena et al. 2016, doi:10.23915/distill.00003).
    """
    halvings: list[nn.Module] = []
    while stride > LARGEST_STEP and stride % 2 == 0:
        fewer = max(features // 2, 1)
        twice = UpSample(3, mode="nontrainable", pre_conv=None, interp_mode="nearest", align_corners=None)
        halvings += [Convolution(3, features, fewer, kernel_size=3, act="GELU", norm=None), twice]
        features, stride = fewer, stride // 2
    linear = nn.Conv3d(features, stride**3, kernel_size=1)
    rearrange = SubpixelUpsample(3, features, 1, scale_factor=stride, conv_block=linear, apply_pad_pool=False)
    return nn.Sequential(*halvings, rearrange)
