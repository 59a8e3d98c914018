"""From files to the grid of a network: MONAI's dictionary transforms, canonical axes, one spacing, one shape."""

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
from toposlearn.data.gate.quality import air_noise, brighter_than_air

AXES = "RAS"
BRIGHT_PERCENTILE = 99.5


class AddForegroundd(MapTransform):
    """Add ``foreground`` (1, D, H, W): voxels where any modality is brighter than air, holes filled, largest part.

    Brain-extracted images have air at zero. In whole heads air is noise, whose height is measured on the volume's
    faces. Voxels outside the field of view of some modality are excluded: a token there has no counterpart.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add the mask to the dictionary."""
        volumes = {key: np.asarray(data[key][0]) - np.min(np.asarray(data[key][0])) for key in self.keys}
        known = data.get("air_noise", {})  # of images that were resampled, beyond whose edges is nothing
        noise = {key: known.get(key, air_noise(volume)) for key, volume in volumes.items()}
        mask = np.any([brighter_than_air(volume, noise[key]) for key, volume in volumes.items()], axis=0)
        seen = data.get("seen", True)
        mask = _largest_part((_filled_slices(mask) if any(noise.values()) else mask) & seen) & seen
        foreground = MetaTensor(torch.as_tensor(mask[None], dtype=torch.float32), meta=data[self.keys[0]].meta)
        return {**data, "foreground": foreground}


def _filled_slices(mask: np.ndarray) -> np.ndarray:
    """Fill holes slice by slice along each axis: a dark skull separates brain from scalp, and a neck is open."""
    plane = ndimage.generate_binary_structure(2, 1)
    cross = [np.expand_dims(plane, axis) for axis in range(3)]
    return np.asarray(np.any([ndimage.binary_fill_holes(mask, structure) for structure in cross], axis=0))


def _largest_part(mask: np.ndarray) -> np.ndarray:
    parts, count = ndimage.label(mask)
    if count > 1:
        mask = parts == 1 + int(np.bincount(parts.ravel())[1:].argmax())
    return np.asarray(ndimage.binary_fill_holes(mask))


class ToGridOfd(MapTransform):
    """Resample images, labels and fields from their own grids to that of ``reference``, by their affines.

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


def volume_transforms(config: VolumeConfig, truth: Collection[str] = (), elsewhere: Collection[str] = ()) -> Compose:
    """Load, turn to canonical axes, resample, center on the head, crop or pad, scale to [0, 1], set air to zero.

    The result maps a dictionary of files to one of (C, D, H, W) tensors, with ``foreground`` added. `truth` names
    which of ``labels``, ``lesion`` and ``to_template`` to load too. Names in `elsewhere` lie on another grid than the
    first modality and are resampled to its final grid.
    """
    images = list(config.modalities)
    discrete = [name for name in ("labels", "lesion") if name in truth]
    fields = [name for name in ("to_template",) if name in truth]
    keys = images + discrete + fields
    modes = dict.fromkeys(keys, "bilinear") | dict.fromkeys(discrete, "nearest")
    here = [key for key in keys if key not in elsewhere]
    there = {key: modes[key] for key in keys if key in elsewhere}
    spacing = (config.spacing,) * 3
    mode = [modes[key] for key in here]
    loaders = [LoadImaged(images + discrete, ensure_channel_first=True, image_only=True)]
    if fields:  # the vector is the last axis of the file
        loaders.append(LoadImaged(fields, ensure_channel_first=True, channel_dim=-1, image_only=True))
    return Compose(
        [
            *loaders,
            Orientationd(here, axcodes=AXES, labels=None),
            Spacingd(here, pixdim=spacing, mode=mode, padding_mode="border", dtype=np.float32),
            *([ToGridOfd(there, images[0], images)] if there else []),
            AddForegroundd(images),
            *([DeleteItemsd(["seen", "air_noise"])] if there else []),
            CropForegroundd([*keys, "foreground"], source_key="foreground", allow_smaller=True),
            ResizeWithPadOrCropd([*images, *discrete, "foreground"], spatial_size=config.shape, mode="constant"),
            *([ResizeWithPadOrCropd(fields, spatial_size=config.shape, mode="edge")] if fields else []),
            ScaleIntensityRangePercentilesd(images, lower=0, upper=BRIGHT_PERCENTILE, b_min=0, b_max=1, clip=True),
            MaskIntensityd(images, mask_key="foreground"),  # air is zero: a network would read its noise as texture
            DeleteItemsd("foreground_start_coord"),
            DeleteItemsd("foreground_end_coord"),
        ]
    )
