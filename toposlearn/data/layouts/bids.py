"""BIDS: a folder per subject, the modality in the suffix of each file's name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from toposlearn.data.images import stem
from toposlearn.data.layouts.files import File, folders_in, scans_in

_BIDS = re.compile(r"^sub-[A-Za-z0-9]+_(?:.*_)?(?P<suffix>[A-Za-z0-9]+)\.nii(\.gz)?$")
_AGENT = re.compile(r"_(ce-[A-Za-z0-9]+)_")
_LABEL_MAPS = ("mask", "dseg", "probseg")
_DIFFUSION = {"dwi": "dwi", "trace": "dwi", "ADC": "ADC"}  # suffix of a file in a dwi folder -> modality


def is_bids(root: Path) -> bool:
    """True where some subject's folder holds an anat folder, also below a session."""
    return any(_anat_folders(folder) for folder in _subjects(root))


def read_bids(root: Path) -> Iterator[File]:
    """The files of every subject's anat and dwi folders."""
    for folder in _subjects(root):
        for anat in _anat_folders(folder):
            session = anat.parent.name if anat.parent != folder else ""
            for path in scans_in(anat, anat.with_name("dwi")):
                modality = bids_modality(path) or ""
                suffix = stem(path.name).rpartition("_")[2]
                yield File(path, folder.name, modality, session, suffix if suffix in _LABEL_MAPS else "")


def bids_modality(path: Path) -> str | None:
    """The modality in a BIDS file name (``T1w``, ``ce-gadolinium_T1w``), or None when it is no image."""
    match = _BIDS.match(path.name)
    if match is None or match["suffix"] in (*_LABEL_MAPS, "xfm"):
        return None
    if path.parent.name == "dwi":
        return _DIFFUSION.get(match["suffix"])
    agent = _AGENT.search(path.name)
    return f"{agent[1]}_{match['suffix']}" if agent else match["suffix"]


def _subjects(root: Path) -> list[Path]:
    return [folder for folder in folders_in(root) if folder.name.startswith("sub-")]


def _anat_folders(subject: Path) -> list[Path]:
    return sorted([*subject.glob("anat"), *subject.glob("ses-*/anat")])
