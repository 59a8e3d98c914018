"""From files to the grid of a network: MONAI's dictionary transforms, canonical axes, one spacing, one shape."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from monai import transforms as mt
from monai.data import MetaTensor
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from toposlearn.config import VolumeConfig
from toposlearn.data.air import air_limit, brighter_than_air, thin, why_no_head
from toposlearn.data.images import TRUTH_READERS, BadImageError, read_scan

AXES = "RAS"
BRIGHT_PERCENTILE = 99.5
MOST_MEDIANS = 20.0  # brightness of a voxel, relative to the median of the head
FAR_ABOVE = 0.25  # of the bright end: air this bright, as after adding 1024 to all, would take most of the range
FILE = "filename_or_obj"  # in the meta data of a tensor, MONAI's name
NO_CHANNELS: Mapping[str, int] = MappingProxyType({})


def load_volumes(
    data: Mapping[Hashable, Any], images: Sequence[str], fields: Sequence[str], channels: Mapping[str, int]
) -> dict[Hashable, Any]:
    """Read files into (C, X, Y, Z) float32 tensors with their affines; the vector of a field is its last axis."""
    result: dict[Hashable, Any] = dict(data)
    for key in data:
        path, name = Path(data[key]), str(key)
        voxels, image = read_scan(path, channels.get(name)) if name in images else TRUTH_READERS[name](path)
        values = torch.as_tensor(np.ascontiguousarray(voxels, dtype=np.float32))
        if name in images:  # what is added around an image is zero, and no brighter than its air
            low = float(values.min())
            values = values - (low if low > FAR_ABOVE * np.percentile(thin(voxels), 99) else min(low, 0.0))
        values = values.movedim(-1, 0) if name in fields else values[None]
        result[key] = MetaTensor(values, affine=torch.as_tensor(image.affine), meta={FILE: str(path)})
    return result


def add_foreground(data: Mapping[Hashable, Any], keys: Sequence[str]) -> dict[Hashable, Any]:
    """Add ``foreground`` (1, D, H, W): voxels where any modality is brighter than air, holes filled, largest part.

    Brain-extracted images have air at zero. In whole heads air is noise, whose height is measured on the volume's
    faces. Voxels outside the field of view of some modality are excluded: a token there has no counterpart.
    BadImageError: an image that shows no head.
    """
    voxels = {key: np.asarray(data[key][0]) for key in keys}
    volumes = {key: values - values.min() for key, values in voxels.items()}
    known = data.get("air_limits", {})  # of images that were resampled, beyond whose edges is nothing
    limits = {key: known[key] if key in known else air_limit(volume) for key, volume in volumes.items()}
    heads = {key: brighter_than_air(volume, limits[key]) for key, volume in volumes.items()}
    mask, seen = np.any(list(heads.values()), axis=0), data.get("seen", True)
    for key, head in heads.items():
        if reason := why_no_head(head & seen):
            raise BadImageError(f"{data[key].meta[FILE]} {reason}", key)
    if any(
        limit > 0 for limit in limits.values()
    ):  # hole by hole in slices along each axis: the skull is dark, and a neck is open
        plane = ndimage.generate_binary_structure(2, 1)
        crosses = [np.expand_dims(plane, axis) for axis in range(3)]
        mask = np.any([ndimage.binary_fill_holes(mask, cross) for cross in crosses], axis=0)
    parts, count = ndimage.label(mask & seen)
    largest = 1 + int(np.bincount(parts.ravel())[1:].argmax()) if count else 1
    mask = ndimage.binary_fill_holes(parts == largest) & seen
    foreground = MetaTensor(torch.as_tensor(mask[None], dtype=torch.float32), meta=data[keys[0]].meta)
    result: dict[Hashable, Any] = {**data, "foreground": foreground}
    return result | {key: _without_spikes(data[key], heads[key]) for key in keys}


def _without_spikes(image: MetaTensor, head: NDArray[np.bool_]) -> Tensor:
    """The image with no voxel brighter than `MOST_MEDIANS` of its head: a few of them would take the whole range."""
    dark = image.min()
    median = float(np.median(np.asarray(image[0])[head])) - float(dark)
    return image.clamp(max=float(dark) + MOST_MEDIANS * median)


def to_one_grid(
    data: Mapping[Hashable, MetaTensor], modes: Mapping[str, str], images: Sequence[str]
) -> dict[Hashable, Any]:
    """Resample images, labels and fields, by their affines, to the grid of the first of `images`; `modes` names which.

    Adds ``seen`` (D, H, W) bool, where all the images have a field of view, and ``air_limits``, each image's own.
    """
    result: dict[Hashable, Any] = dict(data)
    target, limits = data[images[0]], {}
    seen = np.ones(target.shape[1:], dtype=bool)
    match = mt.ResampleToMatch(dtype=np.float32)
    for key, mode in modes.items():
        padding = "border" if key == "to_template" else "zeros"
        result[key] = match(data[key], target, mode=mode, padding_mode=padding)
        if key in images:
            voxels = np.asarray(data[key][0])
            limits[key] = air_limit(voxels - voxels.min())
            everywhere = MetaTensor(torch.ones_like(data[key].as_tensor()), affine=data[key].affine)
            seen &= np.asarray(match(everywhere, target, mode="nearest", padding_mode="zeros")[0]) > 0.5
    return result | {"seen": seen, "air_limits": limits}


def volume_transforms(
    config: VolumeConfig,
    truth: Collection[str] = (),
    elsewhere: Collection[str] = (),
    channels: Mapping[str, int] = NO_CHANNELS,
) -> mt.Compose:
    """Load, turn to canonical axes, resample, center on the head, crop or pad, scale to [0, 1], set air to zero.

    From a dictionary of files to one of (C, D, H, W) tensors with ``foreground``. `truth` may name ``labels``,
    ``lesion`` and ``to_template``; names in `elsewhere` are resampled to the final grid of the first modality;
    `channels` says which volume of a file that holds several is a modality.
    """
    images = list(config.modalities)
    discrete = [name for name in ("labels", "lesion") if name in truth]
    fields = [name for name in ("to_template",) if name in truth]
    keys = images + discrete + fields
    modes = dict.fromkeys(keys, "bilinear") | dict.fromkeys(discrete, "nearest")
    here = [key for key in keys if key not in elsewhere]
    mode = [modes[key] for key in here]
    there = {key: modes[key] for key in keys if key in elsewhere}
    return mt.Compose(
        [
            partial(load_volumes, images=images, fields=fields, channels=channels),
            mt.Orientationd(here, axcodes=AXES, labels=None),
            mt.Spacingd(here, pixdim=(config.spacing,) * 3, mode=mode, padding_mode="border", dtype=np.float32),
            *([partial(to_one_grid, modes=there, images=images)] if there else []),
            partial(add_foreground, keys=images),
            mt.CropForegroundd([*keys, "foreground"], source_key="foreground", allow_smaller=True),
            mt.ResizeWithPadOrCropd([*images, *discrete, "foreground"], spatial_size=config.shape, mode="constant"),
            *([mt.ResizeWithPadOrCropd(fields, spatial_size=config.shape, mode="edge")] if fields else []),
            mt.ScaleIntensityRangePercentilesd(images, lower=0, upper=BRIGHT_PERCENTILE, b_min=0, b_max=1, clip=True),
            mt.MaskIntensityd(images, mask_key="foreground"),  # air is zero: a network would read its noise as texture
            mt.DeleteItemsd(["seen", "air_limits", "foreground_start_coord", "foreground_end_coord"]),
        ]
    )
