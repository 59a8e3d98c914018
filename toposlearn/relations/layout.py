"""Where every structure of one person lies: all relations are read from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from toposlearn.anatomy import LabelMap, Structure
from toposlearn.arrays import Float64s
from toposlearn.relations.boundaries import boundary_gaps, shared_boundaries
from toposlearn.relations.frame import Frame, body_frame, centroids


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


def shared_structures(subjects: Sequence[Layout]) -> list[Structure]:
    """The structures that all subjects have, as the first of them numbers and orders them."""
    names = set.intersection(*({each.full_name for each in subject.structures} for subject in subjects))
    return [each for each in subjects[0].structures if each.full_name in names]


def _depth_and_size(label_map: LabelMap, frame: Frame, labels: npt.NDArray[np.int64]) -> tuple[Float64s, float]:
    """Mean distance (S,) of each structure's voxels to the mid-sagittal plane, and `Layout.size`, in mm."""
    voxels = np.nonzero(label_map.labels)
    values = label_map.labels[voxels]
    steps = label_map.affine[:3, :3]
    row = frame.axes[0] @ steps  # only the first own coordinate is needed: fold affine and frame into one row
    offset = frame.axes[0] @ (label_map.affine[:3, 3] - frame.origin)
    distance = np.abs(sum((row[axis] * voxels[axis] for axis in range(3)), offset))
    depth: Float64s = np.bincount(values, weights=distance)[labels] / np.bincount(values)[labels]
    covariance = np.cov(np.stack(voxels), bias=True)
    return depth, float(np.sqrt(np.trace(steps @ covariance @ steps.T)))
