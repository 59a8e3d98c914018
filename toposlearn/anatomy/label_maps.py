"""Whole-brain label maps in MNI space, in the common vocabulary, with axes in RAS order.

Family A (Desikan-Killiany aparc+aseg) is what the cohort is made from; family B (Neuromorphometrics) is held out.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from toposlearn.anatomy.name_tables import DESIKAN_KILLIANY, NEAREST, NEUROMORPHOMETRICS, canonical_name
from toposlearn.anatomy.sources import SOURCES, locate, read_canonical
from toposlearn.anatomy.vocabulary import BACKGROUND, BY_LABEL, PAIRED_NAMES, Structure, structure

FAMILIES = ("A", "B")

_TABLES = {"A": DESIKAN_KILLIANY, "B": NEUROMORPHOMETRICS}
_UNRESOLVED = -1


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Structure labels of one head.

    Attributes:
        labels: (X, Y, Z) integers, 0 is background; axes point right, anterior, superior.
        affine: (4, 4) float64, voxel index to RAS millimeters.
        name: whose head, e.g. ``A`` or ``donor-9861``.
        source: who made the labels.
        structures: what each label means; the labels of `toposlearn.anatomy.STRUCTURES` unless given.
    """

    labels: npt.NDArray[np.integer]
    affine: npt.NDArray[np.float64]
    name: str
    source: str
    structures: Mapping[int, Structure] = field(default_factory=lambda: BY_LABEL)

    @property
    def spacing(self) -> npt.NDArray[np.float64]:
        """Voxel size in mm along each axis, (3,)."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0), dtype=np.float64)

    @property
    def shear(self) -> float:
        """Largest cosine between two voxel axes: 0 where they are at right angles."""
        axes = self.affine[:3, :3] / self.spacing
        return float(np.abs(axes.T @ axes - np.eye(3)).max())

    @property
    def volumes(self) -> dict[int, float]:
        """Milliliters of each label present, background left out."""
        counts = np.bincount(self.labels.ravel())
        milliliters = abs(np.linalg.det(self.affine[:3, :3])) / 1000
        return {label: float(counts[label] * milliliters) for label in np.flatnonzero(counts).tolist() if label}

    def world(self, label: int) -> npt.NDArray[np.float64]:
        """RAS coordinates in mm of every voxel with this label, (V, 3)."""
        return np.argwhere(self.labels == label) @ self.affine[:3, :3].T + self.affine[:3, 3]


def load_label_map(family: str) -> LabelMap:
    """A whole-brain label map in MNI space: ``"A"`` (Desikan-Killiany) or ``"B"`` (Neuromorphometrics).

    Raises:
        ValueError: unknown family.
        MissingAnatomyError: the package that ships it is not installed.
    """
    if family not in FAMILIES:
        raise ValueError(f"unknown anatomy family {family!r}: choose one of {', '.join(FAMILIES)}")
    raw, affine = load_raw_labels(family)
    labels = to_vocabulary(raw, affine, read_names(f"{family}-names"), _TABLES[family])
    return LabelMap(labels, affine, family, SOURCES[family].origin)


def load_raw_labels(family: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """The atlas's own labels (X, Y, Z), RAS axes, and affine (4, 4): the fine parcels, before they become lobes."""
    if family not in FAMILIES:
        raise ValueError(f"unknown anatomy family {family!r}: choose one of {', '.join(FAMILIES)}")
    voxels, affine = read_canonical(family)
    return voxels.astype(np.int32), affine


def read_names(name: str) -> dict[int, str]:
    """The atlas's own names, label to name, with the side as a prefix where the table keeps it in a column."""
    with locate(name).open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {int(row.get("index") or row["id"]): _raw_name(row) for row in rows}


def _raw_name(row: dict[str, Any]) -> str:
    if "name" in row:
        return str(row["name"])
    prefix = {"L": "lh-", "R": "rh-"}.get(row["hemisphere"], "")
    return f"{prefix}{row['label']}"


def to_vocabulary(
    raw: npt.NDArray[np.int32], affine: npt.NDArray[np.float64], names: dict[int, str], table: dict[str, str]
) -> npt.NDArray[np.int16]:
    """Labels (X, Y, Z) of the common vocabulary from an atlas's own, by lookup table.

    Unsided parts of paired structures (corpus callosum, vermis) are split at x = 0, the midline of MNI space.
    """
    left, right = _lookup(names, table, "left"), _lookup(names, table, "right")
    is_left = np.arange(raw.shape[0]) * affine[0, 0] + affine[0, 3] < 0
    labels = np.empty(raw.shape, dtype=np.int16)
    labels[is_left], labels[~is_left] = left[raw[is_left]], right[raw[~is_left]]
    return _fill_from_nearest(labels, affine)


def _lookup(names: dict[int, str], table: dict[str, str], default_side: str) -> npt.NDArray[np.int16]:
    """Raw label to canonical label; `default_side` is for paired structures whose raw name tells no side."""
    lookup = np.zeros(max(names) + 1, dtype=np.int16)
    for value, raw_name in names.items():
        if value == BACKGROUND:
            continue
        name, side = canonical_name(raw_name, table)
        if name == NEAREST:
            lookup[value] = _UNRESOLVED
        else:
            where: Any = (side or default_side) if name in PAIRED_NAMES else "midline"
            lookup[value] = structure(name, where).label
    return lookup


def _fill_from_nearest(labels: npt.NDArray[np.int16], affine: npt.NDArray[np.float64]) -> npt.NDArray[np.int16]:
    """Voxels that name no structure take the label of the nearest voxel (mm) that does."""
    unresolved = labels == _UNRESOLVED
    if not unresolved.any():
        return labels
    box = tuple(
        slice(max(part.start - 8, 0), part.stop + 8) for part in ndimage.find_objects(unresolved.astype(np.int8))[0]
    )
    spacing = np.abs(np.diagonal(affine)[:3])
    nearest = ndimage.distance_transform_edt(
        labels[box] <= BACKGROUND, sampling=spacing, return_distances=False, return_indices=True
    )
    labels[unresolved] = labels[box][tuple(nearest)][unresolved[box]]
    return labels
