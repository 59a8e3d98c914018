"""Tokens: one per place of a feature map, their positions in mm, and whether they count."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def tokens_from_map(features: Tensor) -> Tensor:
    """A feature map (B, F, d, h, w) as tokens (B, d*h*w, F): channels move last, then space is flattened.

    The released code reshapes without moving channels, so that its tokens are groups of channels, not places.
    """
    return features.flatten(2).mT  # (B, F, N) -> (B, N, F)


def token_mask(foreground: Tensor, stride: int) -> Tensor:
    """Foreground voxels (B, 1, D, H, W) -> (B, N) bool: tokens of which at least half the voxels count."""
    return F.avg_pool3d(foreground.float(), stride).flatten(1) >= 0.5


def scrambled_tokens(tokens: Tensor) -> Tensor:
    """Tokens (B, N, F) as the released code makes them from the same map: pieces of a few channels over many places."""
    return tokens.mT.reshape(tokens.shape)


def grid_positions(shape: Sequence[int], stride: int, spacing: float) -> Tensor:
    """Centers (N, 3) of the tokens of a volume (D, H, W), mm from its center."""
    axes = [(torch.arange(size // stride) - (size // stride - 1) / 2) * stride * spacing for size in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, 2)


def centered_positions(positions: Tensor, mask: Tensor) -> Tensor:
    """Positions (S, N, 3) with each head's tokens, mask (S, N), at mean 0 and standard deviation 1 along each axis."""
    middle, spread = middle_and_spread(positions, mask)
    return (positions - middle) / spread


def common_frame(positions: Tensor, mask: Tensor) -> Tensor:
    """`centered_positions` in mm: every head moved to the middle and scaled to the mean size of heads with tokens."""
    spread, heads = middle_and_spread(positions, mask)[1], mask.any(1)[:, None, None]
    size = torch.where(heads, spread, 0).sum(0) / heads.sum().clamp_min(1)
    return centered_positions(positions, mask) * size


def middle_and_spread(positions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (S, 1, 3) along each axis of the positions (S, N, 3) in a mask (S, N)."""
    weight = mask[..., None] / mask.sum(dim=1)[:, None, None]
    middle = (weight * positions).sum(dim=1, keepdim=True)
    return middle, (weight * (positions - middle) ** 2).sum(dim=1, keepdim=True).sqrt()
