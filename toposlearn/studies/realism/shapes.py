"""How real a shape is, in numbers: volumes of structures, local size, mass effect, neighbors."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from toposlearn.anatomy import STRUCTURES, LabelMap
from toposlearn.arrays import Float32s, Float64s
from toposlearn.cohort.head import Head
from toposlearn.relations.layout import shared_faces

Labels = NDArray[np.integer]
Pairs = set[frozenset[int]]
RINGS_MM = ((0, 5), (5, 10), (10, 20), (20, 40))  # from the edge of a lesion
RINGS = ("inside", *(f"{low} to {high} mm" for low, high in RINGS_MM))
FEWEST_FACES = 10  # voxel faces that neighbors share
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
    milliliters = label_map.volumes
    names: dict[str, float] = {}
    for structure in STRUCTURES:
        if structure.label in milliliters:
            names[structure.name] = names.get(structure.name, 0.0) + milliliters[structure.label]
    for group, parts in GROUPS.items():
        if all(part in names for part in parts):
            names[group] = sum(names[part] for part in parts)
    if "cerebral-white-matter" in names:
        names["intracranial"] = sum(milliliters.values())
        names["brain"] = names["intracranial"] - names.get("fluid", 0.0)
    return names


def jacobian(to_template: Float32s, affine: Float64s) -> Float32s:
    """Determinant (X, Y, Z) of the map subject mm -> template mm (X, Y, Z, 3); above 1: smaller than the template."""
    slopes = np.stack([np.gradient(to_template, axis=axis) for axis in range(3)], axis=-1)
    return np.asarray(np.linalg.det(slopes) / np.linalg.det(affine[:3, :3]), dtype=np.float32)


def mass_effect(
    size: NDArray[np.floating], lesion: Labels, brain: NDArray[np.bool_], spacing: Float64s
) -> dict[str, float]:
    """Median over the brain of local size (1 / `jacobian`) in each of `RINGS`, relative to that of the whole brain.

    The first three are (X, Y, Z), spacing (3,) in mm; the lesion is where `lesion` is above 0.
    """
    distance = ndimage.distance_transform_edt(lesion == 0, sampling=spacing)
    places = [lesion > 0, *((distance > low) & (distance <= high) for low, high in RINGS_MM)]
    values = [size[brain & place] / np.median(size[brain]) for place in places]
    return {ring: float(np.median(each)) for ring, each in zip(RINGS, values, strict=True) if len(each)}


def same_as_template(labels: Labels, to_template: Float32s, head: Head) -> float:
    """Share of a subject's voxels whose label is the one that the template has at the place they map to."""
    inside = labels > 0
    voxels = (to_template[inside] - head.affine[:3, 3]) / head.spacing
    read = ndimage.map_coordinates(head.labels, voxels.T, order=0, mode="nearest")
    return float((read == labels[inside]).mean())


def touching_pairs(labels: Labels) -> Pairs:
    """Pairs of labels in (X, Y, Z) that share `FEWEST_FACES` voxel faces or more; background excluded."""
    present = np.unique(labels[labels > 0]).astype(np.int64)
    faces = shared_faces(labels, present).sum(axis=0)
    return {frozenset(present[pair].tolist()) for pair in np.argwhere(np.triu(faces >= FEWEST_FACES))}


def pairwise_shared(touching: list[Pairs]) -> Float64s:
    """Share of the pairs that touch in one of two subjects that touch in both: (S, S), symmetric, zero diagonal."""
    shared = np.zeros((len(touching), len(touching)))
    for (a, one), (b, other) in combinations(enumerate(touching), 2):
        shared[a, b] = shared[b, a] = len(one & other) / len(one | other) if one | other else np.nan
    return shared
