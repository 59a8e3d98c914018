"""The long table of everything measured: a row for each number of a scan or of a subject, in the words of the CSV.

Its columns are group, name and value; subject, site, sex and age; modality, of a scan.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from nibabel.affines import from_matvec
from numpy.typing import NDArray
from scipy import ndimage
from tqdm import tqdm

from toposlearn.anatomy import DONOR_IDS, FAMILIES, STRUCTURES, LabelMap, load_donor_map, load_label_map, load_template
from toposlearn.anatomy.segmentations import load_segmentation
from toposlearn.anatomy.vocabulary import BY_LABEL
from toposlearn.arrays import Float64s
from toposlearn.cohort.head import Head, load_head
from toposlearn.data import Record, read_manifest
from toposlearn.data.gate.assessment import SubjectAssessment, read_subject, report_problems
from toposlearn.data.images import read_ras
from toposlearn.relations.layout import shared_faces
from toposlearn.studies.realism.images import CLASSES, Numbers, View, measure_image, on_grid, truth_of, view_of
from toposlearn.studies.realism.published import PUBLISHED

Labels = NDArray[np.integer]
Floats = NDArray[np.floating]
PERCENTILES = (1, 25, 50, 75, 99)
RING_ENDS_MM = (0, 5, 10, 20, 40)  # from the edge of a lesion
FEWEST_FACES = 10  # voxel faces that neighbors share
FEWEST = 8  # healthy subjects whose volumes are compared
T1_TEMPLATES = ("ICBM152-2009a", "ICBM152-2009c", "MNI152-6")
STEP = 2  # templates are measured at 2 mm, about as coarse as subjects, so that partial volume is alike


class Measured(NamedTuple):
    """Everything measured of a folder."""

    records: list[Record]  # the subjects measured, with their usable images
    root: Path
    total: int  # number of subjects in the folder
    rows: pd.DataFrame  # the long table of the subjects
    real: pd.DataFrame  # that of the templates and of the donors


def measure_folder(root: str | Path, *, limit: int = 64, progress: bool = True) -> Measured:
    """Measure the subjects of a folder, evenly spaced ones where there are more than `limit`.

    An unusable image is skipped and reported on stderr. Raises ValueError where a subject has no structure labels, or
    no image can be used.
    """
    whole, records, tables, spacings = read_manifest(root), [], list[pd.DataFrame](), []
    places = np.linspace(0, len(whole) - 1, min(limit, len(whole))).round().astype(int)
    for record in tqdm([whole.records[i] for i in places], desc="realism", unit="person", disable=not progress):
        label_map, truth = _read_truth(record)
        usable = _usable(record)
        records.append(usable)
        tables += _tables(usable, label_map, truth)
        spacings.append(float(truth.spacing.min()))
    if not any(record.images for record in records):
        raise ValueError(f"no image in {whole.root} can be used: repair or replace them")
    return Measured(records, whole.root, len(whole), pd.concat(tables), measure_real(min(spacings)))


def healthy_of(records: list[Record]) -> list[Record]:
    """Controls without a lesion, to whom published values apply; all records where they are fewer than `FEWEST`."""
    intact = [record for record in records if record.info.get("lesion") not in ("true", "True", "1")]
    healthy = [record for record in intact if record.info.get("diagnosis") in (None, "", "control")]
    return healthy if len(healthy) >= FEWEST else records


def _read_truth(record: Record) -> tuple[LabelMap, View]:
    if record.labels is None:
        where = next(iter(record.images.values())).parent
        raise ValueError(f"{record.subject} ({where}) has no structure labels, _dseg.nii.gz: nothing can be measured")
    labels = load_segmentation(record.labels, BY_LABEL, record.subject).label_map
    return labels, truth_of(labels, read_ras(record.lesion)[0] if record.lesion else None)


def _usable(record: Record) -> Record:
    """The record with its usable images; the others are reported in one line."""
    seen = read_subject(record, list(record.images))
    if seen.broken:
        report_problems([f"{record.subject}: {SubjectAssessment(record.subject, (), broken=seen.broken).summary}"])
    return replace(record, images={name: path for name, path in record.images.items() if name not in seen.broken})


def _tables(record: Record, label_map: LabelMap, truth: View) -> list[pd.DataFrame]:
    facts = {"subject": record.subject} | {name: record.info.get(name, "") for name in ("site", "sex", "age")}
    kind, shape = record.info.get("lesion_type") or "lesion", (volume_numbers(label_map), touching_pairs(truth.image))
    tables = [_rows(numbers, **facts) for numbers in (*shape, map_numbers(record, truth))]
    for name, path in record.images.items():
        numbers = measure_image(view_of(*read_ras(path, record.channels.get(name)), truth), name, facts["site"], kind)
        tables.append(_rows(numbers, **facts, modality=name))
    return tables


def _rows(numbers: Numbers, **columns: str) -> pd.DataFrame:
    rows = [(group, name, value) for group, values in numbers for name, value in values.items()]
    return pd.DataFrame(rows, columns=["group", "name", "value"]).dropna().assign(**columns)


def volume_numbers(label_map: LabelMap) -> Numbers:
    """Milliliters of structures and groups, also in a brain of typical size; shares of gray structures (logarithm)."""
    volumes = group_volumes(label_map)
    yield "volume", volumes
    gray = {name: volumes[name] for name in PUBLISHED["shares"] if name in volumes}
    yield "spread between people", {name: float(np.log(ml / sum(gray.values()))) for name, ml in gray.items()}
    if "brain" in volumes:
        head, scale = volumes["intracranial"], PUBLISHED["typical_brain_ml"] / volumes["brain"]
        yield "volume, size taken out", {name: ml * scale for name, ml in volumes.items()}
        yield "size", {"variation of the intracranial volume": head, "men over women": head}
        yield "aging", {name: 100 * ml / head for name, ml in volumes.items()}


def group_volumes(label_map: LabelMap) -> dict[str, float]:
    """Milliliters of each structure present, both sides together, and of groups of them.

    ``brain`` is all but fluid, ``intracranial`` brain and fluid; both only where there is white matter (the donors'
    maps hold gray matter only).
    """
    labels = pd.Series(label_map.volumes)
    volumes = {str(name): float(ml) for name, ml in labels.groupby(lambda one: BY_LABEL[one].name).sum().items()}
    groups = {group: parts for group, parts in PUBLISHED["groups"].items() if set(parts) <= set(volumes)}
    volumes |= {group: sum(volumes[part] for part in parts) for group, parts in groups.items()}
    if "cerebral-white-matter" in volumes:
        volumes["intracranial"] = float(labels.sum())
        volumes["brain"] = volumes["intracranial"] - volumes.get("fluid", 0.0)
    return volumes


def map_numbers(record: Record, truth: View) -> Numbers:
    """Numbers on the map to the template; none without it."""
    if record.to_template is None:
        return
    to_template, family = read_ras(record.to_template)[0], record.info.get("anatomy", "")
    determinant = jacobian(to_template, truth.affine)
    size = 1 / np.maximum(determinant, 1e-6)
    brain = (truth.tissue > 0) & (truth.tissue != CLASSES["csf"])
    name = "map to the template"
    yield name, {"share folded": float((determinant[truth.tissue > 0] <= 0).mean())}
    yield name, {f"local size, percentile {q}": float(np.percentile(size[brain], q)) for q in PERCENTILES}
    yield name, {"spread within a person, sd of the logarithm": float(np.log(size[brain]).std())}
    if record.info.get("lesion_type", "") in PUBLISHED["masses"]:
        yield "local size around a mass", mass_effect(size, truth.tissue == CLASSES["lesion"], brain, truth.spacing)
    if family in FAMILIES:
        same = same_as_template(truth.image, to_template, load_head(family))
        yield "one brain, bent", {"voxels with the label that the template has there": same}


def jacobian(to_template: Floats, affine: Float64s) -> Floats:
    """Determinant (X, Y, Z) of the map subject mm -> template mm (X, Y, Z, 3); above 1: smaller than the template."""
    slopes = np.stack([np.gradient(to_template, axis=axis) for axis in range(3)], axis=-1)
    return np.asarray(np.linalg.det(slopes) / np.linalg.det(affine[:3, :3]), dtype=np.float32)


def mass_effect(size: Floats, lesion: Labels, brain: NDArray[np.bool_], spacing: Float64s) -> dict[str, float]:
    """Median over the brain of local size (1 / `jacobian`) inside a lesion and in rings, relative to the whole brain.

    The first three are (X, Y, Z), spacing (3,) in mm; the lesion is where `lesion` is above 0; nothing without it.
    """
    if not lesion.any():
        return {}
    distance = ndimage.distance_transform_edt(lesion == 0, sampling=spacing)[brain]
    rings = dict(enumerate(PUBLISHED["rows"]["local size around a mass"]))
    place = pd.Series(np.digitize(distance, RING_ENDS_MM, right=True)).map(rings)
    return dict(pd.Series(size[brain] / np.median(size[brain])).groupby(place).median())


def same_as_template(labels: Labels, to_template: Floats, head: Head) -> float:
    """Share of a subject's voxels whose label is the one that the template has at the place they map to."""
    inside = labels > 0
    voxels = (to_template[inside] - head.affine[:3, 3]) / head.spacing
    read = ndimage.map_coordinates(head.labels, voxels.T, order=0, mode="nearest")
    return float((read == labels[inside]).mean())


def touching_pairs(labels: Labels) -> Numbers:
    """Pairs of gray structures in (X, Y, Z) that share `FEWEST_FACES` voxel faces or more: 1000 × label + label."""
    gray = [structure.label for structure in STRUCTURES if structure.name in PUBLISHED["donors"]]
    present = np.intersect1d(labels, gray)
    faces = shared_faces(labels, present).sum(axis=0)
    for one, other in present[np.argwhere(np.triu(faces >= FEWEST_FACES))]:
        yield "one brain, bent", {"neighbors that two people share": 1000.0 * one + other}


@cache
def measure_real(spacing: float) -> pd.DataFrame:
    """The long table of the real T1 templates, and of the six donors, who touches whom at this spacing in mm."""
    tables = [_rows(measure_image(template_view(name), "T1w"), subject=name) for name in T1_TEMPLATES]
    for donor in map(load_donor_map, DONOR_IDS):
        shape = tuple(int(size / spacing) for size in donor.labels.shape)
        coarse = on_grid(donor.labels, np.eye(4), shape, np.diag([spacing, spacing, spacing, 1]))
        tables += [_rows(numbers, subject=donor.name) for numbers in (volume_numbers(donor), touching_pairs(coarse))]
    return pd.concat(tables)


def template_view(name: str) -> View:
    """A real T1 template in voxels of `STEP` mm, the means of its own, with the labels of family A."""
    template, labels = load_template(name), load_label_map("A")
    image = ndimage.uniform_filter(template.data, STEP)[1::STEP, 1::STEP, 1::STEP]
    affine = template.affine @ from_matvec(STEP * np.eye(3), np.full(3, (STEP - 1) / 2))
    coarse = on_grid(labels.labels, labels.affine, image.shape, affine)
    return view_of(image, affine, truth_of(replace(labels, labels=coarse, affine=affine)))
