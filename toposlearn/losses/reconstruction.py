"""Reconstruction loss: the decoder must give the volume back. Keeps features from forgetting what they look at."""

from __future__ import annotations

import torch
from torch import Tensor

from toposlearn.losses.triplets import valid_mean
from toposlearn.topology.distances import as_float, full_precision


def reconstruction_loss(prediction: Tensor, volume: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared error between a predicted and a true volume, as in the released code (which masks nothing).

    Args:
        prediction: (B, C, D, H, W).
        volume: (B, C, D, H, W).
        mask: (B, C or 1, D, H, W) bool, voxels that count (foreground, or the part that was hidden). Absent: all.

    Returns:
        Scalar, float32. A mask that leaves no voxel gives an exact zero with a zero gradient.

    Raises:
        ValueError: shapes that do not fit.
    """
    if prediction.shape != volume.shape:
        shapes = f"{tuple(prediction.shape)} and {tuple(volume.shape)}"
        raise ValueError(f"prediction and volume must have one shape (B, C, D, H, W), got {shapes}")
    with full_precision(prediction):
        error = (as_float(prediction) - as_float(volume)).square()
        if mask is None:
            return error.mean()
        if mask.dtype != torch.bool or mask.ndim != error.ndim or mask.shape[2:] != error.shape[2:]:
            raise ValueError(f"mask must be bool of shape {tuple(volume.shape)}, got {mask.dtype} {tuple(mask.shape)}")
        return valid_mean(error, mask.expand_as(error), dim=tuple(range(error.ndim)))[0]
