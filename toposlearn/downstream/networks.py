"""A pre-trained encoder with a decoder for segmentation, or with a pooled head, for images that may be missing."""

from __future__ import annotations

from typing import Literal

import torch
from monai.networks.blocks import Convolution, UnetrUpBlock
from torch import Tensor, nn
from torch.nn.functional import interpolate

from toposlearn.downstream.settings import SEGMENTATION, FinetuneConfig
from toposlearn.models import Taco
from toposlearn.models.taco import FORMAT
from toposlearn.topology import token_mask

CHANNELS = 8  # of the decoder at every voxel, and at most s times as many at stride s
NORM = "instance"
SMALLEST = 1e-6  # variance, so that its root has a gradient
DROPOUT = 0.2  # before the linear layer of a pooled head


class Fusion(nn.Module):
    """One map (B, F, ...) of the maps of M modalities (B, M, F, ...); `present` (B, M) says which images are there.

    The mean, or with "drop" of `toposlearn.downstream.settings.MISSING` attention: at every place, the softmax over
    the images of one linear layer of their features.
    """

    def __init__(self, features: int, missing: Literal["mean", "zero", "drop"]) -> None:
        super().__init__()
        self.score = nn.Linear(features, 1, bias=False) if missing == "drop" else None
        if self.score is not None:
            nn.init.zeros_(self.score.weight)  # begin with the mean

    def forward(self, maps: Tensor, present: Tensor) -> Tensor:
        """Maps (B, M, F, ...) and which of them count (B, M) bool -> (B, F, ...)."""
        here = present.view(*present.shape, *(1,) * (maps.ndim - 2))  # (B, M, 1, ...)
        if self.score is None:
            weights = here.to(maps.dtype)
            return (maps * weights).sum(dim=1) / weights.sum(dim=1)
        scores: Tensor = self.score(maps.movedim(2, -1)).movedim(-1, 2)  # (B, M, 1, ...)
        return (scores.masked_fill(~here, -torch.inf).softmax(dim=1).to(maps.dtype) * maps).sum(dim=1)


class _ByModality(nn.Module):
    """The encoder applied to each image by itself, since it was pre-trained on one channel."""

    def __init__(self, encoder: Taco, config: FinetuneConfig) -> None:
        super().__init__()
        self.encoder, self.missing = encoder, config.missing
        self.encoder.decoder = nn.Sequential()  # that of pre-training is not read
        self.encoder.requires_grad_(not config.freeze)

    def _images(self, volumes: Tensor, present: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images to encode (R, 1, D, H, W), their rows among (B, M), and which count (B, M)."""
        if self.missing == "zero":
            volumes = volumes * present[..., None, None, None]
            present = torch.ones_like(present)
        rows = present.flatten().nonzero()[:, 0]
        return volumes.flatten(0, 1)[rows, None], rows, present

    @staticmethod
    def _by_modality(maps: Tensor, rows: Tensor, present: Tensor) -> Tensor:
        """(R, ...) of the images that are there as (B, M, ...), zero where there is none."""
        if len(rows) < present.numel():
            maps = maps.new_zeros(present.numel(), *maps.shape[1:]).index_copy(0, rows, maps)
        return maps.view(*present.shape, *maps.shape[1:])


class Segmenter(_ByModality):
    """Scores of tokens, interpolated between them, and what a decoder of MONAI's UNETR blocks adds at every voxel.

    Tokens are those of the finest level that pre-training used. On the way up, skip connections bring the encoder's
    finer maps, where it has any, and convolutions of the image.
    """

    def __init__(self, encoder: Taco, config: FinetuneConfig, classes: int) -> None:
        super().__init__(encoder, config)
        model = config.model
        widths = dict(zip(model.stage_strides, model.stage_features, strict=True))
        stride = min(model.token_strides) if model.top_down else model.stage_strides[-1]
        self.start, features = stride, model.features_at(stride)
        self.fusions = nn.ModuleDict({str(stride): Fusion(features, config.missing)})
        self.norm, self.classify_tokens = nn.LayerNorm(features), nn.Conv3d(features, classes, 1)
        self.stems, self.fewer, self.ups = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        while stride > 1:
            stride //= 2
            fewer = max(min(features // 2, CHANNELS * stride), CHANNELS)
            if stride not in widths:
                self.stems[str(stride)] = Convolution(3, 1, fewer, strides=stride, act="LEAKYRELU", norm=NORM)
            skip = widths.get(stride, fewer)
            self.fewer[str(stride)] = nn.Conv3d(skip, fewer, 1) if skip != fewer else nn.Identity()
            self.fusions[str(stride)] = Fusion(skip, config.missing)
            self.ups[str(stride)] = UnetrUpBlock(3, features, fewer, 3, 2, NORM, res_block=True)
            features = fewer
        self.classify = nn.Conv3d(features, classes, 1)
        self.to(memory_format=FORMAT)  # type: ignore[call-overload]

    def forward(self, volumes: Tensor, present: Tensor) -> Tensor:
        """Volumes (B, M, D, H, W) in [0, 1] and which of them are there (B, M) bool -> scores (B, C, D, H, W)."""
        images, rows, present = self._images(volumes, present)
        maps = self._maps(images)

        def fused(stride: int) -> Tensor:
            own = maps[stride] if stride in maps else self.stems[str(stride)](images)
            fusion: Tensor = self.fusions[str(stride)](self._by_modality(own, rows, present), present)
            return fusion

        features = self.norm(fused(self.start).movedim(1, -1)).movedim(-1, 1)  # of each token, over its features
        coarse = self.classify_tokens(features)
        for name, up in self.ups.items():
            features = up(features, self.fewer[name](fused(int(name))))
        scores: Tensor = self.classify(features) + interpolate(coarse, scale_factor=self.start, mode="trilinear")
        return scores

    def _maps(self, images: Tensor) -> dict[int, Tensor]:
        """The encoder's maps that are used: the pre-trained level, and its finer stages."""
        stages = self.encoder.encoder_maps(images)
        finer = {stride: features for stride, features in stages.items() if stride < self.start}
        return {**finer, self.start: self.encoder.merged(stages)[self.start]}


class PersonReader(_ByModality):
    """Mean and spread of the tokens of every level over the foreground, and a linear layer: for classes or a number."""

    def __init__(self, encoder: Taco, config: FinetuneConfig, outputs: int) -> None:
        super().__init__(encoder, config)
        self.strides = config.model.token_strides
        widths = {stride: config.model.features_at(stride) for stride in self.strides}
        self.fusions = nn.ModuleDict({str(stride): Fusion(width, config.missing) for stride, width in widths.items()})
        attention = config.pooling == "attention"
        self.score = nn.ModuleDict({str(s): nn.Linear(width, 1) for s, width in widths.items()}) if attention else None
        size = 2 * sum(widths.values())
        self.head = nn.Sequential(nn.LayerNorm(size), nn.Dropout(DROPOUT), nn.Linear(size, outputs))

    def forward(self, volumes: Tensor, present: Tensor, foreground: Tensor) -> Tensor:
        """Volumes (B, M, D, H, W), which are there (B, M), foreground (B, 1, D, H, W) bool -> (B, outputs)."""
        images, rows, present = self._images(volumes, present)
        tokens = self.encoder(images, reconstruct=False).tokens
        pooled = []
        for stride in self.strides:
            maps = tokens[stride].transpose(1, 2)  # (R, F, N)
            fused = self.fusions[str(stride)](self._by_modality(maps, rows, present), present)  # (B, F, N)
            pooled.append(self._pool(fused.transpose(1, 2), token_mask(foreground, stride), stride))
        result: Tensor = self.head(torch.cat(pooled, dim=-1))
        return result

    def _pool(self, tokens: Tensor, mask: Tensor, stride: int) -> Tensor:
        """Tokens (B, N, F) and foreground (B, N) -> (B, 2F); a head that fills no token by half is read everywhere."""
        mask = mask | ~mask.any(dim=1, keepdim=True)
        weights = mask.to(tokens.dtype)
        if self.score is not None:
            weights = self.score[str(stride)](tokens)[..., 0].masked_fill(~mask, -torch.inf).softmax(dim=-1)
        shares = (weights / weights.sum(dim=1, keepdim=True))[..., None]  # (B, N, 1)
        mean = (tokens * shares).sum(dim=1, keepdim=True)
        variance = ((tokens - mean) ** 2 * shares).sum(dim=1)
        return torch.cat([mean[:, 0], (variance + SMALLEST).sqrt()], dim=-1)


def build_network(encoder: Taco, config: FinetuneConfig, outputs: int) -> Segmenter | PersonReader:
    """The network of a task around an encoder, which it changes."""
    kind = Segmenter if config.task.kind == SEGMENTATION else PersonReader
    return kind(encoder, config, outputs)
