"""Labels and features of a data folder: yes-or-no questions of participants.tsv, and file facts that may answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from monai.transforms import Compose
from tqdm import tqdm

from toposlearn.anatomy import STRUCTURES, load_segmentation
from toposlearn.anatomy.vocabulary import BY_LABEL
from toposlearn.arrays import Float64s
from toposlearn.config import VolumeConfig
from toposlearn.data import Manifest, Record
from toposlearn.data.gate.quality import check_image
from toposlearn.data.transforms import volume_transforms
from toposlearn.downstream.classification import BINS
from toposlearn.reproducibility import write_text

COLUMNS = ("diagnosis", "degree", "lesion", "lesion_type", "site", "sex", "age")
# every other value is compared with it
REFERENCE = {"diagnosis": "control", "degree": "n/a", "lesion_type": "n/a", "age": "up to the median"}
UNKNOWN = ("", "n/a")


def subject_table(manifest: Manifest) -> pd.DataFrame:
    """One row per subject, as strings, with those of `COLUMNS` that participants.tsv has; ValueError without any."""
    table = pd.DataFrame([dict(record.info) for record in manifest.records]).fillna("").astype(str)
    table.index = pd.Index([record.name for record in manifest.records], name="participant_id")
    known = [name for name in COLUMNS if name in table]
    if not known:
        raise ValueError(f"{manifest.root}/participants.tsv has none of the columns {', '.join(COLUMNS)}: add one")
    if "age" in table:
        table["age"] = table["age"].where(pd.to_numeric(table["age"], errors="coerce").notna(), "n/a")
    return table[known]


def label_table(table: pd.DataFrame) -> pd.DataFrame:
    """One column per question, such as ``diagnosis atrophy``: 1 for yes, 0 for no, NaN for people left out.

    Values are compared with their `REFERENCE`, or with all other known values; age is compared with its median.
    Questions with only one answer are left out.
    """
    table = table.copy()
    if {"diagnosis", "degree"} <= set(table):  # such as ``atrophy mild``; a diagnosis without a degree is unknown
        degree = (table["diagnosis"] + " " + table["degree"]).mask(table["degree"].isin(UNKNOWN), "")
        table["degree"] = degree.mask(table["diagnosis"] == REFERENCE["diagnosis"], REFERENCE["degree"])
    if "age" in table:
        age = pd.to_numeric(table["age"], errors="coerce")
        table["age"] = np.select([age.isna(), age > age.median()], ["", f"over {age.median():g}"], REFERENCE["age"])
    labels = {}
    for column, values in table.items():
        known = set(values) - set(UNKNOWN)
        reference = {REFERENCE.get(str(column))} & set(values)
        classes = sorted(known - reference)
        for value in classes[1:] if len(classes) == 2 and not reference else classes:
            labels[f"{column} {value}"] = (values == value).where(values.isin({value} | (reference or known)))
    questions = pd.DataFrame(labels, dtype=float)
    return questions.loc[:, questions.nunique() == 2]


def file_features(manifest: Manifest, config: VolumeConfig, out: Path) -> pd.DataFrame:
    """One row per subject, columns ``headers/…``, ``histogram/…``, ``foreground/…`` and, with labels, ``ml/…``.

    Images are read one by one, by the transforms of training, so that they need not share a grid. The table is kept as
    CSV in `out` and used again unless a file, a subject or the grid has changed. BadImageError names an unusable image.
    """
    grid = f"{config.shape} {config.spacing:g} {','.join(manifest.modalities)}"
    subjects = [record.name for record in manifest.records]
    inputs = [path for record in manifest.records for path in (*record.images.values(), record.labels) if path]
    if out.exists() and all(path.stat().st_mtime <= out.stat().st_mtime for path in inputs):
        kept = pd.read_csv(out, index_col="participant_id")
        if list(kept.index) == subjects and set(kept["grid"]) == {grid}:
            return kept.drop(columns="grid")
    transforms = {name: volume_transforms(replace(config, modalities=(name,))) for name in manifest.modalities}
    with tqdm(manifest.records, desc="reading", unit="person") as records:
        rows = [_read_subject(record, transforms, config.spacing) for record in records]
    features = pd.DataFrame(rows, index=pd.Index(subjects, name="participant_id")).fillna(0.0)
    write_text(out, features.assign(grid=grid).to_csv())
    return features


def _read_subject(record: Record, transforms: dict[str, Compose], spacing: float) -> dict[str, float]:
    row: dict[str, float] = {}
    for name, path in record.images.items():
        facts = check_image(path)
        for kind, numbers in (("voxels", facts.shape), ("spacing", facts.spacing)):
            row |= {f"headers/{name}/{kind}/{axis}": float(number) for axis, number in enumerate(numbers)}
    for name, transform in transforms.items():
        data = transform({name: record.images[name]})
        inside = np.asarray(data["foreground"]) > 0.5
        counts, _ = np.histogram(np.asarray(data[name])[inside], BINS, (0.0, 1.0))
        shares = np.sqrt(counts / max(counts.sum(), 1))
        row |= {f"histogram/{name}/{place:02d}": float(share) for place, share in enumerate(shares)}
        row[f"foreground/{name}"] = float(inside.sum()) * spacing**3 / 1000  # ml
    if record.labels is not None:  # at the resolution of the file
        volumes = load_segmentation(record.labels, BY_LABEL).label_map.volumes
        row |= {f"ml/{structure.full_name}": volumes.get(structure.label, 0.0) for structure in STRUCTURES}
    return row


def shortcut_features(features: pd.DataFrame, table: pd.DataFrame, label: pd.Series[float]) -> dict[str, Float64s]:
    """Shortcut -> (S, F) of one label's people, without the label's own column and what is equal in all of them."""
    others = table.drop(columns=str(label.name).split()[0]).reindex(columns=["sex", "site", "age"])
    known, age = pd.get_dummies(others[["sex", "site"]], dtype=float), pd.to_numeric(others["age"], errors="coerce")
    part = {kind: features.filter(regex=f"^{kind}/") for kind in ("headers", "histogram", "foreground", "ml")}
    size = (part["ml"].sum(axis=1).to_frame() if part["ml"].size else part["foreground"] + 1).transform(np.log)
    volumes = (part["ml"] + 0.01).transform(np.log)  # a structure can be absent
    shortcuts = {
        "age, sex, site": known.assign(age=age.fillna(age.median())).dropna(axis=1),
        "brain size": size,
        "histogram": part["histogram"],
        "headers": part["headers"],
        "volumes, ml": volumes,
        "volumes, shares": volumes.sub(size.iloc[:, 0], axis=0),
    }
    arrays = {name: each[label.notna()].to_numpy(dtype=float) for name, each in shortcuts.items()}
    return {name: each for name, each in arrays.items() if each.size and np.ptp(each, axis=0).any()}
