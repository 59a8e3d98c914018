"""The vocabulary of brain structures that every label map shares: label, name, side and tissue (``structures.csv``).

Left structures are 1 to 18, right ones 100 more, midline ones start at 201. Left is the person's: negative x in RAS.
``more_structures.csv`` has those that only some label maps have: a cortex without lobes, and from 301 on all that is
outside the brain.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from toposlearn.anatomy.sources import shipped_table

Side = Literal["left", "right", "midline"]

BACKGROUND = 0
RIGHT_OFFSET = 100
OUTSIDE = 301  # and above: not of the brain


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


def _read(table: str) -> tuple[Structure, ...]:
    rows = shipped_table(table)
    return tuple(Structure(int(row["label"]), row["name"], cast(Side, row["side"]), row["tissue"]) for row in rows)


STRUCTURES: tuple[Structure, ...] = _read("structures.csv")
MORE_STRUCTURES: tuple[Structure, ...] = _read("more_structures.csv")
TISSUES: tuple[str, ...] = tuple(dict.fromkeys(structure.tissue for structure in STRUCTURES))

BY_LABEL: Mapping[int, Structure] = {each.label: each for each in (*STRUCTURES, *MORE_STRUCTURES)}
PAIRED_NAMES: tuple[str, ...] = tuple(each.name for each in BY_LABEL.values() if each.side == "left")
_BY_NAME = {(structure.name, structure.side): structure for structure in BY_LABEL.values()}


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
