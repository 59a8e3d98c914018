"""Files of landmarks, and the people to whom they belong: by name, folder and visit, or as a pattern says."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from toposlearn.data.layouts.pattern import compile_pattern, session_in
from toposlearn.data.layouts.records import is_same_space
from toposlearn.data.layouts.sessions import bare, named
from toposlearn.data.manifest import Record
from toposlearn.settings import TRUTH

POINTS = "points"  # the name of their pattern
_SPACE = re.compile(r"_space-([A-Za-z0-9]+)")
_EDGE = re.compile(r"(?<![^_. -])(?=[^_. -])|(?<=[^_. -])(?![^_. -])")  # of a word


def with_points(
    root: Path, records: Sequence[Record], landmarks: Sequence[Path], pattern: str = ""
) -> tuple[tuple[Record, ...], tuple[str, ...]]:
    """The same records with their files of landmarks, and lines for files of no person.

    `landmarks` are the files that were found; with a pattern, those that it names are used instead.
    """
    people: dict[str, list[int]] = {}
    for index, record in enumerate(records):
        people.setdefault(record.subject, []).append(index)
    found: dict[int, list[Path]] = {}
    lost = []
    by_name = ((path, path.relative_to(root).parts[::-1]) for path in landmarks)
    files = list(_matched(root, pattern) if pattern else by_name)
    for path, texts in files:
        inside = path.relative_to(root).as_posix()
        person = next(filter(None, (_person_in(text, people) for text in texts)), "")
        if not person:
            lost.append(inside)
        for index in people.get(person, ()):
            if _belongs(inside, records[index], root):
                found.setdefault(index, []).append(path)
    notes = [f"landmarks of no person with images: {named(lost)}; name them by --pattern '{POINTS}=...'"] * bool(lost)
    if pattern and not files:
        notes.append(f"pattern {POINTS}={pattern} names no file in {root}: correct it, seen from that folder")
    known = (replace(each, points=tuple(sorted(found.get(index, ())))) for index, each in enumerate(records))
    return tuple(known), tuple(notes)


def _matched(root: Path, pattern: str) -> Iterator[tuple[Path, Sequence[str]]]:
    """Every file that the pattern names, and the texts that may hold the person's name."""
    alternatives = [compile_pattern(each) for each in pattern.split("|")]
    for path in _files_below(root):
        inside = path.relative_to(root).as_posix()
        if match := next((match for each in alternatives if (match := each.fullmatch(inside))), None):
            subject, site = match["subject"], match.groupdict().get("site")
            yield path, (f"{site}_{subject}", f"sub-{subject}", subject)


def _files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder, without those that this program keeps there."""
    for here, inside, names in os.walk(folder):
        inside[:] = sorted(name for name in inside if not os.path.join(here, name).endswith(TRUTH))
        yield from (Path(here, name) for name in sorted(names))


def _person_in(text: str, people: Mapping[str, object]) -> str:
    """The longest of these names that stands in a text between signs; "" if none."""
    edges = [match.start() for match in _EDGE.finditer(text)]
    parts = (text[start:end] for start in edges for end in edges if start < end)
    return max((part for part in parts if part in people), key=len, default="")


def _belongs(inside: str, record: Record, root: Path) -> bool:
    """True unless the file names another visit or another space than the images of the record do."""
    images = [path.relative_to(root).as_posix() for path in record.images.values() if path.is_relative_to(root)]
    visit, *visits = (bare(session_in(each, record.subject)) for each in (inside, *images))
    space, *spaces = ("".join(_SPACE.findall(each)[:1]) for each in (inside, *images))
    same_space = not space or not images or any(is_same_space(space, each) for each in spaces)
    return same_space and (not visit or not images or visit in visits)
