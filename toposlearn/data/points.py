"""Places that are known in several people without a map to a template: centers of structures, and landmarks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from toposlearn.anatomy import load_segmentation, median_landmarks, structure_names
from toposlearn.anatomy.label_names import TABLES
from toposlearn.arrays import Float64s
from toposlearn.data.gate.assessment import report_problems
from toposlearn.data.images import stem
from toposlearn.data.manifest import Record
from toposlearn.data.prepared import Prepared

FEWEST_VOXELS = 8  # of a structure whose center counts
FEWEST_PEOPLE = 2  # who have a point that is kept
_OWN = "toposlearn"  # the table of the labels of simulated people
Named = dict[str, Float64s]  # name -> position (3,) in RAS mm


@dataclass(frozen=True)
class PointSource:
    """Which label maps have centers that are used, and their table; labels of simulated people need neither."""

    table: str | Path | None = None  # as `structure_names`; None: the ``dseg.tsv`` of BIDS beside the maps
    kind: str = ""  # of `Record.label_maps`; "": the only one


@dataclass(frozen=True, eq=False)
class Points:
    """L places that at least two of S people have: first structures, then landmarks."""

    names: tuple[str, ...]
    landmarks: int  # the number of these
    places: Tensor  # (S, L, 3) float32, mm from the center of the grid; NaN where a person lacks the point


def find_points(
    records: Sequence[Record], people: Sequence[Prepared], spacing: float, source: PointSource
) -> Points | None:
    """Centers of structures and landmarks of prepared people; None where no two of them share one.

    ValueError, in one line: label maps that `source` does not describe, or a file whose points lie in another world.
    """
    maps = _label_maps(records, source)
    structures, landmarks = list[Named](), list[Named]()
    for record, person, found in zip(records, people, maps, strict=True):
        structures.append(_on_grid(found[0], structure_centers(*found), person, spacing) if found else {})
        placed = median_landmarks(record.points)
        landmarks.append(_on_grid(record.points[0], placed, person, spacing) if placed else {})
    taken = {name for each in structures for name in each}
    renamed = [{f"{name} (landmark)" if name in taken else name: at for name, at in own.items()} for own in landmarks]
    names, marks = _shared(structures), _shared(renamed)
    if not (names or marks):
        return None
    missing = np.full(3, np.nan)
    known = [own | more for own, more in zip(structures, renamed, strict=True)]
    places = np.array([[own.get(name, missing) for name in (*names, *marks)] for own in known])
    return Points((*names, *marks), len(marks), torch.from_numpy(places).float())


def structure_centers(path: Path, table: str | Path) -> Named:
    """Name -> center of mass (3,) in RAS mm of each structure of a label map, unless it has very few voxels."""
    segmentation = load_segmentation(path, structure_names(table)).label_map
    labels, affine = segmentation.labels, segmentation.affine
    where, values = np.argwhere(labels), labels[labels != 0]
    counts = np.bincount(values)
    sums = np.stack([np.bincount(values, along) for along in where.T.astype(np.float64)], axis=1)
    large = {label: each for label, each in segmentation.structures.items() if counts[label] >= FEWEST_VOXELS}
    centers = {each.full_name: sums[label] / counts[label] for label, each in large.items()}
    return {name: affine[:3, :3] @ center + affine[:3, 3] for name, center in centers.items()}


def _label_maps(records: Sequence[Record], source: PointSource) -> list[tuple[Path, str | Path] | None]:
    """The label map of each record, and its table: those of simulated people, else those of one kind."""
    others = [{} if record.labels else _described(record, source) for record in records]
    kinds = {kind for own in others for kind in own if source.kind in ("", kind)}
    usable = {kind for own in others for kind, (_, table) in own.items() if table and kind in kinds}
    own_labels = any(record.labels for record in records)
    problem = ""
    if not kinds and not own_labels:
        there = ", ".join(sorted({kind for own in others for kind in own}))
        problem = f"no label map of kind {source.kind!r}: choose {there}" if there else "no label map is found"
    elif kinds and not usable:
        remedy = f"name one with --labels ({', '.join(TABLES)}, or a CSV file), or put a dseg.tsv beside them"
        problem = f"the label maps ({', '.join(sorted(kinds))}) have no table of labels: {remedy}"
    elif len(usable) > 1:
        problem = f"there are label maps of several kinds, {', '.join(sorted(usable))}: choose one with --label-kind"
    if problem and (source.table or source.kind):
        raise ValueError(problem)
    if problem and kinds and not any(record.points or record.to_template for record in records):
        report_problems([problem])
    chosen = "" if problem else next(iter(usable), "")
    pairs = (
        (record.labels, _OWN) if record.labels else own.get(chosen, (None, None))
        for record, own in zip(records, others, strict=True)
    )
    return [(path, table) if path and table else None for path, table in pairs]


def _described(record: Record, source: PointSource) -> dict[str, tuple[Path, str | Path | None]]:
    """Kind -> label map and its table, without masks and lesions unless `source` names them."""
    return {
        kind: (path, source.table or _table_beside(path, record.root))
        for kind, path in record.label_maps.items()
        if kind == source.kind or not (path == record.lesion or kind.endswith("mask"))
    }


def _table_beside(path: Path, root: Path) -> Path | None:
    """The ``dseg.tsv`` of BIDS that describes a label map: in its folder or above, with no part that its name lacks."""
    *parts, suffix = stem(path.name).split("_")
    for folder in path.parents:
        fit = [each for each in folder.glob("*dseg.tsv") if set(each.stem.split("_")) <= {*parts, suffix}]
        if fit:
            return max(fit, key=lambda each: len(each.stem))
        if folder == root:
            break
    return None


def _on_grid(file: Path, points: Named, person: Prepared, spacing: float) -> Named:
    """The points in mm from the center of the person's grid, without those that are not in the head."""
    if not points:  # all structures are tiny
        return {}
    if person.affine is None:
        raise ValueError(f"{person.subject} has no affine: prepare the data set again")
    affine, shape = person.affine.numpy(), np.array(person.foreground.shape)
    voxels = (np.stack(list(points.values())) - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    nearest = np.rint(voxels).astype(int)
    inside = ((nearest >= 0) & (nearest < shape)).all(1)
    head = F.max_pool3d(person.foreground[None].float(), 3, 1, 1)[0].numpy() > 0  # a sulcus may lie at its edge
    inside[inside] = head[tuple(nearest[inside].T)]
    if not inside.any():
        remedy = "bring it to the space of the image, or remove it"
        raise ValueError(f"{file}: none of its points lies in the head of {person.subject}: {remedy}")
    places = (voxels - (shape - 1) / 2) * spacing
    return {name: place for name, place, here in zip(points, places, inside, strict=True) if here}


def _shared(people: Sequence[Named]) -> list[str]:
    """Names that several people have, in the order in which they occur."""
    counts = Counter(name for own in people for name in own)
    return [name for name, count in counts.items() if count >= FEWEST_PEOPLE]
