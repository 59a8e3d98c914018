"""How the files of a data folder are named: one line for each way, with PERSON for the person, and the count."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from toposlearn.data.images import is_series, stem
from toposlearn.data.manifest import Manifest, Record

_TRUTH = {"labels": "labels", "lesion": "lesion mask", "to_template": "map to template"}
_END_OF_WORD = re.compile(r"(?<=[^_. -])(?=[_. -]|$)")


def used_names(manifest: Manifest) -> list[str]:
    """``T1w  PERSON_t1.nii.gz  (6)``: the images, the ground truth, the label maps and the landmarks of all people."""
    found = [(kind, _anonymous(path.name, record)) for record in manifest.records for kind, path in _files(record)]
    return _lines(Counter(found))


def unused_names(manifest: Manifest) -> list[str]:
    """The same of the files that are not used."""
    people = {record.subject for record in manifest.records}
    found = []
    for path in manifest.ignored:
        person = _person_of(path, people)
        name = path.name.replace(person, "PERSON") if person else path.name
        found.append(("not used, 4-D" if is_series(path) else "not used", re.sub("_ses-[^_]+_", "_ses-*_", name)))
    return _lines(Counter(found))


def _files(record: Record) -> Iterator[tuple[str, Path]]:
    """Kind and path of each file of a record."""
    truth = record.truth
    yield from record.images.items()
    yield from ((_TRUTH[name], path) for name, path in truth.items())
    yield from ((f"label map {kind}", path) for kind, path in record.label_maps.items() if path not in truth.values())
    yield from (("landmarks", path) for path in record.points)


def _anonymous(name: str, record: Record) -> str:
    name = name.replace(record.subject, "PERSON")
    return name.replace(record.session, "SESSION") if record.session else name


def _person_of(path: Path, people: Collection[str]) -> str:
    """The person in the name of a file or of its folder: one of `people`, or else the label of BIDS."""
    text = stem(path.name)
    beginnings = [text[: match.start()] for match in _END_OF_WORD.finditer(text)]
    candidates = (*reversed(beginnings), *reversed(path.parts[:-1]))
    known = next((name for name in candidates if name in people), "")
    label = re.match("sub-[^_]+", text)
    return known or (label[0] if label else "")


def _lines(counts: Counter[tuple[str, str]]) -> list[str]:
    return [f"  {kind:<18} {name}  ({count})" for (kind, name), count in sorted(counts.items())]
