"""Tables of everything measured: the subjects of a folder, the real templates, the six real donors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from toposlearn.anatomy import DONOR_IDS, FAMILIES, LabelMap, load_donor_map, load_label_map, load_template
from toposlearn.anatomy.segmentations import load_segmentation
from toposlearn.anatomy.vocabulary import BY_LABEL
from toposlearn.arrays import Float32s
from toposlearn.cohort.head import load_head
from toposlearn.data import Record, read_manifest
from toposlearn.data.gate.assessment import SubjectAssessment, report_problems
from toposlearn.data.gate.quality import check_image
from toposlearn.data.images import BadImageError, read_ras
from toposlearn.studies.realism import images, shapes

INFO = ("age", "sex", "site", "diagnosis", "lesion", "lesion_type", "anatomy")
PERCENTILES = (1, 25, 50, 75, 99)
LOCAL_SIZES = tuple(f"local size, percentile {q}" for q in PERCENTILES)
MAP_NAMES = ("share folded", *LOCAL_SIZES, "spread within a person, sd of the logarithm")
T1_TEMPLATES = ("ICBM152-2009a", "ICBM152-2009c", "MNI152-6")
STEP = 2  # templates are measured at 2 mm, about as coarse as subjects, so that partial volume is alike
FEWEST = 8  # healthy subjects whose volumes are compared


@dataclass(frozen=True, eq=False)
class Measured:
    """Everything measured of a folder."""

    records: list[Record]  # the subjects measured, with their usable images
    root: Path
    total: int  # number of subjects in the folder
    spacing: float  # of the structure labels, mm, the finest
    images: pd.DataFrame  # one row per scan: what `images.measure_image` returns
    subjects: pd.DataFrame  # one row per subject: `INFO`, ``volume/STRUCTURE`` in ml, ``map/…``, ``mass/RING``
    touching: list[shapes.Pairs]  # for each subject the pairs of structures that touch


class _Truth(NamedTuple):
    """Structures, lesion, tissue class and its depth in mm, (X, Y, Z) on one grid in RAS order."""

    labels: LabelMap
    lesion: NDArray[Any]
    tissue: NDArray[np.int16]
    depth: Float32s


def measure_folder(root: str | Path, *, limit: int = 64, progress: bool = True) -> Measured:
    """Measure the subjects of a folder, evenly spaced ones where there are more than `limit`.

    An unusable image is skipped and reported on stderr. Raises ValueError where a subject has no structure labels, or
    no image can be used.
    """
    whole = read_manifest(root)
    places = np.linspace(0, len(whole) - 1, min(limit, len(whole))).round().astype(int)
    records, subjects, scans, touching, spacings = [], [], [], [], []
    for record in tqdm([whole.records[i] for i in places], desc="realism", unit="person", disable=not progress):
        truth = _read_truth(record)
        info = {"subject": record.subject} | {name: record.info.get(name, "") for name in INFO}
        subjects.append(info | _volumes(truth.labels) | _measure_map(record, truth))
        touching.append(shapes.touching_pairs(truth.labels.labels))
        spacings.append(float(truth.labels.spacing.min()))
        measured = _measure_scans(record, truth)
        scans += [info | row for row in measured.values()]
        records.append(replace(record, images={name: record.images[name] for name in measured}))
    if not scans:
        raise ValueError(f"no image in {whole.root} can be used: repair or replace them")
    tables = pd.DataFrame(scans), pd.DataFrame(subjects)
    return Measured(records, whole.root, len(whole), min(spacings), *tables, touching)


def _read_truth(record: Record) -> _Truth:
    if record.labels is None:
        where = next(iter(record.images.values())).parent
        raise ValueError(f"{record.subject} ({where}) has no structure labels, _dseg.nii.gz: nothing can be measured")
    labels = load_segmentation(record.labels, BY_LABEL, record.subject).label_map
    lesion = read_ras(record.lesion)[0] if record.lesion else np.zeros(labels.labels.shape, dtype=np.uint8)
    tissue = images.tissue_map(labels.labels, lesion)
    return _Truth(labels, lesion, tissue, images.depth_of(tissue, labels.spacing))


def _volumes(label_map: LabelMap) -> dict[str, float]:
    return {f"volume/{name}": value for name, value in shapes.group_volumes(label_map).items()}


def _measure_map(record: Record, truth: _Truth) -> dict[str, float]:
    """Numbers on the map to the template; none without it."""
    if record.to_template is None:
        return {}
    to_template = read_ras(record.to_template)[0]
    determinant = shapes.jacobian(to_template, truth.labels.affine)
    brain = (truth.tissue > 0) & (truth.tissue != images.CLASSES["csf"])
    size = 1 / np.maximum(determinant, 1e-6)
    sizes = [np.quantile(size[brain], q / 100) for q in PERCENTILES]
    values = ((determinant[truth.tissue > 0] <= 0).mean(), *sizes, np.log(size[brain]).std())
    row = {f"map/{name}": float(value) for name, value in zip(MAP_NAMES, values, strict=True)}
    if (truth.lesion > 0).any():
        effect = shapes.mass_effect(size, truth.lesion, brain, truth.labels.spacing)
        row |= {f"mass/{ring}": value for ring, value in effect.items()}
    family = record.info.get("anatomy", "")
    if family in FAMILIES:
        row["same as template"] = shapes.same_as_template(truth.labels.labels, to_template, load_head(family))
    return row


def _measure_scans(record: Record, truth: _Truth) -> dict[str, dict[str, Any]]:
    """Modality -> what is measured of its image; unusable images are skipped and reported in one line."""
    rows, broken = {}, {}
    for modality, path in record.images.items():
        try:
            check_image(path, record.channels.get(modality))
            image, affine = read_ras(path, record.channels.get(modality))
        except BadImageError as error:
            broken[modality] = str(error)
            continue
        view = images.view_of(image, affine, truth.tissue, truth.depth, truth.labels.affine)
        rows[modality] = images.measure_image(view, modality)
    if broken:
        report_problems([f"{record.subject}: {SubjectAssessment(record.subject, (), broken=broken).summary}"])
    return rows


def healthy_of(subjects: pd.DataFrame) -> pd.DataFrame:
    """Controls without a lesion, to whom published values apply; all subjects where they are fewer than `FEWEST`."""
    ill = subjects["lesion"].isin(["true", "True", "1"]) | ~subjects["diagnosis"].isin(["", "control"])
    return subjects[~ill] if (~ill).sum() >= FEWEST else subjects


def measure_templates() -> pd.DataFrame:
    """The real T1 templates, with the labels of family A, one row each."""
    label_map = load_label_map("A")
    rows = []
    for name in T1_TEMPLATES:
        template = load_template(name)
        x, y, z = (size // STEP * STEP for size in template.data.shape)
        blocks = template.data[:x, :y, :z].reshape(x // STEP, STEP, y // STEP, STEP, z // STEP, STEP)
        image = np.asarray(blocks.mean(axis=(1, 3, 5)), dtype=np.float32)
        affine = template.affine @ np.diag([STEP, STEP, STEP, 1.0])
        affine[:3, 3] += template.affine[:3, :3] @ np.full(3, (STEP - 1) / 2)
        tissue = images.tissue_map(images.on_grid(label_map.labels, label_map.affine, image.shape, affine))
        view = images.view_of(image, affine, tissue, images.depth_of(tissue, np.full(3, float(STEP))), affine)
        rows.append(images.measure_image(view, "T1w"))
    return pd.DataFrame(rows)


def measure_donors(spacing: float) -> tuple[pd.DataFrame, list[shapes.Pairs]]:
    """The six real donors: volumes at 1 mm, and the structures that touch at a spacing in mm."""
    maps = [load_donor_map(donor) for donor in DONOR_IDS]
    coarse, touching = np.diag([spacing] * 3 + [1.0]), []
    for label_map in maps:
        shape = tuple(np.floor(np.array(label_map.labels.shape) / spacing).astype(int))
        touching.append(shapes.touching_pairs(images.on_grid(label_map.labels, np.eye(4), shape, coarse)))
    return pd.DataFrame([_volumes(label_map) for label_map in maps]), touching
