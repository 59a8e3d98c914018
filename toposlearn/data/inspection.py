"""A data folder on one page: what is there, on which grids, who lacks what, and what the quality gate says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from toposlearn.data.gate.gate import LEAST_PEOPLE, judge_people
from toposlearn.data.layouts import is_series, read_manifest
from toposlearn.data.manifest import Manifest
from toposlearn.data.gate.quality import BadImageError, ImageFacts, damaged_truth
from toposlearn.data.gate.verdicts import INTER_ONLY, LEFT_OUT, REGISTERED, RESAMPLED, PairVerdict, PersonVerdict

VERDICTS = (REGISTERED, RESAMPLED, INTER_ONLY, LEFT_OUT)
MOST_KINDS = 4  # spacings of a modality that are told apart
MOST_LINES = 20  # people or pairs that are told one by one
_TRUTH = {"labels": "labels", "lesion": "lesion mask", "to_template": "map to template"}


@dataclass(frozen=True)
class Inspection:
    """A folder and the verdicts on its people.

    Attributes:
        manifest: the people.
        subjects: a verdict for each.
        broken: why an image cannot be used, a line for each, in order.
        damaged: why a file of the ground truth cannot be used, a line for each, in order.
    """

    manifest: Manifest
    subjects: tuple[PersonVerdict, ...]
    broken: tuple[str, ...]
    damaged: tuple[str, ...] = ()

    @property
    def modalities(self) -> tuple[str, ...]:
        """All that anybody has."""
        return tuple(sorted({name for record in self.manifest.records for name in record.images}))

    @property
    def counts(self) -> dict[str, int]:
        """Verdict -> number of pairs."""
        found = Counter(pair.verdict for subject in self.subjects for pair in subject.pairs)
        return {verdict: found[verdict] for verdict in VERDICTS}

    def suspicious(self) -> Iterator[tuple[str, PairVerdict]]:
        """Person and verdict of each pair of good images that may not enter the intra term."""
        for subject in self.subjects:
            yield from ((subject.subject, pair) for pair in subject.pairs if not pair.aligned and pair.evidence)

    def raise_if_bad(self) -> None:
        """Raise what is worst.

        Raises:
            BadImageError: an image, or a file of the ground truth, cannot be used; the message counts the others.
            ValueError: nobody has two images that can be compared.
        """
        bad = [*self.broken, *self.damaged]
        if bad:
            more = f" (and {len(bad) - 1} more files with problems)" if len(bad) > 1 else ""
            raise BadImageError(bad[0] + more)
        if self.counts[LEFT_OUT] == sum(self.counts.values()):
            raise ValueError(f"nobody in {self.manifest.root} has two images that can be compared: add modalities")

    def page(self, most: int | None = MOST_LINES) -> str:
        """The page as text, with at most so many lines of a kind; None: all."""
        manifest = self.manifest
        lines = [f"{manifest.root}: {len(manifest)} people", f"layout: {manifest.layout}", *_names(manifest)]
        lines += ["grids: size in voxels, spacing in mm, orientation", *self.grids()]
        lines += self._lacking(most)
        lines.append(
            "pairs of images: "
            + ", ".join(f"{count} {verdict}" for verdict, count in self.counts.items() if count)
            + self._without_null()
        )
        odd = [f"  {subject}  {told(pair)}" for subject, pair in self.suspicious()]
        lines += _shortened(odd, most) + _shortened([f"  left out: {reason}" for reason in self.broken], most)
        lines += _shortened([f"  ground truth: {reason}" for reason in self.damaged], most)
        lines.append(f"modalities that everyone has: {', '.join(self._shared()) or 'none'}")
        return "\n".join(lines)

    def grids(self) -> list[str]:
        """A line for each modality: the grids its images lie on, and how many do."""
        return [f"  {name:<18} {_grid(self._facts(name))}" for name in self.modalities if self._facts(name)]

    def _facts(self, modality: str) -> list[ImageFacts]:
        return [subject.facts[modality] for subject in self.subjects if modality in subject.facts]

    def _shared(self) -> list[str]:
        """Modalities of which everybody has an image that can be used."""
        return [name for name in self.modalities if len(self._facts(name)) == len(self.subjects)]

    def _lacking(self, most: int | None) -> list[str]:
        """Who lacks a modality that most have."""
        needed = [
            name
            for name in self.modalities
            if sum(name in record.images for record in self.manifest.records) >= len(self.manifest) / 2
        ]
        lines = []
        for subject in self.subjects:
            missing = [name for name in subject.missing if name in needed]
            lines += [f"  {subject.subject}  no {', '.join(missing)}"] * bool(missing)
        return ["who lacks what:", *_shortened(lines, most)] if lines else []

    def _without_null(self) -> str:
        few = len(self.manifest) < LEAST_PEOPLE
        return f" (not held against pairs of different people: that takes {LEAST_PEOPLE})" if few else ""


def inspect_folder(root: str | Path, *, progress: bool = False) -> Inspection:
    """Read every image of a data folder and its ground truth, and judge every pair.

    Raises:
        FileNotFoundError: no folder, or no image in it.
        ValueError: a file that could mean more than one thing.
    """
    manifest = read_manifest(root)
    subjects = judge_people(manifest, progress=progress)
    broken = [reason for subject in subjects for reason in subject.broken.values()]
    damaged = [reason for record in manifest.records for reason in damaged_truth(record)]
    return Inspection(manifest, tuple(subjects), tuple(broken), tuple(damaged))


def told(pair: PairVerdict) -> str:
    """A pair, its verdict, the reason, and the evidence, in one line."""
    text = f"{pair.first}, {pair.second}: {pair.verdict}: {pair.reason}"
    if pair.evidence is None:
        return text
    null = "" if pair.evidence.null is None else f", of different people up to {pair.evidence.null:.3f}"
    return f"{text} [overlap {pair.evidence.overlap:.2f}, mutual information {pair.evidence.nmi:.3f}{null}]"


def _grid(facts: Sequence[ImageFacts]) -> str:
    spacings = [tuple(round(size, 2) for size in fact.spacing) for fact in facts]
    if len(set(spacings)) > MOST_KINDS:
        spacing = _ranges([sorted(each) for each in spacings])
    else:
        spacing = _kinds(" x ".join(f"{size:g}" for size in each) for each in spacings)
    return f"{_ranges([fact.shape for fact in facts])}  {spacing} mm  {_kinds(fact.axes for fact in facts)}  ({len(facts)})"


def _ranges(triples: Sequence[Sequence[float]]) -> str:
    """Least and largest along each axis: ``64-96 x 96 x 31-40``."""
    ends = [(min(axis), max(axis)) for axis in zip(*triples, strict=True)]
    return " x ".join(f"{low:g}" if low == high else f"{low:g}-{high:g}" for low, high in ends)


def _kinds(values: Iterable[str]) -> str:
    """The values, and how many there are of each where they differ."""
    counts = Counter(values).most_common()
    return counts[0][0] if len(counts) == 1 else ", ".join(f"{value} ({count})" for value, count in counts)


def _shortened(lines: Sequence[str], most: int | None) -> list[str]:
    more = 0 if most is None else len(lines) - most
    return [*lines[:most], *[f"  and {more} more: --html FILE tells all"] * (more > 0)]


def _names(manifest: Manifest) -> list[str]:
    """Which file became which modality, a line for each way of naming: ``T1w  PERSON_t1.nii.gz  (6)``."""
    used = [
        (kind, path.name.replace(record.subject, "PERSON"))
        for record in manifest.records
        for kind, path in (*record.images.items(), *((_TRUTH[name], path) for name, path in record.truth.items()))
    ]
    subjects = sorted((record.subject for record in manifest.records), key=len, reverse=True)
    unused = [
        (
            "not used, 4-D" if is_series(path) else "not used",
            next((path.name.replace(name, "PERSON") for name in subjects if name in path.name), path.name),
        )
        for path in manifest.ignored
    ]
    counts = [*sorted(Counter(used).items()), *sorted(Counter(unused).items())]
    return [f"  {kind:<18} {name}  ({count})" for (kind, name), count in counts]
