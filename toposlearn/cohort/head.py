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

from toposlearn.anatomy import FAMILIES, load_label_map, load_own_map, structure
from toposlearn.anatomy.own_maps import is_brain
from toposlearn.anatomy.segmentations import distinct_names
from toposlearn.anatomy.vocabulary import BACKGROUND, BY_LABEL, OUTSIDE, Side
from toposlearn.arrays import Float64s
from toposlearn.images import is_image

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

    def __post_init__(self) -> None:
        if self.whole and self.path is None:
            raise ValueError(f"anatomy {self.name} has no skull: give --heads brain, or label maps that have one")


def find_anatomies(anatomy: str, labels: str) -> list[Anatomy]:
    """The label maps that a comma-separated list names: families, files, and all images of folders."""
    parts = [part.strip() for part in anatomy.split(",")]
    files = [file for part in parts if part not in FAMILIES for file in _files(part)]
    names = distinct_names(files) if files else []
    own = [Anatomy(name, file, labels) for name, file in zip(names, files, strict=True)]
    return [*(Anatomy(part) for part in parts if part in FAMILIES), *own]


def _files(part: str) -> list[Path]:
    path = Path(part)
    if path.is_file():
        return [path]
    if found := sorted(file for file in path.glob("*") if part and is_image(file.name)):
        return found
    raise ValueError(f"anatomy must be {', '.join(FAMILIES)}, a label map or a folder of label maps, got {part!r}")


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
        brain = np.argwhere(self.labels > 0 if self.family in FAMILIES else is_brain(self.labels))
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
    if known.whole:
        if not (labels >= OUTSIDE).any():
            raise ValueError(f"{known.path} has no skull or scalp: give --heads brain")
        _complete(labels, float(affine[0, 0]))
    else:
        if known.path is not None:  # fluid is drawn up to the skull there
            labels[~is_brain(labels)] = BACKGROUND
        _surround(labels, float(affine[0, 0]))
    return Head(labels, affine, known.name, known.whole)


def _complete(labels: NDArray[np.int16], spacing: float) -> None:
    """Let the neck of a whole head go on to the edge, and turn deep soft tissue into muscle, in place."""
    neck = labels[:, :, PADDING : PADDING + 1]
    labels[:, :, :PADDING] = np.where(is_brain(neck), structure("spinal-cord").label, neck)
    skin = np.isin(labels, (BACKGROUND, structure("skin").label))
    deep = ndimage.distance_transform_edt(~skin, sampling=spacing) > FAT_MM
    labels[deep & (labels == structure("soft-tissue").label)] = structure("muscle").label


def _surround(labels: NDArray[np.int16], spacing: float) -> None:
    """Fill sulci, cisterns and a rim around the brain with fluid, in place."""
    brain = labels > 0
    # closed over its sulci, then grown, by distance transforms instead of a large structuring element
    near = ndimage.distance_transform_edt(~brain, sampling=spacing) <= CLOSING_MM
    closed = ndimage.distance_transform_edt(near, sampling=spacing) > CLOSING_MM
    grown = ndimage.distance_transform_edt(~(closed | brain), sampling=spacing) <= FLUID_MM
    labels[ndimage.binary_fill_holes(grown) & ~brain] = CSF
