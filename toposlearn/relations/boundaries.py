"""Where two structures meet: the area of the boundary that they share, in mm², and how close they come, in mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

from toposlearn.anatomy import LabelMap

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def shared_boundaries(label_map: LabelMap, labels: Labels) -> Array:
    """Area in mm² of the voxel faces between every two structures, (S, S), symmetric, zero diagonal.

    A slanted boundary is a staircase of faces, so its area is overestimated, by half on average; alike for all people.
    """
    index = np.full(int(label_map.labels.max()) + 1, -1, dtype=np.int32)
    index[labels] = np.arange(len(labels))
    places = index[label_map.labels]
    steps = label_map.affine[:3, :3].T  # one voxel along each axis, in mm
    areas = np.zeros((len(labels), len(labels)))
    for axis in range(3):
        lower, upper = (np.moveaxis(places, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        meet = (lower != upper) & (lower >= 0) & (upper >= 0)
        faces = np.bincount(lower[meet] * len(labels) + upper[meet], minlength=areas.size).reshape(areas.shape)
        others = np.delete(steps, axis, axis=0)
        areas += faces * np.linalg.norm(np.cross(*others))
    return areas + areas.T


def boundary_gaps(label_map: LabelMap, labels: Labels, within: float = np.inf) -> Array:
    """Shortest distance in mm between the boundaries of every two structures, (S, S), symmetric, zero diagonal.

    Between the nearest faces of their voxels, so that structures that share a face, an edge or a corner have gap 0.
    Precise to about one voxel. Infinite where it is more than `within` mm: near ones are found much sooner.
    """
    boxes = ndimage.find_objects(label_map.labels)
    surfaces = [_surface(label_map, label, boxes[label - 1]) for label in labels.tolist()]
    gaps = np.zeros((len(labels), len(labels)))
    for i, a in enumerate(surfaces):
        for j in range(i):
            gaps[i, j] = gaps[j, i] = _shortest(a, surfaces[j], label_map.affine[:3, :3], within)
    return gaps


@dataclass(frozen=True, eq=False)
class _Surface:
    """Boundary voxels of a structure: points (V, 3) in world mm, a search tree, and the box around them."""

    points: Array
    tree: cKDTree
    low: Array
    high: Array


def _surface(label_map: LabelMap, label: int, box: tuple[slice, ...]) -> _Surface:
    inside = label_map.labels[box] == label
    edge = inside & ~ndimage.binary_erosion(inside)
    voxels = np.argwhere(edge) + [part.start for part in box]
    points = voxels @ label_map.affine[:3, :3].T + label_map.affine[:3, 3]
    return _Surface(points, cKDTree(points), points.min(axis=0), points.max(axis=0))


def _shortest(a: _Surface, b: _Surface, steps: Array, within: float) -> float:
    """Gap between two sets of voxels: a coarse bound from every 20th center, then only the centers that it leaves.

    `steps` (3, 3): one voxel along each axis, in mm, a column each.
    """
    spacing = np.linalg.norm(steps, axis=0)
    diagonal = float(np.linalg.norm(spacing))  # by how much two centers are farther apart than their faces, at most
    within += 1e-6  # rounding must not decide
    if np.linalg.norm(np.maximum(np.maximum(a.low - b.high, b.low - a.high), 0)) > within + diagonal:
        return float("inf")
    if len(a.points) > len(b.points):
        a, b = b, a
    bound = min(float(np.min(b.tree.query(a.points[::20])[0])), within + diagonal) + diagonal
    near = a.points[((a.points >= b.low - bound) & (a.points <= b.high + bound)).all(axis=1)]
    distances = np.asarray(b.tree.query(near, distance_upper_bound=bound)[0], dtype=np.float64)
    centers = float(np.min(distances, initial=np.inf))
    if np.isinf(centers) or centers <= spacing.min():
        return centers if np.isinf(centers) else 0.0
    bound = centers + diagonal + 1e-6  # the nearest faces belong to two centers that are nearly the nearest
    near = near[distances <= bound]
    pairs = cKDTree(near).sparse_distance_matrix(b.tree, bound, output_type="coo_matrix")
    apart = np.abs(np.linalg.inv(steps) @ (b.points[pairs.col] - near[pairs.row]).T).round(6)  # (3, pairs) in voxels
    gap = float(np.linalg.norm(np.maximum(apart - 1, 0) * spacing[:, None], axis=0).min())
    return gap if gap <= within else float("inf")
