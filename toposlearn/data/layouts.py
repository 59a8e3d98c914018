"""The people of a data folder, whichever way it is laid out: BIDS, BraTS, one folder per person, or all in one folder.

A name that is not clear is an error with the file and the remedy, never a guess. Files that are not used are kept in
`Manifest.ignored`, and ``toposlearn inspect`` lists which file became which modality.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from toposlearn.settings import T1CE, TRUTH
from toposlearn.data.gate.quality import BadImageError, load_image
from toposlearn.data.manifest import Manifest, Record

WORDS = {  # modality -> words that name it, in the spelling of BIDS, BraTS 2021 and 2023, and scanners
    "T1w": ("t1", "t1w", "t1n", "mprage"),
    T1CE: ("t1ce", "t1c", "t1gd"),
    "T2w": ("t2", "t2w"),
    "FLAIR": ("flair", "t2f", "t2flair", "tirm", "dark"),  # "t2_space_dark-fluid" is a FLAIR
    "PDw": ("pd", "pdw"),
    "dwi": ("dwi", "trace"),
    "ADC": ("adc",),
}
DIFFUSION = ("dwi", "ADC")  # often there several times, or as a series: used where it is clear which, else ignored
CONTRAST = ("ce", "gd", "gad", "gadolinium", "contrast", "postcontrast", "postgd")  # turns a T1w into T1CE
OTHER = {  # masks, maps and kinds of image that no run here uses
    *("seg", "mask", "brainmask", "label", "labels", "dseg", "aseg", "aparc", "lesion", "lesions", "roi", "atlas"),
    *("xfm", "warp", "affine", "fieldmap", "dti", "fa", "md", "bold", "asl", "swi", "star", "t2star"),
    *("hemo", "tof", "angio", "ct", "pet", "localizer", "scout"),
}
_MODALITY = {word: modality for modality, words in WORDS.items() for word in words}
_WORD = re.compile(r"[A-Za-z0-9]+")
_BIDS = re.compile(r"^sub-[A-Za-z0-9]+_(?:.*_)?(?P<suffix>[A-Za-z0-9]+)\.nii(\.gz)?$")
_BIDS_AGENT = re.compile(r"_(ce-[A-Za-z0-9]+)_")
_BIDS_OTHER = ("mask", "dseg", "probseg", "xfm")
_BIDS_DWI = {"dwi": "dwi", "trace": "dwi", "ADC": "ADC"}  # suffix of a file in a dwi folder -> modality
_EXAMPLE = "e.g. to ANNA_T1w.nii.gz"
BRATS = {  # an ending that only this year's names have -> layout, and the ending of its label maps
    "_t1ce": ("BraTS 2021, one folder per person", "_seg"),
    "-t1n": ("BraTS 2023, one folder per scan, the first of each person", "-seg"),
}
_SCAN = re.compile(r"^(BraTS-[A-Z]+-\d{5})-\d{3}$")  # BraTS-GLI-00008-001 is a later scan of the same person as -000
_NO_PEOPLE = ("derivatives", "sourcedata", "code", "stimuli")  # of BIDS; our cache lies there in every layout
_TRUTH = ("dseg", "label-lesion_mask", "from-subject_to-template_xfm")  # endings of labels, lesion, to_template


def read_manifest(root: str | Path) -> Manifest:
    """Find the people of a data folder and their images; ValueError for a file whose meaning is not clear."""
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
    records, scans = [], []
    for subject, places in anat.items():
        files = _scans(*places, *(place.with_name("dwi") for place in places))
        truth = root / TRUTH / subject.name / "anat"
        known = (truth / f"{subject.name}_{ending}.nii.gz" for ending in _TRUTH)
        labels, lesion, to_template = (path if path.exists() else None for path in known)
        records.append(Record(subject.name, _images(files, subject.name), labels, lesion, to_template))
        scans += files
    return "BIDS, the first session of each person", records, scans


def _plain(root: Path) -> tuple[str, list[Record], list[Path]]:
    loose, folders = _scans(root), [folder for folder in _folders(root) if _scans(folder)]
    if loose and folders:
        remedy = f"move it into a person's folder, or move it away, so that {root} holds either files or folders"
        raise ValueError(f"{loose[0]} lies beside folders with images, such as {folders[0].name}: {remedy}")
    if loose:
        return "all files in one folder, person and modality in the name", _flat_records(loose), loose
    layout, ending = _brats(folders)
    first = {_SCAN.sub(r"\1", folder.name) if ending else folder.name: folder for folder in reversed(folders)}
    records = []
    for folder in sorted(first.values()):
        scans = _scans(folder)
        lesion = next((path for path in scans if ending and _stem(path.name) == folder.name + ending), None)
        records.append(Record(folder.name, _images(scans, folder.name), lesion=lesion))
    return layout, records, _scans(*folders)


def _brats(folders: Iterable[Path]) -> tuple[str, str | None]:
    """The layout of folders of people, and the ending of label maps that are lesions, where that is known."""
    for folder in folders:
        names = {_stem(path.name) for path in _scans(folder)}
        for ending, layout in BRATS.items():
            if folder.name + ending in names:
                return layout
    return "one folder per person", None


def _flat_records(scans: Iterable[Path]) -> list[Record]:
    modalities = {path: modality_of(path) for path in scans}
    subjects: dict[str, list[Path]] = {}
    for path, name in modalities.items():
        if name is not None and name not in DIFFUSION:
            if not subject_in(path):
                raise ValueError(f"{path} names no person: rename it, {_EXAMPLE}, or give each person a folder")
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
    bids = f"BIDS names such as {root}/sub-01/anat/sub-01_T1w.nii.gz"
    own = f"one folder per person, such as {root}/ANNA/T1w.nii.gz, or files such as {root}/ANNA_T1w.nii.gz"
    return f"no image found in {root}: expected {bids}, or {own}"


def _participants(root: Path) -> dict[str, dict[str, str]]:
    path = root / "participants.tsv"
    if not path.exists():
        return {}
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    if "participant_id" not in table:
        raise ValueError(f"{path} has no column participant_id: add it, with the names of the people's folders")
    rows = [{str(name): str(value) for name, value in row.items()} for row in table.to_dict(orient="records")]
    return {row["participant_id"]: row for row in rows}


def _stem(name: str) -> str:
    """The name without ``.nii`` or ``.nii.gz``."""
    return name.removesuffix(".gz").removesuffix(".nii")


def bids_modality(name: str) -> str | None:
    """The modality in a BIDS file name (``T1w``, ``ce-gadolinium_T1w``), or None when it is no image."""
    match = _BIDS.match(name)
    if match is None or match["suffix"] in _BIDS_OTHER:
        return None
    agent = _BIDS_AGENT.search(name)
    return f"{agent[1]}_{match['suffix']}" if agent else match["suffix"]


def modality_of(path: Path, subject: str = "") -> str | None:
    """The modality of a file, by BIDS or by the words of its name; None for masks, maps and other kinds of image.

    Words of the person's own name do not count (it may be PD-01). No known word, or words of two modalities, raise
    ValueError.
    """
    name = bids_modality(path.name)
    if name and path.parent.name == "dwi":
        return _BIDS_DWI.get(_stem(path.name).rpartition("_")[2])
    return name or _modality_in_words(path, _stem(path.name).removeprefix(subject))


def _modality_in_words(path: Path, text: str) -> str | None:
    words = [word.lower() for word in _WORD.findall(text)]
    if OTHER & set(words):
        return None
    names = {_MODALITY[word] for word in words if word in _MODALITY}
    if names & set(DIFFUSION) and len(names) > 1:
        if names == set(DIFFUSION):  # dwi_ADC
            return "ADC"
        if {"dwi", "adc"} & set(words):  # one brought to the other, or its mask
            return None
        names.discard("dwi")  # t2_trace
    if names == {"FLAIR", "T2w"}:  # T2_FLAIR
        return "FLAIR"
    if T1CE in names or ("T1w" in names and any(word in CONTRAST for word in words)):
        names = names - {"T1w"} | {T1CE}
    if len(names) > 1:
        raise ValueError(f"{path} names more than one modality ({', '.join(sorted(names))}): rename it, {_EXAMPLE}")
    if not names:
        known = ", ".join(words[0] for words in WORDS.values())
        raise ValueError(f"{path} names no modality ({known} and the like): rename it, {_EXAMPLE}, or move it away")
    return names.pop()


def subject_in(path: Path) -> str:
    """The person in the name of a file that names a modality: the part before it, or else after it; "" if none."""
    text = _stem(path.name)
    named = [match for match in _WORD.finditer(text) if match[0].lower() in (*_MODALITY, *CONTRAST)]
    before, after = (part.strip("-_. ") for part in (text[: named[0].start()], text[named[-1].end() :]))
    return before or after
