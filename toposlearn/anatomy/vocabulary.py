"""One vocabulary of brain structures for every label map: a small integer, a name, a side, a tissue.

Left structures are 1 to 18, the same structure on the right is 100 more, midline structures start at 201;
0 is background. "Left" is the person's own left: negative x in RAS world coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Side = Literal["left", "right", "midline"]

BACKGROUND = 0
RIGHT_OFFSET = 100

# Structures with a left and a right, and the tissue that decides how they look in MRI.
_PAIRED = (
    ("lateral-ventricle", "csf"),
    ("thalamus", "thalamus"),
    ("caudate", "striatum"),
    ("putamen", "striatum"),
    ("pallidum", "pallidum"),
    ("hippocampus", "hippocampus"),
    ("amygdala", "hippocampus"),
    ("accumbens", "striatum"),
    ("ventral-dc", "brainstem"),
    ("cerebral-white-matter", "white"),
    ("frontal-cortex", "cortex"),
    ("parietal-cortex", "cortex"),
    ("temporal-cortex", "cortex"),
    ("occipital-cortex", "cortex"),
    ("cingulate-cortex", "cortex"),
    ("insula", "cortex"),
    ("cerebellum-cortex", "cerebellar_gray"),
    ("cerebellum-white-matter", "cerebellar_white"),
)
_MIDLINE = (
    ("brainstem", "brainstem"),
    ("third-ventricle", "csf"),
    ("fourth-ventricle", "csf"),
    ("csf", "csf"),
)


@dataclass(frozen=True)
class Structure:
    """A named region of the brain.

    Attributes:
        label: its value in label maps (int16).
        name: without the side, e.g. ``thalamus``.
        side: ``left``, ``right`` or ``midline``.
        tissue: class that shares MR relaxation times, one of `TISSUES`.
    """

    label: int
    name: str
    side: Side
    tissue: str

    @property
    def full_name(self) -> str:
        """Name with its side, e.g. ``left-thalamus``; midline structures have none."""
        return self.name if self.side == "midline" else f"{self.side}-{self.name}"


STRUCTURES: tuple[Structure, ...] = (
    *(Structure(1 + i, name, "left", tissue) for i, (name, tissue) in enumerate(_PAIRED)),
    *(Structure(1 + RIGHT_OFFSET + i, name, "right", tissue) for i, (name, tissue) in enumerate(_PAIRED)),
    *(Structure(201 + i, name, "midline", tissue) for i, (name, tissue) in enumerate(_MIDLINE)),
)
TISSUES: tuple[str, ...] = tuple(dict.fromkeys(structure.tissue for structure in STRUCTURES))
PAIRED_NAMES: tuple[str, ...] = tuple(name for name, _ in _PAIRED)
MIDLINE_NAMES: tuple[str, ...] = tuple(name for name, _ in _MIDLINE)

BY_LABEL: Mapping[int, Structure] = {structure.label: structure for structure in STRUCTURES}
_BY_NAME = {(structure.name, structure.side): structure for structure in STRUCTURES}


def structure_of(label: int) -> Structure:
    """The structure with this label.

    Raises:
        ValueError: no structure has it.
    """
    if int(label) not in BY_LABEL:
        raise ValueError(f"no structure has label {label}: labels are 1-18 (left), 101-118 (right), 201-204 (midline)")
    return BY_LABEL[int(label)]


def structure(name: str, side: Side = "midline") -> Structure:
    """The structure with this name and side, e.g. ``structure("thalamus", "left")``.

    Raises:
        ValueError: no such structure, or no such side of it.
    """
    if (name, side) in _BY_NAME:
        return _BY_NAME[name, side]
    if side not in get_args(Side):
        raise ValueError(f"side must be one of {', '.join(get_args(Side))}, got {side!r}")
    if name in PAIRED_NAMES + MIDLINE_NAMES:
        sides = "left or right" if name in PAIRED_NAMES else "midline only"
        raise ValueError(f"{name} has no side {side!r}: it is {sides}")
    raise ValueError(f"unknown structure {name!r}: choose one of {', '.join(PAIRED_NAMES + MIDLINE_NAMES)}")


def labels_of_tissue(tissue: str) -> tuple[int, ...]:
    """Labels of all structures made of this tissue.

    Raises:
        ValueError: no such tissue.
    """
    if tissue not in TISSUES:
        raise ValueError(f"unknown tissue {tissue!r}: choose one of {', '.join(TISSUES)}")
    return tuple(structure.label for structure in STRUCTURES if structure.tissue == tissue)
