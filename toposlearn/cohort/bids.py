"""One subject on disk, as BIDS: scans and sidecars, ground truth, and the tables of a cohort."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from toposlearn.anatomy import FAMILIES, STRUCTURES
from toposlearn.anatomy.vocabulary import MORE_STRUCTURES, OUTSIDE
from toposlearn.arrays import Float64s
from toposlearn.cohort.contrast import SEQUENCES
from toposlearn.cohort.lesions import LESION_LABELS
from toposlearn.cohort.recipes import Recipe
from toposlearn.cohort.scanner import Scan
from toposlearn.cohort.subject import Subject
from toposlearn.cohort.traits import Traits
from toposlearn.reproducibility import write_json, write_text
from toposlearn.settings import T1CE, TRUTH

TRUTH_FILES = (
    "dseg.nii.gz",
    "label-lesion_mask.nii.gz",
    "desc-lesion_dseg.nii.gz",
    "from-subject_to-{space}_xfm.nii.gz",
    "from-{space}_to-subject_xfm.nii.gz",
    "from-{space}_to-subject_xfm.json",
)
TEMPLATE = "template"  # the space that all people share; people of several label maps share none
STEP_MM = 1 / 64  # maps are rounded to this: int16 then reaches 512 mm
COLUMNS = ["participant_id", "age", "sex", "site", "diagnosis", "degree", "lesion", "lesion_type", "anatomy", "seed"]


def _stem(folder: Path, name: str, modality: str) -> Path:
    return folder / ("dwi" if modality in ("dwi", "ADC") else "anat") / f"{name}_{modality}"


def is_complete(out: Path, traits: Traits, recipe: Recipe, space: str = TEMPLATE) -> bool:
    """Whether every file that `write_subject` writes is there and not empty; files are not read."""
    name = traits.participant_id
    files = [out / TRUTH / name / "anat" / f"{name}_{ending.format(space=space)}" for ending in TRUTH_FILES]
    for modality in recipe.modalities:
        endings = ("nii.gz", "json", *(("bval", "bvec") if modality == "dwi" else ()))
        files += [Path(f"{_stem(out / name, name, modality)}.{ending}") for ending in endings]
    return all(file.is_file() and file.stat().st_size for file in files)


def write_subject(subject: Subject, out: Path, space: str = TEMPLATE) -> None:
    """Write one subject's scans, sidecars and ground truth below `out`; each folder appears when it is complete.

    `space` names the space of the label map that the subject was bent from, in letters and digits.
    """
    name = subject.traits.participant_id
    with _whole_folder(out / TRUTH / name) as folder:
        stem = folder / "anat" / name
        _save(subject.labels, subject.affine, f"{stem}_dseg.nii.gz")
        _save((subject.lesion > 0).astype(np.uint8), subject.affine, f"{stem}_label-lesion_mask.nii.gz")
        _save(subject.lesion, subject.affine, f"{stem}_desc-lesion_dseg.nii.gz")
        _save(subject.to_template, subject.affine, f"{stem}_from-subject_to-{space}_xfm.nii.gz", STEP_MM)
        _save(subject.from_template, subject.lattice, f"{stem}_from-{space}_to-subject_xfm.nii.gz", STEP_MM)
        write_json(Path(f"{stem}_from-{space}_to-subject_xfm.json"), _quality(subject))
    with _whole_folder(out / name) as folder:
        for modality, scan in subject.scans.items():
            stem = _stem(folder, name, modality)
            _save(scan.image, scan.affine, f"{stem}.nii.gz")
            write_json(Path(f"{stem}.json"), _sidecar(modality, scan, subject.traits.site))
            if modality == "dwi":  # a trace image has no direction
                Path(f"{stem}.bval").write_text(f"{SEQUENCES['dwi'].b_value:g}\n")
                Path(f"{stem}.bvec").write_text("0\n0\n0\n")


def _quality(subject: Subject) -> dict[str, object]:
    """Error (mm) of both maps applied one after the other, and the smallest determinant: at 0 the map folds."""
    error = subject.round_trip
    errors = {"Mean": error.mean(), "Percentile99": np.percentile(error, 99), "Largest": error.max()}
    return {
        "RoundTripErrorMm": {name: round(float(value), 4) for name, value in errors.items()},
        "SmallestJacobianDeterminant": round(subject.smallest_jacobian, 4),
    }


def _sidecar(modality: str, scan: Scan, site: str) -> dict[str, object]:
    """The BIDS sidecar of a scan, times in seconds."""
    known: dict[str, object] = {
        "Modality": "MR",
        "Manufacturer": "simulated",
        "InstitutionName": site,
        "MagneticFieldStrength": 3.0,
    }
    protocol = scan.protocol
    if protocol is None:
        return known | {"SkullStripped": not scan.whole, "ContrastDrawnAtRandom": True}
    known["RepetitionTime"] = round(protocol.repetition / 1000, 6)
    known["EchoTime"] = round(protocol.echo / 1000, 6)
    known["SkullStripped"] = not scan.whole
    if protocol.inversion is not None:
        known["InversionTime"] = round(protocol.inversion / 1000, 6)
    if modality == T1CE:
        known["ContrastBolusIngredient"] = "GADOLINIUM"
    if modality == "ADC":
        known |= {"Units": "10^-6 mm^2/s", "SourceBValues": [0, protocol.b_value]}
    return known


@contextmanager
def _whole_folder(path: Path) -> Iterator[Path]:
    """A temporary folder, with ``anat`` in it, that takes its name only if the block succeeds."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    for stale in path.parent.glob(f".{path.name}.*.part"):  # of a run that was killed
        shutil.rmtree(stale)
    (partial / "anat").mkdir(parents=True)
    try:
        yield partial
        shutil.rmtree(path, ignore_errors=True)
        partial.replace(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _save(data: NDArray[Any], affine: Float64s, path: str, step: float | None = None) -> None:
    """Write a volume as NIfTI; as whole steps (mm) it has half the bytes of float32 and takes less time to compress."""
    Path(path).parent.mkdir(exist_ok=True)
    stored = data if step is None else np.round(data / np.float32(step)).astype(np.int16)
    image = nib.Nifti1Image(stored, affine)
    image.header.set_xyzt_units("mm")
    if step is not None:
        image.header.set_slope_inter(step, 0)
    nib.save(image, path)


def write_tables(out: Path, subjects: list[Traits]) -> None:
    """Write the participants, and the names of structures and of parts of lesions."""
    rows = [{"participant_id": traits.participant_id, **asdict(traits)} for traits in subjects]
    table = pd.DataFrame(rows)[COLUMNS]
    table["lesion"] = table["lesion"].map({True: "true", False: "false"})
    _write_tsv(table.fillna("n/a"), out / "participants.tsv")
    described = json.loads(Path(__file__).with_name("participants.json").read_text())
    own = sorted({traits.anatomy for traits in subjects}.difference(FAMILIES))
    described["anatomy"]["Levels"] |= {name: f"label map {name}" for name in own}
    write_json(out / "participants.json", described)
    more = [structure for structure in MORE_STRUCTURES if structure.label < OUTSIDE] if own else []
    structures = [{"index": s.label, "name": s.full_name, "tissue": s.tissue} for s in (*STRUCTURES, *more)]
    _write_tsv(pd.DataFrame(structures), out / TRUTH / "dseg.tsv")
    parts = [{"index": label, "name": name} for name, label in LESION_LABELS.items()]
    _write_tsv(pd.DataFrame(parts), out / TRUTH / "desc-lesion_dseg.tsv")


def _write_tsv(table: pd.DataFrame, path: Path) -> None:
    write_text(path, table.to_csv(sep="\t", index=False))
