"""What a token is: one place of a feature map, and whether it counts."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

FOREGROUND_SHARE = 0.5  # of a token's voxels


def tokens_from_map(features: Tensor) -> Tensor:
    """A feature map (B, F, d, h, w) as tokens (B, d*h*w, F): channels move last, then space is flattened.

    The released code reshapes without moving channels, so that its tokens are groups of channels, not places.
    """
    return features.flatten(2).mT  # (B, F, N) -> (B, N, F)


def token_mask(foreground: Tensor, stride: int) -> Tensor:
    """Foreground voxels (B, 1, D, H, W) -> (B, N) bool: tokens of which at least half the voxels count."""
    return F.avg_pool3d(foreground.float(), stride).flatten(1) >= FOREGROUND_SHARE
