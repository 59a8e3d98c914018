"""The vocabulary of brain structures that every label map shares: label, name, side and tissue (``structures.csv``).

Left structures are 1 to 18, right ones 100 more, midline ones start at 201. Left is the person's: negative x in RAS.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from toposlearn.anatomy.sources import shipped_table

Side = Literal["left", "right", "midline"]

BACKGROUND = 0
RIGHT_OFFSET = 100


@dataclass(frozen=True)
class Structure:
    """A named region of the brain."""

    label: int  # value in label maps (int16)
    name: str  # without the side, e.g. thalamus
    side: Side
    tissue: str  # class that shares MR relaxation times, one of `TISSUES`

    @property
    def full_name(self) -> str:
        """Name with its side, e.g. ``left-thalamus``; midline structures have the name alone."""
        return self.name if self.side == "midline" else f"{self.side}-{self.name}"


STRUCTURES: tuple[Structure, ...] = tuple(
    Structure(int(row["label"]), row["name"], cast(Side, row["side"]), row["tissue"])
    for row in shipped_table("structures.csv")
)
TISSUES: tuple[str, ...] = tuple(dict.fromkeys(structure.tissue for structure in STRUCTURES))
PAIRED_NAMES: tuple[str, ...] = tuple(structure.name for structure in STRUCTURES if structure.side == "left")

BY_LABEL: Mapping[int, Structure] = {structure.label: structure for structure in STRUCTURES}
_BY_NAME = {(structure.name, structure.side): structure for structure in STRUCTURES}


def structure(name: str, side: Side = "midline") -> Structure:
    """Return the structure with this name and side, e.g. ``structure("thalamus", "left")``."""
    if (name, side) in _BY_NAME:
        return _BY_NAME[name, side]
    if side not in get_args(Side):
        raise ValueError(f"side must be one of {', '.join(get_args(Side))}, got {side!r}")
    names = list(dict.fromkeys(each.name for each in STRUCTURES))
    if name in names:
        sides = "left or right" if name in PAIRED_NAMES else "midline only"
        raise ValueError(f"{name} has no side {side!r}: it is {sides}")
    raise ValueError(f"unknown structure {name!r}: choose one of {', '.join(names)}")
