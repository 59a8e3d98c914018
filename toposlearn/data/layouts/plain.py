"""Folders outside BIDS: one folder per person, among them BraTS, or all files in one folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from toposlearn.data.images import stem
from toposlearn.data.layouts.files import File, folders_in, scans_in
from toposlearn.data.layouts.names import modality_of, subject_in

BRATS = {  # an ending that only this year's names have -> layout, and the ending of its label maps
    "_t1ce": ("BraTS 2021, one folder per person", "_seg"),
    "-t1n": ("BraTS 2023, one folder per scan, the first of each person", "-seg"),
}
_SCAN = re.compile(r"^(BraTS-[A-Z]+-\d{5})-(\d{3})$")  # BraTS-GLI-00008-001 is a later scan of the same person as -000


def read_plain(root: Path) -> tuple[str, Iterator[File]]:
    """The layout in words, and the files of its people."""
    loose, folders = scans_in(root), [folder for folder in folders_in(root) if scans_in(folder)]
    if loose and folders:
        remedy = f"move it into a person's folder, or move it away, so that {root} holds either files or folders"
        raise ValueError(f"{loose[0]} lies beside folders with images, such as {folders[0].name}: {remedy}")
    if loose:
        return "all files in one folder, person and modality in the name", _flat(loose)
    layout, ending = next((found for folder in folders if (found := _brats(folder))), ("one folder per person", ""))
    return layout, _per_folder(folders, ending)


def _brats(folder: Path) -> tuple[str, str] | None:
    names = {stem(path.name) for path in scans_in(folder)}
    return next((layout for ending, layout in BRATS.items() if folder.name + ending in names), None)


def _flat(scans: list[Path]) -> Iterator[File]:
    for path in scans:
        yield File(path, subject_in(path), modality_of(path) or "")


def _per_folder(folders: list[Path], ending: str) -> Iterator[File]:
    for folder in folders:
        scan = _SCAN.match(folder.name) if ending else None
        subject, session = (scan[1], scan[2]) if scan else (folder.name, "")
        for path in scans_in(folder):
            lesion = "lesion" if ending and stem(path.name) == folder.name + ending else ""
            yield File(path, subject, modality_of(path, folder.name) or "", session, lesion)
