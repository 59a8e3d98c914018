"""Homology of a structure (its pieces, tunnels and cavities), for contrast with the relations between structures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from toposlearn.anatomy import BACKGROUND, LabelMap, Structure
from toposlearn.arrays import Float64s
from toposlearn.relations.layout import Layout, layout
from toposlearn.relations.relations import DIRECTIONS, relation_margin, relation_margins

Mask = npt.NDArray[np.bool_]
Diagram = tuple[Float64s, ...]  # birth and death (B, 2) in mm of pieces, tunnels and cavities, the longest first


def betti_numbers(mask: Mask) -> tuple[int, int, int]:
    """Number of pieces, tunnels and cavities of a mask (X, Y, Z): pieces connect through corners, background by faces.

    Euler characteristic of voxels as closed cubes: pieces - tunnels + cavities = vertices - edges + faces - cubes.
    """
    cube = np.ones((3, 3, 3), dtype=bool)
    pieces, cavities = ndimage.label(mask, cube)[1], ndimage.label(~np.pad(mask, 1))[1] - 1
    cells = np.zeros(2 * np.array(mask.shape) + 1, dtype=bool)  # a cell has as many dimensions as odd coordinates
    cells[1::2, 1::2, 1::2] = mask
    signs = [(-1) ** np.arange(size) for size in cells.shape]
    euler = int(np.einsum("xyz,x,y,z", ndimage.binary_dilation(cells, cube), *signs, optimize=True))
    return pieces, pieces + cavities - euler, cavities


def persistence_diagram(mask: Mask, spacing: npt.ArrayLike = 1.0) -> Diagram:
    """Levels (mm) at which pieces, tunnels and cavities of a growing structure (X, Y, Z) are born and die. Needs gudhi.

    The set of points below a level of the signed distance to the boundary (negative inside) grows from the core of the
    structure to its whole box. At level 0 it is the structure itself; the oldest piece never dies (infinity).
    """
    steps = np.broadcast_to(np.asarray(spacing, dtype=np.float64), 3)
    inside = np.pad(mask[ndimage.find_objects(mask.astype(np.int8))[0]], 1)  # all changes lie within the convex hull
    away = ndimage.distance_transform_edt(~inside, sampling=steps) - ndimage.distance_transform_edt(inside, steps)
    level = away - np.sign(away) * steps.min() / 2  # the sign changes at the faces of the voxels
    import gudhi  # optional: pip install "toposlearn[homology]"

    cells = gudhi.CubicalComplex(top_dimensional_cells=level)
    cells.compute_persistence(homology_coeff_field=2)  # in space every field counts the same; this is the fastest
    bars = (cells.persistence_intervals_in_dimension(dimension).reshape(-1, 2) for dimension in range(3))
    return tuple(each[np.argsort(each[:, 0] - each[:, 1], kind="stable")] for each in bars)


def count_alive(diagram: Diagram, longer_than: float = 0.0) -> tuple[int, ...]:
    """Pieces, tunnels and cavities alive at level 0 (the Betti numbers of the mask) that live for `longer_than` mm."""
    alive = [(bars[:, 0] <= 0) & (bars[:, 1] > 0) & (bars[:, 1] - bars[:, 0] > longer_than) for bars in diagram]
    return tuple(int(each.sum()) for each in alive)


def diagram_distance(a: Diagram, b: Diagram) -> float:
    """Bottleneck distance in mm: the largest shift of a birth or death between two diagrams, 0 if they are equal."""
    import gudhi

    return max(float(gudhi.bottleneck_distance(*pair, 0)) for pair in zip(a, b, strict=True))  # 0: exact


def exchange_places(label_map: LabelMap, a: Structure, b: Structure) -> LabelMap:
    """Exchange two structures by whole voxels, centroid to centroid; what they leave becomes background.

    This changes which structures are neighbors, and no shape. ValueError if they would overlap or leave the image.
    """
    first, second = (np.argwhere(label_map.labels == part.label) for part in (a, b))
    step = np.rint(second.mean(axis=0) - first.mean(axis=0)).astype(int)
    places = np.concatenate([first + step, second - step])
    inside = (places >= 0) & (places < label_map.labels.shape)
    if not inside.all() or len(np.unique(places, axis=0)) < len(places):
        raise ValueError(f"{a.full_name} and {b.full_name} would overlap or leave the image: choose other structures")
    labels = np.where(np.isin(label_map.labels, (a.label, b.label)), BACKGROUND, label_map.labels)
    labels[tuple(places.T)] = np.repeat((a.label, b.label), (len(first), len(second)))
    return replace(label_map, labels=labels, name=f"{label_map.name}, exchanged")


def drill(label_map: LabelMap, part: Structure, radius: float = 2.5) -> LabelMap:
    """Make a round hole of `radius` mm (background) through the centroid of a structure, along the third voxel axis."""
    voxels = np.argwhere(label_map.labels == part.label)
    across = ((voxels - voxels.mean(axis=0)) * label_map.spacing)[:, :2]  # (V, 2) mm from the axis
    labels = label_map.labels.copy()
    labels[tuple(voxels[np.linalg.norm(across, axis=1) <= radius].T)] = BACKGROUND
    return replace(label_map, labels=labels, name=f"{label_map.name}, drilled")


@dataclass(frozen=True, eq=False)
class Shapes:
    """A head, where its structures lie, and the persistence diagrams of some of them."""

    head: LabelMap
    layout: Layout
    diagrams: Mapping[Structure, Diagram]


def measure_shapes(head: LabelMap, parts: Sequence[Structure]) -> Shapes:
    """Lay out a head (without gaps), and follow the homology of `parts`. Needs gudhi."""
    diagrams = {part: persistence_diagram(head.labels == part.label, head.spacing) for part in parts}
    return Shapes(head, layout(head), diagrams)


def changed_relations(before: Layout, after: Layout) -> tuple[int, int, float]:
    """Numbers of directed relations that turn over, and of all, between two layouts, and the largest change in mm.

    Medial, anterior and superior between all structures that both have, each pair once.
    """
    shared = [part for part in before.structures if part in after.structures]
    upper = np.triu_indices(len(shared), k=1)
    layouts = [each.only(shared) for each in (before, after)]
    old, new = ([relation_margins(each, name)[upper] for name in DIRECTIONS[::2]] for each in layouts)
    return int((np.sign(old) != np.sign(new)).sum()), np.size(old), float(np.abs(np.subtract(old, new)).max())


def describe_change(before: Shapes, after: Shapes, a: Structure, b: Structure) -> dict[str, str]:
    """Question -> answer of homology and of relations about a change. Homology of the parts of `after`."""
    pairs = {part.name: (before.diagrams[part], diagram) for part, diagram in after.diagrams.items()}
    counts = [f"{name} {count_alive(old)} → {count_alive(new)}" for name, (old, new) in pairs.items()]
    old, new = (relation_margin(each.layout, a, "medial", b) for each in (before, after))
    turned, relations, largest = changed_relations(before.layout, after.layout)
    return {
        "Betti numbers": ", ".join(counts),
        "diagrams": f"{max(diagram_distance(*pair) for pair in pairs.values()):.1f} mm apart",
        f"{a.name} is medial to {b.name}": f"by {old:+.1f} → {new:+.1f} mm",
        "relations": f"{turned} of {relations:,} turn over, margins move by up to {largest:.2g} mm",
    }
