"""Reconstruction loss: the decoder must restore the volume, so that features keep what the image shows."""

import torch
from torch import Tensor

from toposlearn.losses.kernels import valid_mean
from toposlearn.topology.distances import as_float, no_autocast


def reconstruction_loss(prediction: Tensor, volume: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared error of a predicted volume (B, C, D, H, W), as in the released code (which masks nothing).

    ``mask``, bool (B, C or 1, D, H, W), selects the voxels that count (foreground, or the part that was hidden). The
    result is float32; a mask that leaves no voxel gives an exact zero with a zero gradient.
    """
    if prediction.shape != volume.shape:
        shapes = f"{tuple(prediction.shape)} and {tuple(volume.shape)}"
        raise ValueError(f"prediction and volume must have one shape (B, C, D, H, W), got {shapes}")
    with no_autocast(prediction):
        error = (as_float(prediction) - as_float(volume)).square()
        if mask is None:
            return error.mean()
        if mask.dtype != torch.bool or mask.ndim != error.ndim or mask.shape[2:] != error.shape[2:]:
            raise ValueError(f"mask must be bool of shape {tuple(volume.shape)}, got {mask.dtype} {tuple(mask.shape)}")
        return valid_mean(error, mask.expand_as(error), dim=tuple(range(error.ndim)))[0]
