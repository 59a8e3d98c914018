"""Names of files as the user gives them: ``T1w={subject}/t1_*.nii.gz``; and the patterns that found files follow.

``{subject}`` is the person, ``{session}`` the visit; ``{site}`` comes before the person's name where sites number their
people alike. ``*`` is any part of a name, ``**`` any folders; ``|`` stands between several patterns of a modality.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from toposlearn.data.layouts.files import File
from toposlearn.data.layouts.names import meaning_of
from toposlearn.data.layouts.tree import LONGITUDINAL, Place, repeated_folders, walk
from toposlearn.data.layouts.visits import PERSON, visit_by_scheme, visit_in_path, without_visit
from toposlearn.data.manifest import Record

LABEL = "label:"
FIELDS = ("subject", "session", "site")
_PIECE = re.compile(r"\{(?P<field>[^{}]*)\}|(?P<folders>\*\*/?)|(?P<any>\*)|(?P<one>\?)|(?P<text>[^{}*?]+|.)")
_FIELD = re.compile(r"\{\w+\}")
_MOST = 6  # alternatives of one modality


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern; ValueError, in one line, where a field is unknown or the person missing."""
    if "{subject}" not in pattern:
        example = "e.g. T1w={subject}/t1_*.nii.gz"
        raise ValueError(
            f"pattern {pattern!r} does not say where the person stands: write {{subject}} there, {example}"
        )
    used: set[str] = set()
    return re.compile(
        "".join(_expression(piece, used, pattern) for piece in _PIECE.finditer(pattern.removeprefix("./")))
    )


def _expression(piece: re.Match[str], used: set[str], pattern: str) -> str:
    if piece["field"] is None:
        fixed = {"folders": "(?:.*/)?" if piece["folders"] == "**/" else ".*", "any": "[^/]*", "one": "[^/]"}
        return fixed.get(piece.lastgroup or "", re.escape(piece["text"] or ""))
    name = piece["field"]
    if name not in FIELDS:
        nearest = difflib.get_close_matches(name, FIELDS, 1, 0)[0]
        raise ValueError(f"pattern {pattern!r} holds the unknown field {{{name}}}: write {{{nearest}}}")
    if name in used:
        return f"(?P={name})"
    used.add(name)
    return f"(?P<{name}>[^/]+)"


def read_patterns(root: Path, patterns: Mapping[str, str], others: Iterable[File] = ()) -> list[File]:
    """The files that patterns name, and what `others` say of these people in modalities that no pattern names.

    `others` are all files, as read by their names; those that are of no use here become files without a meaning.
    """
    places = [place for place in walk(root, everywhere=True) if isinstance(place, Place)]
    if not any(LONGITUDINAL in pattern for pattern in patterns.values()):
        repeats = repeated_folders(places)
        places = [place for place in places if not repeats & set(place.folders)]
    named: dict[Path, File] = {}
    problems = []
    for name, pattern in patterns.items():
        found = {file.path: file for file in _named(root, places, name, pattern) if file.path not in named}
        named |= found
        if not found:
            there = f", where there is e.g. {places[0].path.relative_to(root)}" if places else ""
            reason = f"pattern {name}={pattern} names no image in {root}{there}"
            problems.append(File(root, "", problem=f"{reason}: correct it, seen from that folder"))
    return [*problems, *named.values(), *_beside(named, others, patterns)]


def _named(root: Path, places: Sequence[Place], name: str, pattern: str) -> Iterator[File]:
    alternatives = [compile_pattern(each) for each in pattern.split("|")]
    for place in places:
        inside = place.path.relative_to(root).as_posix()
        match = next((match for each in alternatives if (match := each.fullmatch(inside))), None)
        if match:
            own = match.groupdict()
            person, session = own["subject"], own.get("session", "")
            if "session" not in own:  # P001_visit2 is no other person than P001
                person, session = visit_by_scheme(person) or without_visit(person)
            yield _file(place.path, name, "_".join(part for part in (own.get("site"), person) if part), session)


def _file(path: Path, name: str, subject: str, session: str) -> File:
    if name.startswith(LABEL):
        return File(path, subject, session=session, label_map=name.removeprefix(LABEL))
    return File(path, subject, meaning_of(name).modality or name, session)


def _beside(named: Mapping[Path, File], others: Iterable[File], patterns: Mapping[str, str]) -> Iterator[File]:
    """The other files: what they say counts for people whom the patterns name."""
    people = {file.subject for file in named.values()}
    given = {(file.modality, file.label_map) for file in named.values()}
    with_session = any("{session}" in pattern for pattern in patterns.values())
    for file in others:
        if file.path in named or file.path.is_dir():
            continue
        new = file.subject in people and (file.modality, file.label_map) not in given
        session = file.session if with_session else ""
        yield replace(file, session=session) if new and not file.problem else File(file.path, "")


def infer_patterns(records: Iterable[Record], root: Path) -> dict[str, str]:
    """The pattern that the files of each modality and label map follow, by which the folder is read the same."""
    found: dict[str, Counter[str]] = {}
    for record in records:
        files = {**record.images, **{f"{LABEL}{kind}": path for kind, path in record.label_maps.items()}}
        for name, path in files.items():
            found.setdefault(name, Counter())[_template(path, record, root, name)] += 1
    return {name: "|".join(order) for name, counts in sorted(found.items()) if (order := _alternatives(counts))}


def _template(path: Path, record: Record, root: Path, name: str) -> str:
    """How one file is named; "" where the person is not in its name."""
    if name in record.channels or not path.is_relative_to(root):
        return ""
    inside, subject, site = _shown(path.relative_to(root).as_posix()), _shown(record.subject), ""
    first = inside.partition("/")[0]
    if subject.startswith(f"{first}_") and _replaced(inside, subject, "") == inside:
        inside, subject, site = inside.removeprefix(first), subject.removeprefix(f"{first}_"), "{site}"
    session = _shown(record.session) or session_in(inside, subject)
    named = _replaced(inside, subject, "{subject}")
    return site + _replaced(named, session, "{session}") if named != inside else ""


def _shown(text: str) -> str:
    """A name in which no sign has the meaning that it has in patterns."""
    return re.sub(r"[*|{}]", "?", text)


def session_in(inside: str, subject: str) -> str:
    """The visit in the name of a person's folder or file; "" if none."""
    schemes = (visit.session for part in inside.split("/") if (visit := visit_by_scheme(part)))
    return next(filter(None, schemes), "") or visit_in_path(_replaced(inside, subject, PERSON))


def _replaced(text: str, old: str, new: str) -> str:
    """The text with `old` replaced where no letter or digit touches it."""
    start = text.find(old) if old else -1
    if start < 0:
        return text
    before, after = text[:start], text[start + len(old) :]
    alone = not (before[-1:].isalnum() or after[:1].isalnum())
    return before + (new if alone else old) + _replaced(after, old, new)


def _alternatives(counts: Counter[str]) -> list[str]:
    """The patterns of a modality, those that say more first; none if a file cannot be named, or they are too many."""
    if "" in counts:
        return []
    if len(counts) > _MOST:
        counts = Counter({re.sub(r"\d+", "*", each): count for each, count in counts.items()})
    ordered = sorted(
        counts, key=lambda each: (-len(_FIELD.sub("", each)), "{session}" not in each, -counts[each], each)
    )
    return ordered if len(ordered) <= _MOST else []
