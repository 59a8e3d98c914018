"""One file of several that show the same of a person: the choice among them, by a rule that the user can overrule.

The user's entities come first (``--entity rec=norm``). Then a file in the space that most of a person's files are in is
preferred, the native one first; then one without ``desc-`` or with ``desc-preproc``; then ``rec-norm``, or else no
``rec-``; then the lowest ``run-``, ``echo-``, ``acq-`` and name in natural order, each first without the entity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from toposlearn.data.layouts.files import File, natural

_ORDER = {  # entity -> values that come first
    "desc": ("", "preproc"),
    "rec": ("norm", ""),
    "part": ("", "mag"),
    "run": ("",),
    "echo": ("",),
    "acq": ("",),
}


class Choice(NamedTuple):
    """A file that is used, and why it is preferred to the next one."""

    used: File
    next: File
    reason: str  # "rec-norm", "the file without run-", or "the first by name"


def most_common_space(files: Iterable[File]) -> str:
    """The ``space-`` in which most modalities of a person are; the native one ("") where several are."""
    pairs = {(file.modality, file.entities.get("space", "")) for file in files if file.modality}
    counts = Counter(space for _, space in pairs)
    return min(counts, key=lambda space: (-counts[space], natural(space)), default="")


def choose(files: Sequence[File], wanted: Mapping[str, str], space: str) -> tuple[File, Choice | None]:
    """The file to use, and the choice where there are several."""
    if len(files) == 1:
        return files[0], None
    first, second = sorted(files, key=lambda file: list(_ranks(file, wanted, space)))[:2]
    differing = (
        name
        for (name, own), (_, other) in zip(_ranks(first, wanted, space), _ranks(second, wanted, space), strict=True)
        if own != other
    )
    return first, Choice(first, second, _reason(first, next(differing, "")))


def is_wanted(file: File, wanted: Mapping[str, str]) -> bool:
    """True where a file has all the entities that the user prefers."""
    return all(file.entities.get(name, "").casefold() == value.casefold() for name, value in wanted.items())


def describe(choices: Iterable[Choice]) -> Iterator[str]:
    """One line for each kind of choice."""

    def kind(choice: Choice) -> tuple[str, str]:
        return choice.used.modality or choice.used.label_map, choice.reason

    for (name, reason), group in groupby(sorted(choices, key=kind), kind):
        same = list(group)
        instead = " is used instead of ".join(_told_apart(same[0].used.path, same[0].next.path))
        people = len({choice.used.subject for choice in same})
        if people == 1:
            yield f"{name} of {same[0].used.subject}: {instead} ({reason})"
        else:
            yield f"{name}: {reason} of several ({people} people; {instead})"


def _told_apart(one: Path, other: Path) -> tuple[str, str]:
    """The names of two files, with the folders that make them differ."""
    depth = next((depth for depth in range(1, len(one.parts)) if one.parts[-depth:] != other.parts[-depth:]), 1)
    return "/".join(one.parts[-depth:]), "/".join(other.parts[-depth:])


def _ranks(file: File, wanted: Mapping[str, str], space: str) -> Iterator[tuple[str, Any]]:
    """Entities with a key each, in the order in which they count; "" for the name."""
    own = file.entities
    yield from ((name, own.get(name, "").casefold() != value.casefold()) for name, value in wanted.items())
    yield "space", (own.get("space", "") != space, own.get("space", "") != "", natural(own.get("space", "")))
    for name, first in _ORDER.items():
        value = own.get(name, "")
        yield name, (first.index(value) if value in first else len(first), natural(value))
    yield "", natural(file.path.name)


def _reason(file: File, entity: str) -> str:
    value = file.entities.get(entity, "")
    if not entity:
        return "the first by name"
    return f"{entity}-{value}" if value else f"the file without {entity}-"
