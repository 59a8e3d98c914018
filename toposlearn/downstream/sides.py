"""Who is trained on, who decides when to stop, and who is judged: drawn by person, so that sessions stay together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toposlearn.data import Manifest, split_subjects
from toposlearn.data.gate.assessment import report_problems
from toposlearn.data.split import SPLIT, named, seen_by
from toposlearn.reproducibility import write_json

SCHEMA = "toposlearn/sides/1"
VALIDATION = 0.2  # of the labeled people
FEWEST = 4  # labeled people of whom some are spared for validation
Person = tuple[str, str]  # data set and name


@dataclass(frozen=True)
class Sides:
    """Names of scans (`Record.name`) on each side."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    judged: tuple[str, ...]
    group: str = ""  # ``shots4``: runs whose people are judged together
    fold: str = ""  # ``fold0``

    @property
    def label(self) -> str:
        """Name of the folder of the run within that of all; empty where there is one run only."""
        return "-".join(part for part in (self.group, self.fold) if part)

    def save(self, folder: Path) -> None:
        """Write ``split.json``."""
        parts = {"train": self.train, "validation": self.validation, "judged": self.judged}
        write_json(folder / SPLIT, {"schema": SCHEMA, **{name: list(part) for name, part in parts.items()}})

    @classmethod
    def load(cls, folder: Path) -> Sides | None:
        """Those of a run; None where it keeps none. ValueError for a damaged file."""
        path = folder / SPLIT
        if not path.is_file():
            return None
        try:
            stored: dict[str, Any] = json.loads(path.read_bytes())
            return cls(*(tuple(stored[name]) for name in ("train", "validation", "judged")))
        except (ValueError, KeyError, TypeError):
            remedy = "restore it, or start a new run in another --out"
            raise ValueError(f"{path} is damaged: who was trained on cannot be read; {remedy}") from None


def draw_sides(
    manifest: Manifest,
    *,
    weights: str | Path | None = None,
    test_fraction: float = 0.25,
    folds: int = 0,
    shots: Sequence[int] = (),
    allow_seen: bool = False,
) -> list[Sides]:
    """The sides of every run: one, or one for each fold and each number of labeled people (`shots`).

    Without folds the people judged are those on whom `weights` were not trained, or a share that is drawn; they are the
    same for all `shots`, and fewer labeled people are part of more. ValueError: too few people, or weights that were
    trained on people who would be judged, unless `allow_seen`.
    """
    by_person: dict[Person, list[str]] = {}
    for record in manifest.records:
        by_person.setdefault((record.data_set, record.subject), []).append(record.name)
    if len(by_person) < 2:
        raise ValueError(f"{manifest.root} has {len(by_person)} labeled people: two are needed, to learn and to judge")
    pairs = _folds(manifest, by_person, folds) if folds else [_held_out(manifest, weights, test_fraction)]
    if folds and weights is not None and not allow_seen:
        _refuse_seen(weights, manifest)
    sides = []
    for fold, (train, judged) in enumerate(pairs):
        for count in shots or (len(train),):
            if not 1 <= count <= len(train):
                raise ValueError(f"--shots {count}: there are {len(train)} labeled people to train on")
            spared = round(VALIDATION * count) if count >= FEWEST else 0
            parts = train[spared:count], train[:spared], judged
            names = (tuple(name for each in part for name in by_person[each]) for part in parts)
            sides.append(Sides(*names, f"shots{count}" if shots else "", f"fold{fold}" if folds else ""))
    if not all(each.validation for each in sides):
        report_problems(
            [f"note: with fewer than {FEWEST} labeled people none are spared for validation: all steps are made"]
        )
    return sides


def _held_out(manifest: Manifest, weights: str | Path | None, fraction: float) -> tuple[list[Person], list[Person]]:
    """People to train on, in random order, and people to judge."""
    train, judged = split_subjects(manifest, test_fraction=fraction, weights=weights)
    if not len(train):  # no one here was trained on: people are drawn
        train, judged = split_subjects(manifest, test_fraction=fraction)
    people = list(train.people)
    order = np.random.default_rng(1).permutation(len(people))
    return [people[place] for place in order], list(judged.people)


def _folds(
    manifest: Manifest, by_person: dict[Person, list[str]], folds: int
) -> list[tuple[list[Person], list[Person]]]:
    """People to train on and to judge, in each fold; everyone is judged once."""
    people = list(by_person)
    if not 2 <= folds <= len(people):
        raise ValueError(
            f"--folds must be between 2 and {len(people)}, the labeled people of {manifest.root}; got {folds}"
        )
    order = np.random.default_rng(1).permutation(len(people))
    parts = [[people[place] for place in part] for part in np.array_split(order, folds)]
    return [([p for other in parts if other is not part for p in other], part) for part in parts]


def _refuse_seen(weights: str | Path, manifest: Manifest) -> None:
    if seen := seen_by([weights], manifest, {}):
        reason = f"{weights} was trained on {len(seen)} of the people who would be judged: {named(seen)}"
        raise ValueError(f"{reason}; leave --folds out, take other weights, or judge nevertheless with --allow-seen")
