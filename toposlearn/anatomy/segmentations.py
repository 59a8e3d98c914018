"""A head as a map of structure labels, and the segmentation files from which such a map is read."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from toposlearn.anatomy.label_names import TABLES
from toposlearn.anatomy.vocabulary import BACKGROUND, BY_LABEL, Structure
from toposlearn.arrays import Float64s
from toposlearn.images import BadImageError, is_image, labels_of, open_image, stem, to_ras

HIGHEST_LABEL = 99_999  # Destrieux parcels of FreeSurfer end at 14 175


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Structure labels of one head, with axes that point right, anterior, superior."""

    labels: npt.NDArray[np.integer]  # (X, Y, Z), 0 is background
    affine: Float64s  # (4, 4), voxel index to RAS mm
    name: str  # of the head, e.g. A or donor-9861
    source: str  # who made the labels
    structures: Mapping[int, Structure] = field(default_factory=lambda: BY_LABEL)

    @property
    def spacing(self) -> Float64s:
        """Voxel size in mm along each axis, (3,)."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0), dtype=np.float64)

    @property
    def shear(self) -> float:
        """Largest cosine between two voxel axes: 0 where they are at right angles."""
        axes = self.affine[:3, :3] / self.spacing
        return float(np.abs(axes.T @ axes - np.eye(3)).max())

    @property
    def volumes(self) -> dict[int, float]:
        """Milliliters of each label present, without the background."""
        counts = np.bincount(self.labels.ravel())
        milliliters = abs(np.linalg.det(self.affine[:3, :3])) / 1000
        return {label: float(counts[label] * milliliters) for label in np.flatnonzero(counts).tolist() if label}

    def world(self, label: int) -> Float64s:
        """RAS coordinates in mm of every voxel with this label, (V, 3)."""
        return np.argwhere(self.labels == label) @ self.affine[:3, :3].T + self.affine[:3, 3]


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A label map with the structures of a table only."""

    label_map: LabelMap
    unknown: Mapping[int, int]  # label that the table does not name -> number of its voxels

    @property
    def unknown_share(self) -> float:
        """Share of the labeled voxels that the table does not name."""
        lost = sum(self.unknown.values())
        return lost / (lost + np.count_nonzero(self.label_map.labels))


def load_segmentation(path: str | Path, structures: Mapping[int, Structure], name: str | None = None) -> Segmentation:
    """Read a segmentation of any format, voxel size and orientation, with the label table `structure_names(…)`.

    `name` is that of the head (default: of the file). ValueError: the file cannot be read, is not 3-D, holds
    fractions, or no label of the table.
    """
    path = Path(path)
    raw, affine = read_labels(path)
    counts = np.bincount(raw.ravel())
    present = [label for label in np.flatnonzero(counts).tolist() if label != BACKGROUND]
    known = {label: structures[label] for label in present if label in structures}
    if not known:
        more = ", …" if len(present) > 8 else ""
        seen = f"it holds {len(present)} labels: {', '.join(map(str, present[:8]))}{more}" if present else "it is empty"
        remedy = f"choose another table of labels ({', '.join(TABLES)}, or a CSV file)"
        raise ValueError(f"{path}: none of its labels is in the table ({seen}); {remedy}")
    labels = np.where(np.isin(raw, list(known)), raw, BACKGROUND)
    label_map = LabelMap(labels, affine, name or path_stem(path), str(path), known)
    return Segmentation(label_map, {label: int(counts[label]) for label in present if label not in known})


def path_stem(path: Path) -> str:
    """Name of an image file without its suffix (``.nii.gz`` and the like)."""
    return stem(path.name) if is_image(path.name) else path.stem


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """A short name for each file: its stem or, where stems repeat, the folders that distinguish the files.

    ``bert/mri/aparc.mgz`` and ``ernie/mri/aparc.mgz`` are ``bert`` and ``ernie``. ValueError for a file given twice.
    """
    stems = [path_stem(path) for path in paths]
    if len(set(stems)) == len(stems):
        return stems
    full = [path.resolve() for path in paths]
    twice = [str(path) for path, count in Counter(full).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]} is given twice")
    above = os.path.commonpath([path.parent for path in full])
    parts = [[*path.parent.relative_to(above).parts, stem] for path, stem in zip(full, stems, strict=True)]
    while min(map(len, parts)) > 1 and len({each[-1] for each in parts}) == 1:
        parts = [each[:-1] for each in parts]
    names = ["-".join(each) for each in parts]
    return names if len(set(names)) == len(names) else [f"{name}-{number}" for number, name in enumerate(names, 1)]


def read_labels(path: Path) -> tuple[npt.NDArray[np.int32], Float64s]:
    """Labels with axes turned to RAS, as integers also where they are stored as floats, and the affine."""
    image = open_image(path)
    if not np.isfinite(image.affine).all() or abs(np.linalg.det(image.affine[:3, :3])) < 1e-9:
        raise BadImageError(f"{path} has an affine that gives voxels no size: repair its header")
    labels, affine = to_ras(labels_of(image), image.affine)
    if labels.min() < 0 or labels.max() > HIGHEST_LABEL:
        span = f"{labels.min():g} to {labels.max():g}"
        raise ValueError(f"{path} holds labels {span}: they must lie in 0 to {HIGHEST_LABEL}")
    return labels.astype(np.int32), affine
