"""BraTS 2021 and 2023 (adult glioma): check what you downloaded, and make a folder that every command here reads.

    python data_scripts/brats.py FOLDER_OR_ARCHIVE --out DIR
    toposlearn pretrain --data DIR --out runs/brats

Nothing is downloaded: the data need an account and your consent to their terms (README.md beside this file says where).
DIR holds one relative link per person to what you downloaded (an archive is unpacked into DIR/sourcedata),
manifest.json and dataset_description.json. It appears whole or not at all. Of a patient scanned twice the first scan
is used.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
from tqdm import tqdm
from unpacking import unpack

from toposlearn.data import BadImageError, check_image, read_manifest
from toposlearn.data.gate.quality import same_grid
from toposlearn.data.images import load_image
from toposlearn.reproducibility import write_json

TERMS = "the organizers' terms, accepted at download; see data_scripts/README.md"


class Grid(NamedTuple):
    """The grid of every image of both years."""

    shape: tuple[int, ...] = (240, 240, 155)
    spacing: float = 1.0  # mm


class Edition(NamedTuple):
    """Layout of one year's training set."""

    name: str
    subject: re.Pattern[str]  # its first group is the patient
    images: tuple[str, ...]  # endings of the four images of a person
    labels: str  # ending of the label map
    values: frozenset[int]  # labels in it
    subjects: int  # in the whole training set


EDITIONS = (
    Edition(
        "BraTS 2021",
        re.compile(r"^(BraTS2021_\d{5})$"),
        ("_t1", "_t1ce", "_t2", "_flair"),
        "_seg",
        frozenset({0, 1, 2, 4}),
        1251,
    ),
    Edition(
        "BraTS 2023",
        re.compile(r"^(BraTS-[A-Z]+-\d{5})-\d{3}$"),
        ("-t1n", "-t1c", "-t2w", "-t2f"),
        "-seg",
        frozenset({0, 1, 2, 3}),
        1251,
    ),
)


def find_people(root: Path) -> tuple[Edition, list[Path]]:
    """Find the folders of people, at any depth, and their year.

    Raises:
        ValueError: none, of both years, or in several places.
    """
    folders = sorted(path for path in root.rglob("BraTS*") if path.is_dir())
    of_edition = {edition: [path for path in folders if edition.subject.match(path.name)] for edition in EDITIONS}
    present = {edition: subjects for edition, subjects in of_edition.items() if subjects}
    if not present:
        raise ValueError(
            f"no folder of a person in {root}: expected names such as BraTS2021_00000 or BraTS-GLI-00000-000"
        )
    places = sorted({path.parent for subjects in present.values() for path in subjects})
    if len(places) > 1:
        raise ValueError(
            f"{root} holds several sets ({places[0]} and {places[1]} among them): give one of these folders"
        )
    if len(present) > 1:
        raise ValueError(f"{root} holds people of {' and '.join(each.name for each in present)}: give one year")
    return next(iter(present.items()))


def first_scans(edition: Edition, subjects: Sequence[Path]) -> list[Path]:
    """The first scan of each patient: a patient scanned twice must not be trained on and tested on."""
    first: dict[str, Path] = {}
    for folder in subjects:
        match = edition.subject.match(folder.name)
        assert match is not None
        first.setdefault(match[1], folder)
    return list(first.values())


def check_person(folder: Path, edition: Edition, grid: Grid, labeled: bool) -> None:
    """Names, every voxel, one grid, shape, spacing, label values.

    Raises:
        ValueError: in one line, what is wrong with which file.
    """
    endings = (*edition.images, *((edition.labels,) if labeled else ()))
    wanted = {ending: folder / f"{folder.name}{ending}.nii.gz" for ending in endings}
    for path in wanted.values():
        if not path.is_file():
            raise ValueError(f"{path} is missing: download this person again")
    strange = sorted(path.name for path in folder.glob("*.nii*") if path not in wanted.values())
    if strange:
        raise ValueError(f"{folder / strange[0]} is not named as in {edition.name}: move it away")
    one, *_ = [check_image(wanted[ending]) for ending in edition.images]
    for path in wanted.values():
        image = load_image(path)
        if image.shape != one.shape:
            raise ValueError(f"{path} has shape {image.shape} but {one.path.name} has {one.shape}: download it again")
        if not same_grid(image, one):
            raise ValueError(f"{path} and {one.path.name} lie apart (their affines differ): download them again")
    if one.shape != grid.shape or not np.allclose(one.spacing, grid.spacing, atol=1e-3):
        raise ValueError(
            f"{one.path} has {one.shape} voxels of {np.round(one.spacing, 3).tolist()} mm, not {grid.shape} of "
            f"{grid.spacing:g}: it differs from the published data"
        )
    if labeled:
        _check_labels(wanted[edition.labels], edition)


def _check_labels(path: Path, edition: Edition) -> None:
    try:
        values = set(np.unique(np.asanyarray(nib.load(path).dataobj)).tolist())
    except (EOFError, OSError, ValueError) as error:
        raise BadImageError(f"{path} is truncated or damaged ({error}): copy it again") from None
    if not values <= edition.values:
        odd = sorted(values - edition.values)[0]
        raise ValueError(f"{path} holds the label {odd:g}, but {edition.name} has {sorted(edition.values)} only")


def check_all(folders: Sequence[Path], edition: Edition, grid: Grid) -> bool:
    """Check everyone; True when there are label maps (a validation set has none).

    Raises:
        ValueError: the first problem, with the number of others.
    """
    labeled = any((folder / f"{folder.name}{edition.labels}.nii.gz").exists() for folder in folders)
    problems = []
    for folder in tqdm(folders, desc="checking", unit="person", disable=None):
        try:
            check_person(folder, edition, grid, labeled)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        more = f" (and {len(problems) - 1} more people with problems)" if len(problems) > 1 else ""
        raise ValueError(problems[0] + more)
    return labeled


def build(source: Path, out: Path, *, grid: Grid, limit: int) -> str:
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
        folders = first_scans(edition, subjects)
        labeled = check_all(folders, edition, grid)
        for folder in folders:
            (partial / folder.name).symlink_to(os.path.relpath(folder.resolve(), partial.resolve()))
        _describe(partial, edition, folders, [path.name for path in subjects if path not in folders], labeled)
        partial.replace(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return (
        f"{out}: {len(folders)} people of {edition.name} ({edition.subjects} scans in its training set), "
        f"{'with' if labeled else 'without'} labels, {len(subjects) - len(folders)} later scans left out\n"
        f"next: toposlearn pretrain --data {out} --out runs/brats"
    )


def _describe(root: Path, edition: Edition, folders: Sequence[Path], later: Sequence[str], labeled: bool) -> None:
    write_json(root / "dataset_description.json", {"Name": edition.name, "License": TERMS, "DatasetType": "raw"})
    manifest = read_manifest(root)  # what every command will see
    subjects = {
        record.subject: {name: path.relative_to(root).as_posix() for name, path in record.images.items()}
        | ({"lesion": record.lesion.relative_to(root).as_posix()} if record.lesion else {})
        for record in manifest.records
    }
    if set(subjects) != {folder.name for folder in folders}:
        raise ValueError(f"{len(folders)} people were checked but {len(subjects)} are read: report this with the tree")
    content = {"schema": "toposlearn/brats/1", "edition": edition.name, "layout": manifest.layout, "labels": labeled}
    write_json(root / "manifest.json", {**content, "later_scans_left_out": list(later), "people": subjects})


def main(argv: Sequence[str] | None = None) -> int:
    """The command: 0 on success, 1 with one line on stderr, 2 for a command that cannot be read."""
    parser = argparse.ArgumentParser(description="Check a BraTS 2021 or 2023 download, make a folder to train on.")
    parser.add_argument("source", type=Path, help="folder or archive (zip, tar) that you downloaded")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    parser.add_argument("--shape", default="240,240,155", help="voxels of every image (default: as published)")
    parser.add_argument("--spacing", type=float, default=1.0, help="mm per voxel (default: as published)")
    parser.add_argument("--max-gb", type=float, default=100.0, help="maximum size of an unpacked archive (GB)")
    given = parser.parse_args(argv)
    try:
        grid = Grid(tuple(int(side) for side in given.shape.split(",")), given.spacing)
        print(build(given.source, given.out, grid=grid, limit=int(given.max_gb * 1e9)))
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
