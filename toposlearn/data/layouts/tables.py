"""Tables and descriptions beside the images, however they were written; a damaged one is reported, not an error."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from toposlearn.data.layouts.sessions import named, people_in_words
from toposlearn.data.layouts.texts import parse_json, read_text

DESCRIPTION = "dataset_description.json"
_TABLES = ("participants.tsv", "participants.csv", "participants.txt")
_DELIMITERS = "\t;,"
_ID_COLUMNS = (  # in order of preference, without capitals and marks
    *("participantid", "participant", "subjectid", "subject", "sub", "subid", "mrid", "ixiid", "patientid", "patient"),
    *("ptid", "caseid", "case", "id", "anonymizedid", "subjectkey", "name"),
)
Rows = dict[str, dict[str, str]]  # subject -> column -> cell


class Table(NamedTuple):
    """A table as text."""

    columns: list[str]
    rows: list[list[str]]


def read_description(root: Path) -> tuple[dict[str, Any], str]:
    """``dataset_description.json`` of a data folder, and what is wrong with it in one line ("" if nothing)."""
    path = root / DESCRIPTION
    if not (path.exists() or path.is_symlink()):
        return {}, ""
    try:
        content, overlooked = parse_json(read_text(path))
    except ValueError as error:
        return {}, f"{path} {error}: it is not used; repair it, so that name and license of the data are known"
    if not isinstance(content, dict):
        return {}, f'{path} holds no JSON object: it is not used; write {{"Name": ..., "License": ...}}'
    return content, f"{path} {overlooked}: it is read without; repair it" if overlooked else ""


def read_participants(root: Path, subjects: Sequence[str]) -> tuple[Rows, list[str]]:
    """The row of each subject in ``participants.tsv`` (or ``.csv``), and one line for each thing that is not used."""
    path = _table_of(root)
    if path is None:
        return {}, []
    find = Finder(subjects)
    try:
        table = _parse(read_text(path))
        column = _id_column(table, find)
    except ValueError as error:
        return {}, [f"{path} {error}"]
    found = _assign(table, column, find)
    return found[0], [f"{path}: {note}" for note in _describe(table.columns[column], found, subjects)]


def _table_of(root: Path) -> Path | None:
    """The table of a data folder, or of the data set that a folder in ``derivatives`` was made from."""
    places = (root, root.resolve().parent.parent) if root.resolve().parent.name == "derivatives" else (root,)
    paths = [place / name for place in places for name in _TABLES]
    return next((path for path in paths if path.exists() or path.is_symlink()), None)


def _parse(text: str) -> Table:
    """The cells of a table whose delimiter is that of its first line; ValueError in words without a table."""
    text = text.strip("\n\r ").replace("\r\n", "\n").replace("\r", "\n")
    header = text.partition("\n")[0]
    delimiter = next((mark for mark in _DELIMITERS if mark in header), "\t")
    try:
        cells = [[cell.strip() for cell in row] for row in csv.reader(StringIO(text), delimiter=delimiter)]
    except csv.Error as error:
        raise ValueError(f"is no table ({error}): it is not used") from None
    if not cells:
        raise ValueError("is empty: it is not used")
    return Table(cells[0], [row for row in cells[1:] if any(row)])


def _id_column(table: Table, find: Finder) -> int:
    """The column with the names of the people: by its name, or else the first one that holds one of them."""
    names = [re.sub(r"[\W_]", "", column).lower() for column in table.columns]
    if known := [name for name in _ID_COLUMNS if name in names]:
        return names.index(known[0])
    for place in range(len(table.columns)):
        if any(find(row[place], exact=True) for row in table.rows if place < len(row)):
            return place
    raise ValueError("has no column participant_id with the names of the people: it is not used; add the column")


def _assign(table: Table, column: int, find: Finder) -> tuple[Rows, list[str], list[str]]:
    """The first row of each subject, the subjects with further rows, and the names without a subject."""
    rows, twice, strangers = Rows(), [], []
    for row in table.rows:
        cell = row[column] if column < len(row) else ""
        subject = find(cell)
        if subject is None:
            strangers.append(cell)
        elif subject in rows:
            twice.append(subject)
        else:
            rows[subject] = {name: value for name, value in zip_longest(table.columns, row, fillvalue="") if name}
    return rows, twice, strangers


def _describe(column: str, found: tuple[Rows, list[str], list[str]], subjects: Sequence[str]) -> Iterator[str]:
    """What is not obvious in a table, one line each."""
    rows, twice, strangers = found
    if not rows:
        seen = f"its column {column} holds {', '.join(map(repr, strangers[:2]))}" if strangers else "it has no row"
        yield f"no row is of a person here ({seen}): it is not used"
        return
    if column != "participant_id":
        yield f"the names of the people are in its column {column}"
    if twice:
        yield f"the first row is used of {people_in_words(len(set(twice)))} with several: {named(sorted(set(twice)))}"
    if without := [subject for subject in subjects if subject not in rows]:
        yield f"no row of {people_in_words(len(without))}: {named(without)}"


class Finder:
    """The subject that a cell names: as it is, or else without ``sub-``, capitals and leading zeros, or by number."""

    def __init__(self, subjects: Iterable[str]) -> None:
        names = list(subjects)
        self.exact = {name: name for name in names}
        self.plain = _unique((_plain(name), name) for name in names)
        self.numbers = _unique((str(int(match[0])), name) for name in names if (match := re.search("[0-9]+", name)))

    def __call__(self, cell: str, *, exact: bool = False) -> str | None:
        """None where the cell names no subject; `exact` allows no other spelling."""
        if exact or not cell:
            return self.exact.get(cell)
        cell = re.sub(r"^([0-9]+)\.0+$", r"\1", cell)  # of a spreadsheet
        number = self.numbers.get(str(int(cell))) if re.fullmatch("[0-9]{1,12}", cell) else None
        return self.exact.get(cell) or self.plain.get(_plain(cell)) or number


def _plain(name: str) -> str:
    """Words and numbers without ``sub-``, capitals, marks and leading zeros: ``sub-P001`` -> ``p 1``."""
    words = re.findall(r"[^\W\d_]+|[0-9]+", name.casefold())
    words = words[1:] if words[:1] == ["sub"] else words
    return " ".join(word.lstrip("0") or "0" for word in words)


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The pairs whose first part occurs once."""
    known = list(pairs)
    counts = Counter(key for key, _ in known)
    return {key: name for key, name in known if counts[key] == 1}
