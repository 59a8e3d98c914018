"""The people of a folder, measured, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from toposlearn.data import Manifest, read_manifest
from toposlearn.data.gate.quality import BadImageError
from toposlearn.data.gate.verdicts import PersonVerdict, tell
from toposlearn.studies.realism.person import Floats, Person, Values
from toposlearn.studies.realism.realism_shapes import touching_pairs


@dataclass(frozen=True, eq=False)
class Measured:
    """Everything measured of a folder.

    Attributes:
        manifest: the people measured, with the images that could be.
        of: how many people the folder holds.
        spacing: of the structure labels, mm, the finest.
        images: a row a scan: site, voxels, noise, shading, texture, ``ratio/TISSUE`` to white matter.
        people: a row a person: properties, ``volume/STRUCTURE`` in ml, ``size/…``, ``mass/RING``.
        touching: person -> pairs of structures that touch.
        sizes: person -> shares (bins of `person.SIZES`) of the brain's voxels by size relative to the template.
        histograms: (modality, site) -> shares (bins of `person.HISTOGRAM`) of the head's voxels by brightness.
    """

    manifest: Manifest
    of: int
    spacing: float
    images: pd.DataFrame
    people: pd.DataFrame
    touching: Mapping[str, set[tuple[int, int]]]
    sizes: Mapping[str, Floats]
    histograms: Mapping[tuple[str, str], Floats]


def measure_folder(root: str | Path, *, limit: int = 64, progress: bool = True) -> Measured:
    """Measure the people of a folder, evenly spaced ones where there are more than `limit`.

    An image that cannot be used is left out, and that is said on stderr.

    Raises:
        ValueError: somebody has no structure labels, or no image can be used.
    """
    whole = read_manifest(root)
    places = np.linspace(0, len(whole) - 1, min(limit, len(whole))).round().astype(int)
    kept = whole.select([whole.records[i].subject for i in places])
    images, people, touching, sizes, spacings, measured = [], [], {}, {}, [], []
    brightness: dict[tuple[str, str], list[Floats]] = {}
    for record in tqdm(kept.records, desc="realism", unit="person", disable=not progress):
        person = Person.load(record)
        found, sizes[record.subject] = person.shape()
        spacings.append(float(person.labels.spacing.min()))
        people.append(person.info() | person.volumes() | found)
        touching[record.subject] = touching_pairs(person.labels.labels)
        scans = _scans(person)
        measured.append(replace(record, images={name: record.images[name] for name in scans}))
        for modality, (row, shares) in scans.items():
            images.append(row)
            brightness.setdefault((modality, row["site"]), []).append(shares)
    if not images:
        raise ValueError(f"no image in {whole.root} can be used: repair or replace them")
    kept = replace(kept, records=tuple(measured))
    means = {key: np.asarray(np.mean(parts, axis=0)) for key, parts in brightness.items()}
    tables = pd.DataFrame(images), pd.DataFrame(people)
    return Measured(kept, len(whole), min(spacings), *tables, touching, sizes, means)


def _scans(person: Person) -> dict[str, tuple[Values, Floats]]:
    """Modality -> what `Person.scan` finds; images that cannot be used are left out, in a line for the person."""
    found, broken = {}, {}
    for modality, path in person.record.images.items():
        try:
            found[modality] = person.scan(modality, path)
        except BadImageError as error:
            broken[modality] = str(error)
    if broken:
        verdict = PersonVerdict(person.record.subject, (), broken=broken)
        tell([f"{verdict.subject}: {verdict.summary}"])
    return found
