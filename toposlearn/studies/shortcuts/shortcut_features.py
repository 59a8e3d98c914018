"""What each person's files tell without any representation: headers, brightness, size, volumes of structures.

Read once, kept as a table in the result folder. Every image is read by itself, by the transforms of training, so that
it need not lie on the grid of the others.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
from monai.transforms import Compose
from tqdm import tqdm

from toposlearn.anatomy import STRUCTURES
from toposlearn.anatomy import load_segmentation
from toposlearn.anatomy.vocabulary import BY_LABEL
from toposlearn.arrays import Float64s
from toposlearn.config import VolumeConfig
from toposlearn.data import Manifest, Record
from toposlearn.data.gate.quality import check_image
from toposlearn.data.transforms import volume_transforms
from toposlearn.downstream.classification import BINS
from toposlearn.reproducibility import atomic_path
from toposlearn.studies.shortcuts.labels import Label

SMALLEST_ML = 0.01  # added before a logarithm
BESIDE = ("age", "sex", "site")


def file_features(manifest: Manifest, config: VolumeConfig, out: str | Path, *, progress: bool = True) -> pd.DataFrame:
    """A row a person, columns ``headers/…``, ``histogram/…``, ``foreground/…`` and, with the truth, ``ml/…``.

    Args:
        manifest: the people.
        config: the grid that images are brought to before their voxels are counted.
        out: table (CSV); read again unless a file, a person or the grid has changed.
        progress: show a progress bar.

    Raises:
        BadImageError: an image that cannot be used.
        ValueError: structure labels that cannot be read.
    """
    out = Path(out)
    grid = f"{config.shape} {config.spacing:g} {','.join(manifest.modalities)}"
    kept = pd.read_csv(out, index_col="participant_id") if _is_fresh(manifest, out) else None
    subjects = [record.subject for record in manifest.records]
    if kept is not None and list(kept.index) == subjects and set(kept["grid"]) == {grid}:
        return kept.drop(columns="grid")
    transforms = {
        name: volume_transforms(dataclasses.replace(config, modalities=(name,))) for name in manifest.modalities
    }
    with tqdm(manifest.records, desc="reading", unit="person", disable=not progress) as records:
        rows = [_read_subject(record, transforms, config.spacing) for record in records]
    features = pd.DataFrame(rows, index=pd.Index(subjects, name="participant_id")).fillna(0.0)
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(out) as partial:
        features.assign(grid=grid).to_csv(partial)
    return features


def _is_fresh(manifest: Manifest, out: Path) -> bool:
    if not out.exists():
        return False
    inputs = [path for record in manifest.records for path in (*record.images.values(), record.labels) if path]
    return all(path.stat().st_mtime <= out.stat().st_mtime for path in inputs)


def _read_subject(record: Record, transforms: dict[str, Compose], spacing: float) -> dict[str, float]:
    row: dict[str, float] = {}
    for name, path in record.images.items():
        facts = check_image(path)
        for kind, numbers in (("voxels", facts.shape), ("spacing", facts.spacing)):
            row |= {f"headers/{name}/{kind}/{axis}": float(number) for axis, number in enumerate(numbers)}
    for name, transform in transforms.items():
        row |= _read_voxels(name, transform({name: record.images[name]}), spacing)
    return row if record.labels is None else row | _read_volumes(record.labels)


def _read_voxels(name: str, data: dict[str, Float64s], spacing: float) -> dict[str, float]:
    """Foreground in ml, and square roots of the shares of its voxels in each of `BINS` bins of brightness."""
    inside = np.asarray(data["foreground"]) > 0.5
    counts, _ = np.histogram(np.asarray(data[name])[inside], BINS, (0.0, 1.0))
    shares = np.sqrt(counts / max(counts.sum(), 1))
    row = {f"histogram/{name}/{place:02d}": float(share) for place, share in enumerate(shares)}
    return row | {f"foreground/{name}": float(inside.sum()) * spacing**3 / 1000}


def _read_volumes(path: Path) -> dict[str, float]:
    """Volume in ml of every structure, at the resolution of the file."""
    volumes = load_segmentation(path, BY_LABEL).label_map.volumes
    return {f"ml/{structure.full_name}": volumes.get(structure.label, 0.0) for structure in STRUCTURES}


def shortcut_features(features: pd.DataFrame, table: pd.DataFrame, label: Label) -> dict[str, Float64s]:
    """Shortcut -> (S, F): every baseline that these data allow, for one label; what is the same in everybody is none.

    Args:
        features: of `file_features`.
        table: of `people_table`.
        label: its own column is left out of age, sex and site.
    """
    volumes = np.log(_part(features, "ml") + SMALLEST_ML)
    known = volumes.size > 0
    size = np.log(_part(features, "ml").sum(axis=1, keepdims=True) if known else _part(features, "foreground") + 1)
    found = {
        "age, sex, site": _beside(table, label.column),
        "brain size": size,
        "histogram": _part(features, "histogram"),
        "headers": _part(features, "headers"),
    }
    if known:
        found |= {"volumes, ml": volumes, "volumes, shares": volumes - size}
    return {name: part for name, part in found.items() if part.size and np.ptp(part[label.subjects], axis=0).any()}


def _part(features: pd.DataFrame, kind: str) -> Float64s:
    return features.filter(regex=f"^{kind}/").to_numpy(dtype=float)


def _beside(table: pd.DataFrame, but: str) -> Float64s:
    """Age, and sex and site as 0 or 1, without one of them: (S, F)."""
    known = [name for name in BESIDE if name in table and name != but]
    parts = [pd.get_dummies(table[name], dtype=float) for name in known if name != "age"]
    if "age" in known:
        age = pd.to_numeric(table["age"], errors="coerce")
        parts.append(age.fillna(age.median()).to_frame())
    return np.asarray(pd.concat(parts, axis=1).to_numpy(dtype=float)) if parts else np.zeros((len(table), 0))
