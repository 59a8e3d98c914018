"""Which people and files a data folder holds: a BIDS tree read into records, and people split into train and test."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from toposlearn.anatomy import SOURCES

TRUTH = "derivatives/toposlearn"
_IMAGE = re.compile(r"^(?P<subject>sub-[A-Za-z0-9]+)_(?:.*_)?(?P<suffix>[A-Za-z0-9]+)\.nii(\.gz)?$")
_CONTRAST_AGENT = re.compile(r"_(ce-[A-Za-z0-9]+)_")


@dataclass(frozen=True)
class Record:
    """The files of one person; ground truth is None where the data set has none."""

    subject: str
    images: Mapping[str, Path]  # modality -> file
    labels: Path | None = None
    lesion: Path | None = None
    to_template: Path | None = None
    info: Mapping[str, str] = field(default_factory=dict)  # row of participants.tsv


@dataclass(frozen=True)
class Manifest:
    """The people of a data folder."""

    root: Path
    records: tuple[Record, ...]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that every person has, sorted."""
        return tuple(sorted(set.intersection(*(set(record.images) for record in self.records))))

    def require(self, modalities: Sequence[str]) -> None:
        """Raise ValueError unless every person has each of these modalities."""
        for record in self.records:
            missing = [name for name in modalities if name not in record.images]
            if missing:
                raise ValueError(
                    f"{record.subject} in {self.root} has no {', '.join(missing)} image (it has "
                    f"{', '.join(sorted(record.images)) or 'none'}): add it, or choose modalities that everyone has"
                )

    def select(self, subjects: Sequence[str]) -> Manifest:
        """The manifest of these people only, in this order."""
        by_name = {record.subject: record for record in self.records}
        return Manifest(self.root, tuple(by_name[name] for name in subjects))


def read_manifest(root: str | Path) -> Manifest:
    """Read a BIDS folder: ``sub-*/[ses-*/]anat/*.nii[.gz]``; the first session of each person is used.

    Raises:
        FileNotFoundError: no such folder, or no image in it.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"data folder {root} does not exist: make one with 'toposlearn cohort --out {root}'")
    info = _participants(root)
    folders = sorted(path for path in root.glob("sub-*") if path.is_dir())
    records = tuple(_record(root, folder, info.get(folder.name, {})) for folder in folders)
    records = tuple(record for record in records if record.images)
    if not records:
        raise FileNotFoundError(
            f"no image found in {root}: expected BIDS names such as {root}/sub-01/anat/sub-01_T1w.nii.gz"
        )
    return Manifest(root, records)


def origin_of(root: Path) -> str:
    """What a data folder holds and whose licence it is under, for the cards of weights trained on it."""
    path = root / "dataset_description.json"
    description = json.loads(path.read_text()) if path.exists() else {}
    recipe = description.get("Recipe", {})
    if recipe.get("Generator") == "toposlearn cohort":
        source = SOURCES[recipe["Anatomy"]]
        return (
            f"simulated people made from label map {recipe['Anatomy']} ({source.origin}; {source.licence}), as shipped by "
            f"the package {source.package}. The Apache-2.0 licence of the code does not cover the label map"
        )
    name, licence = (
        description.get("Name", root.resolve().name),
        description.get("License", "not stated in the data set"),
    )
    return f"{name}; licence: {licence}"


def _participants(root: Path) -> dict[str, dict[str, str]]:
    path = root / "participants.tsv"
    if not path.exists():
        return {}
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    if "participant_id" not in table:
        raise ValueError(f"{path} has no column participant_id")
    rows = table.to_dict(orient="records")
    return {str(row["participant_id"]): {str(name): str(value) for name, value in row.items()} for row in rows}


def _record(root: Path, folder: Path, info: Mapping[str, str]) -> Record:
    anat = sorted([*folder.glob("anat"), *folder.glob("ses-*/anat")])[:1]
    files = sorted(path for place in anat for path in place.iterdir())
    images = {name: path for path in files if (name := modality_of(path.name))}
    truth = root / TRUTH / folder.name / "anat"
    ending = {
        "labels": "dseg",
        "lesion": "label-lesion_mask",
        "to_template": "from-subject_to-template_xfm",
    }
    found = {name: truth / f"{folder.name}_{end}.nii.gz" for name, end in ending.items()}
    return Record(folder.name, images, info=info, **{name: path for name, path in found.items() if path.exists()})


def modality_of(name: str) -> str | None:
    """The modality in a BIDS file name (``T1w``, ``ce-gadolinium_T1w``), or None when it is no image."""
    match = _IMAGE.match(name)
    if match is None or match["suffix"] in ("mask", "dseg", "xfm"):
        return None
    agent = _CONTRAST_AGENT.search(name)
    return f"{agent[1]}_{match['suffix']}" if agent else match["suffix"]


def split_people(manifest: Manifest, *, test_fraction: float = 0.25, seed: int = 0) -> tuple[Manifest, Manifest]:
    """Train and test people, drawn once by `seed`; nobody is in both.

    Raises:
        ValueError: fewer than two people.
    """
    if len(manifest) < 2:
        raise ValueError(f"{manifest.root} holds one person only: at least two are needed to compare people")
    names = [record.subject for record in manifest.records]
    order = np.random.default_rng(seed).permutation(len(names))
    held_out = max(1, round(test_fraction * len(names)))
    test, train = sorted(order[:held_out]), sorted(order[held_out:])
    return manifest.select([names[i] for i in train]), manifest.select([names[i] for i in test])
