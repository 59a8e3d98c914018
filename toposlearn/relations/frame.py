"""A person's own axes (right, anterior, superior), read off the anatomy rather than the scanner.

A tilted head or a wrong affine must not change which structure is medial to which.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.linalg import orthogonal_procrustes

from toposlearn.anatomy import FAMILIES, LabelMap, Structure, load_label_map, load_parcels
from toposlearn.anatomy.vocabulary import Side
from toposlearn.arrays import Float64s

SIDES: tuple[Side, Side] = ("left", "right")
MIN_SPREAD = 5.0  # mm in the mid-sagittal plane: structures that lie closer do not determine front and top
MIN_FLATNESS = 0.01  # spread of structures across, over along: below it they lie on one line, their own mirror image


@dataclass(frozen=True, eq=False)
class Frame:
    """Origin and axes of a head."""

    origin: Float64s  # (3,) world mm
    axes: Float64s  # (3, 3), rows are unit vectors to the person's right, front and top
    scanner_pitch: bool = False  # front and top are the scanner's: too few structures are known in MNI space

    def coordinates(self, world: Float64s) -> Float64s:
        """Own coordinates (…, 3) in mm (right, anterior, superior) of world points (…, 3)."""
        return np.asarray((world - self.origin) @ self.axes.T, dtype=np.float64)


def centroids(label_map: LabelMap) -> tuple[npt.NDArray[np.int64], tuple[Structure, ...], Float64s]:
    """Labels present (S,) in increasing order, their structures, and their centroids (S, 3) in world mm."""
    voxels = np.nonzero(label_map.labels)
    values = label_map.labels[voxels]
    counts = np.bincount(values)
    present = np.flatnonzero(counts)
    if len(present) == 0:
        raise ValueError(f"{label_map.name} holds no labeled voxel")
    unknown = [label for label in present.tolist() if label not in label_map.structures]
    if unknown:
        raise ValueError(f"{label_map.name} holds labels without a structure: {', '.join(map(str, unknown[:8]))}")
    means = np.stack([np.bincount(values, weights=axis)[present] for axis in voxels], axis=1) / counts[present, None]
    centers = means @ label_map.affine[:3, :3].T + label_map.affine[:3, 3]
    return present, tuple(label_map.structures[label] for label in present.tolist()), centers


def frame_of(label_map: LabelMap) -> Frame:
    """The frame of a label map: `body_frame` of its centroids."""
    return body_frame(*centroids(label_map)[1:])


def body_frame(structures: Sequence[Structure], centers: Float64s) -> Frame:
    """The frame of a person whose structures (S) have centroids `centers` (S, 3) in world mm.

    The mid-sagittal plane is the mirror that best maps left centroids onto right ones (least squares). Within it, the
    centroids are laid on `template_centers` (Procrustes), turned and, if the affine mirrored the head, mirrored.
    """
    at = {(each.name, each.side): center for each, center in zip(structures, centers, strict=True)}
    names = [each.name for each in structures if each.side == "left" and (each.name, "right") in at]
    if not names:
        raise ValueError("labels hold no structure on both sides: the mid-sagittal plane needs at least one pair")
    left, right = (np.stack([at[name, side] for name in names]) for side in SIDES)
    origin = (left + right).mean(axis=0) / 2
    to_right = _mirror_normal(left - origin, right - origin)
    upright = _upright(to_right)
    turn = _turn(structures, (centers - origin) @ upright.T)
    if turn is None:
        return Frame(origin, np.stack([to_right, *upright]), scanner_pitch=True)
    return Frame(origin, np.stack([to_right, *(turn.T @ upright)]))


def commissural_frame(structures: Sequence[Structure], centers: Float64s) -> Frame:
    """`body_frame` whose front is the way from PC to AC where these points are and no structure of the template is."""
    frame = body_frame(structures, centers)
    at = {each.name: center for each, center in zip(structures, centers, strict=True)}
    if not (frame.scanner_pitch and {"ac", "pc"} <= at.keys()):
        return frame
    right = frame.axes[0]
    forward = (at["ac"] - at["pc"]) @ (np.eye(3) - np.outer(right, right))
    forward /= np.linalg.norm(forward)
    return Frame(frame.origin, np.stack([right, forward, np.cross(right, forward)]))


@lru_cache(maxsize=1)
def template_centers() -> dict[tuple[str, str], Float64s]:
    """(name, side) -> centroid (3,) in MNI mm of the structures of both anatomy families, and of their parcels.

    Where several know a name, lobes and whole nuclei come before parcels, and family A before B.
    """
    centers: dict[tuple[str, str], Float64s] = {}
    for load in (load_parcels, load_label_map):
        for family in reversed(FAMILIES):
            _, structures, means = centroids(load(family))
            centers |= {(each.name, each.side): mean for each, mean in zip(structures, means, strict=True)}
    return centers


def _mirror_normal(left: Float64s, right: Float64s) -> Float64s:
    """Unit normal n, pointing right, that minimizes sum |mirror(left) - right|^2.

    As |l - 2 (l.n) n - r|^2 = |l - r|^2 + 4 (l.n)(r.n), n is the last eigenvector of the symmetric part of sum l r^T.
    """
    product = left.T @ right
    normal = np.linalg.eigh(product + product.T).eigenvectors[:, 0]
    return np.asarray(normal * np.sign(normal @ (right - left).sum(axis=0)), dtype=np.float64)


def _upright(to_right: Float64s) -> Float64s:
    """Unit vectors (2, 3) to the scanner's front and top, inside the mid-sagittal plane."""
    forward = np.array([0.0, 1.0, 0.0]) - to_right[1] * to_right
    if np.linalg.norm(forward) < 0.1:  # a head that faces sideways in its scanner
        forward = np.array([-1.0, 0.0, 0.0]) + to_right[0] * to_right
    forward = forward / np.linalg.norm(forward)
    return np.stack([forward, np.cross(to_right, forward)])


def _turn(structures: Sequence[Structure], own: Float64s) -> Float64s | None:
    """Turn (2, 2) from places in the mid-sagittal plane (S, 2) to those of the template, or None if undetermined."""
    template = template_centers()
    known = [row for row, each in enumerate(structures) if (each.name, each.side) in template]
    names = [structures[row].name for row in known]
    if len(set(names)) < 2:
        return None
    # Seen from the side, left and right of a name are one place: their difference is noise and determines no turn.
    theirs = [template[structures[row].name, structures[row].side][1:] for row in known]
    places = pd.DataFrame(np.hstack([own[known], theirs])).groupby(names, sort=False).mean().to_numpy()
    here, there = np.hsplit(places - places.mean(axis=0), 2)
    if min(np.sqrt((each**2).sum(axis=1).mean()) for each in (here, there)) < MIN_SPREAD:
        return None
    left, spread, right = np.linalg.svd(here.T @ there)
    turn = np.asarray(orthogonal_procrustes(here, there)[0], dtype=np.float64)
    if spread[1] < MIN_FLATNESS * spread[0] and np.linalg.det(turn) < 0:  # believe the handedness of the affine
        return np.asarray(left @ np.diag([1.0, -1.0]) @ right)
    return turn
