"""A data folder on one page: its files, their grids, missing images, and the findings of the quality gate."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from toposlearn.anatomy import read_landmarks
from toposlearn.data.file_names import unused_names, used_names
from toposlearn.data.gate import assessment as gate
from toposlearn.data.gate.quality import ImageFacts, damaged_truth
from toposlearn.data.images import BadImageError
from toposlearn.data.label_maps import LabelMaps, read_label_maps
from toposlearn.data.layouts import BIDS, read_manifest
from toposlearn.data.manifest import Manifest, Record
from toposlearn.data.source import Data

MOST_KINDS = 4  # spacings of a modality that are listed one by one
MOST_LINES = 20  # people or pairs that are listed one by one
ALONE = "no two images to compare, used by 'toposlearn pretrain --unpaired' only:"


@dataclass(frozen=True)
class Inspection:
    """A folder and the assessments of its people."""

    manifest: Manifest
    subjects: tuple[gate.SubjectAssessment, ...]
    broken: tuple[str, ...]  # one line per image that cannot be used
    damaged: tuple[str, ...] = ()  # one line per file of the ground truth that cannot be used
    label_maps: Mapping[str, LabelMaps] = field(default_factory=dict)  # kind -> what they hold

    @property
    def modalities(self) -> tuple[str, ...]:
        """All modalities that occur."""
        return tuple(sorted({name for record in self.manifest.records for name in record.images}))

    @property
    def counts(self) -> dict[str, int]:
        """Status -> number of pairs."""
        counts = Counter(pair.status for subject in self.subjects for pair in subject.pairs)
        return {status: counts[status] for status in gate.STATUSES}

    def suspicious(self) -> Iterator[tuple[str, gate.PairAssessment]]:
        """Person and assessment of each pair of good images that may not enter the intra term."""
        for subject in self.subjects:
            yield from ((subject.subject, pair) for pair in subject.pairs if not pair.aligned and pair.evidence)

    def raise_if_bad(self) -> None:
        """Raise the first problem (BadImageError), counting the others; ValueError where no pair can be compared."""
        bad = [*self.broken, *self.damaged]
        if bad:
            more = f" (and {len(bad) - 1} more files with problems)" if len(bad) > 1 else ""
            raise BadImageError(bad[0] + more)
        if self.counts[gate.LEFT_OUT] == sum(self.counts.values()) and len(self.modalities) > 1:
            reason = f"no person in {self.manifest.root} has two images that can be compared"
            raise ValueError(f"{reason}: add images of other modalities, or train with --unpaired")

    def duplicates(self) -> Iterator[str]:
        """One line for each two or more people who have the same voxels."""
        people: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for subject in self.subjects:
            for modality, facts in subject.facts.items():
                people[facts.fingerprint or str(facts.path)].append((subject.subject, modality))
        alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for same in people.values():
            alike[tuple(dict.fromkeys(name for name, _ in same))].append(same[0][1])
        for names, modalities in alike.items():
            if len(names) > 1:
                remedy = "if they are one person, remove all but one"
                yield f"{' and '.join(names)} have the same {', '.join(sorted(modalities))} image: {remedy}"

    def page(self, most: int | None = MOST_LINES) -> str:
        """The page as text, with at most so many lines of a kind; None: all."""
        duplicates = [f"  {line}" for line in self.duplicates()]
        notes = [f"  {note}" for note in self.manifest.notes]
        lines = [
            _heading(self.manifest),
            f"layout: {self.manifest.layout}",
            *_shortened(used_names(self.manifest), most),
            *_shortened(unused_names(self.manifest), most),
            *_titled("notes:", _shortened(notes, most)),
            *_titled("label maps: the values that occur", self._label_lines(most)),
            *_titled("names as patterns, to edit and to give again:", _shortened(_pattern_lines(self.manifest), most)),
            "grids: size in voxels, spacing in mm, orientation",
            *(f"  {name:<18} {_grid(self._facts(name))}" for name in self.modalities if self._facts(name)),
            *_titled("missing images:", _shortened(self._missing(), most)),
            *_titled(ALONE, _shortened(self._alone(), most)),
            *_titled("people with the same images:", _shortened(duplicates, most)),
            f"pairs of images: {self._pairs()}",
            *_shortened([f"  {subject}  {pair.describe()}" for subject, pair in self.suspicious()], most),
            *_shortened([f"  left out: {reason}" for reason in self.broken], most),
            *_shortened([f"  ground truth: {reason}" for reason in self.damaged], most),
            f"modalities that everyone has: {', '.join(self._usable()) or 'none'}",
        ]
        return "\n".join(lines)

    def _pairs(self) -> str:
        pairs = ", ".join(f"{count} {status}" for status, count in self.counts.items() if count) or "none"
        if len(self.manifest) < gate.FEWEST_FOR_NULL:
            pairs += f" (not compared with pairs of different people: that needs {gate.FEWEST_FOR_NULL} people)"
        return pairs

    def _missing(self) -> list[str]:
        """Who has no image in a modality that half of the people have."""
        counts = Counter(name for record in self.manifest.records for name in record.images)
        common = {name for name, count in counts.items() if count >= len(self.subjects) / 2}
        lacking = [(each.subject, [name for name in each.missing if name in common]) for each in self.subjects]
        return [f"  {subject}  no {', '.join(names)}" for subject, names in lacking if names]

    def _alone(self) -> list[str]:
        """Who has images, of which no two can be compared, where there are several modalities."""
        compared = {each.subject for each in self.subjects if any(pair.status != gate.LEFT_OUT for pair in each.pairs)}
        alone = [each for each in self.subjects if each.facts and each.subject not in compared]
        return [f"  {each.subject}  {', '.join(each.facts)}" for each in alone] * (len(self.modalities) > 1)

    def _usable(self) -> list[str]:
        return [name for name in self.modalities if len(self._facts(name)) == len(self.subjects)]

    def _label_lines(self, most: int | None) -> list[str]:
        lines = [f"  {kind:<18} {maps.describe()}" for kind, maps in self.label_maps.items()]
        problems = [f"  {reason}" for maps in self.label_maps.values() for reason in maps.problems]
        return [*_shortened(lines, most), *_shortened(problems, most)]

    def _facts(self, modality: str) -> list[ImageFacts]:
        return [subject.facts[modality] for subject in self.subjects if modality in subject.facts]


def inspect_folder(data: Data, *, progress: bool = False) -> Inspection:
    """Read every image of a data folder and its ground truth, and assess every pair; errors as `read_manifest`."""
    manifest = read_manifest(data)
    subjects = gate.assess_subjects(manifest, progress=progress)
    broken = [reason for subject in subjects for reason in subject.broken.values()]
    damaged = [reason for record in manifest.records for reason in (*damaged_truth(record), *_damaged_points(record))]
    return Inspection(manifest, tuple(subjects), tuple(broken), tuple(damaged), read_label_maps(manifest.records))


def _damaged_points(record: Record) -> Iterator[str]:
    """One line for each file of landmarks that cannot be read."""
    for path in record.points:
        try:
            read_landmarks(path)
        except ValueError as error:
            yield str(error)


def _heading(manifest: Manifest) -> str:
    """The folders, and how many people and sessions they hold."""
    roots = dict.fromkeys(record.root for record in manifest.records if record.data_set) or {manifest.root: None}
    people = len({(record.data_set, record.subject) for record in manifest.records})
    sessions = f", {len(manifest)} sessions" if len(manifest) > people else ""
    return f"{', '.join(map(str, roots))}: {people} {'person' if people == 1 else 'people'}{sessions}"


def _pattern_lines(manifest: Manifest) -> list[str]:
    """How files are named, as an option of commands; nothing for BIDS, which needs none."""
    if manifest.layout == BIDS:
        return []
    return [f"  --pattern {shlex.quote(f'{name}={pattern}')}" for name, pattern in manifest.patterns.items()]


def _titled(title: str, lines: Sequence[str]) -> list[str]:
    return [title, *lines] if lines else []


def _grid(facts: Sequence[ImageFacts]) -> str:
    spacings = [tuple(round(size, 2) for size in fact.spacing) for fact in facts]
    if len(set(spacings)) > MOST_KINDS:
        spacing = _ranges([sorted(each) for each in spacings])
    else:
        spacing = _kinds(" x ".join(f"{size:g}" for size in each) for each in spacings)
    shape, axes = _ranges([fact.shape for fact in facts]), _kinds(fact.axes for fact in facts)
    return f"{shape}  {spacing} mm  {axes}  ({len(facts)})"


def _ranges(triples: Sequence[Sequence[float]]) -> str:
    """Minimum and maximum along each axis: ``64-96 x 96 x 31-40``."""
    ends = [(min(axis), max(axis)) for axis in zip(*triples, strict=True)]
    return " x ".join(f"{low:g}" if low == high else f"{low:g}-{high:g}" for low, high in ends)


def _kinds(values: Iterable[str]) -> str:
    """The values, with the count of each where they differ."""
    counts = Counter(values).most_common()
    return counts[0][0] if len(counts) == 1 else ", ".join(f"{value} ({count})" for value, count in counts)


def _shortened(lines: Sequence[str], most: int | None) -> list[str]:
    more = 0 if most is None else len(lines) - most
    return [*lines[:most], *[f"  and {more} more: --html FILE lists all"] * (more > 0)]
