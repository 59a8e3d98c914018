"""From the files of a data folder to people: one file per modality and session, by rules that are reported."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from toposlearn.data.images import is_image, is_series
from toposlearn.data.layouts.choices import Choice, choose, describe, is_wanted, most_common_space
from toposlearn.data.layouts.files import LANDMARKS, File, natural
from toposlearn.data.layouts.names import EXAMPLE
from toposlearn.data.layouts.sessions import choose_sessions, describe_sessions, named, people_in_words
from toposlearn.data.layouts.spellings import merge_spellings
from toposlearn.data.layouts.words import DIFFUSION
from toposlearn.data.manifest import Record
from toposlearn.data.source import ALL, Source
from toposlearn.settings import TRUTH

_TRUTH = {
    "labels": "dseg",
    "lesion": "label-lesion_mask",
    "to_template": "from-subject_to-template_xfm",
    "parts": "desc-lesion_dseg",  # labels of what lesions consist of
}
_LESION = re.compile(r"lesion|stroke|tumou?r|wmh", re.IGNORECASE)  # kinds of label maps that show one
_NATIVE = {"", "t1w", "t2w", "flair", "anat", "orig", "native", "individual", "scanner"}  # spaces of a person's own
_NUMBERS = re.compile(r"\d{2,}")  # of people and days in the names of folders
Images = dict[str, list[File]]  # modality or kind of label map -> files


class Records(NamedTuple):
    """People, images that none of them uses, landmarks, one line per kind of problem of a name, and one per choice."""

    records: tuple[Record, ...]
    ignored: tuple[Path, ...]
    landmarks: tuple[Path, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def make_records(root: Path, files: Iterable[File], source: Source, modalities: Sequence[str] = ()) -> Records:
    """Group files by person and session; `modalities` are those that a run needs (default: all)."""
    known, spellings = merge_spellings([_checked(file) for file in files])
    people = _group(known, "subject")
    visits = {subject: _visits(own, source.entities) for subject, own in people.items()}
    seen = {subject: sessions for subject, sessions in visits.items() if sessions}
    chosen = choose_sessions(seen, source.session, modalities)
    records, choices = [], list[Choice]()
    for subject, sessions in chosen.items():
        for session in sessions:
            maps = _label_maps(people[subject], session, alone=len(seen[subject]) == 1)
            record, made = _record(root, subject, seen[subject][session], maps, source.entities)
            records.append(replace(record, session=session) if source.session == ALL else record)
            choices += made
    used = {path for record in records for path in (*record.images.values(), *record.label_maps.values())}
    ignored = tuple(file.path for file in known if file.path not in used and is_image(file.path.name))
    landmarks = tuple(file.path for file in known if file.path.name.lower().endswith(LANDMARKS))
    asked = [choice for choice in choices if not modalities or choice.used.modality in modalities]
    notes = [
        *spellings,
        *_without_images(people, seen),
        *describe_sessions(seen, chosen, source.session),
        *describe(asked),
        *_unknown_entities(known, source.entities),
    ]
    found = tuple(dict.fromkeys(ignored)), tuple(dict.fromkeys(landmarks))
    return Records(tuple(records), *found, tuple(_problems(known)), tuple(notes))


def _checked(file: File) -> File:
    """The file, with a problem where no person can be named."""
    if file.subject or file.problem or not (file.modality or file.label_map):
        return file
    return replace(file, problem=f"{file.path} names no person: rename it, {EXAMPLE}, or give each person a folder")


def _group(files: Iterable[File], attribute: str) -> dict[str, list[File]]:
    """Files without problems by an attribute that they have, in natural order."""
    groups: dict[str, list[File]] = {}
    for file in files:
        groups.setdefault(getattr(file, attribute), []).append(file)
    return {name: groups[name] for name in sorted(groups, key=natural)}


def _visits(files: Iterable[File], wanted: Mapping[str, str]) -> dict[str, Images]:
    """Session -> modality -> files that may be used."""
    images = [file for file in files if file.modality and file.subject and not file.problem]
    visits = {}
    for session, own in _group(images, "session").items():
        by_modality = {name: _clear(name, group, wanted) for name, group in _group(own, "modality").items()}
        if usable := {name: group for name, group in by_modality.items() if group}:
            visits[session] = usable
    return visits


def _clear(modality: str, files: list[File], wanted: Mapping[str, str]) -> list[File]:
    """The files; of diffusion only one that is no series, since several show different weightings."""
    if modality not in DIFFUSION:
        return files
    volumes = [file for file in files if file.channel is not None or not is_series(file.path)]
    volumes = [file for file in volumes if "desc" not in file.entities] or volumes
    preferred = [file for file in volumes if is_wanted(file, wanted)] if len(volumes) > 1 and wanted else volumes
    return preferred if len(preferred) == 1 else []


def _label_maps(files: Iterable[File], session: str, *, alone: bool) -> Images:
    """The label maps of a session; those of no session belong to the only one."""
    maps = [file for file in files if file.label_map and not file.problem]
    return _group((file for file in maps if file.session == session or (alone and not file.session)), "label_map")


def _record(
    root: Path, subject: str, images: Images, maps: Images, wanted: Mapping[str, str]
) -> tuple[Record, list[Choice]]:
    """The files of one session; label maps in another space than the images are left out."""
    space = most_common_space(file for group in images.values() for file in group)
    found = {name: choose(group, wanted, space) for name, group in images.items()}
    beside = {
        kind: [file for file in group if is_same_space(file.entities.get("space", ""), space)]
        for kind, group in maps.items()
    }
    labels = {kind: choose(group, wanted, space) for kind, group in beside.items() if group}
    label_maps = {kind: file.path for kind, (file, _) in labels.items()}
    lesions = (path for kind, path in label_maps.items() if _LESION.search(kind))
    truth = _truth(root, subject)
    if parts := truth.pop("parts", None):
        label_maps["lesion"] = parts
    record = Record(
        subject,
        {name: file.path for name, (file, _) in found.items()},
        truth.get("labels"),
        truth.get("lesion") or next(lesions, None),
        truth.get("to_template"),
        root=root,
        channels={name: file.channel for name, (file, _) in found.items() if file.channel is not None},
        label_maps=label_maps,
    )
    return record, [choice for _, choice in (*found.values(), *labels.values()) if choice]


def is_same_space(own: str, space: str) -> bool:
    """True where two ``space-`` of BIDS are the same, or both a person's own."""
    return own == space or {own.casefold(), space.casefold()} <= _NATIVE


def _truth(root: Path, subject: str) -> dict[str, Path]:
    """Ground truth of a simulated person."""
    if not os.path.isdir(f"{root}/{TRUTH}/{subject}"):
        return {}
    folder = root / TRUTH / subject / "anat"
    paths = {name: folder / f"{subject}_{ending}.nii.gz" for name, ending in _TRUTH.items()}
    return {name: path for name, path in paths.items() if path.exists()}


def _problems(files: Iterable[File]) -> Iterator[str]:
    """One line for each kind of problem: that of its first file, with the number of the others."""
    alike: dict[str, list[str]] = {}
    for file in files:
        if file.problem:
            kind = file.problem.replace(str(file.path), "").replace(file.path.name, "").replace(file.subject or " ", "")
            alike.setdefault(_NUMBERS.sub("", kind), []).append(file.problem)
    for first, *others in alike.values():
        yield first + (f" (and {len(others)} more files like it)" if others else "")


def _without_images(people: Iterable[str], seen: Mapping[str, object]) -> Iterator[str]:
    if without := [subject for subject in people if subject and subject not in seen]:
        yield f"{people_in_words(len(without))} without an image that can be used: {named(without)}"


def _unknown_entities(files: Sequence[File], wanted: Mapping[str, str]) -> Iterator[str]:
    for name, value in wanted.items():
        if value and not any(is_wanted(file, {name: value}) for file in files):
            yield f"no file has {name}-{value}, which --entity {name}={value} prefers"
