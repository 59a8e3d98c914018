"""The head that every subject of a family is bent from: a real label map, with the fluid that surrounds the brain.

Heads are brain-extracted, like BraTS, UPENN-GBM and most multi-modal releases: no skull and no scalp.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from toposlearn.anatomy import STRUCTURES, load_label_map
from toposlearn.anatomy.vocabulary import Side
from toposlearn.arrays import Float64s

CLOSING_MM = 10.0  # sulci and cisterns narrower than twice this are fluid
FLUID_MM = 1.5  # rim of fluid around the brain
PADDING = 12  # voxels of air on every side
CSF = next(structure.label for structure in STRUCTURES if structure.name == "csf")


@dataclass(frozen=True, eq=False)
class Head:
    """Labels (X, Y, Z) in RAS order, 0 is air; affine voxel -> template RAS mm."""

    labels: NDArray[np.int16]
    affine: Float64s
    family: str

    @property
    def spacing(self) -> float:
        """Isotropic voxel size in mm."""
        return float(np.abs(self.affine[0, 0]))

    @cached_property
    def center(self) -> Float64s:
        """Center of the brain's bounding box, template mm."""
        brain = np.argwhere(self.labels > 0)
        middle = (brain.min(axis=0) + brain.max(axis=0)) / 2
        return np.asarray(self.affine[:3, :3] @ middle + self.affine[:3, 3])

    def mask(self, *names: str, side: Side | None = None) -> NDArray[np.bool_]:
        """Voxels of the named structures, of both sides or of one."""
        named = [structure for structure in STRUCTURES if structure.name in names]
        wanted = [structure.label for structure in named if side in (None, structure.side)]
        return np.isin(self.labels, wanted)


@lru_cache(maxsize=2)
def load_head(family: str) -> Head:
    """The head of label map family ``A`` (training) or ``B`` (held out)."""
    source = load_label_map(family)
    head = Head(np.pad(source.labels, PADDING), source.affine.copy(), family)
    head.affine[:3, 3] -= head.affine[:3, :3] @ np.full(3, PADDING)
    brain, spacing = head.labels > 0, head.spacing
    # closed over its sulci, then grown, by distance transforms instead of a large structuring element
    near = ndimage.distance_transform_edt(~brain, sampling=spacing) <= CLOSING_MM
    closed = ndimage.distance_transform_edt(near, sampling=spacing) > CLOSING_MM
    grown = ndimage.distance_transform_edt(~(closed | brain), sampling=spacing) <= FLUID_MM
    head.labels[ndimage.binary_fill_holes(grown) & ~brain] = CSF
    return head
