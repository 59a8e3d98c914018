"""The meaning of labels: tables of common programs, a table of the user's own, and the lobe of each parcel.

Names are in lower case with hyphens, so that a thalamus has the same name in every segmentation.
"""

import csv
import re
from collections.abc import Iterable
from pathlib import Path

from toposlearn.anatomy.sources import locate, read_rows, shipped_table
from toposlearn.anatomy.vocabulary import BACKGROUND, BY_LABEL, Side, Structure

LABEL_COLUMNS, NAME_COLUMNS, SIDE_COLUMNS = ("label", "index", "id"), ("name", "structure"), ("side", "hemisphere")
UNKNOWN_TISSUE = "unknown"
NEAREST = "nearest"  # not a structure (vessel, "unknown"): the voxel takes the label of the nearest structure

_SHIPPED = {"freesurfer": "A-names", "desikan": "donor-names", "neuromorphometrics": "B-names"}
TABLES = (*_SHIPPED, "synthseg", "toposlearn")
# Labels of FreeSurfer and SynthSeg that the atlas of family A does not hold.
_MORE_FREESURFER = {3: "Left-Cerebral-Cortex", 42: "Right-Cerebral-Cortex", 72: "5th-Ventricle"}
# SynthSeg's training maps; the names of labels that it does not document are by their place.
_SYNTHSEG = {int(row["index"]): row["name"] for row in shipped_table("synthseg.csv")}
_NO_STRUCTURE = {"unknown", "vessel", "wm-hypointensities", "non-wm-hypointensities"}  # have no place of their own
_SAME = {row["written"]: row["name"] for row in shipped_table("synonyms.csv")}
_SIDES: dict[str, Side] = {
    "l": "left", "lh": "left", "left": "left", "r": "right", "rh": "right", "right": "right",
    "": "midline", "b": "midline", "midline": "midline", "n/a": "midline",
}  # fmt: skip
_BEFORE = re.compile(r"(?:ctx[-_ ])?(?P<side>left|lh|l|right|rh|r)[-_ .](?P<name>.+)", re.IGNORECASE)
_BEHIND = re.compile(r"(?P<name>.+)[-_ .](?P<side>left|lh|l|right|rh|r)", re.IGNORECASE)
_ATLAS_NAMES = shipped_table("atlas_names.csv")  # names in lower case without separators
_ABBREVIATIONS = {row["name"] for row in _ATLAS_NAMES if row["atlas"] == "neuromorphometrics"}


def structure_names(table: str | Path) -> dict[int, Structure]:
    """Label -> structure, from a table of `TABLES` or from a file of the user's own.

    A file (CSV, or TSV by its suffix) has one label per row, with columns for label, name and side (`LABEL_COLUMNS` and
    so on); without one for it, the side is read from names such as ``Left-Thalamus`` or ``thalamus_R``. Label 0 is
    background whatever its name; unknown tissue, vessels and hypointensities are not structures. ValueError for neither
    a known table nor a file, or for a row that cannot be understood.
    """
    if str(table) == "toposlearn":
        return dict(BY_LABEL)
    if str(table) in (*_SHIPPED, "synthseg"):
        names = read_names(_SHIPPED.get(str(table), "A-names"))
        names |= _MORE_FREESURFER if table in ("freesurfer", "synthseg") else {}
        names |= _SYNTHSEG if table == "synthseg" else {}
        sided = ((label, *split_side(name)) for label, name in sorted(names.items()))
        return _structures((f"label {label}", label, _without_abbreviation(name), side) for label, name, side in sided)
    file = Path(table)
    if not file.is_file():
        raise ValueError(f"no table of labels {str(table)!r}: choose one of {', '.join(TABLES)}, or give a CSV file")
    return _read_table(file)


def named_structures(names: Iterable[str]) -> tuple[Structure, ...]:
    """Structures of names such as ``R superior LMS``, in their order, numbered from 1; ValueError for one twice."""
    rows = ((f"{name!r}", label, *split_side(name)) for label, name in enumerate(names, start=1))
    return tuple(_structures(rows).values())


def read_names(source: str) -> dict[int, str]:
    """Label -> name as the atlas writes it, with the side as a prefix where the table keeps it in a column."""
    prefix = {"L": "lh-", "R": "rh-"}
    return {
        int(row.get("index") or row["id"]): row.get("name") or prefix.get(row["hemisphere"], "") + row["label"]
        for row in read_rows(locate(source))
    }


def canonical_name(raw: str, atlas: str) -> tuple[str, Side]:
    """Name in the vocabulary (or `NEAREST`), and side, of an atlas's own name such as ``ctx-lh-cuneus``.

    The side is ``midline`` where the name has none (brainstem, corpus callosum). Cortical parcels become lobes by
    ``atlas_names.csv``: those of FreeSurfer's own lobe table, with the cingulate kept apart.
    """
    table = {row["name"]: row["structure"] for row in _ATLAS_NAMES if row["atlas"] in ("all", atlas)}
    bare, side = split_side(raw)
    for text in (bare, bare.split("_")[0]):  # Neuromorphometrics cortex: the abbreviation comes first
        key = re.sub(r"[^a-z0-9]", "", text.lower())
        if key in table:
            return table[key], side
    raise ValueError(f"atlas name {raw!r} belongs to no structure of the vocabulary")


def split_side(name: str) -> tuple[str, Side]:
    """A name without its side, and the side: ``ctx-lh-cuneus``, ``Left_Cuneus`` and ``cuneus-L`` are all left."""
    sided = _BEFORE.fullmatch(name) or _BEHIND.fullmatch(name)
    return (sided["name"], _SIDES[sided["side"].lower()]) if sided else (name, "midline")


def _without_abbreviation(name: str) -> str:
    """``Cun_cuneus`` -> ``cuneus``."""
    short, _, rest = name.partition("_")
    return rest if rest and short.lower() in _ABBREVIATIONS else name


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
    structures = _structures(_parsed(f"{file}, line {number}", row, label, name, side) for number, row in rows)
    if not structures:
        raise ValueError(f"{file} names no structure: give a row with a label above 0 and a name")
    return structures


def _column(file: Path, columns: dict[str, str], known: tuple[str, ...]) -> str:
    for name in known:
        if name in columns:
            return columns[name]
    raise ValueError(f"{file} has no column {' or '.join(known)}: its columns are {', '.join(columns) or 'missing'}")


Row = tuple[str, int, str, Side]  # place in the file, label, name, side


def _parsed(place: str, row: dict[str, str], label: str, name: str, side: str | None) -> Row:
    text, full_name = (row[label] or "").strip(), (row[name] or "").strip()
    if not text.isdecimal():
        raise ValueError(f"{place}: label {text!r} is not a whole number from 0 up")
    if not _alike(full_name):
        raise ValueError(f"{place}: label {text} has no name")
    bare, named = split_side(full_name)
    if side is None:
        return place, int(text), bare, named
    given = (row[side] or "").strip().lower()
    if given not in _SIDES:
        raise ValueError(f"{place}: side {given!r} is none of left, right, midline")
    if named not in ("midline", _SIDES[given]):
        raise ValueError(f"{place}: {full_name!r} and side {given!r} contradict each other")
    return place, int(text), bare, _SIDES[given]


def _structures(rows: Iterable[Row]) -> dict[int, Structure]:
    """Label -> structure, each label and each structure once."""
    structures: dict[int, Structure] = {}
    taken: dict[tuple[str, Side], int] = {}
    for place, label, raw, side in rows:
        name = _alike(raw)
        if label == BACKGROUND or name in _NO_STRUCTURE:
            continue
        if label in structures:
            raise ValueError(f"{place}: label {label} is named twice, {structures[label].name} and {name}")
        other = taken.setdefault((name, side), label)
        structures[label] = Structure(label, name, side, UNKNOWN_TISSUE)
        if other != label:
            raise ValueError(
                f"{place}: labels {other} and {label} are both {structures[label].full_name}: name each once"
            )
    return structures


def _alike(name: str) -> str:
    hyphenated = re.sub(r"[\W_]+", "-", name.lower()).strip("-")
    return _SAME.get(hyphenated, hyphenated)
