"""The people of a data folder, whichever way it is laid out.

Every layout is read as a sequence of `File`; `records.make_records` makes people of them. Files that are not used are
kept in `Manifest.ignored`, and ``toposlearn inspect`` lists which file became which modality.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from toposlearn.data.layouts.bids import is_bids, read_bids
from toposlearn.data.layouts.files import NO_SUBJECTS
from toposlearn.data.layouts.plain import read_plain
from toposlearn.data.layouts.records import make_records
from toposlearn.data.layouts.tables import read_participants
from toposlearn.data.manifest import Manifest
from toposlearn.data.source import Data, Source


def read_manifest(data: Data, modalities: Sequence[str] = ()) -> Manifest:
    """Find the people of a data folder and their images; `modalities` are those that a run needs (default: all)."""
    source = Source.of(data)
    root = source.folders[0]
    if not root.is_dir():
        raise FileNotFoundError(f"data folder {root} does not exist: make one with 'toposlearn cohort --out {root}'")
    layout, files = ("BIDS, the first session of each person", read_bids(root)) if is_bids(root) else read_plain(root)
    records, ignored, notes = make_records(root, files, source, modalities)
    if not records:
        raise FileNotFoundError(_nothing_in(root))
    info = read_participants(root)
    known = tuple(replace(record, info=info.get(record.subject, {})) for record in records)
    return Manifest(root, known, layout, ignored, notes)


def _nothing_in(root: Path) -> str:
    inside = [path.relative_to(root).parts for path in sorted(root.rglob("*.nii*"))]
    deeper = next((parts for parts in inside if len(parts) > 2 and parts[0] not in NO_SUBJECTS), None)
    if deeper:
        place = root.joinpath(*deeper[:-1])
        return f"no image found in {root} or its folders, but deeper, in {place}: give the folder that holds the people"
    bids = f"BIDS names such as {root}/sub-01/anat/sub-01_T1w.nii.gz"
    own = f"one folder per person, such as {root}/ANNA/T1w.nii.gz, or files such as {root}/ANNA_T1w.nii.gz"
    return f"no image found in {root}: expected {bids}, or {own}"
