"""How a data folder is laid out, found by looking at it: BIDS, BraTS, one folder a person, or all files in one folder.

Nothing is guessed in silence: what fits no rule is an error that names the file and the remedy, what is left out is
kept in `Manifest.ignored`, and ``toposlearn inspect`` tells which file became which modality.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import nibabel as nib
import pandas as pd
from nibabel.spatialimages import SpatialImage

from toposlearn.data.manifest import TRUTH, Manifest, Record
from toposlearn.data.modalities import DIFFUSION, is_nifti, modality_in, modality_of, person_in, stem
from toposlearn.data.gate.quality import BadImageError, load_image

BIDS = "BIDS, the first session of each person"
_SCAN = re.compile(r"^(BraTS-[A-Z]+-\d{5})-\d{3}$")  # BraTS-GLI-00008-001 is a later scan of the same person as -000
BRATS = {  # an ending that only this year's names have -> layout, and the ending of its label maps
    "_t1ce": ("BraTS 2021, one folder a person", "_seg"),
    "-t1n": ("BraTS 2023, one folder a scan, the first of each person", "-seg"),
}
FOLDERS = "one folder a person"
FLAT = "all files in one folder, person and modality in the name"
_NO_PEOPLE = ("derivatives", "sourcedata", "code", "stimuli")  # of BIDS; our cache lies there in every layout
_BIDS_DWI = {"dwi": "dwi", "trace": "dwi", "ADC": "ADC"}  # ending of a file in a dwi folder -> modality
_TRUTH = ("dseg", "label-lesion_mask", "from-subject_to-template_xfm")  # endings of labels, lesion, to_template


def read_manifest(root: str | Path) -> Manifest:
    """The people of a data folder and their images, in whichever layout they lie.

    Raises:
        FileNotFoundError: no such folder, or no image in it.
        ValueError: a file that could mean more than one thing, or nothing; the message names it and the remedy.
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


def _folders(root: Path) -> list[Path]:
    return sorted(
        path
        for path in root.iterdir()
        if path.is_dir() and not path.name.startswith(".") and path.name not in _NO_PEOPLE
    )


def _scans(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in sorted(folder.iterdir()) if is_nifti(path.name)]


def _bids(root: Path) -> tuple[str, list[Record], list[Path]] | None:
    subjects = [folder for folder in _folders(root) if folder.name.startswith("sub-")]
    anat = {subject: sorted([*subject.glob("anat"), *subject.glob("ses-*/anat")])[:1] for subject in subjects}
    if not any(anat.values()):
        return None
    dwi = {subject: [path.with_name("dwi") for path in places] for subject, places in anat.items()}
    scans = {
        subject: _scans(*places, *(path for path in dwi[subject] if path.is_dir())) for subject, places in anat.items()
    }
    records = [_bids_record(root, subject.name, files) for subject, files in scans.items()]
    return BIDS, records, [path for files in scans.values() for path in files]


def _bids_record(root: Path, subject: str, scans: Iterable[Path]) -> Record:
    truth = root / TRUTH / subject / "anat"
    known = [truth / f"{subject}_{ending}.nii.gz" for ending in _TRUTH]
    labels, lesion, to_template = (path if path.exists() else None for path in known)
    return Record(subject, _images(subject, scans), labels, lesion, to_template)


def _plain(root: Path) -> tuple[str, list[Record], list[Path]]:
    loose, folders = _scans(root), [folder for folder in _folders(root) if _scans(folder)]
    if loose and folders:
        raise ValueError(
            f"{loose[0]} lies beside folders with images, such as {folders[0].name}: move it into a person's folder, "
            f"or away, so that {root} holds one kind of thing"
        )
    if loose:
        return FLAT, _flat_records(loose), loose
    layout, labels = _brats(folders)
    first = {_SCAN.sub(r"\1", folder.name) if labels else folder.name: folder for folder in reversed(folders)}
    subjects = sorted(first.values())
    return layout, [_folder_record(folder, labels) for folder in subjects], _scans(*folders)


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
    return Record(folder.name, _images(folder.name, scans), lesion=lesion)


def _flat_records(scans: Iterable[Path]) -> list[Record]:
    named = {path: _modality("", path) for path in scans}
    subjects: dict[str, list[Path]] = {}
    for path, name in named.items():
        if name is not None and name not in DIFFUSION:
            subjects.setdefault(person_in(path), []).append(path)
    for path, name in named.items():
        if name in DIFFUSION:  # of somebody who is known: such files are often named by other rules
            subjects.get(person_in(path, required=False), []).append(path)
    return [Record(name, _images("", files)) for name, files in subjects.items()]


def _images(subject: str, scans: Iterable[Path]) -> dict[str, Path]:
    images: dict[str, Path] = {}
    several: set[str] = set()
    for path in scans:
        name = _modality(subject, path)
        if name in DIFFUSION and is_series(path):
            continue
        if name in images and name in DIFFUSION:
            several.add(name)
        elif name in images:
            raise ValueError(f"{path} and {images[name].name} of one person both look like {name}: keep one of them")
        elif name is not None:
            images[name] = path
    return {name: path for name, path in images.items() if name not in several}


def is_series(path: Path) -> bool:
    """True where the header says that a file holds several volumes."""
    try:
        return len(load_image(path).shape) > 3
    except BadImageError:
        return False  # the quality gate will say what is wrong


def _modality(subject: str, path: Path) -> str | None:
    """By BIDS, or by the words of the name without the person's own (who may be called PD-01)."""
    if path.parent.name == "dwi" and modality_of(path.name):
        return _BIDS_DWI.get(stem(path.name).rpartition("_")[2])
    return modality_of(path.name) or modality_in(path, stem(path.name).removeprefix(subject))


def _nothing_in(root: Path) -> str:
    inside = (path.relative_to(root).parts for path in sorted(root.rglob("*.nii*")))
    deeper: Sequence[str] = next((parts for parts in inside if len(parts) > 2 and parts[0] not in _NO_PEOPLE), ())
    if deeper:
        place = root.joinpath(*deeper[:-1])
        return f"no image found in {root} or its folders, but deeper, in {place}: give the folder that holds the people"
    return (
        f"no image found in {root}: expected BIDS names such as {root}/sub-01/anat/sub-01_T1w.nii.gz, "
        f"or a folder a person, such as {root}/ANNA/T1w.nii.gz, or files such as {root}/ANNA_T1w.nii.gz"
    )


def _participants(root: Path) -> dict[str, dict[str, str]]:
    path = root / "participants.tsv"
    if not path.exists():
        return {}
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    if "participant_id" not in table:
        raise ValueError(f"{path} has no column participant_id")
    rows = table.to_dict(orient="records")
    return {str(row["participant_id"]): {str(name): str(value) for name, value in row.items()} for row in rows}
