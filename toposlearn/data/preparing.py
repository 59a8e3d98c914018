"""Check and preprocess people, each of them once, until a file or a setting changes.

An unusable image or subject is skipped and reported; the run continues.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from toposlearn.config import VolumeConfig
from toposlearn.data.cache import ASSESSMENTS, Entry, Found, Shelf, refusal
from toposlearn.data.gate import assessment as gate
from toposlearn.data.manifest import GROUND_TRUTH, Manifest, Record
from toposlearn.data.many import without_collection
from toposlearn.data.places import FULL, REMEDY, Hold, Place, make_room, places, size_limit, write_error
from toposlearn.data.prepared import Cache
from toposlearn.data.stamps import with_content
from toposlearn.data.tensors import NO_PAIR, allowed_digits, drawable, make_tensors

ALONE = "used with one image at a time, because no two can be compared"
CACHE_VERSION = 6  # raised when the transforms or the gate change


class _Part(NamedTuple):
    """The people of one data set, and where they are kept."""

    place: Place
    shelf: Shelf
    found: dict[str, Found]  # `Record.name` -> what is there
    hold: Hold
    note: str  # one line where they are kept elsewhere than the user expects


def prepare(
    manifest: Manifest,
    config: VolumeConfig,
    *,
    folder: str | Path | None = None,
    unpaired: bool = False,
    progress: bool = True,
    report: bool = True,
) -> Cache:
    """Preprocess every person that is not in the cache yet.

    People without two images to compare are left out, unless `unpaired`, as in `TrainConfig.unpaired`.
    Images on other grids than a person's first modality are resampled to it. People are kept in `folder`, or in that
    of the environment variable TOPOSLEARN_CACHE, or below their data set, or elsewhere where that may only be read.
    The findings of the quality gate are kept there in ``verdicts.json``, and reported on stderr.
    ValueError: a modality that no person has, or no person with two usable images. OSError: no cache can be written.
    """
    absent = [name for name in config.modalities if not any(name in record.images for record in manifest.records)]
    manifest.require(absent)
    limit, people = size_limit(), min(len(manifest), gate.FEWEST_FOR_NULL)
    with without_collection():
        parts = [_open(root, records, config, folder, people) for root, records in _by_root(manifest).items()]
    if report:
        gate.report_problems([part.note for part in parts if part.note])
    entries = _prepare_missing(manifest, config, parts, limit, progress)
    doubles = _doubles(manifest, entries)
    problems = {name: _problem(entry, unpaired) for name, entry in entries.items() if entry.summary} | doubles
    lines = [f"{record.name}: {problems[record.name]}" for record in manifest.records if record.name in problems]
    if report:
        gate.report_problems(lines, parts[0].place.folder / ASSESSMENTS)
    kept = {name for name, entry in entries.items() if entry.usable or (unpaired and entry.allowed)} - doubles.keys()
    usable = tuple(record for record in manifest.records if record.name in kept)
    if not usable:
        raise ValueError(lines[0])
    known = {record.name: replace(entries[record.name], inputs={}) for record in usable}
    return Cache(replace(manifest, records=usable), parts[0].place.folder, known, tuple(part.hold for part in parts))


def _problem(entry: Entry, unpaired: bool) -> str:
    """What is wrong with a person, and whether that is a reason to leave the person out, in one line."""
    if entry.usable or not entry.allowed:
        return entry.summary
    return f"{ALONE if unpaired else NO_PAIR}: {entry.summary}"


def _by_root(manifest: Manifest) -> dict[Path, list[Record]]:
    """The people of each data set, which keep their caches apart."""
    roots: dict[Path, list[Record]] = {}
    for record in manifest.records:
        roots.setdefault(record.root if record.root != Path() else manifest.root, []).append(record)
    return roots


def settings_of(config: VolumeConfig) -> str:
    """What people are prepared with; people prepared with other settings are kept apart."""
    return json.dumps([asdict(config), CACHE_VERSION], sort_keys=True)


def _open(root: Path, records: Sequence[Record], config: VolumeConfig, folder: str | Path | None, people: int) -> _Part:
    """The first place that may be written, or that holds everyone already."""
    settings = settings_of(config)
    errors: list[OSError] = []
    for place in places(root, settings, folder):
        shelf, hold = Shelf(place.folder, settings), Hold(place.folder)
        found = {record.name: shelf.find(record, config.modalities, people) for record in records}
        error = None if all(each.entry for each in found.values()) else write_error(place.folder)
        if error is None:
            with suppress(OSError):
                os.utime(place.folder)  # used now: others are removed first
            note = f"{root} may only be read: prepared people are kept in {place.base} ({REMEDY})" if errors else ""
            return _Part(place, shelf, found, hold if hold.held else Hold(place.folder), note)
        if error.errno in FULL:
            raise refusal(place.folder, error)
        errors.append(error)
    raise refusal(place.folder, errors[0])


def _prepare_missing(
    manifest: Manifest, config: VolumeConfig, parts: Sequence[_Part], limit: float, progress: bool
) -> dict[str, Entry]:
    """Everyone's entry, by `Record.name`."""
    entries = {name: each.entry for part in parts for name, each in part.found.items() if each.entry is not None}
    todo = {name: part for part in parts for name, each in part.found.items() if each.entry is None}
    records, made = {record.name: record for record in manifest.records}, dict[str, dict[str, Any]]()
    assessments = gate.iterate_assessments(manifest, config.modalities, todo)
    hidden = not (progress and todo)
    try:
        for assessment in tqdm(assessments, total=len(todo), desc="preparing", unit="person", disable=hidden):
            name = assessment.subject
            entries[name], made[name] = _prepare_one(records[name], assessment, config, todo[name], len(records))
    finally:  # also what was made before an interruption
        for part in parts:
            _keep(part, entries, made)
    for place in {part.place.base: part.place for part in parts if made.keys() & part.found.keys()}.values():
        make_room(place, limit)
    return entries


def _prepare_one(
    record: Record, assessment: gate.SubjectAssessment, config: VolumeConfig, part: _Part, people: int
) -> tuple[Entry, dict[str, Any]]:
    """Write a person's file: what is known, and tensors unless no image can be used."""
    stem, inputs, _ = part.found[record.name]
    inputs = with_content(inputs, record.root)  # of the files as they were before they were read
    tensors, assessment, summary = make_tensors(record, assessment, config)
    entry = Entry(
        stem,
        part.shelf.key(inputs),
        people,
        usable=bool(tensors) and bool(drawable(tensors["pairs"]).any()),
        complete=bool(tensors) and assessment.complete,
        summary=summary,
        allowed=allowed_digits(tensors["pairs"]) if tensors else "",
        truth=tuple(name for name in GROUND_TRUTH if name in tensors),
        fingerprints={name: facts.fingerprint for name, facts in assessment.facts.items()},
        inputs=inputs,
    )
    stored = assessment.to_dict() | {"summary": summary, "usable": entry.usable, "complete": entry.complete}
    return part.shelf.put(entry, tensors, stored), stored


def _keep(part: _Part, entries: Mapping[str, Entry], made: Mapping[str, dict[str, Any]]) -> None:
    """Write the index and the findings of one data set. They save time only: a full disk has been reported."""
    own = {name: entries[name] for name in part.found if name in entries}
    new = {name: made[name] for name in own if name in made}
    with suppress(OSError):
        if part.shelf.is_news(own.values()):
            part.shelf.save_index(list(own.values()))
        if new:
            part.shelf.save_assessments(new, own)


def _doubles(manifest: Manifest, entries: Mapping[str, Entry]) -> dict[str, str]:
    """The people of whom an image holds the same voxels as one of another person before them, and the reason."""
    owners: dict[str, Record] = {}
    doubles: dict[str, str] = {}
    for record in manifest.records:
        prints = {name: each for name, each in entries[record.name].fingerprints.items() if each}
        for modality, fingerprint in prints.items():
            owner = owners.get(fingerprint, record)
            if (owner.data_set, owner.subject) != (record.data_set, record.subject):
                same = f"{record.images[modality]} holds the same image as {owner.name} has"
                doubles[record.name] = f"left out, a person under two names: {same}; remove one of them"
                break
        else:
            owners |= {fingerprint: record for fingerprint in prints.values() if fingerprint not in owners}
    return doubles
