"""What the labels of a segmentation mean: the tables of common programs, or one of the user's own.

Unlike `load_label_map`, which sums parcels to the lobes of one vocabulary, a table keeps every label a structure of its
own. Names are written alike (lower case, hyphens), so that a thalamus is a thalamus whoever labeled it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from toposlearn.anatomy.label_maps import LabelMap, load_raw_labels, read_names
from toposlearn.anatomy.name_tables import NEUROMORPHOMETRICS_PARCELS
from toposlearn.anatomy.sources import SOURCES
from toposlearn.anatomy.vocabulary import BACKGROUND, STRUCTURES, Side, Structure

TABLES = ("freesurfer", "desikan", "neuromorphometrics", "toposlearn")
LABEL_COLUMNS, NAME_COLUMNS, SIDE_COLUMNS = ("label", "index", "id"), ("name", "structure"), ("side", "hemisphere")
UNKNOWN_TISSUE = "unknown"

_SHIPPED = {"freesurfer": "A-names", "desikan": "donor-names", "neuromorphometrics": "B-names"}
_FAMILY_TABLE = {"A": "freesurfer", "B": "neuromorphometrics"}
# Labels of FreeSurfer and SynthSeg that the atlas of family A happens not to hold.
_MORE_FREESURFER = {3: "Left-Cerebral-Cortex", 42: "Right-Cerebral-Cortex", 72: "5th-Ventricle"}
_NO_STRUCTURE = {"unknown", "vessel", "wm-hypointensities", "non-wm-hypointensities"}  # found anywhere, if at all
_SAME = {
    "thalamus-proper": "thalamus",
    "accumbens-area": "accumbens",
    "accumbensarea": "accumbens",
    "thalamusproper": "thalamus",
    "ventraldc": "ventral-dc",
    "brain-stem": "brainstem",
    "cerebellum-exterior": "cerebellum-cortex",
    "3rd-ventricle": "third-ventricle",
    "4th-ventricle": "fourth-ventricle",
    "5th-ventricle": "fifth-ventricle",
}
_SIDES: dict[str, Side] = {
    "l": "left", "lh": "left", "left": "left", "r": "right", "rh": "right", "right": "right",
    "": "midline", "b": "midline", "midline": "midline", "n/a": "midline",
}  # fmt: skip
_BEFORE = re.compile(r"(?:ctx[-_ ])?(left|lh|l|right|rh|r)[-_ .](.+)", re.IGNORECASE)
_BEHIND = re.compile(r"(.+)[-_ .](left|lh|l|right|rh|r)", re.IGNORECASE)


def structure_names(table: str | Path) -> dict[int, Structure]:
    """What each label means, in a table of `TABLES` or in a file of one's own.

    A file holds one label a row, with commas (or tabs, in a ``.tsv``), and columns for the label (`LABEL_COLUMNS`), the
    name (`NAME_COLUMNS`) and, unless the names tell it as ``Left-Thalamus`` or ``thalamus_R`` do, the side
    (`SIDE_COLUMNS`). Label 0 is background, whatever it is called; unknown tissue, vessels and hypointensities are no
    structures.

    Raises:
        ValueError: neither a known table nor a file, or a row that cannot be understood, which it names.
    """
    if str(table) in _SHIPPED:
        return _shipped(str(table))
    if str(table) == "toposlearn":
        return {structure.label: structure for structure in STRUCTURES}
    file = Path(table)
    if not file.is_file():
        raise ValueError(f"no table of labels {str(table)!r}: choose one of {', '.join(TABLES)}, or give a CSV file")
    return _read_table(file)


def load_parcels(family: str) -> LabelMap:
    """An atlas of `toposlearn.anatomy.FAMILIES` in MNI space with all its own parcels, not summed to lobes.

    Raises:
        ValueError: unknown family.
        MissingAnatomyError: the package that ships it is not installed.
    """
    raw, affine = load_raw_labels(family)
    structures = structure_names(_FAMILY_TABLE[family])
    meaning = np.zeros(int(raw.max()) + 1, dtype=raw.dtype)  # vessels and the like become background
    kept = [label for label in structures if label < len(meaning)]
    meaning[kept] = kept
    return LabelMap(meaning[raw], affine, f"{family} parcels", SOURCES[family].origin, structures)


def split_side(name: str) -> tuple[str, Side]:
    """A name without its side, and the side: ``ctx-lh-cuneus``, ``Left_Cuneus`` and ``cuneus-L`` are all left."""
    if before := _BEFORE.fullmatch(name):
        return before[2], _SIDES[before[1].lower()]
    if behind := _BEHIND.fullmatch(name):
        return behind[1], _SIDES[behind[2].lower()]
    return name, "midline"


def _shipped(table: str) -> dict[int, Structure]:
    names = read_names(_SHIPPED[table])
    if table == "freesurfer":
        names |= _MORE_FREESURFER
    sided = ((label, *split_side(name)) for label, name in sorted(names.items()))
    return _structures((f"label {label}", label, _without_abbreviation(name), side) for label, name, side in sided)


def _without_abbreviation(name: str) -> str:
    """``Cun_cuneus`` -> ``cuneus``."""
    short, _, rest = name.partition("_")
    return rest if rest and short.lower() in NEUROMORPHOMETRICS_PARCELS else name


def _read_table(file: Path) -> dict[int, Structure]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines, delimiter="\t" if file.suffix.lower() == ".tsv" else ",")
            rows = [(reader.line_num, row) for row in reader]
            columns = {str(column).strip().lower(): str(column) for column in reader.fieldnames or ()}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{file} cannot be read as a table: {error}") from error
    label, name = (_column(file, columns, known) for known in (LABEL_COLUMNS, NAME_COLUMNS))
    side = next((columns[known] for known in SIDE_COLUMNS if known in columns), None)
    found = _structures(_parsed(f"{file}, line {number}", row, label, name, side) for number, row in rows)
    if not found:
        raise ValueError(f"{file} names no structure: give a row a label, with a label above 0 and a name")
    return found


def _column(file: Path, columns: dict[str, str], known: tuple[str, ...]) -> str:
    for name in known:
        if name in columns:
            return columns[name]
    raise ValueError(f"{file} has no column {' or '.join(known)}: its columns are {', '.join(columns) or 'missing'}")


Row = tuple[str, int, str, Side]  # where it stands, label, name, side


def _parsed(place: str, row: dict[str, str], label: str, name: str, side: str | None) -> Row:
    text, called = (row[label] or "").strip(), (row[name] or "").strip()
    if not text.isdecimal():
        raise ValueError(f"{place}: label {text!r} is no whole number from 0 up")
    if not _alike(called):
        raise ValueError(f"{place}: label {text} has no name")
    if side is None:
        return place, int(text), *split_side(called)
    told = (row[side] or "").strip().lower()
    if told not in _SIDES:
        raise ValueError(f"{place}: side {told!r} is none of left, right, midline")
    bare, named = split_side(called)
    if named not in ("midline", _SIDES[told]):
        raise ValueError(f"{place}: {called!r} and side {told!r} contradict each other")
    return place, int(text), bare, _SIDES[told]


def _structures(rows: Iterable[Row]) -> dict[int, Structure]:
    """Label -> structure; every label and every structure once."""
    found: dict[int, Structure] = {}
    taken: dict[tuple[str, Side], int] = {}
    for place, label, raw, side in rows:
        name = _alike(raw)
        if label == BACKGROUND or name in _NO_STRUCTURE:
            continue
        if label in found:
            raise ValueError(f"{place}: label {label} is named twice, {found[label].name} and {name}")
        other = taken.setdefault((name, side), label)
        found[label] = Structure(label, name, side, UNKNOWN_TISSUE)
        if other != label:
            raise ValueError(f"{place}: labels {other} and {label} are both {found[label].full_name}: name each once")
    return found


def _alike(name: str) -> str:
    hyphenated = re.sub(r"[\W_]+", "-", name.lower()).strip("-")
    return _SAME.get(hyphenated, hyphenated)
