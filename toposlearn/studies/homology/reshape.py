"""Two changes made on purpose: structures that exchange their places, and a structure with a hole drilled through it.

The first changes who is next to whom and no shape; the second changes a shape and, by less than a voxel, where it lies.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toposlearn.anatomy import BACKGROUND, LabelMap, Structure
from toposlearn.relations.layout import Layout
from toposlearn.relations.relations import DIRECTIONS, relation_margins


def exchange_places(label_map: LabelMap, a: Structure, b: Structure) -> LabelMap:
    """Each of two structures takes the other's place: its shape moves by whole voxels, centroid to centroid.

    What lay there is overwritten; what they leave is background.

    Raises:
        ValueError: one is missing, or the two would overlap, or leave the image.
    """
    first, second = (_voxels(label_map, part) for part in (a, b))
    step = np.rint(second.mean(axis=0) - first.mean(axis=0)).astype(int)
    labels = np.where(np.isin(label_map.labels, (a.label, b.label)), BACKGROUND, label_map.labels)
    for part, voxels in ((a, first + step), (b, second - step)):
        if (voxels < 0).any() or (voxels >= labels.shape).any():
            raise ValueError(f"{part.full_name} would leave the image: pad the labels, or choose nearer structures")
        labels[tuple(voxels.T)] = part.label
    if (labels == a.label).sum() < len(first):
        raise ValueError(f"{a.full_name} and {b.full_name} would overlap: choose structures that lie further apart")
    return replace(label_map, labels=labels, name=f"{label_map.name}, exchanged")


def drill(label_map: LabelMap, part: Structure, radius: float = 2.5, axis: int = 2) -> LabelMap:
    """A round hole of `radius` mm through the centroid of a structure, along voxel axis 0, 1 or 2; it is background.

    Raises:
        ValueError: no such axis, a radius that removes nothing or all, or a head without this structure.
    """
    if axis not in (0, 1, 2):
        raise ValueError(f"axis must be 0 (to the right), 1 (to the front) or 2 (up), got {axis}")
    voxels = _voxels(label_map, part)
    across = np.delete((voxels - voxels.mean(axis=0)) * label_map.spacing, axis, axis=1)  # (V, 2) mm from the axis
    removed = voxels[np.linalg.norm(across, axis=1) <= radius]
    if not 0 < len(removed) < len(voxels):
        raise ValueError(f"radius must remove some of {part.full_name} and leave some, got {radius} mm")
    labels = label_map.labels.copy()
    labels[tuple(removed.T)] = BACKGROUND
    return replace(label_map, labels=labels, name=f"{label_map.name}, drilled")


def changed_relations(before: Layout, after: Layout) -> tuple[int, int, float]:
    """How many directed relations between the structures of two heads turn over, of how many, and the largest change.

    Medial, anterior and superior between all structures that both have, each pair once; the change of a margin in mm.
    """
    shared = [part for part in before.structures if part in after.structures]
    upper = np.triu_indices(len(shared), k=1)
    margins = [
        np.stack([relation_margins(head, relation)[np.ix_(rows, rows)][upper] for relation in DIRECTIONS[::2]])
        for head, rows in ((head, [head.index(part) for part in shared]) for head in (before, after))
    ]
    turned = np.sign(margins[0]) != np.sign(margins[1])
    return int(turned.sum()), turned.size, float(np.abs(margins[0] - margins[1]).max())


def _voxels(label_map: LabelMap, part: Structure) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Indices (V, 3) of a structure."""
    voxels = np.argwhere(label_map.labels == part.label)
    if len(voxels) == 0:
        raise ValueError(f"{label_map.name} has no {part.full_name}: its label map does not hold that structure")
    return voxels
