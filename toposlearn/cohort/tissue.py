"""Structure, tissue and lesion at each place of a bent head."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from toposlearn.anatomy.vocabulary import BY_LABEL, OUTSIDE
from toposlearn.arrays import Float64s
from toposlearn.cohort import contrast, deformation, lesions
from toposlearn.cohort.deformation import ControlGrid, read_at
from toposlearn.cohort.head import Anatomy, Head, load_head
from toposlearn.cohort.lesions import Host, Lesion, SiteKind

FINE = 2  # sub-voxels along each axis, averaged: partial volume
BOX_MARGIN = 3  # voxels of air kept around the head
ROWS = {name: row for row, name in enumerate(contrast.ALL_TISSUES)}


def tissue_rows(labels: NDArray[np.integer]) -> NDArray[np.int16]:
    """Row of `contrast.ALL_TISSUES` in each voxel (X, Y, Z) of structure labels; air where no structure is."""
    lookup = np.zeros(max(int(labels.max()), *BY_LABEL) + 1, dtype=np.int16)
    for structure in BY_LABEL.values():
        lookup[structure.label] = ROWS[structure.tissue]
    return np.asarray(lookup[labels])


@dataclass(frozen=True, eq=False)
class Stage:
    """A head, and what all subjects that are bent from it share, computed once."""

    head: Head

    @cached_property
    def grid(self) -> ControlGrid:
        """The lattice of the velocities."""
        return ControlGrid.over(self.head)

    @cached_property
    def growth(self) -> Mapping[str, Float64s]:
        """Velocities that grow a structure by about 1 mm."""
        return deformation.growth_fields(self.head, self.grid)

    @cached_property
    def lesion_sites(self) -> Mapping[SiteKind, Float64s]:
        """Where each kind of lesion may begin."""
        return lesions.lesion_sites(self.head)

    @cached_property
    def _labels(self) -> Tensor:
        return torch.as_tensor(self.head.labels, dtype=torch.float32)[None]

    def labels_at(self, points: Tensor) -> Tensor:
        """Structure label (X, Y, Z), float, at template points (X, Y, Z, 3)."""
        origin = torch.as_tensor(self.head.affine[:3, 3], dtype=torch.float32)
        return read_at(self._labels, (points - origin).div_(self.head.spacing), mode="nearest")[0]


@lru_cache(maxsize=2)
def stage_of(anatomy: str | Anatomy) -> Stage:
    """The stage of label map family ``A`` or ``B``, or of a label map in a file."""
    return Stage(load_head(anatomy))


@dataclass(frozen=True, eq=False)
class TissueField:
    """Tissue of a bent head; outside the box that holds it is air."""

    labels: Tensor  # (X, Y, Z) float, of structures of the brain; 0 elsewhere
    box: tuple[slice, slice, slice]
    rows: Tensor  # int32, of `contrast.ALL_TISSUES`, in the sub-voxels of the box

    def image(self, values: Tensor) -> Tensor:
        """(X, Y, Z): the mean over each voxel's sub-voxels of a value that each tissue (tissues,) has."""
        # index_select is five times as fast as indexing
        return self.spread(values.index_select(0, self.rows.flatten()).view(self.rows.shape))

    @cached_property
    def inside(self) -> Tensor:
        """(X, Y, Z): the share of each voxel that is not air."""
        return self.image((torch.arange(len(ROWS)) != ROWS["air"]).float())

    def spread(self, fine: Tensor) -> Tensor:
        """(X, Y, Z): the mean over sub-voxels of the box, zero elsewhere."""
        whole = torch.zeros(self.labels.shape)
        whole[self.box] = F.avg_pool3d(fine[None, None], FINE)[0, 0]
        return whole


def tissue_field(points: Tensor, stage: Stage, lesion: Lesion | None) -> TissueField:
    """The tissue at template points (X, Y, Z, 3)."""
    labels = stage.labels_at(points)
    around = ndimage.find_objects((labels > 0).numpy().astype(np.uint8)) or [(slice(None),) * 3]
    x, y, z = (
        slice(max((part.start or 0) - BOX_MARGIN, 0), (part.stop or size) + BOX_MARGIN)
        for part, size in zip(around[0], labels.shape, strict=True)
    )
    inside = points[x, y, z]
    rows = torch.as_tensor(tissue_rows(stage.labels_at(_refine(inside)).int().numpy())).int()
    if lesion is not None:
        distance = lesion.relative_distance(inside, stage.grid)
        _infiltrate(rows, _refine(distance[..., None])[..., 0], lesion)
    return TissueField(labels * (labels < OUTSIDE), (x, y, z), rows)


def _refine(values: Tensor) -> Tensor:
    """Values (X, Y, Z, C) at voxel centers, read at the centers of their sub-voxels."""
    fine = F.interpolate(values.movedim(-1, 0)[None], scale_factor=FINE, mode="trilinear", align_corners=False)
    return fine[0].movedim(0, -1)


def _infiltrate(rows: Tensor, distance: Tensor, lesion: Lesion) -> None:
    """Replace tissue by the parts of the lesion, in place."""
    white, solid = rows == ROWS["white"], rows != ROWS["air"]
    hosts: dict[Host, Tensor] = {"white": white, "solid": solid, "brain": solid & (rows != ROWS["csf"])}
    inner = 0.0
    for part in lesion.kind.parts:
        rows[hosts[part.host] & (distance >= inner) & (distance < part.outer)] = ROWS[part.tissue]
        inner = part.outer


def lesion_map(field: TissueField, lesion: Lesion | None) -> NDArray[np.uint8]:
    """(X, Y, Z) labels of the lesion's parts where more than half a voxel is lesion: the largest part; else 0."""
    if lesion is None:
        return np.zeros(field.labels.shape, dtype=np.uint8)
    shares = torch.stack([field.spread((field.rows == ROWS[part.tissue]).float()) for part in lesion.kind.parts])
    largest = np.array([part.label for part in lesion.kind.parts], dtype=np.uint8)[shares.argmax(dim=0).numpy()]
    return np.where(shares.sum(dim=0).numpy() > 0.5, largest, np.uint8(0))
