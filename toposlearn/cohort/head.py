"""The head that every subject of an anatomy is bent from: a real label map, with the fluid that surrounds the brain.

Heads are brain-extracted, like BraTS, UPENN-GBM and most multi-modal releases; those of label maps that have skull and
scalp may be whole.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from toposlearn.anatomy import load_label_map, load_own_map, structure
from toposlearn.anatomy.own_maps import is_brain
from toposlearn.anatomy.vocabulary import BACKGROUND, BY_LABEL, OUTSIDE, Side
from toposlearn.arrays import Float64s

CLOSING_MM = 10.0  # sulci and cisterns narrower than twice this are fluid
FLUID_MM = 1.5  # rim of fluid around the brain
FAT_MM = 6.0  # thickness of the fat below the skin; soft tissue further inside is muscle
PADDING = 12  # voxels of air on every side
CSF = structure("csf").label


@dataclass(frozen=True)
class Anatomy:
    """A label map that people are bent from: one of `FAMILIES`, or a file and the table of its labels."""

    name: str
    path: Path | None = None
    table: str = ""
    whole: bool = False  # with skull and scalp


@dataclass(frozen=True, eq=False)
class Head:
    """Labels (X, Y, Z) in RAS order, 0 is air; affine voxel -> template RAS mm."""

    labels: NDArray[np.int16]
    affine: Float64s
    family: str
    whole: bool = False

    @property
    def spacing(self) -> float:
        """Isotropic voxel size in mm."""
        return float(np.abs(self.affine[0, 0]))

    @cached_property
    def center(self) -> Float64s:
        """Center of the brain's bounding box, template mm."""
        brain = np.argwhere(is_brain(self.labels) if self.whole else self.labels > 0)
        middle = (brain.min(axis=0) + brain.max(axis=0)) / 2
        return np.asarray(self.affine[:3, :3] @ middle + self.affine[:3, 3])

    def mask(self, *names: str, side: Side | None = None) -> NDArray[np.bool_]:
        """Voxels of the named structures, of both sides or of one."""
        named = [structure for structure in BY_LABEL.values() if structure.name in names]
        wanted = [structure.label for structure in named if side in (None, structure.side)]
        return np.isin(self.labels, wanted)


@lru_cache(maxsize=2)
def load_head(anatomy: str | Anatomy) -> Head:
    """The head of label map family ``A`` (training) or ``B`` (held out), or of a file."""
    known = Anatomy(anatomy) if isinstance(anatomy, str) else anatomy
    source = load_label_map(known.name) if known.path is None else load_own_map(known.path, known.table)
    labels = np.pad(source.labels, PADDING)
    affine = source.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ np.full(3, PADDING)
    head = Head(labels, affine, known.name, known.whole)
    if known.whole:
        if (labels >= OUTSIDE).any():
            labels[:, :, :PADDING] = labels[:, :, PADDING : PADDING + 1]  # the neck goes on
            skin = np.isin(labels, (BACKGROUND, structure("skin").label))
            deep = ndimage.distance_transform_edt(~skin, sampling=head.spacing) > FAT_MM
            labels[deep & (labels == structure("soft-tissue").label)] = structure("muscle").label
            return head
        raise ValueError(f"anatomy {known.name} has no skull: give --heads brain")
    if known.path is not None:
        labels[~is_brain(labels)] = 0
    brain, spacing = labels > 0, head.spacing
    # closed over its sulci, then grown, by distance transforms instead of a large structuring element
    near = ndimage.distance_transform_edt(~brain, sampling=spacing) <= CLOSING_MM
    closed = ndimage.distance_transform_edt(near, sampling=spacing) > CLOSING_MM
    grown = ndimage.distance_transform_edt(~(closed | brain), sampling=spacing) <= FLUID_MM
    labels[ndimage.binary_fill_holes(grown) & ~brain] = CSF
    return head
