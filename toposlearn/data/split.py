"""Who is trained on and who is held out: drawn once by person, and kept with the run and inside its weights."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from toposlearn.data.manifest import Manifest, Record
from toposlearn.data.origin import described_name, folder_of

SCHEMA = "toposlearn/split/1"
SPLIT = "split.json"  # in the folder of a run
HASH_LENGTH = 16  # hexadecimal digits
NAMED = 10  # people who are named in a message


@dataclass(frozen=True)
class Split:
    """The people of a run, by `person_key`; with a salt, all keys and fingerprints are salted hashes."""

    train: Mapping[str, tuple[str, ...]]  # person -> fingerprints of the images trained on
    held_out: frozenset[str] = field(default_factory=frozenset)
    salt: str = ""
    described: Mapping[str, str] = field(default_factory=dict)  # folder of a data set -> its name, where it has one
    moved: Mapping[str, str] = field(default_factory=dict)  # folder of a data set -> the name it had; not stored

    @classmethod
    def of(
        cls, train: Manifest, held_out: Manifest, fingerprints: Mapping[str, Iterable[str]], *, hashed: bool = False
    ) -> Split:
        """The split of a run; `fingerprints` of the images trained on, by `Record.name`."""
        salt = secrets.token_hex(8) if hashed else ""
        people: dict[str, tuple[str, ...]] = {}
        for record in train.records:
            key, own = _kept(person_key(record), salt), fingerprints.get(record.name, ())
            people[key] = (*people.get(key, ()), *(_kept(each, salt) for each in own))
        roots = {record.root for record in (*train.records, *held_out.records)}
        described = {folder_of(root): name for root in roots if (name := described_name(root))}
        return cls(people, frozenset(_kept(person_key(record), salt) for record in held_out.records), salt, described)

    @classmethod
    def load(cls, place: str | Path) -> Split | None:
        """The split kept in a weights file or a run's folder; None where there is none, ValueError if damaged."""
        place = Path(place)
        file = place / SPLIT if place.is_dir() else place
        try:
            if file != place:
                return cls.from_dict(json.loads(file.read_bytes())) if file.is_file() else None
            stored = json.loads(_metadata(file).get("config", "{}")).get("split")
            return None if stored is None else cls.from_dict(stored)
        except (ValueError, KeyError, TypeError, AttributeError):
            reason = f"{file} is damaged: who was trained on cannot be read"
            raise ValueError(f"{reason}; restore it, or start a new run in another --out") from None

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Split:
        """Inverse of `to_dict`."""
        train = {person: tuple(fingerprints) for person, fingerprints in stored["train"].items()}
        return cls(train, frozenset(stored["held_out"]), stored["salt"], stored["described"])

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        train = {person: list(fingerprints) for person, fingerprints in self.train.items()}
        parts = {"train": train, "held_out": sorted(self.held_out), "described": dict(self.described)}
        return {"schema": SCHEMA, "salt": self.salt, **parts}

    @cached_property
    def voxels(self) -> frozenset[str]:
        """Fingerprints of all images trained on."""
        return frozenset(each for known in self.train.values() for each in known)

    def trained_on(self, record: Record, fingerprints: Iterable[str] = ()) -> bool:
        """True where this person, or an image with one of these fingerprints, was trained on."""
        own = {_kept(each, self.salt) for each in fingerprints}
        return self.key(record) in self.train or bool(own & self.voxels)

    def key(self, record: Record) -> str:
        """The key of a person here; a data set is known by its folder or, elsewhere, by the name in its description."""
        own, name = folder_of(record.root), described_name(record.root)
        folders = [folder for folder, known in self.described.items() if name and known == name]
        if name and self.described.get(own, name) != name:
            folders.append("")  # another data set in a folder of the same name
        if own in self.moved:
            folders.append(self.moved[own])
        keys = [_kept(person_key(record, folder), self.salt) for folder in folders] or [
            _kept(person_key(record), self.salt)
        ]
        return next((key for key in keys if key in self.train or key in self.held_out), keys[0])

    def recognizing(self, manifest: Manifest, fingerprints: Mapping[str, Iterable[str]]) -> Split:
        """The same split, which knows data folders under new names by the voxels of people who keep theirs.

        With a salt it cannot: the names are hashed together with those of their folders.
        """
        owners = {each: person for person, known in self.train.items() for each in known}
        moved: dict[str, str] = {}
        for record in manifest.records:
            for owner in {owners.get(each, "") for each in fingerprints.get(record.name, ())}:
                folder = owner.removesuffix(f"/{record.subject}")
                if folder != owner and self.key(record) not in self.train:
                    moved[folder_of(record.root)] = folder
        return replace(self, moved=moved)

    def sides(self, manifest: Manifest, *, newcomers: bool = True) -> tuple[Manifest, Manifest] | None:
        """The people trained on, and those held out with all who came later; None where no person is known."""
        keys = {record.name: self.key(record) for record in manifest.records}
        known = {key for key in keys.values() if key in self.train or key in self.held_out}
        if not known:
            return None
        train = [name for name, key in keys.items() if key in self.train]
        held_out = [name for name, key in keys.items() if key not in self.train and (newcomers or key in known)]
        return manifest.select(train), manifest.select(held_out)

    def check_complete(self, train: Manifest) -> None:
        """Raise ValueError unless everyone trained on is in this manifest, as a resumed run needs."""
        here = {self.key(record) for record in train.records}
        if lost := [person for person in self.train if person not in here]:
            reason = f"the run was trained on people who can no longer be used in {train.root}: {named(lost)}"
            remedy = "restore their images and the name of their folder, or start a new run in another --out"
            raise ValueError(f"{reason}; {remedy}")


def person_key(record: Record, folder: str | None = None) -> str:
    """Folder of the data set and name of a person: of a simulated one, label map and seed instead of the folder."""
    if record.info.get("seed") and record.info.get("anatomy"):
        return f"simulated {record.info['anatomy']} {record.info['seed']}/{record.subject}"
    return f"{folder_of(record.root) if folder is None else folder}/{record.subject}"


def split_subjects(
    manifest: Manifest, *, test_fraction: float = 0.25, minimum: int = 1, weights: str | Path | None = None
) -> tuple[Manifest, Manifest]:
    """Training people and at least `minimum` held-out people; all sessions of a person are on one side.

    The sides are those on which people were when `weights` (a weights file or a run's folder) were trained;
    people who came later are held out. Without weights, or where they know no person here, the sides are drawn.
    """
    stored = Split.load(weights) if weights is not None else None
    sides = (stored and stored.sides(manifest)) or _draw(manifest, test_fraction, minimum)
    if len(sides[1]) < minimum:
        seen = [record.name for record in sides[0].records]
        reason = f"{weights} was trained on {len(seen)} of the {len(manifest)} people of {manifest.root}: {named(seen)}"
        raise ValueError(f"{reason}; give {minimum} or more people whom it was not trained on")
    return sides


def unseen_by(weights: Sequence[str | Path], manifest: Manifest, test_fraction: float) -> Manifest:
    """The people on whom none of these weights were trained; where some do not know on whom, a share that is drawn."""
    splits = [split for path in weights if (split := Split.load(path)) is not None]
    if len(splits) < len(weights):
        return split_subjects(manifest, test_fraction=test_fraction)[1]
    unseen = [record.name for record in manifest.records if not any(split.trained_on(record) for split in splits)]
    if not unseen:
        reason = f"{', '.join(map(str, weights))}: all people of {manifest.root} were trained on"
        raise ValueError(f"{reason}; take other people, or measure nevertheless with --allow-seen")
    return manifest.select(unseen)


def seen_by(weights: Iterable[str | Path], manifest: Manifest, fingerprints: Mapping[str, Iterable[str]]) -> list[str]:
    """People on whom any of these weights were trained, by their names or by the voxels of their images."""
    splits = [split for path in weights if (split := Split.load(path)) is not None]
    return [
        record.name
        for record in manifest.records
        if any(split.trained_on(record, fingerprints.get(record.name, ())) for split in splits)
    ]


def refuse_seen(
    weights: Sequence[str | Path],
    manifest: Manifest,
    fingerprints: Mapping[str, Iterable[str]],
    *,
    allow_seen: bool = False,
) -> list[str]:
    """Raise ValueError where some of these weights were trained on some of these people; if allowed, name them."""
    seen = seen_by(weights, manifest, fingerprints)
    if seen and not allow_seen:
        trained = next(path for path in weights if seen_by([path], manifest, fingerprints))
        seen = seen_by([trained], manifest, fingerprints)
        reason = f"{trained} was trained on {len(seen)} of these people: {named(seen)}"
        raise ValueError(f"{reason}; take other people, or measure nevertheless with --allow-seen")
    return seen


def remarks(weights: Iterable[str | Path], seen: Sequence[str]) -> dict[str, list[str]]:
    """What a result must say of its people: who was trained on, and weights that do not know whom they were."""
    unknown = [str(path) for path in weights if Split.load(path) is None]
    parts = {"measured people who were trained on": list(seen), "weights without the people trained on": unknown}
    return {name: values for name, values in parts.items() if values}


def named(people: Iterable[str]) -> str:
    """The first names of a list, and how many more there are."""
    names = list(people)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _draw(manifest: Manifest, test_fraction: float, minimum: int) -> tuple[Manifest, Manifest]:
    people = manifest.people
    if len(people) < 2:
        raise ValueError(f"{manifest.root} holds one person only: at least two are needed to compare people")
    order = np.random.default_rng(0).permutation(len(people))
    held_out = max(1, round(test_fraction * len(people)))
    if held_out < minimum:
        needed = next(n for n in count(len(people)) if round(test_fraction * n) >= minimum)
        few = f"{manifest.root} holds {len(people)} people, of whom {held_out} would be held out"
        raise ValueError(f"{few}, but {minimum} are needed: bring at least {needed} people")
    test = {people[i] for i in order[:held_out]}
    parts: dict[bool, list[str]] = {False: [], True: []}
    for record in manifest.records:
        parts[(record.data_set, record.subject) in test].append(record.name)
    return manifest.select(parts[False]), manifest.select(parts[True])


def _kept(text: str, salt: str) -> str:
    """The text as it is stored: hashed where there is a salt."""
    return hashlib.sha256((salt + text).encode()).hexdigest()[:HASH_LENGTH] if salt else text


def _metadata(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError):  # `load_weights` reports what is wrong
        return {}
