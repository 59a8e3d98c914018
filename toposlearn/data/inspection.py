"""A data folder on one page: its files, their grids, missing images, and the findings of the quality gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from toposlearn.data.gate import assessment as gate
from toposlearn.data.images import BadImageError
from toposlearn.data.gate.quality import ImageFacts, damaged_truth
from toposlearn.data.images import is_series
from toposlearn.data.layouts import read_manifest
from toposlearn.data.manifest import Manifest

MOST_KINDS = 4  # spacings of a modality that are listed one by one
MOST_LINES = 20  # people or pairs that are listed one by one
_TRUTH = {"labels": "labels", "lesion": "lesion mask", "to_template": "map to template"}


@dataclass(frozen=True)
class Inspection:
    """A folder and the assessments of its people."""

    manifest: Manifest
    subjects: tuple[gate.SubjectAssessment, ...]
    broken: tuple[str, ...]  # one line per image that cannot be used
    damaged: tuple[str, ...] = ()  # one line per file of the ground truth that cannot be used

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
        if self.counts[gate.LEFT_OUT] == sum(self.counts.values()):
            reason = f"no person in {self.manifest.root} has two images that can be compared"
            raise ValueError(f"{reason}: add images of other modalities")

    def page(self, most: int | None = MOST_LINES) -> str:
        """The page as text, with at most so many lines of a kind; None: all."""
        pairs = ", ".join(f"{count} {status}" for status, count in self.counts.items() if count)
        if len(self.manifest) < gate.FEWEST_FOR_NULL:
            pairs += f" (not compared with pairs of different people: that needs {gate.FEWEST_FOR_NULL} people)"
        counts = Counter(name for record in self.manifest.records for name in record.images)
        common = {name for name, count in counts.items() if count >= len(self.subjects) / 2}
        lacking = [(each.subject, [name for name in each.missing if name in common]) for each in self.subjects]
        missing = [f"  {subject}  no {', '.join(names)}" for subject, names in lacking if names]
        usable = [name for name in self.modalities if len(self._facts(name)) == len(self.subjects)]
        lines = [
            f"{self.manifest.root}: {len(self.manifest)} people",
            f"layout: {self.manifest.layout}",
            *_names(self.manifest),
            "grids: size in voxels, spacing in mm, orientation",
            *(f"  {name:<18} {_grid(self._facts(name))}" for name in self.modalities if self._facts(name)),
            *(["missing images:"] if missing else []),
            *_shortened(missing, most),
            f"pairs of images: {pairs}",
            *_shortened([f"  {subject}  {pair.describe()}" for subject, pair in self.suspicious()], most),
            *_shortened([f"  left out: {reason}" for reason in self.broken], most),
            *_shortened([f"  ground truth: {reason}" for reason in self.damaged], most),
            f"modalities that everyone has: {', '.join(usable) or 'none'}",
        ]
        return "\n".join(lines)

    def _facts(self, modality: str) -> list[ImageFacts]:
        return [subject.facts[modality] for subject in self.subjects if modality in subject.facts]


def inspect_folder(root: str | Path, *, progress: bool = False) -> Inspection:
    """Read every image of a data folder and its ground truth, and assess every pair; errors as `read_manifest`."""
    manifest = read_manifest(root)
    subjects = gate.assess_subjects(manifest, progress=progress)
    broken = [reason for subject in subjects for reason in subject.broken.values()]
    damaged = [reason for record in manifest.records for reason in damaged_truth(record)]
    return Inspection(manifest, tuple(subjects), tuple(broken), tuple(damaged))


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


def _names(manifest: Manifest) -> list[str]:
    """One line for each way of naming a modality: ``T1w  PERSON_t1.nii.gz  (6)``."""
    used = [
        (kind, path.name.replace(record.name, "PERSON"))
        for record in manifest.records
        for kind, path in (*record.images.items(), *((_TRUTH[name], path) for name, path in record.truth.items()))
    ]
    subjects = sorted((record.name for record in manifest.records), key=len, reverse=True)
    unused = []
    for path in manifest.ignored:
        subject = next((name for name in subjects if name in path.name), "")
        name = path.name.replace(subject, "PERSON") if subject else path.name
        unused.append(("not used, 4-D" if is_series(path) else "not used", name))
    counts = [*sorted(Counter(used).items()), *sorted(Counter(unused).items())]
    return [f"  {kind:<18} {name}  ({count})" for (kind, name), count in counts]
