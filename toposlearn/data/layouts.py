"""The people of a data folder, whichever way it is laid out: BIDS, BraTS, one folder per person, or all in one folder.

A file that fits no rule is an error that names the file and the remedy. Files that are not used are kept in
`Manifest.ignored`, and ``toposlearn inspect`` lists which file became which modality.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from toposlearn.cohort.recipes import TRUTH
from toposlearn.data.gate.quality import BadImageError, load_image
from toposlearn.data.manifest import Manifest, Record
from toposlearn.data.modalities import DIFFUSION, EXAMPLE, modality_of, stem, subject_in

BIDS = "BIDS, the first session of each person"
FOLDERS = "one folder per person"
FLAT = "all files in one folder, person and modality in the name"
BRATS = {  # an ending that only this year's names have -> layout, and the ending of its label maps
    "_t1ce": ("BraTS 2021, one folder per person", "_seg"),
    "-t1n": ("BraTS 2023, one folder per scan, the first of each person", "-seg"),
}
_SCAN = re.compile(r"^(BraTS-[A-Z]+-\d{5})-\d{3}$")  # BraTS-GLI-00008-001 is a later scan of the same person as -000
_NO_PEOPLE = ("derivatives", "sourcedata", "code", "stimuli")  # of BIDS; our cache lies there in every layout
_TRUTH = ("dseg", "label-lesion_mask", "from-subject_to-template_xfm")  # endings of labels, lesion, to_template


def read_manifest(root: str | Path) -> Manifest:
    """Find the people of a data folder and their images.

    Raises:
        FileNotFoundError: no such folder, or no image in it.
        ValueError: a file whose meaning is not clear; the message names it and the remedy.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"data folder {root} does not exist: make one with 'toposlearn cohort --out {root}'")
    layout, records, scans = _bids(root) or _plain(root)
    records = [record for record in records if record.images]
    if not records:
        raise FileNotFoundError(_nothing_in(root))
    used = {path for record in records for path in (*record.images.values(), record.lesion)}
    info = _participants(root)
    known = tuple(replace(record, info=info.get(record.subject, {})) for record in records)
    return Manifest(root, known, layout, tuple(path for path in scans if path not in used))


def is_series(path: Path) -> bool:
    """True where a file holds several volumes, by its header."""
    try:
        return len(load_image(path).shape) > 3
    except BadImageError:
        return False  # the quality gate reports what is wrong


def _folders(root: Path) -> list[Path]:
    inside = sorted(path for path in root.iterdir() if path.is_dir())
    return [path for path in inside if not path.name.startswith(".") and path.name not in _NO_PEOPLE]


def _scans(*folders: Path) -> list[Path]:
    inside = [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir())]
    return [path for path in inside if path.name.endswith((".nii", ".nii.gz")) and not path.name.startswith(".")]


def _bids(root: Path) -> tuple[str, list[Record], list[Path]] | None:
    subjects = [folder for folder in _folders(root) if folder.name.startswith("sub-")]
    anat = {subject: sorted([*subject.glob("anat"), *subject.glob("ses-*/anat")])[:1] for subject in subjects}
    if not any(anat.values()):
        return None
    scans = {
        subject: _scans(*places, *(place.with_name("dwi") for place in places)) for subject, places in anat.items()
    }
    records = []
    for subject, files in scans.items():
        truth = root / TRUTH / subject.name / "anat"
        files_of_truth = [truth / f"{subject.name}_{ending}.nii.gz" for ending in _TRUTH]
        labels, lesion, to_template = (path if path.exists() else None for path in files_of_truth)
        records.append(Record(subject.name, _images(files, subject.name), labels, lesion, to_template))
    return BIDS, records, [path for files in scans.values() for path in files]


def _plain(root: Path) -> tuple[str, list[Record], list[Path]]:
    loose, folders = _scans(root), [folder for folder in _folders(root) if _scans(folder)]
    if loose and folders:
        raise ValueError(
            f"{loose[0]} lies beside folders with images, such as {folders[0].name}: move it into a person's folder, "
            f"or move it away, so that {root} holds either files or folders"
        )
    if loose:
        return FLAT, _flat_records(loose), loose
    layout, labels = _brats(folders)
    first = {_SCAN.sub(r"\1", folder.name) if labels else folder.name: folder for folder in reversed(folders)}
    return layout, [_folder_record(folder, labels) for folder in sorted(first.values())], _scans(*folders)


def _brats(folders: Iterable[Path]) -> tuple[str, str | None]:
    """The layout of folders of people, and the ending of label maps that are lesions, where that is known."""
    for folder in folders:
        names = {stem(path.name) for path in _scans(folder)}
        for ending, layout in BRATS.items():
            if folder.name + ending in names:
                return layout
    return FOLDERS, None


def _folder_record(folder: Path, labels: str | None) -> Record:
    scans = _scans(folder)
    lesion = next((path for path in scans if labels and stem(path.name) == folder.name + labels), None)
    return Record(folder.name, _images(scans, folder.name), lesion=lesion)


def _flat_records(scans: Iterable[Path]) -> list[Record]:
    modalities = {path: modality_of(path) for path in scans}
    subjects: dict[str, list[Path]] = {}
    for path, name in modalities.items():
        if name is not None and name not in DIFFUSION:
            if not subject_in(path):
                raise ValueError(f"{path} names no person: rename it, {EXAMPLE}, or give each person a folder")
            subjects.setdefault(subject_in(path), []).append(path)
    for path, name in modalities.items():
        if name in DIFFUSION:  # only of people who are known: such files are often named by other rules
            subjects.get(subject_in(path), []).append(path)
    return [Record(name, _images(files)) for name, files in subjects.items()]


def _images(scans: Iterable[Path], subject: str = "") -> dict[str, Path]:
    images: dict[str, Path] = {}
    several: set[str] = set()
    for path in scans:
        name = modality_of(path, subject)
        if name is None or (name in DIFFUSION and is_series(path)):
            continue
        if name not in images:
            images[name] = path
        elif name in DIFFUSION:
            several.add(name)
        else:
            raise ValueError(f"{path} and {images[name].name} of one person both look like {name}: keep one of them")
    return {name: path for name, path in images.items() if name not in several}


def _nothing_in(root: Path) -> str:
    inside = [path.relative_to(root).parts for path in sorted(root.rglob("*.nii*"))]
    deeper = next((parts for parts in inside if len(parts) > 2 and parts[0] not in _NO_PEOPLE), None)
    if deeper:
        place = root.joinpath(*deeper[:-1])
        return f"no image found in {root} or its folders, but deeper, in {place}: give the folder that holds the people"
    return (
        f"no image found in {root}: expected BIDS names such as {root}/sub-01/anat/sub-01_T1w.nii.gz, "
        f"or one folder per person, such as {root}/ANNA/T1w.nii.gz, or files such as {root}/ANNA_T1w.nii.gz"
    )


def _participants(root: Path) -> dict[str, dict[str, str]]:
    path = root / "participants.tsv"
    if not path.exists():
        return {}
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    if "participant_id" not in table:
        raise ValueError(f"{path} has no column participant_id: add it, with the names of the people's folders")
    rows = [{str(name): str(value) for name, value in row.items()} for row in table.to_dict(orient="records")]
    return {row["participant_id"]: row for row in rows}
