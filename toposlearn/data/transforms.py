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
    MaskIntensityd,
    Orientationd,
    ResizeWithPadOrCropd,
    ScaleIntensityRangePercentilesd,
    Spacingd,
)
from scipy import ndimage

from toposlearn.config import VolumeConfig

AXES = "RAS"
FOREGROUND_FRACTION = 0.05  # of the bright end (99th percentile) of a modality
NOISE_MEDIANS = 3.5  # about 4 standard deviations of the noise: the median of a Rayleigh law is 1.18 of them
NOISY_FACES = 0.3  # share of the outermost voxels that must not be zero for air to count as noisy
BRIGHT_PERCENTILE = 99.5


class AddForegroundd(MapTransform):
    """Adds ``foreground`` (1, D, H, W): voxels where any modality is brighter than air, holes filled, largest part.

    Brain-extracted images have air at zero. In whole heads air is noise, whose height is read off the volume's faces.
    """

    def __call__(self, data: Mapping[Hashable, MetaTensor]) -> dict[Hashable, MetaTensor]:
        """Add the mask to the dictionary."""
        result = dict(data)
        volumes = [np.asarray(data[key][0]) - np.min(np.asarray(data[key][0])) for key in self.keys]
        noise = [air_noise(volume) for volume in volumes]
        mask = np.any([brighter_than_air(*each) for each in zip(volumes, noise, strict=True)], axis=0)
        mask = _largest_part(_filled_slices(mask) if any(noise) else mask)
        first = data[self.keys[0]]
        result["foreground"] = MetaTensor(torch.as_tensor(mask[None], dtype=torch.float32), meta=first.meta)
        return result


def brighter_than_air(volume: np.ndarray, noise: float) -> np.ndarray:
    """Voxels (bool) of a volume, whose darkest is 0, that stand out of air with this much noise (`air_noise`)."""
    return np.asarray(volume > max(FOREGROUND_FRACTION * np.percentile(volume, 99), NOISE_MEDIANS * noise))


def _filled_slices(mask: np.ndarray) -> np.ndarray:
    """Holes filled slice by slice along each axis: a dark skull lets brain and scalp fall apart, and a neck is open."""
    plane = ndimage.generate_binary_structure(2, 1)
    cross = [np.expand_dims(plane, axis) for axis in range(3)]
    return np.asarray(np.any([ndimage.binary_fill_holes(mask, structure) for structure in cross], axis=0))


def air_noise(volume: np.ndarray) -> float:
    """Median of what is not zero on the volume's six faces; 0 where most of them is zero: air without noise."""
    inner = tuple(slice(1, -1) for _ in volume.shape)
    on_face = np.ones(volume.shape, dtype=bool)
    on_face[inner] = False
    faces = volume[on_face]
    noisy = faces[faces > 0]
    return float(np.median(noisy)) if len(noisy) > NOISY_FACES * len(faces) else 0.0


def _largest_part(mask: np.ndarray) -> np.ndarray:
    parts, count = ndimage.label(mask)
    if count > 1:
        sizes = np.bincount(parts.ravel())[1:]
        mask = parts == 1 + int(sizes.argmax())
    return np.asarray(ndimage.binary_fill_holes(mask))


def volume_transforms(
    config: VolumeConfig, *, labels: bool = False, lesion: bool = False, truth: bool = False
) -> Compose:
    """Load, canonical axes, resample, center on the head, crop or pad, scale to [0, 1], air to zero.

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
            MaskIntensityd(images, mask_key="foreground"),  # air is zero: its noise would be texture to a network
            DeleteItemsd("foreground_start_coord"),
            DeleteItemsd("foreground_end_coord"),
        ]
    )
