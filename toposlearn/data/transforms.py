"""From files to the grid a network sees: MONAI's dictionary transforms, canonical axes, one spacing, one shape."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

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
    ResampleToMatch,
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
    What some modality does not show is no foreground: a token there would be compared with nothing.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add the mask to the dictionary."""
        result = dict(data)
        volumes = [np.asarray(data[key][0]) - np.min(np.asarray(data[key][0])) for key in self.keys]
        known = data.get("air_noise", {})  # of images that were resampled, beyond whose edges is nothing
        noise = [known.get(key, air_noise(volume)) for key, volume in zip(self.keys, volumes, strict=True)]
        mask = np.any([brighter_than_air(*each) for each in zip(volumes, noise, strict=True)], axis=0)
        seen = data.get("seen", True)
        mask = _largest_part((_filled_slices(mask) if any(noise) else mask) & seen) & seen
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


class ToGridOfd(MapTransform):
    """Resamples images, labels and fields from grids of their own to that of ``reference``, by their affines.

    Adds ``seen`` (D, H, W) bool, where all the images have a field of view, and ``air_noise``, each image's own.
    """

    def __init__(self, modes: Mapping[str, str], reference: str, images: Sequence[str]) -> None:
        super().__init__(list(modes))
        self.modes, self.reference, self.images = modes, reference, images

    def __call__(self, data: Mapping[Hashable, MetaTensor]) -> dict[Hashable, Any]:
        """Resample what has a mode."""
        result: dict[Hashable, Any] = dict(data)
        target, noise = data[self.reference], {}
        seen = np.ones(target.shape[1:], dtype=bool)
        match = ResampleToMatch(dtype=np.float32)
        for key, mode in self.modes.items():
            padding = "border" if key == "to_template" else "zeros"
            result[key] = match(data[key], target, mode=mode, padding_mode=padding)
            if key in self.images:
                voxels = np.asarray(data[key][0])
                noise[key] = air_noise(voxels - voxels.min())
                everywhere = MetaTensor(torch.ones_like(data[key].as_tensor()), affine=data[key].affine)
                seen &= np.asarray(match(everywhere, target, mode="nearest", padding_mode="zeros")[0]) > 0.5
        return result | {"seen": seen, "air_noise": noise}


def volume_transforms(
    config: VolumeConfig,
    *,
    labels: bool = False,
    lesion: bool = False,
    truth: bool = False,
    elsewhere: Collection[str] = (),
) -> Compose:
    """Load, canonical axes, resample, center on the head, crop or pad, scale to [0, 1], air to zero.

    Args:
        config: grid and modalities.
        elsewhere: what lies on another grid than the first modality: it is resampled to where that one ends up.
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
    modes = dict.fromkeys(keys, "bilinear") | dict.fromkeys(discrete, "nearest")
    here = [key for key in keys if key not in elsewhere]
    spacing = Spacingd(
        here,
        pixdim=(config.spacing,) * 3,
        mode=[modes[key] for key in here],
        padding_mode="border",
        dtype=np.float32,
    )
    there = {key: modes[key] for key in keys if key in elsewhere}
    loaders = [LoadImaged(images + discrete, ensure_channel_first=True, image_only=True)]
    if fields:  # the vector is the last axis of the file
        loaders.append(LoadImaged(fields, ensure_channel_first=True, channel_dim=-1, image_only=True))
    return Compose(
        [
            *loaders,
            Orientationd(here, axcodes=AXES, labels=None),
            spacing,
            *([ToGridOfd(there, images[0], images)] if there else []),
            AddForegroundd(images),
            *([DeleteItemsd(["seen", "air_noise"])] if there else []),
            CropForegroundd([*keys, "foreground"], source_key="foreground", allow_smaller=True),
            ResizeWithPadOrCropd([*images, *discrete, "foreground"], spatial_size=config.shape, mode="constant"),
            *([ResizeWithPadOrCropd(fields, spatial_size=config.shape, mode="edge")] if fields else []),
            ScaleIntensityRangePercentilesd(images, lower=0, upper=BRIGHT_PERCENTILE, b_min=0, b_max=1, clip=True),
            MaskIntensityd(images, mask_key="foreground"),  # air is zero: its noise would be texture to a network
            DeleteItemsd("foreground_start_coord"),
            DeleteItemsd("foreground_end_coord"),
        ]
    )
