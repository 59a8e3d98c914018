"""The network of TACO: encoder, top-down path, tokens at named strides, reconstruction. It knows no loss."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import cast

from monai.networks.blocks import FeaturePyramidNetwork
from torch import Tensor, nn

from toposlearn.config import ModelConfig
from toposlearn.models.decoder import light_decoder
from toposlearn.models.swin import swin_encoder
from toposlearn.topology import token_mask, tokens_from_map


@dataclass(frozen=True, eq=False)
class TacoOutput:
    """What the network says of B volumes.

    Attributes:
        tokens: stride in voxels -> (B, N, F).
        masks: stride -> (B, N) bool foreground tokens, or None.
        reconstruction: (B, 1, D, H, W), or None when it was not asked for.
        volume: (B, 1, D, H, W), the input.
        foreground: (B, 1, D, H, W) bool, or None.
    """

    tokens: dict[int, Tensor]
    masks: dict[int, Tensor | None]
    reconstruction: Tensor | None
    volume: Tensor
    foreground: Tensor | None

    def halves(self) -> tuple[TacoOutput, TacoOutput]:
        """The output of 2B volumes as that of the first B and that of the last B."""
        middle = len(self.volume) // 2
        return self._part(slice(None, middle)), self._part(slice(middle, None))

    def _part(self, rows: slice) -> TacoOutput:
        def take(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor[rows]

        return TacoOutput(
            tokens={stride: tokens[rows] for stride, tokens in self.tokens.items()},
            masks={stride: take(mask) for stride, mask in self.masks.items()},
            reconstruction=take(self.reconstruction),
            volume=self.volume[rows],
            foreground=take(self.foreground),
        )


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

    def feature_maps(self, volume: Tensor) -> dict[int, Tensor]:
        """Volume (B, 1, D, H, W) -> stride -> (B, F, D/stride, H/stride, W/stride)."""
        maps = dict(zip(self.config.stage_strides, self.encoder(volume), strict=True))
        if self.pyramid is None:
            return maps
        ordered = OrderedDict((str(stride), maps[stride]) for stride in self.stages)
        return {int(stride): features for stride, features in self.pyramid(ordered).items()}

    def forward(self, volume: Tensor, foreground: Tensor | None = None, reconstruct: bool = True) -> TacoOutput:
        """Volume (B, 1, D, H, W) in [0, 1], foreground of the same shape or None."""
        maps = self.feature_maps(volume)
        strides = self.config.token_strides
        reconstruction = self.decoder(maps[self.config.reconstruct_stride]) if reconstruct else None
        return TacoOutput(
            tokens={stride: tokens_from_map(maps[stride]) for stride in strides},
            masks={stride: None if foreground is None else token_mask(foreground, stride) for stride in strides},
            reconstruction=cast("Tensor | None", reconstruction),
            volume=volume,
            foreground=foreground,
        )
