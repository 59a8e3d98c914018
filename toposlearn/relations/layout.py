"""Where every structure of one person lies and which structures touch: all relations are read from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

from toposlearn.anatomy import LabelMap, Structure
from toposlearn.anatomy.label_names import named_structures
from toposlearn.arrays import Float64s
from toposlearn.relations.frame import Frame, body_frame, centroids, commissural_frame

Labels = npt.NDArray[np.int64]
SAMPLED = 8  # corners of a structure from which the way to another is searched first


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the S structures of one person lie.

    `size` is how large this brain is, as far as it is labeled: root mean square distance of the labeled voxels to their
    center (60 mm for a whole average brain, 28 mm for its deep nuclei alone).
    """

    name: str
    structures: tuple[Structure, ...]  # S, in order of their labels
    centers: Float64s  # (S, 3) mm, centroids in the person's own frame: right, anterior, superior
    depth: Float64s  # (S,) mm, mean distance of a structure's voxels to the mid-sagittal plane
    shared: Float64s  # (S, S) mm², boundary that two structures share; 0 where they do not touch
    size: float  # mm
    gaps: Float64s | None = None  # (S, S) mm between boundaries, infinite beyond the measured range
    scanner_pitch: bool = False  # front and top are those of the scanner (`Frame`)
    mirrored: bool = False  # the structures lie as in a mirror, which no pose of a head explains
    points: bool = False  # structures are landmarks, which have no boundary

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {each.full_name: row for row, each in enumerate(self.structures)}

    def index(self, structure: Structure) -> int:
        """Row of a structure, found by name and side, since two people's tables may number differently."""
        if structure.full_name not in self._rows:
            raise ValueError(f"{self.name} has no {structure.full_name}: its label map does not hold that structure")
        return self._rows[structure.full_name]

    def only(self, structures: Sequence[Structure]) -> Layout:
        """The same person with just these structures, in this order; size and frame stay those of the whole."""
        rows = [self.index(structure) for structure in structures]
        pairs = np.ix_(rows, rows)
        return replace(
            self,
            structures=tuple(self.structures[row] for row in rows),
            centers=self.centers[rows],
            depth=self.depth[rows],
            shared=self.shared[pairs],
            gaps=None if self.gaps is None else self.gaps[pairs],
        )


def layout(label_map: LabelMap, within: float | None = None) -> Layout:
    """Measure where every structure of a label map (any voxel size and pose) lies, in the person's own frame.

    Gaps between boundaries up to `within` mm take most of the time (None: no gaps). ValueError: nothing is labeled, or
    no structure is present on both sides.
    """
    labels, structures, world_centers = centroids(label_map)
    frame = body_frame(structures, world_centers)
    depth, size = _depth_and_size(label_map, frame, labels)
    return Layout(
        name=label_map.name,
        structures=structures,
        centers=frame.coordinates(world_centers),
        depth=depth,
        shared=shared_boundaries(label_map, labels),
        size=size,
        gaps=None if within is None else boundary_gaps(label_map, labels, within),
        scanner_pitch=frame.scanner_pitch,
        mirrored=bool(np.linalg.det(frame.axes) < 0),
    )


def point_layout(name: str, landmarks: Mapping[str, Float64s]) -> Layout:
    """Where named points (3,) in world mm lie in the person's own frame; names have sides, such as ``R superior LMS``.

    `Layout.depth` is signed: negative where a point lies on the other side of the mid-sagittal plane than its name has.
    """
    structures = named_structures(landmarks)
    world = np.stack(list(landmarks.values()))
    frame = commissural_frame(structures, world)
    centers = frame.coordinates(world)
    sides = np.array([{"left": -1.0, "right": 1.0, "midline": 0.0}[each.side] for each in structures])
    across = centers[:, 0]
    return Layout(
        name=name,
        structures=structures,
        centers=centers,
        depth=np.where(sides == 0, np.abs(across), sides * across),
        shared=np.zeros((len(structures), len(structures))),
        size=float(np.sqrt(world.var(axis=0).sum())),
        scanner_pitch=frame.scanner_pitch,
        points=True,
    )


def shared_structures(subjects: Sequence[Layout]) -> list[Structure]:
    """The structures that all subjects have, as the first of them numbers and orders them."""
    names = set.intersection(*({each.full_name for each in subject.structures} for subject in subjects))
    return [each for each in subjects[0].structures if each.full_name in names]


def _depth_and_size(label_map: LabelMap, frame: Frame, labels: Labels) -> tuple[Float64s, float]:
    """`Layout.depth` and `Layout.size`."""
    voxels = np.nonzero(label_map.labels)
    values = label_map.labels[voxels]
    steps = label_map.affine[:3, :3]
    row = frame.axes[0] @ steps  # only the first own coordinate is needed: fold affine and frame into one row
    offset = frame.axes[0] @ (label_map.affine[:3, 3] - frame.origin)
    distance = np.abs(sum((row[axis] * voxels[axis] for axis in range(3)), offset))
    depth: Float64s = np.bincount(values, weights=distance)[labels] / np.bincount(values)[labels]
    covariance = np.cov(np.stack(voxels), bias=True)
    return depth, float(np.sqrt(np.trace(steps @ covariance @ steps.T)))


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
    surfaces = []
    for label in labels.tolist():
        box = boxes[label - 1]
        corners = np.argwhere(_outer_corners(label_map.labels[box] == label)) + [part.start for part in box]
        surfaces.append(_Surface.of(corners * label_map.spacing))
    gaps = np.zeros((len(labels), len(labels)))
    apart = ~shared_faces(label_map.labels, labels).any(axis=0)
    for i, j in np.argwhere(np.tril(apart, -1)).tolist():
        gaps[i, j] = gaps[j, i] = _shortest(surfaces[i], surfaces[j], within)
    return gaps


def _outer_corners(inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Corners (X + 1, Y + 1, Z + 1) of the voxels (X, Y, Z) of a structure that a voxel outside has too.

    The faces of two voxels of a grid are as far apart as their nearest corners.
    """
    padded, end = np.pad(inside, 1), np.array(inside.shape) + 1
    voxels = np.stack([padded[tuple(map(slice, first, first + end))] for first in np.ndindex(2, 2, 2)])
    return np.asarray(voxels.any(axis=0) & ~voxels.all(axis=0))


@dataclass(frozen=True, eq=False)
class _Surface:
    """The outer corners of one structure."""

    points: Float64s  # (3, V) mm along the axes of the grid; compared by coordinate, which is fast
    low: Float64s  # (3,) the box around them
    high: Float64s
    tree: cKDTree

    @classmethod
    def of(cls, points: Float64s) -> _Surface:
        return cls(points.T.copy(), points.min(axis=0), points.max(axis=0), cKDTree(points))


def _shortest(a: _Surface, b: _Surface, within: float) -> float:
    """Distance of the nearest two points: a near one first, then of the points that may be nearer."""
    if a.tree.n > b.tree.n:
        a, b = b, a
    near = _around(a.points, b.low, b.high, within)
    if near.shape[1] == 0:
        return float("inf")
    distances, rows = map(np.asarray, b.tree.query(near.T[:: 1 + near.shape[1] // SAMPLED]))
    _, back = a.tree.query(b.tree.data[rows[distances.argmin()]])
    first, _ = b.tree.query(a.tree.data[back])
    reach = min(float(first), within) + 1e-6  # rounding must not decide
    near = _around(near, b.low, b.high, reach)
    other = _around(b.points, *_box(near), reach)
    near = _around(near, *_box(other), reach)
    trees = [cKDTree(each.T, balanced_tree=False, compact_nodes=False) for each in (near, other)]  # built quickly
    gap = trees[0].sparse_distance_matrix(trees[1], reach, output_type="ndarray")["v"].min(initial=np.inf)
    return float(gap) if gap <= within + 1e-6 else float("inf")


def _box(points: Float64s) -> tuple[Float64s, Float64s]:
    """The lowest and highest coordinates (3,) of points (3, V)."""
    return points.min(axis=1, initial=np.inf), points.max(axis=1, initial=-np.inf)


def _around(points: Float64s, low: Float64s, high: Float64s, reach: float) -> Float64s:
    """Those of the points (3, V) that lie within `reach` mm, along each axis, of a box."""
    inside = np.full(points.shape[1], True)
    for along, least, most in zip(points, low - reach, high + reach, strict=True):
        inside &= (along >= least) & (along <= most)
    return points[:, inside]
