"""From files to the grid a network sees: MONAI's dictionary transforms, canonical axes, one spacing, one shape."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import (
    Compose,
    CropForegroundd,
    DeleteItemsd,
    LoadImaged,
    MapTransform,
    Orientationd,
    ResizeWithPadOrCropd,
    ScaleIntensityRangePercentilesd,
    Spacingd,
)
from scipy import ndimage

from toposlearn.config import VolumeConfig

AXES = "RAS"
FOREGROUND_FRACTION = 0.05  # of the bright end (99th percentile) of a modality
BRIGHT_PERCENTILE = 99.5


class AddForegroundd(MapTransform):
    """Adds ``foreground`` (1, D, H, W): voxels where any modality is brighter than air, holes filled, largest part.

    Brain-extracted images have air at zero; for others the threshold leaves out most of the background.
    """

    def __call__(self, data: Mapping[Hashable, MetaTensor]) -> dict[Hashable, MetaTensor]:
        """Add the mask to the dictionary."""
        result = dict(data)
        bright = [_brighter_than_air(np.asarray(data[key][0])) for key in self.keys]
        mask = _largest_part(np.any(bright, axis=0))
        first = data[self.keys[0]]
        result["foreground"] = MetaTensor(torch.as_tensor(mask[None], dtype=torch.float32), meta=first.meta)
        return result


def _brighter_than_air(volume: np.ndarray) -> np.ndarray:
    low = volume.min()
    return np.asarray(volume - low > FOREGROUND_FRACTION * (np.percentile(volume, 99) - low))


def _largest_part(mask: np.ndarray) -> np.ndarray:
    parts, count = ndimage.label(mask)
    if count > 1:
        sizes = np.bincount(parts.ravel())[1:]
        mask = parts == 1 + int(sizes.argmax())
    return np.asarray(ndimage.binary_fill_holes(mask))


def volume_transforms(
    config: VolumeConfig, *, labels: bool = False, lesion: bool = False, truth: bool = False
) -> Compose:
    """Load, canonical axes, resample, center on the head, crop or pad, scale to [0, 1].

    Args:
        config: grid and modalities.
        labels: also ``labels``, structure labels (nearest neighbor).
        lesion: also ``lesion``, a mask (nearest neighbor).
        truth: also ``to_template`` (3, D, H, W), template mm of each voxel.

    Returns:
        Dictionary of files -> dictionary of (1, D, H, W) tensors, with ``foreground`` added.
    """
    images = list(config.modalities)
    discrete = ["labels"] * labels + ["lesion"] * lesion
    fields = ["to_template"] * truth
    keys = images + discrete + fields
    modes = ["bilinear"] * len(images) + ["nearest"] * len(discrete) + ["bilinear"] * len(fields)
    loaders = [LoadImaged(images + discrete, ensure_channel_first=True, image_only=True)]
    if fields:  # the vector is the last axis of the file
        loaders.append(LoadImaged(fields, ensure_channel_first=True, channel_dim=-1, image_only=True))
    return Compose(
        [
            *loaders,
            Orientationd(keys, axcodes=AXES, labels=None),
            Spacingd(keys, pixdim=(config.spacing,) * 3, mode=modes, padding_mode="border", dtype=np.float32),
            AddForegroundd(images),
            CropForegroundd([*keys, "foreground"], source_key="foreground", allow_smaller=True),
            ResizeWithPadOrCropd([*images, *discrete, "foreground"], spatial_size=config.shape, mode="constant"),
            *([ResizeWithPadOrCropd(fields, spatial_size=config.shape, mode="edge")] if fields else []),
            ScaleIntensityRangePercentilesd(images, lower=0, upper=BRIGHT_PERCENTILE, b_min=0, b_max=1, clip=True),
            DeleteItemsd("foreground_start_coord"),
            DeleteItemsd("foreground_end_coord"),
        ]
    )
