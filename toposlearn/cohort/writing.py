"""The cohort on disk, as BIDS: scans and sidecars, participants, and the ground truth as derivatives.

A subject's folder appears only when it is complete, so an interrupted run is continued by running it again. A person
who has lost a file since is made again.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from importlib.metadata import version
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from toposlearn.anatomy import FAMILIES, SOURCES, STRUCTURES
from toposlearn.cohort.description import (
    AUTHORS,
    BIDS_VERSION,
    COLUMNS,
    DESCRIPTIONS,
    IGNORED,
    LICENSE,
    NOT_APPLICABLE,
    README,
    TRUTH_README,
    sidecar,
)
from toposlearn.cohort.lesions import LESION_LABELS
from toposlearn.cohort.recipes import PLAIN, TRUTH, PoseRange, Recipe
from toposlearn.cohort.subject import Subject, simulate
from toposlearn.cohort.traits import Traits, draw_traits
from toposlearn.reproducibility import atomic_path, write_json

GENERATOR = "toposlearn cohort"
TRUTH_FILES = (
    "dseg.nii.gz",
    "label-lesion_mask.nii.gz",
    "desc-lesion_dseg.nii.gz",
    "from-subject_to-template_xfm.nii.gz",
    "from-template_to-subject_xfm.nii.gz",
    "from-template_to-subject_xfm.json",
)
STEP_MM = 1 / 64  # maps are rounded to this: int16 then reaches 512 mm


def write_cohort(
    out: str | Path,
    *,
    subjects: int = 64,
    seed: int = 0,
    anatomy: str = "A",
    workers: int | None = None,
    pose: PoseRange | None = None,
    recipe: Recipe = PLAIN,
    progress: bool = True,
) -> Path:
    """Simulate a cohort and write it as a BIDS folder (layout in the README). Subjects already there are kept.

    Args:
        out: the folder; it may hold an earlier, interrupted run with the same seed and anatomy.
        subjects: how many people.
        seed: same seed, same voxels.
        anatomy: label map ``A`` or ``B``.
        workers: processes; None takes one per core, at most 8.
        pose: how far heads may turn and move in the scanner; the recipe's unless given.
        recipe: which people, and which scans of them.
        progress: show a progress bar.

    Raises:
        ValueError: bad argument, or `out` holds something else.
        OSError: `out` cannot be written.
    """
    out = Path(out)
    if subjects < 1:
        raise ValueError(f"subjects must be at least 1, got {subjects}")
    if anatomy not in FAMILIES:
        raise ValueError(f"anatomy must be one of {', '.join(FAMILIES)}, got {anatomy!r}")
    people = [draw_traits(number, seed=seed, anatomy=anatomy, recipe=recipe.name) for number in range(subjects)]
    _open(out, seed, anatomy, recipe)
    missing = [traits for traits in people if not _is_complete(out, traits, recipe)]
    finished = _run(missing, out, pose or recipe.body.pose, recipe, workers or min(os.cpu_count() or 1, 8))
    for _ in tqdm(finished, total=len(missing), desc=f"cohort {anatomy}", unit="person", disable=not progress):
        pass
    present = sorted(int(folder.name.removeprefix("sub-")) - 1 for folder in out.glob("sub-*"))
    if progress and len(present) > subjects:
        tqdm.write(f"{out} already holds {len(present)} people: all are kept", file=sys.stderr)
    _write_tables(out, [draw_traits(number, seed=seed, anatomy=anatomy, recipe=recipe.name) for number in present])
    return out


def _open(out: Path, seed: int, anatomy: str, recipe: Recipe) -> None:
    """Make the folder, or check that it holds the beginning of the same cohort."""
    description = out / "dataset_description.json"
    made = json.loads(json.dumps({"Generator": GENERATOR, "Seed": seed, "Anatomy": anatomy} | recipe.to_dict()))
    if description.exists():
        found = json.loads(description.read_text()).get("Recipe")
        if found != made:
            raise ValueError(f"{out} holds another data set ({found}), not {made}: choose an empty folder with --out")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is not an empty folder: choose another with --out")
    common = {"BIDSVersion": BIDS_VERSION, "License": LICENSE, "Authors": AUTHORS, "Recipe": made}
    common |= {"GeneratedBy": [{"Name": "toposlearn", "Version": version("toposlearn")}]}
    write_json(description, {"Name": "toposlearn simulated cohort", "DatasetType": "raw", **common})
    truth = {"Name": "Ground truth of the simulated cohort", "DatasetType": "derivative", **common}
    write_json(out / TRUTH / "dataset_description.json", truth)
    source = SOURCES[anatomy]
    for folder, text in ((out, README), (out / TRUTH, TRUTH_README)):
        with atomic_path(folder / "README.md") as partial:
            partial.write_text(text.format(anatomy=anatomy, origin=source.origin, licence=source.licence))
    (out / TRUTH / ".bidsignore").write_text(IGNORED)


def _folders(out: Path, traits: Traits) -> tuple[Path, Path]:
    name = traits.participant_id
    return out / TRUTH / name, out / name


def _stem(folder: Path, name: str, modality: str) -> Path:
    return folder / ("dwi" if modality in ("dwi", "ADC") else "anat") / f"{name}_{modality}"


def _files(out: Path, traits: Traits, recipe: Recipe) -> list[Path]:
    """Every file that `write_subject` writes."""
    (truth, raw), name = _folders(out, traits), traits.participant_id
    files = [truth / "anat" / f"{name}_{ending}" for ending in TRUTH_FILES]
    for modality in recipe.modalities:
        endings = ("nii.gz", "json", *(("bval", "bvec") if modality == "dwi" else ()))
        files += [Path(f"{_stem(raw, name, modality)}.{ending}") for ending in endings]
    return files


def _is_complete(out: Path, traits: Traits, recipe: Recipe) -> bool:
    """By name and size alone: whoever has every file is not read again."""
    return all(file.is_file() and file.stat().st_size for file in _files(out, traits, recipe))


def _run(people: list[Traits], out: Path, pose: PoseRange, recipe: Recipe, workers: int) -> Iterator[None]:
    """Simulate and write each person, in processes when more than one is asked for."""
    if workers == 1 or len(people) < 4:
        for traits in people:
            _simulate_and_write(traits, out, pose, recipe)
            yield
        return
    # "spawn": a fork of a process that has used torch's threads can hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin_worker) as pool:
        jobs = [pool.submit(_simulate_and_write, traits, out, pose, recipe) for traits in people]
        try:
            for job in as_completed(jobs):
                job.result()
                yield
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin_worker() -> None:
    """One thread; and an end of its own when the process that started it was killed, which no worker would notice."""
    torch.set_num_threads(1)
    parent = parent_process()
    if parent is not None:
        Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(parent: int) -> None:
    wait([parent])
    os._exit(1)


def _simulate_and_write(traits: Traits, out: Path, pose: PoseRange, recipe: Recipe) -> None:
    write_subject(simulate(traits, pose, recipe), out)


def write_subject(subject: Subject, out: Path) -> None:
    """Write one subject's scans, sidecars and ground truth below `out`; each folder appears when it is complete."""
    name = subject.traits.participant_id
    truth, raw = _folders(out, subject.traits)
    with _whole_folder(truth) as folder:
        stem = folder / "anat" / name
        _save(subject.labels, subject.affine, f"{stem}_dseg.nii.gz")
        _save((subject.lesion > 0).astype(np.uint8), subject.affine, f"{stem}_label-lesion_mask.nii.gz")
        _save(subject.lesion, subject.affine, f"{stem}_desc-lesion_dseg.nii.gz")
        to_template, from_template = (_steps(points) for points in (subject.to_template, subject.from_template))
        _save(to_template, subject.affine, f"{stem}_from-subject_to-template_xfm.nii.gz", scale=STEP_MM)
        _save(from_template, subject.lattice, f"{stem}_from-template_to-subject_xfm.nii.gz", scale=STEP_MM)
        write_json(Path(f"{stem}_from-template_to-subject_xfm.json"), _quality(subject))
    with _whole_folder(raw) as folder:
        for modality, scan in subject.scans.items():
            stem = _stem(folder, name, modality)
            _save(scan.image, scan.affine, f"{stem}.nii.gz")
            write_json(Path(f"{stem}.json"), sidecar(modality, scan.protocol, subject.traits.site))
            if modality == "dwi":  # a trace image has no direction
                Path(f"{stem}.bval").write_text(f"{scan.protocol.b_value:g}\n")
                Path(f"{stem}.bvec").write_text("0\n0\n0\n")


def _quality(subject: Subject) -> dict[str, object]:
    """How well both maps fit together, in mm, and how near the map is to folding."""
    error = subject.round_trip
    return {
        "RoundTripErrorMm": {
            "Mean": round(float(error.mean()), 4),
            "Percentile99": round(float(np.percentile(error, 99)), 4),
            "Largest": round(float(error.max()), 4),
        },
        "SmallestJacobianDeterminant": round(subject.smallest_jacobian, 4),
    }


class _whole_folder:  # noqa: N801 (used as a function)
    """A temporary folder, with ``anat`` in it, that takes its name only if the block succeeds."""

    def __init__(self, path: Path) -> None:
        self.path, self.partial = path, path.with_name(f".{path.name}.{os.getpid()}.part")

    def __enter__(self) -> Path:
        for stale in self.path.parent.glob(f".{self.path.name}.*.part"):  # of a run that was killed
            shutil.rmtree(stale)
        (self.partial / "anat").mkdir(parents=True)
        return self.partial

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            shutil.rmtree(self.path, ignore_errors=True)
            self.partial.replace(self.path)
        else:
            shutil.rmtree(self.partial, ignore_errors=True)


def _steps(points: NDArray[np.float32]) -> NDArray[np.int16]:
    """Points in mm as whole steps: half the bytes of float32, and less time to compress."""
    return np.round(points / np.float32(STEP_MM)).astype(np.int16)


def _save(data: NDArray[Any], affine: NDArray[np.float64], path: str, scale: float | None = None) -> None:
    Path(path).parent.mkdir(exist_ok=True)
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    if scale is not None:
        image.header.set_slope_inter(scale, 0)
    nib.save(image, path)


def _write_tables(out: Path, people: list[Traits]) -> None:
    rows = [{"participant_id": traits.participant_id, **asdict(traits)} for traits in people]
    table = pd.DataFrame(rows)[list(COLUMNS)]
    table["lesion"] = table["lesion"].map({True: "true", False: "false"})
    _write_tsv(table.fillna(NOT_APPLICABLE), out / "participants.tsv")
    write_json(out / "participants.json", DESCRIPTIONS)
    names = [(s.label, s.full_name, s.tissue) for s in STRUCTURES]
    _write_tsv(pd.DataFrame(names, columns=["index", "name", "tissue"]), out / TRUTH / "dseg.tsv")
    parts = [(label, name) for name, label in LESION_LABELS.items()]
    _write_tsv(pd.DataFrame(parts, columns=["index", "name"]), out / TRUTH / "desc-lesion_dseg.tsv")


def _write_tsv(table: pd.DataFrame, path: Path) -> None:
    with atomic_path(path) as partial:
        table.to_csv(partial, sep="\t", index=False)
