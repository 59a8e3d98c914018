"""Which structures touch: the boundary that two structures share (mm²), and the gap between them (mm)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

from toposlearn.anatomy import LabelMap
from toposlearn.arrays import Float64s

Labels = npt.NDArray[np.int64]


def shared_faces(image: npt.NDArray[np.integer], labels: Labels) -> Labels:
    """Number (3, S, S) of voxel faces per axis between every two of the given labels (S,) of an image (X, Y, Z)."""
    index = np.full(int(image.max()) + 1, -1, dtype=np.int32)
    index[labels] = np.arange(len(labels))
    places = index[image]
    faces = np.zeros((3, len(labels), len(labels)), dtype=np.int64)
    for axis in range(3):
        lower, upper = (np.moveaxis(places, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        meet = (lower != upper) & (lower >= 0) & (upper >= 0)
        counts = np.bincount(lower[meet] * len(labels) + upper[meet], minlength=len(labels) ** 2)
        faces[axis] = counts.reshape(faces.shape[1:])
    return faces + faces.swapaxes(1, 2)


def shared_boundaries(label_map: LabelMap, labels: Labels) -> Float64s:
    """Area (S, S) in mm² of the voxel faces between every two structures, zero on the diagonal.

    A slanted boundary is a staircase of faces, so its area is overestimated, by half on average; alike for all people.
    """
    steps = label_map.affine[:3, :3].T  # one voxel along each axis, in mm
    areas = [np.linalg.norm(np.cross(*np.delete(steps, axis, axis=0))) for axis in range(3)]
    return np.asarray(np.tensordot(areas, shared_faces(label_map.labels, labels), 1), dtype=np.float64)


def boundary_gaps(label_map: LabelMap, labels: Labels, within: float = np.inf) -> Float64s:
    """Shortest distance (S, S) in mm between the nearest voxel faces of every two structures.

    Structures that share a face, an edge or a corner have gap 0. Infinite beyond `within` mm, which saves time.
    """
    boxes = ndimage.find_objects(label_map.labels)
    surfaces = [_surface(label_map, label, boxes[label - 1]) for label in labels.tolist()]
    gaps = np.zeros((len(labels), len(labels)))
    for i, a in enumerate(surfaces):
        for j in range(i):
            gaps[i, j] = gaps[j, i] = _shortest(a, surfaces[j], label_map.affine[:3, :3], within)
    return gaps


def _surface(label_map: LabelMap, label: int, box: tuple[slice, ...]) -> cKDTree:
    """Search tree of the boundary voxels (V, 3) of a structure, in world mm."""
    inside = label_map.labels[box] == label
    edge = inside & ~ndimage.binary_erosion(inside)
    voxels = np.argwhere(edge) + [part.start for part in box]
    return cKDTree(voxels @ label_map.affine[:3, :3].T + label_map.affine[:3, 3])


def _shortest(a: cKDTree, b: cKDTree, steps: Float64s, within: float) -> float:
    """Gap between two sets of voxels: a coarse bound from every 20th center, then only the centers within it."""
    spacing = np.linalg.norm(steps, axis=0)
    diagonal = float(np.linalg.norm(spacing))  # maximum by which two centers are farther apart than their faces
    within += 1e-6  # rounding must not decide
    if np.linalg.norm(np.maximum(np.maximum(a.mins - b.maxes, b.mins - a.maxes), 0)) > within + diagonal:
        return float("inf")
    if a.n > b.n:
        a, b = b, a
    bound = min(float(np.min(b.query(a.data[::20])[0])), within + diagonal) + diagonal
    near = a.data[((a.data >= b.mins - bound) & (a.data <= b.maxes + bound)).all(axis=1)]
    distances = np.asarray(b.query(near, distance_upper_bound=bound)[0], dtype=np.float64)
    centers = float(np.min(distances, initial=np.inf))
    if np.isinf(centers):
        return centers
    if centers <= spacing.min():
        return 0.0
    bound = centers + diagonal + 1e-6  # the nearest faces belong to two centers that are nearly the nearest
    near = near[distances <= bound]
    pairs = cKDTree(near).sparse_distance_matrix(b, bound, output_type="coo_matrix")
    apart = np.abs(np.linalg.inv(steps) @ (b.data[pairs.col] - near[pairs.row]).T).round(6)  # (3, pairs) in voxels
    gap = float(np.linalg.norm(np.maximum(apart - 1, 0) * spacing[:, None], axis=0).min())
    return gap if gap <= within else float("inf")
