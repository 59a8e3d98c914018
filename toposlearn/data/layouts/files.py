"""The image files of a data folder, each with what its name and place say."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from toposlearn.data.images import is_image

NO_SUBJECTS = ("derivatives", "sourcedata", "code", "stimuli")  # of BIDS; our cache lies there in every layout
LANDMARKS = (".fcsv", ".mrk.json")  # of 3D Slicer; a table of points can be anything and needs a pattern
_NUMBER = re.compile(r"([0-9]+)")


@dataclass(frozen=True)
class File:
    """One image or label map; every layout is read as a sequence of these."""

    path: Path  # the folder of a person who has no image file at all
    subject: str  # the person; "" where the name does not say
    modality: str = ""  # of an image; "" for a label map or a file that no run uses
    session: str = ""  # visit or time point; "" where the name does not say
    label_map: str = ""  # kind of a label map, in the words of its name, such as seg, dseg, lesion
    entities: Mapping[str, str] = field(default_factory=dict)  # of BIDS, such as {"rec": "norm", "run": "1"}
    channel: int | None = None  # of a file that holds several modalities
    problem: str = ""  # why the name is not clear, in one line, with the remedy


@lru_cache(maxsize=1024)
def natural(text: str) -> tuple[tuple[str | int, ...], str]:
    """Key of natural order: ses-2 comes before ses-10, and capitals count last."""
    parts = _NUMBER.split(text.casefold())
    return tuple(int(part) if place % 2 else part for place, part in enumerate(parts)), text


def list_folder(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Names of image files, folders and landmark files directly in a folder, sorted; OSError if it cannot be read.

    A link whose target is missing, and a folder with the name of an image, count as image files.
    """
    images, folders, landmarks = [], [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if is_image(entry.name):
                images.append(entry.name)
            elif _is_folder(entry):
                folders.append(entry.name)
            elif entry.name.lower().endswith(LANDMARKS):
                landmarks.append(entry.name)
    return sorted(images), sorted(folders), sorted(landmarks)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def folders_in(root: Path) -> list[Path]:
    """Folders that may hold people, sorted by name."""
    with os.scandir(root) as entries:
        names = sorted(entry.name for entry in entries if _is_folder(entry))
    return [root / name for name in names if not name.startswith(".") and name not in NO_SUBJECTS]


def scans_in(*folders: Path) -> list[Path]:
    """Image files directly in these folders, sorted by name; also links whose target is missing."""
    return [folder / name for folder in folders for name in _names_in(folder)]


def _names_in(folder: Path) -> Iterator[str]:
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    yield from (name for name in names if is_image(name) and not name.startswith("."))
