"""How real a shape is, as numbers: volumes of structures, local size against the template, mass effect, sameness."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from toposlearn.anatomy import STRUCTURES, LabelMap
from toposlearn.cohort.head import Head

Floats = NDArray[np.float32]
Labels = NDArray[np.integer]

RINGS_MM = ((0.0, 5.0), (5.0, 10.0), (10.0, 20.0), (20.0, 40.0))  # around a lesion
_CODE = 1000  # above every label
GROUPS: Mapping[str, tuple[str, ...]] = {
    "cerebellum": ("cerebellum-cortex", "cerebellum-white-matter"),
    "cortex": tuple(dict.fromkeys(s.name for s in STRUCTURES if s.tissue == "cortex")),
    "fluid": tuple(dict.fromkeys(s.name for s in STRUCTURES if s.tissue == "csf")),
}


def group_volumes(label_map: LabelMap) -> dict[str, float]:
    """Milliliters of each structure present, both sides together, and of groups of them.

    ``brain`` is all but fluid, ``intracranial`` brain and fluid; both only where there is white matter (the donors'
    maps hold gray matter only).
    """
    found = label_map.volumes
    names: dict[str, float] = {}
    for structure in STRUCTURES:
        if structure.label in found:
            names[structure.name] = names.get(structure.name, 0.0) + found[structure.label]
    for group, parts in GROUPS.items():
        if all(part in names for part in parts):
            names[group] = sum(names[part] for part in parts)
    if "cerebral-white-matter" in names:
        names["intracranial"] = sum(found.values())
        names["brain"] = names["intracranial"] - names.get("fluid", 0.0)
    return names


def jacobian(to_template: Floats, affine: NDArray[np.floating]) -> Floats:
    """Determinant (X, Y, Z) of the map subject mm -> template mm, from its values (X, Y, Z, 3) at voxel centers.

    Above 1: the subject's tissue is smaller than the template's.
    """
    along = [np.asarray(np.gradient(to_template, axis=axis)) for axis in range(3)]
    slopes = np.stack(along, axis=-1)  # (X, Y, Z, component, voxel axis)
    return np.asarray(np.linalg.det(slopes) / np.linalg.det(affine[:3, :3]), dtype=np.float32)


def mass_effect(
    size: NDArray[np.floating], lesion: Labels, brain: NDArray[np.bool_], spacing: NDArray[np.float64]
) -> list[float]:
    """Size relative to the template, as a share of the brain's median, inside a lesion and in each of `RINGS_MM`.

    Args:
        size: (X, Y, Z) of a voxel relative to the template, 1 / `jacobian`.
        lesion: (X, Y, Z), above 0 inside.
        brain: (X, Y, Z), what counts.
        spacing: mm, (3,).
    """
    distance = ndimage.distance_transform_edt(lesion == 0, sampling=spacing)
    relative = size / np.median(size[brain])
    places = [lesion > 0, *((distance > low) & (distance <= high) for low, high in RINGS_MM)]
    return [float(np.median(relative[brain & place])) if (brain & place).any() else float("nan") for place in places]


def same_as_template(labels: Labels, to_template: Floats, head: Head) -> float:
    """Share of a person's voxels whose label is the one that the template has at the place they map to."""
    inside = labels > 0
    voxels = (to_template[inside] - head.affine[:3, 3]) / head.spacing
    read = ndimage.map_coordinates(head.labels, voxels.T, order=0, mode="nearest")
    return float((read == labels[inside]).mean())


def touching_pairs(labels: Labels, least: int = 10) -> set[tuple[int, int]]:
    """Pairs of structures, smaller label first, that share at least `least` voxel faces; background is none."""
    met = []
    for axis in range(3):
        faces = np.moveaxis(labels, axis, 0).astype(np.int64)
        a, b = np.minimum(faces[:-1], faces[1:]), np.maximum(faces[:-1], faces[1:])
        kept = (a != b) & (a > 0)
        met.append(a[kept] * _CODE + b[kept])
    codes, counts = np.unique(np.concatenate(met), return_counts=True)
    first, second = np.divmod(codes[counts >= least], _CODE)
    return set(zip(first.tolist(), second.tolist(), strict=True))


def shared_pairs(one: set[tuple[int, int]], other: set[tuple[int, int]]) -> float:
    """Of all pairs that touch in one of two people, the share that touches in both."""
    return len(one & other) / len(one | other) if one | other else float("nan")
