"""Slices of simulated people beside the real templates, and all scans of a few people with their lesions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from toposlearn.anatomy import load_template
from toposlearn.cohort.head import load_head
from toposlearn.data import Record
from toposlearn.data.gate.quality import read_ras
from toposlearn.explore.slices import PLANES, Panel, center_of, mask_overlay, plot_panels
from toposlearn.explore.structures import Plane
from toposlearn.studies.realism.image_figures import short
from toposlearn.studies.realism.person import Floats
from toposlearn.studies.realism.references import T1_TEMPLATES

FIELD_MM = (196, 236, 204)  # of each picture
AT_MM = (-8.0, -4.0, 2.0)  # the planes, from the center of family A's brain: through caudate, putamen and thalamus
OUTLINE = "#E69F00"


def beside_templates(people: Sequence[Record], modality: str = "T1w") -> Figure:
    """The three planes of the real T1 templates and of people, in one scale, people turned upright, size kept."""
    images = {name: _template(name) for name in T1_TEMPLATES}
    images |= {_caption(record): _upright(record, modality) for record in people}
    panels = []
    for plane in PLANES:
        for name, (volume, to_voxel) in images.items():
            title = name if plane == PLANES[0] else " "
            panels.append(Panel(_slab(volume, to_voxel, plane), plane, spacing=1.0, title=title))
    return plot_panels(panels, len(images), size=1.9)


def _caption(record: Record) -> str:
    parts = [record.subject, *(record.info[key] for key in ("sex", "age", "site") if record.info.get(key))]
    return f"{parts[0]}\n{' '.join(parts[1:])}" if parts[1:] else parts[0]


def _slab(volume: NDArray[np.floating], to_voxel: Floats, plane: Plane) -> NDArray[np.float32]:
    """One plane of an image, 1 mm thick and with pixels of 1 mm; `to_voxel` is from template mm."""
    axis = PLANES.index(plane)  # planes are named in the order of the axes they cut
    shape = [1 if each == axis else size for each, size in enumerate(FIELD_MM)]
    grid = np.eye(4)
    grid[:3, 3] = load_head("A").center - (np.array(shape) - 1) / 2
    grid[axis, 3] += AT_MM[axis]
    place = to_voxel @ grid
    read = ndimage.affine_transform(volume, place[:3, :3], place[:3, 3], tuple(shape), order=1)
    return np.asarray(read, dtype=np.float32)


def _template(name: str) -> tuple[NDArray[np.float32], Floats]:
    template = load_template(name)
    return template.data, np.asarray(np.linalg.inv(template.affine))


def _upright(record: Record, modality: str) -> tuple[NDArray[np.float32], Floats]:
    """An image, and template mm -> its voxels by turn and shift alone; as it lies where the map is not known."""
    image, affine = read_ras(record.images[modality])
    to_world = np.eye(4)
    if record.labels is not None and record.to_template is not None:
        to_world = _rigid(*read_ras(record.labels), read_ras(record.to_template)[0])
    return image.astype(np.float32), np.asarray(np.linalg.inv(affine) @ to_world)


def _rigid(labels: NDArray[np.integer], affine: Floats, to_template: NDArray[np.floating], step: int = 3) -> Floats:
    """Template mm -> world mm (4, 4), the turn and shift that best bring a person's places onto the template's."""
    inside = np.argwhere(labels > 0)[::step]
    world = inside @ affine[:3, :3].T + affine[:3, 3]
    template = to_template[tuple(inside.T)].astype(float)
    turn, _ = Rotation.align_vectors(world - world.mean(axis=0), template - template.mean(axis=0))
    found = np.eye(4)
    found[:3, :3] = turn.as_matrix()
    found[:3, 3] = world.mean(axis=0) - found[:3, :3] @ template.mean(axis=0)
    return found


def all_scans(people: Sequence[Record], modalities: Sequence[str]) -> Figure:
    """A row a person: the axial slice through the middle of the lesion in each scan, the lesion outlined."""
    panels = []
    for record in people:
        shape, affine, lesion, at = _place(record)
        outline = mask_overlay(lesion & ~ndimage.binary_erosion(lesion, _IN_PLANE), OUTLINE, alpha=1.0)
        spacing = np.linalg.norm(affine[:3, :3], axis=0).tolist()
        for modality in modalities:
            image, own = read_ras(record.images[modality])
            to_voxel = np.linalg.inv(own) @ affine
            volume = ndimage.affine_transform(image, to_voxel[:3, :3], to_voxel[:3, 3], shape, order=0)
            shown = outline if modality == modalities[0] and lesion.any() else None
            panels.append(Panel(volume, "axial", at, spacing, shown, _title(record, modality, modalities[0])))
    return plot_panels(panels, len(modalities), size=1.9)


_IN_PLANE = np.zeros((3, 3, 3), dtype=bool)
_IN_PLANE[1, :, 1] = _IN_PLANE[:, 1, 1] = True


def _place(record: Record) -> tuple[tuple[int, ...], Floats, NDArray[np.bool_], float]:
    """The grid of a person's truth, the lesion, and the height in mm from the center where it is cut."""
    assert record.labels is not None
    labels, affine = read_ras(record.labels)
    lesion = np.asarray(read_ras(record.lesion)[0] > 0) if record.lesion else np.zeros(labels.shape, dtype=bool)
    spacing = np.linalg.norm(affine[:3, :3], axis=0).tolist()
    return labels.shape, affine, lesion, center_of(lesion if lesion.any() else labels > 0, spacing)[2]


def _title(record: Record, modality: str, first: str) -> str:
    """The modality; on the first also who it is."""
    if modality != first:
        return short(modality)
    what = record.info.get("lesion_type", "").replace("n/a", "no lesion")
    return f"{modality}: {record.subject}, {record.info.get('site', '')}\n{what}".rstrip()
