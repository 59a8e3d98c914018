"""A person's own axes: right, anterior, superior, read off the anatomy rather than the scanner.

A tilted head must not change who is medial to whom, so the mid-sagittal plane is estimated from the person's own
left/right pairs, and the pitch from the line between the occipital and the frontal cortex.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from toposlearn.anatomy import LabelMap, structure
from toposlearn.anatomy.vocabulary import PAIRED_NAMES, Side

SIDES: tuple[Side, Side] = ("left", "right")

Array = npt.NDArray[np.float64]

# In MNI space the line from the occipital to the frontal cortex rises by 12 degrees in family A, by 10 in family B.
FRONTAL_RISE = np.deg2rad(11.0)


@dataclass(frozen=True, eq=False)
class Frame:
    """Origin (3,) in world mm, and axes (3, 3): rows are unit vectors to the person's right, front and top."""

    origin: Array
    axes: Array

    def coordinates(self, world: Array) -> Array:
        """Own coordinates (…, 3) in mm of world points (…, 3): first right, then anterior, then superior."""
        return np.asarray((world - self.origin) @ self.axes.T, dtype=np.float64)


def centroids(label_map: LabelMap) -> tuple[npt.NDArray[np.int64], Array]:
    """Labels present (S,) in increasing order, and their centroids (S, 3) in world mm."""
    voxels = np.argwhere(label_map.labels)
    values = label_map.labels[tuple(voxels.T)]
    counts = np.bincount(values)
    present = np.flatnonzero(counts)
    sums = np.stack([np.bincount(values, weights=axis) for axis in voxels.T], axis=1)  # (max label + 1, 3)
    means = sums[present] / counts[present, None]
    return present, means @ label_map.affine[:3, :3].T + label_map.affine[:3, 3]


def frame_of(label_map: LabelMap) -> Frame:
    """The frame of a label map: `body_frame` of its centroids."""
    return body_frame(*centroids(label_map))


def body_frame(labels: npt.NDArray[np.int64], centers: Array) -> Frame:
    """The frame of a person whose structures `labels` (S,) have centroids `centers` (S, 3) in world mm.

    The mid-sagittal plane is the mirror that best maps left centroids onto right ones (least squares). Pitch comes
    from the occipito-frontal line; without those lobes it is the scanner's.

    Raises:
        ValueError: no structure is present on both sides.
    """
    left, right = _pairs(labels, centers)
    if len(left) == 0:
        raise ValueError("labels hold no structure on both sides: the mid-sagittal plane needs at least one pair")
    origin = (left + right).mean(axis=0) / 2
    to_right = _mirror_normal(left - origin, right - origin)
    forward = _forward(dict(zip(labels.tolist(), centers, strict=True)), to_right)
    return Frame(origin, np.stack([to_right, forward, np.cross(to_right, forward)]))


def _pairs(labels: npt.NDArray[np.int64], centers: Array) -> tuple[Array, Array]:
    """Centroids (P, 3) of the left and the right member of each structure present on both sides."""
    at = dict(zip(labels.tolist(), centers, strict=True))
    pairs = [(structure(name, "left").label, structure(name, "right").label) for name in PAIRED_NAMES]
    both = [(at[left], at[right]) for left, right in pairs if left in at and right in at]
    stacked = np.array(both, dtype=np.float64).reshape(-1, 2, 3)
    return stacked[:, 0], stacked[:, 1]


def _mirror_normal(left: Array, right: Array) -> Array:
    """Unit normal n, pointing right, that minimizes sum |mirror(left) - right|^2.

    As |l - 2 (l.n) n - r|^2 = |l - r|^2 + 4 (l.n)(r.n), n is the last eigenvector of the symmetric part of sum l r^T.
    """
    product = left.T @ right
    normal = np.linalg.eigh(product + product.T).eigenvectors[:, 0]
    return np.asarray(normal * np.sign(normal @ (right - left).sum(axis=0)), dtype=np.float64)


def _forward(at: dict[int, Array], to_right: Array) -> Array:
    """Unit vector to the front, inside the mid-sagittal plane."""
    frontal, occipital = (_pair_sum(at, f"{lobe}-cortex") for lobe in ("frontal", "occipital"))
    if frontal is None or occipital is None:
        line, rise = np.array([0.0, 1.0, 0.0]), 0.0
    else:
        line, rise = frontal - occipital, FRONTAL_RISE
    line = line - (line @ to_right) * to_right
    line /= np.linalg.norm(line)
    return np.asarray(np.cos(rise) * line - np.sin(rise) * np.cross(to_right, line), dtype=np.float64)


def _pair_sum(at: dict[int, Array], name: str) -> Array | None:
    """Sum of the left and the right centroid (3,), or None where one is missing."""
    left, right = (at.get(structure(name, side).label) for side in SIDES)
    return None if left is None or right is None else left + right
