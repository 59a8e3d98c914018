"""BraTS 2018 to 2024 (adult glioma): check what you downloaded, and make a folder that every command here reads.

    python data_scripts/brats.py FOLDER_OR_ARCHIVE --out DIR
    toposlearn pretrain --data DIR --out runs/brats

Nothing is downloaded: the data need an account and your consent to their terms (README.md beside this file says where).
DIR holds a folder per person with relative links to what you downloaded (an archive is unpacked into DIR/sourcedata),
manifest.json and dataset_description.json. It appears whole or not at all. Of a patient scanned twice the first scan
is used. People without labels, as in a validation set, are taken as they are, and counted.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from tqdm import tqdm
from unpacking import unpack

from toposlearn.data import BadImageError, check_image, read_manifest
from toposlearn.reproducibility import write_json

TERMS = "the organizers' terms, accepted at download; see data_scripts/README.md"
ENDINGS = (".nii.gz", ".nii")


class Grid(NamedTuple):
    """The grid of every image of a year."""

    shape: tuple[int, ...] = (240, 240, 155)
    spacing: float = 1.0  # mm


class Edition(NamedTuple):
    """Layout of one year's sets."""

    name: str
    subject: re.Pattern[str]  # its first group is the patient
    images: tuple[str, ...]  # endings of the four images of a person
    labels: str  # ending of the label map
    values: frozenset[int]  # labels in it
    subjects: int  # in the whole training set
    grid: Grid = Grid()


def _edition(name: str, subject: str, values: Sequence[int], subjects: int, grid: Grid = Grid()) -> Edition:  # noqa: B008
    old = "-" not in subject.partition("(")[2].partition("_")[0]
    images = ("_t1", "_t1ce", "_t2", "_flair") if old else ("-t1n", "-t1c", "-t2w", "-t2f")
    pattern = re.compile(f"^{subject}$", re.IGNORECASE)
    return Edition(name, pattern, images, "_seg" if old else "-seg", frozenset(values), subjects, grid)


EDITIONS = (
    _edition("BraTS 2018", r"(BraTS18_\w+)_\d", (0, 1, 2, 4), 285),
    _edition("BraTS 2019", r"(BraTS19_\w+)_\d", (0, 1, 2, 4), 335),
    _edition("BraTS 2020", r"(BraTS20_(?:Training|Validation)_\d{3})", (0, 1, 2, 4), 369),
    _edition("BraTS 2021", r"(BraTS2021_\d{5})", (0, 1, 2, 4), 1251),
    _edition("BraTS 2023", r"(BraTS-[A-Z]+-\d{5})-0\d\d", (0, 1, 2, 3), 1251),
    _edition("BraTS 2024", r"(BraTS-[A-Z]+-\d{5})-1\d\d", (0, 1, 2, 3, 4), 1350, Grid((182, 218, 182))),
)


def find_people(root: Path) -> tuple[Edition, list[Path]]:
    """Find the folders of people, at any depth, and their year.

    Raises:
        ValueError: none, of several years, or a name in several places.
    """
    folders = sorted(path for path in root.rglob("*") if path.name.lower().startswith("brats") and path.is_dir())
    of_edition = {edition: [path for path in folders if edition.subject.match(path.name)] for edition in EDITIONS}
    present = {edition: subjects for edition, subjects in of_edition.items() if subjects}
    if not present:
        raise ValueError(
            f"no folder of a person in {root}: expected names such as BraTS2021_00000 or BraTS-GLI-00000-000"
        )
    if len(present) > 1:
        raise ValueError(f"{root} holds people of {' and '.join(each.name for each in present)}: give one year")
    edition, subjects = next(iter(present.items()))
    name, count = Counter(path.name for path in subjects).most_common(1)[0]
    if count > 1:
        places = [str(path.parent) for path in subjects if path.name == name]
        raise ValueError(f"{root} holds {name} in several places ({' and '.join(places[:2])}): give one of these")
    return edition, sorted(subjects, key=lambda path: path.name)


def first_scans(edition: Edition, subjects: Sequence[Path]) -> list[Path]:
    """The first scan of each patient: a patient scanned twice must not be trained on and tested on."""
    first: dict[str, Path] = {}
    for folder in subjects:
        match = edition.subject.match(folder.name)
        assert match is not None
        first.setdefault(match[1], folder)
    return list(first.values())


def files_of(folder: Path, edition: Edition) -> dict[str, Path]:
    """Ending -> file of a person, whatever the case of its name; without the label map where there is none.

    Raises:
        ValueError: an image is missing, or a file is not named as that year's.
    """
    own = {path.name.lower(): path for path in sorted(folder.glob("*")) if path.name.lower().endswith(ENDINGS)}
    names = {ending: f"{folder.name}{ending}".lower() for ending in (*edition.images, edition.labels)}
    found = {
        ending: own[name + suffix] for ending, name in names.items() for suffix in ENDINGS[::-1] if name + suffix in own
    }
    for ending in edition.images:
        if ending not in found:
            raise ValueError(f"{folder / folder.name}{ending}.nii.gz is missing: download this person again")
    for path in own.values():
        if path not in found.values():
            raise ValueError(f"{path} is not named as in {edition.name}: move it away")
    return found


def check_person(folder: Path, edition: Edition, grid: Grid) -> dict[str, Path]:
    """Names, every voxel, one grid, shape, spacing, label values; return the files by ending.

    Raises:
        ValueError: in one line, what is wrong with which file.
    """
    found = files_of(folder, edition)
    first, *others = found.values()
    one = _header(first)
    for path in others:
        image = _header(path)
        if image.shape != one.shape:
            raise ValueError(f"{path} has shape {image.shape} but {first.name} has {one.shape}: download it again")
        if not np.allclose(image.affine, one.affine, atol=1e-2):
            raise ValueError(f"{path} and {first.name} lie apart (their affines differ): download them again")
    spacing = nib.affines.voxel_sizes(one.affine)
    if one.shape != grid.shape or not np.allclose(spacing, grid.spacing, atol=1e-3):
        raise ValueError(
            f"{first} has {one.shape} voxels of {np.round(spacing, 3).tolist()} mm, not {grid.shape} of "
            f"{grid.spacing:g}: it differs from the published data"
        )
    for ending in edition.images:
        check_image(found[ending])
    if edition.labels in found:
        _check_labels(found[edition.labels], edition)
    return found


def _header(path: Path) -> Any:
    try:
        return nib.load(path)
    except Exception:
        check_image(path)  # says what is wrong
        raise


def _check_labels(path: Path, edition: Edition) -> None:
    try:
        values = set(np.unique(np.asanyarray(_header(path).dataobj)).tolist())
    except (EOFError, OSError, ValueError) as error:
        raise BadImageError(f"{path} is truncated or damaged ({error}): copy it again") from None
    if not values <= edition.values:
        odd = sorted(values - edition.values)[0]
        raise ValueError(f"{path} holds the label {odd:g}, but {edition.name} has {sorted(edition.values)} only")


def check_all(folders: Sequence[Path], edition: Edition, grid: Grid) -> dict[Path, dict[str, Path]]:
    """Check everyone; return the files of each person.

    Raises:
        ValueError: the first problem, with the number of others.
    """
    files, problems = {}, []
    for folder in tqdm(folders, desc="checking", unit="person", disable=None):
        try:
            files[folder] = check_person(folder, edition, grid)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        more = f" (and {len(problems) - 1} more people with problems)" if len(problems) > 1 else ""
        raise ValueError(problems[0] + more)
    return files


def build(source: Path, out: Path, *, grid: Grid | None, limit: int, subset: int | None = None) -> str:
    """Unpack where needed, check, link and describe; return the lines to print.

    Raises:
        ValueError: anything wrong with the source, or `out` exists. Nothing is left behind.
    """
    if not source.exists():
        raise ValueError(f"{source} does not exist: give the folder or the archive that you downloaded")
    if out.exists():
        raise ValueError(f"{out} exists: choose another --out, or remove it")
    partial = out.with_name(f".{out.name}.{os.getpid()}.part")  # beside `out`: relative links stay true
    try:
        partial.mkdir(parents=True)
        if source.is_file():
            unpack(source, partial / "sourcedata", limit)
        edition, subjects = find_people(partial / "sourcedata" if source.is_file() else source)
        everyone = first_scans(edition, subjects)
        people = check_all(everyone[:subset], edition, grid or edition.grid)
        for folder, files in people.items():
            (partial / folder.name).mkdir()
            for ending, path in files.items():
                suffix = ".nii.gz" if path.name.lower().endswith(".gz") else ".nii"
                link = partial / folder.name / f"{folder.name}{ending}{suffix}"
                link.symlink_to(os.path.relpath(path.resolve(), link.parent.resolve()))
        later = [path.name for path in subjects if path not in everyone]
        labeled = sum(edition.labels in files for files in people.values())
        _describe(partial, edition, [folder.name for folder in people], later, labeled)
        partial.replace(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return (
        f"{out}: {len(people)} people of {edition.name} ({edition.subjects} scans in its training set), "
        f"{labeled} with labels, {len(people) - labeled} without labels, {len(later)} later scans left out\n"
        f"next: toposlearn pretrain --data {out} --out runs/brats"
    )


def _describe(root: Path, edition: Edition, names: Sequence[str], later: Sequence[str], labeled: int) -> None:
    write_json(root / "dataset_description.json", {"Name": edition.name, "License": TERMS, "DatasetType": "raw"})
    manifest = read_manifest(root)  # what every command will see
    subjects = {
        record.subject: {name: path.relative_to(root).as_posix() for name, path in record.images.items()}
        | ({"lesion": record.lesion.relative_to(root).as_posix()} if record.lesion else {})
        for record in manifest.records
    }
    if len(subjects) != len(names):
        raise ValueError(f"{len(names)} people were checked but {len(subjects)} are read: report this with the tree")
    content = {
        "schema": "toposlearn/brats/1",
        "edition": edition.name,
        "layout": manifest.layout,
        "labels": labeled > 0,
    }
    write_json(root / "manifest.json", {**content, "later_scans_left_out": list(later), "people": subjects})


def main(argv: Sequence[str] | None = None) -> int:
    """The command: 0 on success, 1 with one line on stderr, 2 for a command that cannot be read."""
    about = f"Check a BraTS download, and make a folder to train on. License: {TERMS}. Access: an account at Synapse."
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("source", type=Path, nargs="?", help="folder or archive (zip, tar) that you downloaded")
    parser.add_argument("--from", dest="given", type=Path, help="the same")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    parser.add_argument("--subset", type=int, help="only the first so many people")
    parser.add_argument("--shape", help="voxels of every image (default: as published, 240,240,155 or 182,218,182)")
    parser.add_argument("--spacing", type=float, default=1.0, help="mm per voxel (default: as published)")
    parser.add_argument("--max-gb", type=float, default=100.0, help="maximum size of an unpacked archive (GB)")
    given = parser.parse_args(argv)
    source = given.source or given.given or parser.error("give the folder or the archive that you downloaded")
    try:
        grid = Grid(tuple(int(side) for side in given.shape.split(",")), given.spacing) if given.shape else None
        print(build(source, given.out, grid=grid, limit=int(given.max_gb * 1e9), subset=given.subset))
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
