"""Air around a head: its brightness, whatever the scan holds of it, and the voxels that are brighter.

Air is noise on the outer faces of a whole head, and zero around an extracted brain. It is neither where a slab or a
crop ends in tissue, where the background is a constant that is not the minimum (zero in a z-scored image), and where
noisy images are padded with zeros.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FOREGROUND_FRACTION = 0.05  # of the bright end (99th percentile) of a modality
NOISE_MEDIANS = 3.5  # about 4 standard deviations of the noise: the median of a Rayleigh law is 1.18 of them
NOISE_SPREADS = 4.4  # the same limit in robust standard deviations above the median, for noise of any kind
NOISY_FACES = 0.3  # share of the outermost voxels that must not be zero for air to count as noisy
FILLED_FACES = 0.9  # share of nonzero voxels on the faces of what is padded
DARK = 0.5  # of the bright end: a limit of air above it is doubted
DARK_CORNERS = 0.35  # of the bright end: corners above it are no air
CORNER = 16  # the side of a volume is so many times that of a block in its corner
BELOW = 0.065  # of the range: how far below the darkest tissue a background is put, more than `FOREGROUND_FRACTION`
FEWEST_VOXELS, SMALLEST_SHARE = 64, 1e-3  # connected, of a head in an image
FEWEST_VALUES = 8  # that differ, in the head of an image: a mask or a map of few labels has less
MAP_LIKE = 0.7  # share of neighbors with one value in such a map
DARK_SPIKES = 0.1  # percent of the voxels
NOISE_LIKE = 0.3  # correlation of neighbors below which a volume is noise all over
NO_AIR = -1.0  # limit of air where there is none
THIN = 128  # voxels along an axis that are enough to find the head

Bools = NDArray[np.bool_]


def darken_background(data: NDArray[Any]) -> NDArray[Any]:
    """The same volume with air the darkest: a constant background or NaN around the head is put below the tissue.

    An image whose air is dark already is returned as it is. A few voxels far darker than all others (a number that
    wrapped around) become as dark as the darkest of these. NaN elsewhere stays.
    """
    data = _without_nan_around(data)
    if not np.isfinite(data).all():
        return data
    data = _without_dark_spikes(data)
    values, counts = np.unique(corners(data), return_counts=True)
    value = values[counts.argmax()]
    if counts.max() <= counts.sum() / 2 or not _too_bright(data, value):
        return data
    return _recode(data, _outer(data == value))


def _without_nan_around(data: NDArray[Any]) -> NDArray[Any]:
    """NaN outside the field of view or the brain becomes air, whose brightness is that in the other corners."""
    if data.dtype.kind != "f" or not np.isnan(on_faces(data)).mean() > 1 - FILLED_FACES:
        return data
    outside, in_corners = _outer(np.isnan(data)), corners(data)
    finite = in_corners[np.isfinite(in_corners)]
    if len(finite) > len(in_corners) / 8:
        return np.where(outside, np.median(finite), data)
    return _recode(data, outside) if np.isfinite(data).any() else data


def _without_dark_spikes(data: NDArray[Any]) -> NDArray[Any]:
    low, high = np.percentile(thin(data), (DARK_SPIKES, 99))
    return np.maximum(data, low) if low - float(data.min()) > high - low > 0 else data


def _too_bright(data: NDArray[Any], value: float) -> bool:
    """True where a background of this value would be no air to `air_limit`."""
    low = float(data.min())
    return NOISE_MEDIANS * (float(value) - low) > DARK / 2 * (float(np.percentile(data, 99)) - low)


def _outer(mask: Bools) -> Bools:
    """The parts of a mask that touch the faces of the volume."""
    parts, _ = ndimage.label(mask)
    touching = np.unique(on_faces(parts))
    return np.isin(parts, touching[touching > 0])


def _recode(data: NDArray[Any], background: Bools) -> NDArray[Any]:
    """The volume with this background so far below the rest that the darkest tissue is brighter than air."""
    rest = data[~background & np.isfinite(data)].astype(np.float64)
    if not len(rest):
        return data
    low = rest.min()
    step = BELOW * (np.percentile(rest, 99) - low) or 1.0
    return np.where(background, min(0.0, low - step), data).astype(np.float32)


def air_limit(volume: NDArray[Any]) -> float:
    """The brightness that air does not exceed in a volume whose minimum is 0; `NO_AIR` where there is none.

    It is measured on the faces; in padded volumes on those of the part inside; in slabs in the corners.
    """
    bright = float(np.percentile(volume, 99))
    faces = NOISE_MEDIANS * _noise(on_faces(volume), NOISY_FACES)
    if faces == 0:
        inner = NOISE_MEDIANS * _noise(on_faces(_inside(volume)), FILLED_FACES)
        return inner if inner <= DARK * bright else 0.0
    if faces <= DARK * bright:
        return faces
    in_corners = _corner_limit(volume, bright)
    return faces if faces <= min(2 * in_corners, bright) else in_corners


def brighter_than_air(volume: NDArray[Any], limit: float) -> Bools:
    """Voxels of a volume, whose minimum is 0, that are brighter than air of this limit (`air_limit`)."""
    if limit == NO_AIR:
        return np.ones(volume.shape, dtype=bool)
    return np.asarray(volume > max(FOREGROUND_FRACTION * np.percentile(volume, 99), limit))


def _noise(values: NDArray[Any], share: float) -> float:
    """Median of the nonzero values, or 0 where they are a smaller share than this."""
    noisy = values[values > 0]
    return float(np.median(noisy)) if len(noisy) > share * len(values) else 0.0


def _inside(volume: NDArray[Any]) -> NDArray[Any]:
    """The smallest box that holds everything except zeros."""
    boxes = ndimage.find_objects((volume > 0).astype(np.uint8))
    return volume[boxes[0]] if boxes else volume


def _corner_limit(volume: NDArray[Any], bright: float) -> float:
    """The limit of air in the darker half of the corners; `NO_AIR` where they are tissue."""
    blocks = sorted((block.ravel() for block in _corner_blocks(volume)), key=np.median)
    values = np.concatenate(blocks[:4]).astype(np.float64)
    level = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - level)))
    darker = float((volume < level - NOISE_SPREADS * spread).mean())
    is_air = level <= DARK_CORNERS * bright or _neighbors(volume) < NOISE_LIKE
    return level + NOISE_SPREADS * spread if is_air and darker < SMALLEST_SHARE else NO_AIR


def _neighbors(volume: NDArray[Any]) -> float:
    """Correlation of voxels that lie side by side."""
    longest = np.moveaxis(volume, int(np.argmax(volume.shape)), 0)
    return float(np.corrcoef(longest[1:].ravel(), longest[:-1].ravel())[0, 1])


def thin(data: NDArray[Any]) -> NDArray[Any]:
    """Every second voxel or less along long axes."""
    return data[tuple(slice(None, None, max(1, round(side / THIN))) for side in data.shape)]


def _equal_neighbors(volume: NDArray[Any], head: Bools) -> float:
    """Share of the head's voxels whose neighbor along the first axis, in the head too, has the same value."""
    both = head[1:] & head[:-1]
    return float((volume[1:] == volume[:-1])[both].mean()) if both.any() else 0.0


def on_faces(volume: NDArray[Any]) -> NDArray[Any]:
    """The voxels on the six faces, flat."""
    on_face = np.ones(volume.shape, dtype=bool)
    on_face[(slice(1, -1),) * volume.ndim] = False
    return np.asarray(volume[on_face])


def corners(volume: NDArray[Any]) -> NDArray[Any]:
    """The voxels in blocks at the eight corners, flat."""
    return np.concatenate([block.ravel() for block in _corner_blocks(volume)])


def _corner_blocks(volume: NDArray[Any]) -> list[NDArray[Any]]:
    sizes = [max(1, side // CORNER) for side in volume.shape]
    ends = [(slice(size), slice(-size, None)) for size in sizes]
    return [volume[block] for block in product(*ends)]


def why_no_head(head: Bools) -> str:
    """Why these voxels of a volume cannot be a head, or ""."""
    parts, _ = ndimage.label(head)
    largest = int(np.bincount(parts.ravel())[1:].max(initial=0))
    if largest < max(FEWEST_VOXELS, SMALLEST_SHARE * head.size):
        connected = f"the largest connected part that is brighter has {largest} of {head.size} voxels"
        return f"shows nothing but air ({connected}): replace it, or remove it"
    return ""


def why_no_image(data: NDArray[Any]) -> str:
    """Why a volume, as it was read, cannot be an image of a head, or ""; looks at some of the voxels."""
    some = thin(data)
    volume = some - some.min() if some.dtype.kind == "f" else some.astype(np.float32) - np.float32(some.min())
    head = brighter_than_air(volume, air_limit(volume))
    values = np.unique(volume[head][:: 1 + head.sum() // 100_000])
    if len(values) < FEWEST_VALUES and head.sum() >= FEWEST_VOXELS and _equal_neighbors(volume, head) > MAP_LIKE:
        words = f"has only {len(values)} different value{'s' * (len(values) > 1)} in the head"
        return f"{words}: it is a mask or a label map, not an image; replace it, or name it as one"
    return why_no_head(head)
