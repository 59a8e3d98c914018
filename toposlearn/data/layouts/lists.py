"""Data sets whose images are listed in a JSON file: Medical Segmentation Decathlon, nnU-Net, nnssl, and plain lists.

A plain list holds, for each person, ``{"subject": "ANNA", "T1w": "anna/t1.nii.gz", "label": ...}``, or
``{"ANNA": {"T1w": ...}}``; ``{"image": ..., "label": ...}`` as MONAI writes it says the person in the path.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from toposlearn.data.images import is_image, stem
from toposlearn.data.layouts.files import File, folders_in, scans_in
from toposlearn.data.layouts.names import Meaning, meaning_of
from toposlearn.data.layouts.plain import read_places
from toposlearn.data.layouts.texts import parse_json, read_text
from toposlearn.data.layouts.tree import Place
from toposlearn.data.layouts.visits import visits_of

DATASET, PRETRAIN = "dataset.json", "pretrain_data.json"
_LESIONS = re.compile(r"(?i)tumou?r|lesion|edema|necro|enhancing|infarct|stroke|hyperintens")
_CASE = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})$")
_SUBJECT = ("subject", "subject_id", "participant_id", "patient", "patient_id", "person")
_ENTRY = ("id", "name", "case")  # name a person where images stand beside them
_SESSION = ("session", "session_id", "visit", "timepoint")
_NO_SESSION = "ses-DEFAULT"  # what nnssl writes where there are none
_ANONYMIZATION = "anonymization_mask"


def find_list(root: Path) -> Path | None:
    """The file that lists the images of a folder, also in its only folder; None where there is none."""
    if root.is_file() and root.suffix.lower() == ".json":
        return root
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is no folder: give the folder of the images, or a JSON file that lists them")
    places = [root, *(folders_in(root)[:2] if len(folders_in(root)) == 1 else [])]
    found = [place / name for place in places for name in (DATASET, PRETRAIN) if (place / name).is_file()]
    return next((path for path in found if path.name == PRETRAIN or (path.parent / "imagesTr").is_dir()), None)


def read_list(path: Path) -> tuple[str, list[File]]:
    """The layout in words, and the files that a list names; ValueError where it is damaged or lists no image."""
    content = _parsed(path)
    if isinstance(content, dict) and "datasets" in content:
        try:
            return f"nnssl, {path.name}", list(_nnssl(path, content))
        except (AttributeError, TypeError, KeyError):
            raise ValueError(f"{path} is not as nnssl writes it (datasets, subjects, sessions, images)") from None
    if isinstance(content, dict) and (path.parent / "imagesTr").is_dir() and path.name == DATASET:
        return _decathlon_or_nnunet(path, content)
    files = list(_plain(path, content))
    if not files:
        example = '[{"subject": "ANNA", "T1w": "anna/t1.nii.gz"}]'
        raise ValueError(f"{path} lists no image: write, for each person, the paths of the images, as in {example}")
    return f"list of images, {path.name}", files


def _parsed(path: Path) -> Any:
    try:
        return parse_json(read_text(path).removeprefix("\ufeff"))[0]
    except ValueError as error:
        raise ValueError(f"{path} {error}: correct it, or remove it from the folder") from None


def _decathlon_or_nnunet(path: Path, content: Mapping[str, Any]) -> tuple[str, list[File]]:
    channels = content.get("channel_names") or content.get("modality") or {}
    names = list(channels.values()) if isinstance(channels, dict) else list(channels)
    images = scans_in(path.parent / "imagesTr", path.parent / "imagesTs")
    cases = [_CASE.fullmatch(stem(image.name)) for image in images]
    split = bool(images) and all(cases) and any(int(case["channel"]) < len(names) for case in cases if case)
    kind = _kind_of_labels(content.get("labels"))
    meanings = [_meaning(str(name)) for name in names] or [Meaning(problem=f"has no modality in {path.name}")]
    files = list(_by_case(images, meanings) if split else _by_channel(images, meanings))
    files += _absent(path, content, {file.subject for file in files})
    labels = [File(image, stem(image.name), label_map=kind) for image in scans_in(path.parent / "labelsTr")]
    return ("nnU-Net" if split else "Medical Segmentation Decathlon") + f", {path.name}", _as_people([*files, *labels])


def _absent(path: Path, content: Mapping[str, Any], cases: Container[str]) -> Iterator[File]:
    """The images that are listed and not there."""
    for text in _listed_images(content):
        where = _resolved(text, path)
        if stem(where.name) not in cases and not where.exists():
            reason = f"{where} does not exist, but {path.name} lists it: copy it, or remove it from the list"
            yield File(where, stem(where.name), problem=reason)


def _listed_images(content: Mapping[str, Any]) -> Iterator[str]:
    """The paths of images as they are listed."""
    for part in ("training", "test"):
        entries = content.get(part)
        for entry in entries if isinstance(entries, list) else []:
            text = entry.get("image") if isinstance(entry, dict) else entry
            if isinstance(text, str):
                yield text


def _kind_of_labels(labels: Any) -> str:
    """``lesion`` where a data set's labels are parts of one, else ``labelsTr``."""
    names = [*labels.values(), *labels.keys()] if isinstance(labels, dict) else labels or []
    return "lesion" if any(_LESIONS.search(str(name)) for name in names) else "labelsTr"


def _meaning(name: str) -> Meaning:
    found = meaning_of(name)
    return found._replace(problem=f"{name!r} in the list {found.problem}") if found.problem else found


def _by_case(images: Iterable[Path], meanings: list[Meaning]) -> Iterator[File]:
    """``CASE_0000.nii.gz``: one file per channel."""
    for path in images:
        match = _CASE.fullmatch(stem(path.name))
        number = int(match["channel"]) if match else 0
        found = meanings[number] if number < len(meanings) else Meaning(problem=f"channel {number} is not in the list")
        yield _file(path, match["case"] if match else stem(path.name), found)


def _by_channel(images: Iterable[Path], meanings: list[Meaning]) -> Iterator[File]:
    """``CASE.nii.gz``: all channels in one file."""
    for path in images:
        for number, found in enumerate(meanings):
            yield _file(path, stem(path.name), found, channel=number if len(meanings) > 1 else None)


def _file(path: Path, subject: str, found: Meaning, session: str = "", channel: int | None = None) -> File:
    remedy = "name it in the list, or with --pattern"
    problem = f"{path}: {found.problem}: {remedy}" if found.problem else ""
    return File(path, subject, found.modality, session, found.label_map, channel=channel, problem=problem)


def _as_people(files: Iterable[File]) -> list[File]:
    """Cases that are visits of one person."""
    files = list(files)
    visits = visits_of(file.subject for file in files)
    pairs = ((file, visits[file.subject]) for file in files)
    return [replace(file, subject=visit.person, session=file.session or visit.session) for file, visit in pairs]


def _nnssl(path: Path, content: Mapping[str, Any]) -> Iterator[File]:
    """Data sets, subjects, sessions and images of nnssl; a mask of anatomy is a label map."""
    several = len(content["datasets"]) > 1
    for index, data_set in content["datasets"].items():
        for name, subject in data_set.get("subjects", {}).items():
            person = f"{index}_{name}" if several else name
            for session, visit in subject.get("sessions", {}).items():
                label = "" if session == _NO_SESSION else str(session)
                for image in visit.get("images", []):
                    yield from _nnssl_image(path, image, person, label)


def _nnssl_image(path: Path, image: Mapping[str, Any], person: str, session: str) -> Iterator[File]:
    where = _resolved(image.get("image_path", ""), path)
    yield _file(where, person, _meaning(str(image.get("modality", ""))), session)
    for kind, mask in (image.get("associated_masks") or {}).items():
        if mask and kind != _ANONYMIZATION:
            yield File(_resolved(mask, path), person, session=session, label_map=kind)


def _resolved(text: str, listed_in: Path) -> Path:
    """A path in a list: with variables of the environment, or seen from the list's folder."""
    return listed_in.parent / os.path.expandvars(text)


def _plain(path: Path, content: Any) -> Iterator[File]:
    """Any nesting of dictionaries and lists around paths of images."""
    found = list(_entries(content, "", "", ()))
    places = []
    for text, *_ in found:
        where = _resolved(text, path)
        inside = where.relative_to(path.parent) if where.is_relative_to(path.parent) else Path(*where.parts[1:])
        places.append(Place(where, inside.parts[:-1], stem(where.name)))
    said = {file.path: file for file in read_places(places, path.parent)}
    for (_, subject, session, keys), place in zip(found, places, strict=True):
        file = said[place.path]
        yield _with_keys(replace(file, subject=subject or file.subject, session=session or file.session), keys)


def _with_keys(file: File, keys: tuple[str, ...]) -> File:
    """What the keys around a path say counts more than its name; ``image`` says nothing."""
    meanings = [found for key in reversed(keys) if not (found := meaning_of(key)).problem]
    if not meanings:
        return file
    modality, kind, _ = meanings[0]
    return replace(file, modality=modality, label_map=file.label_map or kind if kind else "", problem="")


def _entries(
    content: Any, subject: str, session: str, keys: tuple[str, ...]
) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """Path, person, session and keys around every image of a list."""
    if isinstance(content, str) and is_image(content):
        yield content, subject, session, keys
    elif isinstance(content, list):
        for each in content:
            yield from _entries(each, subject, session, keys)
    elif isinstance(content, dict):
        names = (*_SUBJECT, *_ENTRY) if any(map(_is_images, content.values())) else _SUBJECT
        person = next((str(content[key]) for key in names if _is_name(content.get(key))), "")
        visit = next((str(content[key]) for key in _SESSION if _is_name(content.get(key))), session)
        for key, value in content.items():
            own = person or subject or (key if _names_person(key, value) else "")
            label = visit or (key if own == subject and subject and _names_person(key, value) else "")
            yield from _entries(value, own, label, (*keys, key))


def _is_name(value: Any) -> bool:
    return isinstance(value, (str, int)) and not is_image(str(value))


def _is_images(value: Any) -> bool:
    return isinstance(value, (str, list)) and all(map(is_image, map(str, [value] if isinstance(value, str) else value)))


def _names_person(key: str, value: Any) -> bool:
    """True for the key of one person's images: ``{"ANNA": {"T1w": ...}}``, but not ``{"training": [{...}, ...]}``."""
    holds = isinstance(value, dict) or (isinstance(value, list) and all(isinstance(each, str) for each in value))
    return holds and key not in _SPLITS and meaning_of(key).unknown


_SPLITS = (
    "training",
    "train",
    "validation",
    "val",
    "test",
    "testing",
    "image",
    "images",
    "subjects",
    "data",
    "sessions",
)
