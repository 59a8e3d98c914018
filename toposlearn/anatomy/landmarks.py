"""Landmarks of one person from a file: 3D Slicer ``.fcsv`` and ``.mrk.json``, or a table with a name and x, y, z."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from toposlearn.arrays import Float64s

ENDINGS = (".fcsv", ".mrk.json", ".csv", ".tsv")
_NAMES, _MORE = ("name", "label", "landmark", "structure"), ("desc", "description")
_AXES = {("x", "y", "z"): "RAS", ("r", "a", "s"): "RAS", ("l", "p", "s"): "LPS"}  # the last two: exported by Slicer
_SYSTEMS = {"0": "RAS", "ras": "RAS", "1": "LPS", "lps": "LPS"}
_FCSV = ["id", "x", "y", "z", "ow", "ox", "oy", "oz", "vis", "sel", "lock", "label", "desc", "associatedNodeID"]
_EMPTY = ("", "n/a", "nan")


class _Point(NamedTuple):
    """One landmark as a file holds it."""

    place: str  # in the file
    label: Any
    description: Any  # names the landmark where the label is a number, as in AFIDs
    position: Sequence[Any]  # three numbers in mm
    system: str  # RAS or LPS


def read_landmarks(path: str | Path) -> dict[str, Float64s]:
    """Name -> position (3,) in RAS mm, in the order of the file; a landmark without coordinates is left out.

    The columns of a table are x, y, z in RAS mm (or l, p, s: LPS). A name that is a number gives way to a description.
    ValueError, in one line: a file of another kind, or a line that cannot be understood.
    """
    path = Path(path)
    reader = next((read for ending, read in _READERS.items() if path.name.lower().endswith(ending)), None)
    if reader is None:
        raise ValueError(f"{path} is no file of landmarks: give one that ends in {', '.join(ENDINGS)}")
    try:
        points = list(reader(path, path.read_text(encoding="utf-8-sig")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as landmarks ({error}): export it again") from error
    landmarks = _placed(points)
    if not landmarks:
        raise ValueError(f"{path} holds no landmark: place one, or give another file")
    return landmarks


def median_landmarks(paths: Iterable[str | Path]) -> dict[str, Float64s]:
    """Name -> median position (3,) in RAS mm over the files of several raters of one person."""
    placed: dict[str, list[Float64s]] = {}
    for path in paths:
        for name, position in read_landmarks(path).items():
            placed.setdefault(name, []).append(position)
    return {name: np.median(positions, axis=0) for name, positions in placed.items()}


def _read_fcsv(path: Path, text: str) -> Iterator[_Point]:
    columns, system = _FCSV, "RAS"
    for number, line in enumerate(text.splitlines(), 1):
        place = f"{path}, line {number}"
        key, _, value = (part.strip() for part in line.lstrip("# ").partition("="))
        if line.startswith("#") and key.lower() == "coordinatesystem":
            system = _system(place, value)
        elif line.startswith("#") and key.lower() == "columns":
            columns = [column.strip() for column in value.split(",")]
        elif line.strip() and not line.startswith("#"):
            row = dict(zip(columns, next(csv.reader([line])), strict=False))
            position = [row.get(axis, "") for axis in ("x", "y", "z")]
            yield _Point(place, row.get("label", ""), row.get("desc", ""), position, system)


def _read_json(path: Path, text: str) -> Iterator[_Point]:
    try:
        content = json.loads(text)
        markups = [(markup, list(markup["controlPoints"])) for markup in content["markups"]]
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}: {error.msg}: save it again in 3D Slicer") from None
    except (KeyError, TypeError):
        raise ValueError(f"{path} holds no markups with controlPoints: save points in 3D Slicer") from None
    for markup, points in markups:
        system = _system(str(path), str(markup.get("coordinateSystem", "LPS")))
        for number, point in enumerate(points, 1):
            if not isinstance(point, dict):
                raise ValueError(f"{path}, point {number} has no label and position: save it again in 3D Slicer")
            if point.get("positionStatus", "defined") == "defined":
                place, position = f"{path}, point {number}", point.get("position", ())
                yield _Point(place, point.get("label", ""), point.get("description", ""), position, system)


def _read_table(path: Path, text: str) -> Iterator[_Point]:
    reader = csv.DictReader(text.splitlines(), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    columns = {str(column).strip().lower(): str(column) for column in reader.fieldnames or ()}
    label = next((columns[name] for name in _NAMES if name in columns), None)
    axes = next((axes for axes in _AXES if set(axes) <= columns.keys()), None)
    if label is None or axes is None:
        seen = f"its columns are {', '.join(columns) or 'missing'}"
        raise ValueError(f"{path} has no columns for a name ({', '.join(_NAMES)}) and x, y, z in RAS mm: {seen}")
    description = next((columns[name] for name in _MORE if name in columns), label)
    for row in reader:
        position = [row[columns[axis]] or "" for axis in axes]
        yield _Point(f"{path}, line {reader.line_num}", row[label], row[description], position, _AXES[axes])


_READERS = {".fcsv": _read_fcsv, ".mrk.json": _read_json, ".csv": _read_table, ".tsv": _read_table}


def _system(place: str, text: str) -> str:
    if text.lower() not in _SYSTEMS:
        raise ValueError(f"{place}: coordinate system {text!r} is none of RAS (0) and LPS (1): correct it")
    return _SYSTEMS[text.lower()]


def _placed(points: Iterable[_Point]) -> dict[str, Float64s]:
    """Name -> position in RAS, each name once."""
    placed: dict[str, Float64s] = {}
    for point in points:
        label, description = (str(text or "").strip() for text in (point.label, point.description))
        name = description if description and (not label or label.isdecimal()) else label
        if not name:
            raise ValueError(f"{point.place}: the landmark has no name: give it one")
        if name in placed:
            raise ValueError(f"{point.place}: {name} is placed twice: remove one, or give a file per rater")
        values = [str(value).strip().lower() for value in point.position]
        if any(value in _EMPTY for value in values):
            continue
        placed[name] = _numbers(point.place, values) * ((-1, -1, 1) if point.system == "LPS" else 1)
    return placed


def _numbers(place: str, values: Sequence[str]) -> Float64s:
    try:
        position = np.array([float(value) for value in values])
    except ValueError:
        position = np.array([math.nan])
    if position.shape != (3,) or not np.isfinite(position).all():
        raise ValueError(f"{place}: position {', '.join(values)} is not three numbers in mm: correct it")
    return position
