"""Who is trained on, who decides when to stop, and who is judged: drawn by person, so that sessions stay together."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toposlearn.data import Manifest
from toposlearn.data.gate.assessment import report_problems
from toposlearn.data.split import SPLIT, named
from toposlearn.reproducibility import write_json

SCHEMA = "toposlearn/sides/1"
JUDGED, VALIDATION = 0.25, 0.2  # shares of the labeled people, and of those who are left
FEWEST = 4  # labeled people of whom some are spared for validation
Person = tuple[str, str]  # data set and name


@dataclass(frozen=True)
class Sides:
    """Names of scans (`Record.name`) on each side of one run."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    judged: tuple[str, ...]
    group: str = ""  # ``shots4``: runs whose people are judged together
    fold: str = ""  # ``fold0``

    @property
    def people(self) -> tuple[tuple[str, ...], ...]:
        """Those to train on, to validate with, and to judge."""
        return self.train, self.validation, self.judged

    @property
    def label(self) -> str:
        """Name of the folder of the run within that of all; empty where there is one run only."""
        return "-".join(part for part in (self.group, self.fold) if part)


def save_sides(folder: Path, runs: Sequence[Sides], call: Mapping[str, Any]) -> None:
    """Write ``split.json``: who is on which side of every run, and the arguments that decide what runs there are."""
    write_json(folder / SPLIT, {"schema": SCHEMA, "call": dict(call), "runs": [asdict(sides) for sides in runs]})


def load_sides(folder: Path, manifest: Manifest, call: Mapping[str, Any]) -> list[Sides]:
    """The runs that `save_sides` stored; ValueError: a damaged file, another call, or people who are gone."""
    path, new = folder / SPLIT, "or start a new run in another --out"
    try:
        stored = json.loads(path.read_bytes())
        known = stored["call"]
        runs = [Sides(**{name: _tuple(part) for name, part in each.items()}) for each in stored["runs"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path} is damaged: who was trained on cannot be read; restore it, {new}") from None
    if other := [f"--{name}" for name, value in call.items() if known.get(name) != value]:
        raise ValueError(f"{folder} holds a run with other {', '.join(other)}: resume it with the same ones, {new}")
    here = {record.name for record in manifest.records}
    names = dict.fromkeys(name for each in runs for side in each.people for name in side)
    if lost := [name for name in names if name not in here]:
        raise ValueError(f"{manifest.root} can no longer use {named(lost)} of this run: restore their files, {new}")
    return runs


def _tuple(part: Any) -> Any:
    return tuple(part) if isinstance(part, list) else part


def draw_sides(
    manifest: Manifest,
    *,
    seen: Collection[str] = (),
    classes: Mapping[str, str] | None = None,
    folds: int = 0,
    shots: Sequence[int] = (),
    judged: float = JUDGED,
) -> list[Sides]:
    """The sides of every run: one, or one for each fold and each number of labeled people (`shots`).

    Without folds a share of the people, `judged`, is judged. `seen` are the scans on whose people the weights were
    trained: they are not judged. `classes` (scan -> class) are spread evenly over all sides. The people judged are the
    same for all `shots`, and fewer labeled people are part of more. ValueError: too few people, or only people to judge
    who were seen.
    """
    scans: dict[Person, list[str]] = {}
    for record in manifest.records:
        scans.setdefault((record.data_set, record.subject), []).append(record.name)
    if len(scans) < 2:
        raise ValueError(f"{manifest.root} has {len(scans)} labeled people: two are needed, to learn and to judge")
    class_of = {person: (classes or {}).get(names[0], "") for person, names in scans.items()}
    known = set(seen)
    trained = [person for person, names in scans.items() if known & set(names)]
    people = _spread(list(scans), class_of, 0)
    if not 0 < judged < 1:
        raise ValueError(f"--judged must be between 0 and 1, a share of the people; got {judged:g}")
    pairs = _folds(people, class_of, folds, manifest.root) if folds else [_held_out(people, trained, judged)]
    if trained and (folds or not pairs[0][1]):
        who = f"{len(trained)} of the {len(scans)} labeled people of {manifest.root}: {named(n for _, n in trained)}"
        remedy = "leave --folds out" if folds else "add people"
        raise ValueError(f"the weights were trained on {who}; {remedy}, take others, or judge them with --allow-seen")
    sides = []
    for fold, (learned, held_out) in enumerate(pairs):
        labeled = _spread(learned, class_of, 1)
        for count in dict.fromkeys(shots) or (len(labeled),):
            if not 1 <= count <= len(labeled):
                raise ValueError(f"--shots {count}: there are {len(labeled)} labeled people to train on")
            spared = round(VALIDATION * count) if count >= FEWEST else 0
            parts = labeled[spared:count], labeled[:spared], held_out
            train, validation, others = (tuple(name for person in part for name in scans[person]) for part in parts)
            group, place = f"shots{count}" if shots else "", f"fold{fold}" if folds else ""
            sides.append(Sides(train, validation, others, group, place))
    if not all(each.validation for each in sides):
        few = f"with fewer than {FEWEST} labeled people none are spared for validation"
        report_problems([f"note: {few}: all steps are made"])
    return sides


def _held_out(people: list[Person], seen: Collection[Person], share: float) -> tuple[list[Person], list[Person]]:
    """People to train on, and people to judge: without classes those whom `split_subjects` holds out, if not seen."""
    judged = [person for person in people if person not in seen][: max(1, round(share * len(people)))]
    return [person for person in people if person not in judged], judged


def _folds(
    people: list[Person], class_of: Mapping[Person, str], folds: int, root: Path
) -> list[tuple[list[Person], list[Person]]]:
    """People to train on and to judge, in each fold; everyone is judged once, and each class in as many folds."""
    if not 2 <= folds <= len(people):
        raise ValueError(f"--folds must be between 2 and {len(people)}, the labeled people of {root}; got {folds}")
    order = sorted(people, key=lambda person: class_of[person])
    parts = [order[fold::folds] for fold in range(folds)]
    return [([person for person in people if person not in part], part) for part in parts]


def _spread(people: list[Person], class_of: Mapping[Person, str], seed: int) -> list[Person]:
    """People in random order; any beginning of the list has the classes in their proportions, as far as possible."""
    groups: dict[str, list[Person]] = {}
    for place in np.random.default_rng(seed).permutation(len(people)):
        groups.setdefault(class_of[people[place]], []).append(people[place])
    placed = [((rank + 0.5) / len(own), person) for own in groups.values() for rank, person in enumerate(own)]
    return [person for _, person in sorted(placed, key=lambda each: each[0])]
