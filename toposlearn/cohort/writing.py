"""The cohort on disk, as BIDS: images and sidecars, participants, and the ground truth as derivatives.

A subject's folder appears only when it is complete, so an interrupted run is continued by running it again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from toposlearn.anatomy import STRUCTURES
from toposlearn.anatomy.label_maps import FAMILIES
from toposlearn.cohort.contrast import SEQUENCES
from toposlearn.cohort.deformation import PoseRange
from toposlearn.cohort.people import Person, draw_person
from toposlearn.cohort.subject import Subject, simulate
from toposlearn.reproducibility import atomic_path, write_json

BIDS_VERSION = "1.10.0"
COLUMNS = ("participant_id", "age", "sex", "site", "diagnosis", "lesion", "anatomy", "seed")
DESCRIPTIONS = {
    "age": {"Description": "age of the simulated person", "Units": "years"},
    "sex": {"Description": "sex", "Levels": {"F": "female", "M": "male"}},
    "site": {"Description": "simulated scanner: decides noise, bias field and sequence timing"},
    "diagnosis": {
        "Description": "atrophy: larger ventricles, smaller hippocampi",
        "Levels": {"control": "", "atrophy": ""},
    },
    "lesion": {"Description": "whether the person has a glioma-like mass", "Levels": {"true": "", "false": ""}},
    "anatomy": {
        "Description": "label map the head is bent from",
        "Levels": {"A": "Desikan-Killiany", "B": "Neuromorphometrics"},
    },
    "seed": {"Description": "seed of the cohort"},
}
TEMPLATE_STEP_MM = 1 / 64  # the map to the template is rounded to this, so that it compresses


def write_cohort(
    out: str | Path,
    *,
    subjects: int = 64,
    seed: int = 0,
    anatomy: str = "A",
    workers: int | None = None,
    pose: PoseRange | None = None,
    progress: bool = True,
) -> Path:
    """Simulate a cohort and write it as a BIDS folder (layout in the README). Subjects already there are kept.

    Args:
        out: the folder; it may hold an earlier, interrupted run with the same seed and anatomy.
        subjects: how many people.
        seed: same seed, same voxels.
        anatomy: label map ``A`` or ``B``.
        workers: processes; None takes one per core, at most 8.
        pose: how far heads may turn and move in the scanner.
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
    people = [draw_person(number, seed=seed, anatomy=anatomy) for number in range(subjects)]
    _open(out, seed, anatomy)
    missing = [person for person in people if not _is_complete(out, person)]
    finished = _run(missing, out, pose or PoseRange(), workers or min(os.cpu_count() or 1, 8))
    for _ in tqdm(finished, total=len(missing), desc=f"cohort {anatomy}", unit="person", disable=not progress):
        pass
    present = sorted(int(folder.name.removeprefix("sub-")) - 1 for folder in out.glob("sub-*"))
    _write_tables(out, [draw_person(number, seed=seed, anatomy=anatomy) for number in present])
    return out


def _open(out: Path, seed: int, anatomy: str) -> None:
    """Make the folder, or check that it holds the beginning of the same cohort."""
    description = out / "dataset_description.json"
    recipe = {"Generator": "toposlearn cohort", "Seed": seed, "Anatomy": anatomy}
    if description.exists():
        found = json.loads(description.read_text()).get("Recipe")
        if found != recipe:
            raise ValueError(f"{out} holds another data set ({found}), not {recipe}: choose an empty folder with --out")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is not an empty folder: choose another with --out")
    common = {"BIDSVersion": BIDS_VERSION, "Recipe": recipe}
    write_json(description, {"Name": "toposlearn simulated cohort", "DatasetType": "raw", **common})
    truth = {"Name": "Ground truth of the simulated cohort", "DatasetType": "derivative", **common}
    generator = {"GeneratedBy": [{"Name": "toposlearn"}]}
    write_json(out / "derivatives/toposlearn/dataset_description.json", truth | generator)


def _folders(out: Path, person: Person) -> tuple[Path, Path]:
    name = person.participant_id
    return out / "derivatives/toposlearn" / name, out / name


def _is_complete(out: Path, person: Person) -> bool:
    return all(folder.is_dir() for folder in _folders(out, person))


def _run(people: list[Person], out: Path, pose: PoseRange, workers: int) -> Iterator[None]:
    """Simulate and write each person, in processes when more than one is asked for."""
    if workers == 1 or len(people) < 4:
        for person in people:
            _simulate_and_write(person, out, pose)
            yield
        return
    # "spawn": a fork of a process that has used torch's threads can hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_single_thread) as pool:
        jobs = [pool.submit(_simulate_and_write, person, out, pose) for person in people]
        try:
            for job in as_completed(jobs):
                job.result()
                yield
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _single_thread() -> None:
    torch.set_num_threads(1)


def _simulate_and_write(person: Person, out: Path, pose: PoseRange) -> None:
    write_subject(simulate(person, pose), out)


def write_subject(subject: Subject, out: Path) -> None:
    """Write one subject's images, sidecars and ground truth below `out`; each folder appears when it is complete."""
    name = subject.person.participant_id
    truth, raw = _folders(out, subject.person)
    with _whole_folder(truth) as folder:
        stem = folder / "anat" / name
        _save(subject.labels, subject.affine, f"{stem}_dseg.nii.gz")
        _save(subject.lesion, subject.affine, f"{stem}_label-lesion_mask.nii.gz")
        rounded = np.round(subject.to_template / TEMPLATE_STEP_MM) * np.float32(TEMPLATE_STEP_MM)
        _save(rounded.astype(np.float32), subject.affine, f"{stem}_from-subject_to-template_xfm.nii.gz")
    with _whole_folder(raw) as folder:
        for modality, image in subject.images.items():
            _save(image, subject.affine, f"{folder / 'anat' / name}_{modality}.nii.gz")
            write_json(folder / "anat" / f"{name}_{modality}.json", _sidecar(modality))


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


def _save(data: NDArray[Any], affine: NDArray[np.float64], path: str) -> None:
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def _sidecar(modality: str) -> dict[str, object]:
    """BIDS sidecar with nominal timings in seconds."""
    timing = SEQUENCES[modality]
    sidecar: dict[str, object] = {
        "Modality": "MR",
        "MagneticFieldStrength": 3.0,
        "RepetitionTime": timing.repetition / 1000,
        "EchoTime": timing.echo / 1000,
        "SkullStripped": True,
    }
    if timing.inversion is not None:
        sidecar["InversionTime"] = timing.inversion / 1000
    return sidecar


def _write_tables(out: Path, people: list[Person]) -> None:
    rows = [{"participant_id": person.participant_id, **asdict(person)} for person in people]
    table = pd.DataFrame(rows)[list(COLUMNS)]
    table["lesion"] = table["lesion"].map({True: "true", False: "false"})
    _write_tsv(table, out / "participants.tsv")
    write_json(out / "participants.json", DESCRIPTIONS)
    names = [(s.label, s.full_name, s.tissue) for s in STRUCTURES]
    _write_tsv(pd.DataFrame(names, columns=["index", "name", "tissue"]), out / "derivatives/toposlearn/dseg.tsv")


def _write_tsv(table: pd.DataFrame, path: Path) -> None:
    with atomic_path(path) as partial:
        table.to_csv(partial, sep="\t", index=False)
