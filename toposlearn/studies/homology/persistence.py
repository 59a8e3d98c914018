"""Persistent homology of one structure: at which distance from its boundary pieces, tunnels and cavities come and go.

The mask is replaced by the signed distance to its boundary, negative inside. The set of points below a level grows with
the level, from the core of the structure to all of its box; homology is followed along the way. At level 0 the set is
the structure itself, and what is alive there are the Betti numbers of `toposlearn.studies.homology.homology`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from toposlearn.anatomy import LabelMap, Structure
from toposlearn.relations.frame import Array
from toposlearn.studies.homology.homology import Mask

HOLES = ("pieces", "tunnels", "cavities")  # of dimension 0, 1, 2


@dataclass(frozen=True, eq=False)
class Diagram:
    """When the pieces, tunnels and cavities of a shape come and go.

    Attributes:
        pieces: (P, 2) mm, level of birth and of death of each; the oldest piece never dies (infinity).
        tunnels: (T, 2) mm.
        cavities: (C, 2) mm.
    """

    pieces: Array
    tunnels: Array
    cavities: Array

    @property
    def parts(self) -> tuple[Array, Array, Array]:
        """Pieces, tunnels and cavities, in order of their dimension."""
        return self.pieces, self.tunnels, self.cavities

    def alive(self, level: float = 0.0, longer_than: float = 0.0) -> tuple[int, int, int]:
        """How many of each are born at `level` mm or below and die above it, and live for more than `longer_than` mm.

        At level 0, and counting short lives too, these are the Betti numbers of the mask.
        """
        pieces, tunnels, cavities = (
            int(((bars[:, 0] <= level) & (bars[:, 1] > level) & (np.diff(bars)[:, 0] > longer_than)).sum())
            for bars in self.parts
        )
        return pieces, tunnels, cavities


def signed_distance(mask: Mask, spacing: float | npt.ArrayLike = 1.0) -> Array:
    """Distance in mm to the boundary of a mask (X, Y, Z), negative inside, cropped to its box and one voxel around it.

    Distances are between centers of voxels, less half a voxel: the sign changes at the faces between in and out.
    Nothing is lost by the crop: pieces join and holes close within the convex hull of the mask.

    Raises:
        ValueError: the mask is not three-dimensional, or empty.
    """
    if mask.ndim != 3 or not mask.any():
        raise ValueError(f"mask must have three axes (X, Y, Z) and at least one voxel, got shape {mask.shape}")
    steps = np.broadcast_to(np.asarray(spacing, dtype=np.float64), 3)
    inside = np.pad(mask[ndimage.find_objects(mask.astype(np.int8))[0]], 1)
    away = ndimage.distance_transform_edt(~inside, sampling=steps) - ndimage.distance_transform_edt(inside, steps)
    return np.asarray(away - np.sign(away) * steps.min() / 2, dtype=np.float64)


def persistence_diagram(mask: Mask, spacing: float | npt.ArrayLike = 1.0) -> Diagram:
    """Persistent homology of the signed distance to the boundary of a mask (X, Y, Z), its voxels taken as closed cubes.

    Args:
        mask: the structure.
        spacing: mm a voxel, one number or three.

    Raises:
        ValueError: the mask is not three-dimensional, or empty.
        ModuleNotFoundError: gudhi, an optional dependency, is not installed.
    """
    cells = _gudhi().CubicalComplex(top_dimensional_cells=signed_distance(mask, spacing))
    cells.compute_persistence(homology_coeff_field=2)  # in space every field counts the same; this is the fastest
    return Diagram(*(_sorted(cells.persistence_intervals_in_dimension(dimension)) for dimension in range(3)))


def structure_diagram(label_map: LabelMap, part: Structure) -> Diagram:
    """The diagram of one structure of a head.

    Raises:
        ValueError: the head does not hold it.
    """
    mask = label_map.labels == part.label
    if not mask.any():
        raise ValueError(f"{label_map.name} has no {part.full_name}: its label map does not hold that structure")
    return persistence_diagram(mask, label_map.spacing)


def diagram_distance(a: Diagram, b: Diagram) -> float:
    """Bottleneck distance in mm: how far the worst matched birth or death of two diagrams is off, 0 if they are equal.

    The largest over pieces, tunnels and cavities. A bar without a partner is matched with the diagonal, where birth and
    death are one.

    Raises:
        ModuleNotFoundError: gudhi is not installed.
    """
    distance = _gudhi().bottleneck_distance
    return max(float(distance(first, second, 0)) for first, second in zip(a.parts, b.parts, strict=True))  # 0: exact


def _sorted(bars: Array) -> Array:
    """Bars (B, 2), the longest first."""
    bars = np.asarray(bars, dtype=np.float64).reshape(-1, 2)
    return bars[np.argsort(bars[:, 0] - bars[:, 1], kind="stable")]


def is_installed() -> bool:
    """Whether gudhi is there."""
    return find_spec("gudhi") is not None


def _gudhi() -> ModuleType:
    try:
        return import_module("gudhi")
    except ModuleNotFoundError:
        raise ModuleNotFoundError("gudhi is not installed: pip install 'toposlearn[homology]'") from None
