"""From the files of a data folder to people: one session of each, one file per modality, by rules that are reported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from toposlearn.data.layouts.files import File
from toposlearn.data.manifest import Record
from toposlearn.data.source import Source
from toposlearn.settings import TRUTH

_TRUTH = {"labels": "dseg", "lesion": "label-lesion_mask", "to_template": "from-subject_to-template_xfm"}


class Records(NamedTuple):
    """People, the files that none of them uses, and one line per choice or problem."""

    records: tuple[Record, ...]
    ignored: tuple[Path, ...]
    notes: tuple[str, ...]


def make_records(root: Path, files: Iterable[File], source: Source, modalities: Sequence[str] = ()) -> Records:
    """Group files by person; `modalities` are those that a run needs (default: all)."""
    records, notes, used = [], [], set[Path]()
    ordered = sorted(files, key=attrgetter("subject"))
    for subject, group in groupby(ordered, attrgetter("subject")):
        own = list(group)
        session = min(file.session for file in own)
        images: dict[str, Path] = {}
        for file in own:
            if file.session == session and file.modality:
                if file.modality in images:
                    notes.append(f"{subject}: {images[file.modality].name} is used, not {file.path.name}")
                images.setdefault(file.modality, file.path)
        lesion = next((file.path for file in own if file.session == session and file.label_map == "lesion"), None)
        truth = _truth(root, subject)
        if images:
            labels, lesion, field = truth.get("labels"), truth.get("lesion", lesion), truth.get("to_template")
            records.append(Record(subject, images, labels, lesion, field, root=root))
            used |= {path for path in (*images.values(), lesion) if path}
    return Records(tuple(records), tuple(file.path for file in ordered if file.path not in used), tuple(notes))


def _truth(root: Path, subject: str) -> dict[str, Path]:
    """Ground truth of a simulated person."""
    folder = root / TRUTH / subject / "anat"
    paths = {name: folder / f"{subject}_{ending}.nii.gz" for name, ending in _TRUTH.items()}
    return {name: path for name, path in paths.items() if path.exists()}
