"""The people of a data folder, whichever way it is laid out.

Every layout is read as a sequence of `File`; `records.make_records` makes people of them. Files that are not used are
kept in `Manifest.ignored`, and ``toposlearn inspect`` lists which file became which modality.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from toposlearn.data.images import is_image
from toposlearn.data.layouts.bids import find_bids, read_bids
from toposlearn.data.layouts.files import NO_SUBJECTS, File, folders_in
from toposlearn.data.layouts.lists import find_list, read_list
from toposlearn.data.layouts.pattern import infer_patterns, read_patterns
from toposlearn.data.layouts.plain import read_plain
from toposlearn.data.layouts.points import POINTS, with_points
from toposlearn.data.layouts.records import make_records
from toposlearn.data.layouts.tables import read_description, read_participants
from toposlearn.data.manifest import Manifest
from toposlearn.data.many import without_collection
from toposlearn.data.source import Data, Source

BIDS = "BIDS"


def read_manifest(data: Data, modalities: Sequence[str] = ()) -> Manifest:
    """Find the people of one or several data folders; `modalities` are those that a run needs (default: all).

    FileNotFoundError: a folder that does not exist or holds no image. ValueError: no image can be used, or no person
    has the session asked for. Everything else that cannot be used is left out and named in `Manifest.notes`.
    """
    source = Source.of(data)
    with without_collection():
        manifests = [_read_one(root, source, modalities) for root in source.folders]
    return manifests[0] if len(manifests) == 1 else _joined(source.folders, manifests)


def _read_one(root: Path, source: Source, modalities: Sequence[str]) -> Manifest:
    if not root.exists():
        made = f"make one with 'toposlearn cohort --out {root}'"
        raise FileNotFoundError(f"data folder {root} does not exist: {made}, or correct the path")
    root, layout, files = _read_files(root, source)
    damaged = read_description(root)[1]
    records, ignored, landmarks, problems, notes = make_records(root, files, source, modalities)
    if not records:
        _check_for_several(root)
        raise ValueError(problems[0]) if problems else FileNotFoundError(_nothing_in(root, ignored))
    info, remarks = read_participants(root, list(dict.fromkeys(record.subject for record in records)))
    informed = [replace(record, info=info.get(record.subject, {})) for record in records]
    known, lost = with_points(root, informed, landmarks, source.patterns.get(POINTS, ""))
    lines = (*problems, *notes, *remarks, *lost, *([damaged] if damaged else []))
    patterns = {} if layout == BIDS else infer_patterns(known, root)
    return Manifest(root, known, layout, ignored, lines, patterns)


def _read_files(root: Path, source: Source) -> tuple[Path, str, Iterable[File]]:
    """The folder that holds the people, the layout in words, and the files."""
    place, layout, files = _by_layout(root)
    if patterns := {name: pattern for name, pattern in source.patterns.items() if name != POINTS}:
        place = root if root.is_dir() else place
        return place, "named by patterns", read_patterns(place, patterns, files)
    return place, layout, files


def _by_layout(root: Path) -> tuple[Path, str, Iterable[File]]:
    """As `_read_files`, by the layout that the folder has."""
    if (listed := find_list(root)) is not None:
        return listed.parent, *read_list(listed)
    if (place := find_bids(root)) is not None:
        return place, BIDS, read_bids(place)
    return root, *read_plain(root)


def _joined(given: Sequence[Path], manifests: Sequence[Manifest]) -> Manifest:
    """One manifest of several data sets; the name of each is part of the names of its people."""
    _check_apart(given, manifests)
    named = list(zip(_names_of(given), manifests, strict=True))
    return Manifest(
        manifests[0].root,
        tuple(replace(record, data_set=name) for name, manifest in named for record in manifest.records),
        "; ".join(f"{name}: {manifest.layout}" for name, manifest in named),
        tuple(path for manifest in manifests for path in manifest.ignored),
        tuple(f"{name}: {note}" for name, manifest in named for note in manifest.notes),
    )


def _check_apart(given: Sequence[Path], manifests: Sequence[Manifest]) -> None:
    """Raise ValueError where two data sets share an image."""
    owner: dict[str, Path] = {}
    for root, manifest in zip(given, manifests, strict=True):
        for path in {os.path.abspath(path) for record in manifest.records for path in record.images.values()}:
            if path in owner:
                raise ValueError(f"{path} is in both {owner[path]} and {root}: give one of the two data folders")
            owner[path] = root


def _names_of(roots: Sequence[Path]) -> list[str]:
    """The last parts of the paths, as many as make them differ."""
    parts = [root.resolve().with_suffix("").parts if root.is_file() else root.resolve().parts for root in roots]
    lengths = range(1, max(map(len, parts)) + 1)
    length = next((n for n in lengths if len({own[-n:] for own in parts}) == len(parts)), lengths[-1])
    return ["-".join(own[-length:]).strip("/") for own in parts]


def _check_for_several(root: Path) -> None:
    """Raise ValueError where folders hold data sets of their own, as nnUNet_raw does."""
    inside = [folder for folder in folders_in(root) if find_list(folder)] if root.is_dir() else []
    if len(inside) > 1:
        reason = f"{root} holds {len(inside)} data sets, such as {inside[0].name}"
        raise ValueError(f"{reason}, and no images of its own: give each by its own --data")


def _nothing_in(root: Path, ignored: Sequence[Path]) -> str:
    if ignored:
        more = f" and {len(ignored) - 1} more files" if len(ignored) > 1 else ""
        reason = f"no image in {root} can be used: {ignored[0]}{more} are not named as images of a modality"
        return f"{reason}; rename them, or name them with --pattern"
    inside = [path.relative_to(root).parts for path in sorted(root.rglob("*")) if is_image(path.name)]
    inside.sort(key=lambda parts: parts[0] in NO_SUBJECTS)
    deeper = next((parts for parts in inside if len(parts) > 2), None)
    if deeper:
        depth = next((place for place, part in enumerate(deeper) if part.startswith("sub-")), len(deeper) - 1)
        place = root.joinpath(*deeper[:depth])
        return f"no image found in {root} or its folders, but deeper, in {place}: give the folder that holds the people"
    bids = f"BIDS names such as {root}/sub-01/anat/sub-01_T1w.nii.gz"
    own = f"one folder per person, such as {root}/ANNA/T1w.nii.gz, or files such as {root}/ANNA_T1w.nii.gz"
    return f"no image found in {root}: expected {bids}, or {own}"
