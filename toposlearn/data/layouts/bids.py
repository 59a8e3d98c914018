"""BIDS: a folder per subject, the modality in the suffix of each file's name; also with all files in one folder.

Read by names alone. `bids2table` and `pybids` index 10 000 people in 2.5 and 5 to 12 times the processor time, and read
neither names that are nearly BIDS nor which of several files to use.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from toposlearn.data.images import stem
from toposlearn.data.layouts import names
from toposlearn.data.layouts.files import LANDMARKS, File, folders_in, list_folder, natural
from toposlearn.data.layouts.suffixes import meaning_of, split_name
from toposlearn.settings import TRUTH

_PLACES = ("anat", "dwi")  # folders of images within that of a person or a session
_FREESURFER = ("aseg", "aparc+aseg", "wmparc")  # label maps in the folder mri of a person; the others repeat these


def is_bids(root: Path) -> bool:
    """True where the folder of a person holds an anat folder, a session or a file named by BIDS, or the root does."""
    return any(map(_holds_images, _people(root))) or _is_flat(root)


def find_bids(root: Path) -> Path | None:
    """The folder that holds the people: this one, or the only one in it that does, such as ``rawdata``; else None."""
    if is_bids(root):
        return root
    inside = [folder for folder in folders_in(root) if any(map(_holds_images, _people(folder, named=True)))]
    return inside[0] if len(inside) == 1 else None


def read_bids(root: Path) -> Iterator[File]:
    """The files of every person, with label maps and landmarks from derivatives; the folder stands for each person."""
    people = _people(root)
    if not any(map(_holds_images, people)):
        images, _, landmarks = list_folder(root)
        yield from (bids_file(root / name) for name in images)
        yield from (File(root / name, "") for name in landmarks)
        return
    for name in list_folder(root)[0]:
        yield File(root / name, "", problem=f"{root / name} lies beside the folders of the people: move it into one")
    for folder in people:
        subject, sign, session = folder.name.partition("_ses-")  # sub-OAS30001_ses-d0129 of OASIS-3
        yield File(folder, subject)
        yield from _files_of(folder, subject, f"ses-{session}" if sign else "")
    yield from _derived(root, {folder.name for folder in people})


def bids_file(path: Path, subject: str = "", session: str = "") -> File:
    """What the name of a file says; `subject` and `session` are those of its folder, where it lies in one."""
    text = stem(path.name)
    if not text.lower().startswith("sub-"):
        return _named_by_words(path, subject, session)
    own = text.startswith(f"{subject}_") if subject else False
    label, _, rest = (subject, "", text[len(subject) + 1 :]) if own else text.partition("_")
    entities, suffix = split_name(rest)
    if subject and natural(label)[0] != natural(subject)[0]:  # sub-1 may lie in the folder of sub-01
        return File(path, subject, problem=f"{path} lies in the folder of {subject}: move it to that of {label}")
    visit = f"ses-{entities.pop('ses')}" if "ses" in entities else session
    if session and visit.casefold() != session.casefold():
        return File(path, subject, problem=f"{path} lies in the folder of {session}: move it to that of {visit}")
    found = meaning_of(entities, suffix, diffusion=path.parent.name.lower() == "dwi")
    remedy = f"name it by --pattern 'MODALITY=...{suffix}.nii.gz' if it is an image of one"
    problem = "" if found.known else f"{path} is not used, since _{suffix} is no suffix of an image in BIDS: {remedy}"
    return File(path, subject or label, found.modality, session or visit, found.label_map, entities, problem=problem)


def _named_by_words(path: Path, subject: str, session: str) -> File:
    """A file that BIDS would name otherwise, such as ``sub-01/anat/T1.nii.gz``."""
    text = stem(path.name)
    found = names.meaning_of(text.replace(subject, " ") if subject else text)
    problem = f"{path} {found.problem}: {names.REMEDY}" if found.problem else ""
    return File(path, subject or names.subject_in(path), found.modality, session, found.label_map, problem=problem)


def _people(root: Path, *, named: bool = False) -> list[Path]:
    """Folders ``sub-...``; where there are none, folders that hold an anat folder or a session, unless `named`."""
    folders = folders_in(root)
    found = [folder for folder in folders if folder.name.lower().startswith("sub-")]
    if not found and not named:
        found = [folder for folder in folders if folder.name.lower() not in _PLACES and _holds_images(folder)]
    return sorted(found, key=lambda folder: natural(folder.name))


def _holds_images(folder: Path) -> bool:
    """True where a person's folder holds an anat folder, a session with images, or a file named by BIDS."""
    images, folders, _ = _listed(folder)
    sessions = [folder / name for name in folders if _is_session(name)]
    anat = [folder / name for name in folders if name.lower() == "anat"]
    if anat and not folder.name.lower().startswith("sub-"):  # NYU_0050952/anat/NIfTI/mprage.nii.gz is not BIDS
        anat = [each for each in anat if _listed(each)[0]]
    return (
        bool(anat)
        or any(map(_is_bids_name, images))
        or any(_listed(each)[0] or _holds_images(each) for each in sessions)
    )


def _is_flat(root: Path) -> bool:
    """True where images named by BIDS lie in the data folder itself, and none in the folders there."""
    named = any(map(_is_bids_name, _listed(root)[0]))
    return named and not any(_listed(folder)[0] for folder in folders_in(root))


def _is_bids_name(name: str) -> bool:
    text = stem(name)
    return text.lower().startswith("sub-") and meaning_of(*split_name(text)).modality != ""


def _is_session(name: str) -> bool:
    return name.lower().startswith("ses-")


def _files_of(folder: Path, subject: str, session: str = "") -> Iterator[File]:
    """The files of a person or of one session, with those in anat and dwi folders."""
    try:
        images, folders, landmarks = list_folder(folder)
    except OSError as error:
        problem = f"{folder} cannot be read ({error.strerror}): change its permissions"
        yield File(folder, subject, session=session, problem=problem)
        return
    yield from (bids_file(folder / name, subject, session) for name in images)
    yield from (File(folder / name, "") for name in landmarks)
    inside = folder.name.lower() in _PLACES
    for name in () if inside else folders:
        if name.lower() in _PLACES:
            yield from _files_of(folder / name, subject, session)
        elif _is_session(name) and not session:
            yield from _files_of(folder / name, subject, name)


def _derived(root: Path, people: set[str]) -> Iterator[File]:
    """Label maps and landmarks in ``derivatives/sub-...`` and ``derivatives/NAME/sub-...``, without images."""
    place = root / "derivatives"
    pipelines = [place, *(place / name for name in _listed(place)[1] if place / name != root / TRUTH)]
    for pipeline in pipelines:
        for name in sorted(people & set(_listed(pipeline)[1])):
            found = (replace(file, modality="") for file in _files_of(pipeline / name, name))
            yield from (file for file in found if file.label_map or file.path.name.lower().endswith(LANDMARKS))
            mri = pipeline / name / "mri"
            maps = (mri / image for image in _listed(mri)[0] if stem(image) in _FREESURFER)
            yield from (File(path, name, label_map=stem(path.name)) for path in maps)


def _listed(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """As `list_folder`; nothing where the folder cannot be read."""
    try:
        return list_folder(folder)
    except OSError:
        return [], [], []
