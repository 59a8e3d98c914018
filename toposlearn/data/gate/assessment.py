"""The quality gate: which two images of a person may be compared place by place, by their headers and their voxels."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from toposlearn.data.gate.alignment import CoarseHead, PairEvidence, coarse_head, pair_evidence, shrink
from toposlearn.data.gate.quality import ImageFacts, read_image, same_grid
from toposlearn.data.images import BadImageError
from toposlearn.data.manifest import Manifest, Record

REGISTERED = "registered"  # one grid: may enter the intra-instance and the inter-instance loss
RESAMPLED = "resampled"  # different grids, placed by their headers: may enter both losses
INTER_ONLY = "inter only"  # may enter the inter-instance loss
LEFT_OUT = "left out"
STATUSES = (REGISTERED, RESAMPLED, INTER_ONLY, LEFT_OUT)
MAX_DISPLACEMENT = 2.0  # mm, mean over the head: benchmarks/gate.py
MIN_COVERAGE = 0.3  # of the head, shown by both
MIN_OVERLAP = 0.3  # Dice of the foregrounds: brain-extracted against whole head is about 0.6
OTHERS = 4  # people whose images make the null
FEWEST_FOR_NULL = 3  # people
REPORTED = 5  # people who are named when some have problems


@dataclass(frozen=True)
class PairAssessment:
    """What two images of one person may be used for."""

    first: str  # modality
    second: str
    status: str  # of `STATUSES`
    reason: str  # one line
    evidence: PairEvidence | None = None  # None where nothing could be measured

    @property
    def aligned(self) -> bool:
        """True where the pair may enter the intra-instance loss."""
        return self.status in (REGISTERED, RESAMPLED)

    def describe(self) -> str:
        """The pair, its status, the reason and the evidence, in one line."""
        text = f"{self.first}, {self.second}: {self.status}: {self.reason}"
        if self.evidence is None:
            return text
        null = "" if self.evidence.null is None else f", of different people up to {self.evidence.null:.3f}"
        return f"{text} [overlap {self.evidence.overlap:.2f}, mutual information {self.evidence.nmi:.3f}{null}]"


@dataclass(frozen=True)
class SubjectAssessment:
    """What the images of one person may be used for."""

    subject: str
    pairs: tuple[PairAssessment, ...]  # every two modalities that have a file
    facts: Mapping[str, ImageFacts] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)  # modality -> why it cannot be used, in one line
    missing: tuple[str, ...] = ()  # modalities without a file

    @property
    def complete(self) -> bool:
        """True where no image is missing or broken and every pair is aligned."""
        return not self.broken and not self.missing and all(pair.aligned for pair in self.pairs)

    @property
    def summary(self) -> str:
        """What is wrong, in one line; "" where nothing is."""
        problems = [f"no {', '.join(self.missing)} image"] * bool(self.missing)
        problems += [f"{name} is left out: {reason}" for name, reason in self.broken.items()]
        pairs = [pair for pair in self.pairs if not pair.aligned and pair.evidence is not None]
        while pairs:  # name the modality that is in most of the pairs, with the reason of its first pair
            counts = Counter(name for pair in reversed(pairs) for name in (pair.second, pair.first))
            odd = counts.most_common(1)[0][0]
            own = [pair for pair in pairs if odd in (pair.first, pair.second)]
            names = odd if len(own) > 1 else f"{own[0].first}, {own[0].second}"
            problems.append(f"{names}: {own[0].status}: {own[0].reason}")
            pairs = [pair for pair in pairs if pair not in own]
        return "; ".join(problems)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: everything except the facts."""
        pairs = [asdict(pair) for pair in self.pairs]
        for pair in pairs:
            pair["verdict"] = pair.pop("status")
            for name, value in (pair["evidence"] or {}).items():
                pair["evidence"][name] = round(value, 4) if value is not None and np.isfinite(value) else None
        common = {"subject": self.subject, "complete": self.complete, "missing": list(self.missing)}
        return common | {"broken": dict(self.broken), "pairs": pairs}


def report_problems(lines: Sequence[str], file: Path | None = None) -> None:
    """Write problems to stderr, one line per person: the first few, and the file that lists the rest."""
    for line in lines[:REPORTED]:
        tqdm.write(line, file=sys.stderr)
    if len(lines) > REPORTED:
        tqdm.write(f"and {len(lines) - REPORTED} more people, all listed in {file}", file=sys.stderr)


@dataclass(frozen=True, eq=False)
class SubjectImages:
    """The images of one person, read once."""

    facts: Mapping[str, ImageFacts]
    broken: Mapping[str, str]  # modality -> why it cannot be used
    head: CoarseHead | None  # all of them on one coarse grid

    @property
    def fingerprints(self) -> set[str]:
        """Of the images that could be read."""
        return {facts.fingerprint for facts in self.facts.values()} - {""}


def read_subject(record: Record, modalities: Sequence[str]) -> SubjectImages:
    """Read the images of a person in these modalities."""
    facts: dict[str, ImageFacts] = {}
    broken: dict[str, str] = {}
    images = {}
    for name in [name for name in modalities if name in record.images]:
        try:
            facts[name], data = read_image(record.images[name], record.channels.get(name))
            images[name] = shrink(data, facts[name].affine)
        except BadImageError as error:
            broken[name] = str(error)
    return SubjectImages(facts, broken, coarse_head(images) if images else None)


def assess_subjects(
    manifest: Manifest, modalities: Sequence[str] | None = None, *, progress: bool = False
) -> list[SubjectAssessment]:
    """Assess every pair of images of each person, in all modalities unless some are given."""
    if modalities is None:
        modalities = sorted({name for record in manifest.records for name in record.images})
    subjects = [record.name for record in manifest.records]
    assessments = iterate_assessments(manifest, modalities, subjects)
    hidden = None if progress and subjects else True  # None: shown on a terminal only
    return list(tqdm(assessments, total=len(subjects), desc="checking", unit="person", leave=False, disable=hidden))


def iterate_assessments(
    manifest: Manifest, modalities: Sequence[str], subjects: Collection[str]
) -> Iterator[SubjectAssessment]:
    """Assess some of the people one by one, in the manifest's order; the next people in the manifest make the null.

    Sessions of the same person, and people whose images hold the same voxels, are not part of it.
    """
    records = manifest.records
    read = lru_cache(maxsize=2 * OTHERS)(lambda place: read_subject(records[place], modalities))
    for place, record in enumerate(records):
        if record.name in subjects:
            others = [read(other) for other in _others(records, place)]
            own = read(place).fingerprints
            yield assess_subject(
                record, modalities, read(place), [each for each in others if not own & each.fingerprints]
            )


def _others(records: Sequence[Record], place: int) -> list[int]:
    """The places of the next people; none where there are too few for a null."""
    if len(records) < FEWEST_FOR_NULL:
        return []
    person = records[place].data_set, records[place].subject
    following = ((place + step) % len(records) for step in range(1, len(records)))
    return list(
        islice((each for each in following if (records[each].data_set, records[each].subject) != person), OTHERS)
    )


def assess_subject(
    record: Record, modalities: Sequence[str], images: SubjectImages, others: Sequence[SubjectImages] = ()
) -> SubjectAssessment:
    """Assess the images of one person; those of others make the null."""
    heads = [other.head for other in others if other.head is not None]
    evidence = pair_evidence(images.head, heads) if images.head is not None else {}
    pairs = []
    for names in combinations([name for name in modalities if name in record.images], 2):
        bad = next((images.broken[name] for name in names if name in images.broken), None)
        status, reason = (LEFT_OUT, bad) if bad else _status(images, *names, evidence[names])
        pairs.append(PairAssessment(*names, status, reason, evidence.get(names)))
    missing = tuple(name for name in modalities if name not in record.images)
    return SubjectAssessment(record.name, tuple(pairs), images.facts, images.broken, missing)


def _status(images: SubjectImages, first: str, second: str, evidence: PairEvidence) -> tuple[str, str]:
    """The status of a pair of good images, and the reason."""
    one, other, head = images.facts[first], images.facts[second], images.head
    assert head is not None
    if np.array_equal(*(head.volumes[head.modalities.index(name)] for name in (first, second))):
        return LEFT_OUT, f"{one.path.name} and {other.path.name} hold the same image: keep one of them"
    if (doubt := _doubt(one, other, evidence)) is not None:
        return INTER_ONLY, doubt
    if same_grid(one, other):
        return REGISTERED, "one grid, and the images agree"
    return RESAMPLED, "different grids, placed by their headers, and the images agree"


def _doubt(one: ImageFacts, other: ImageFacts, evidence: PairEvidence) -> str | None:
    """Why two images may not be compared place by place, or None."""
    if not same_grid(one, other) and not (one.placed and other.placed):
        lost = one if not one.placed else other
        return f"the header of {lost.path.name} does not define its position (no qform or sform code): set one"
    if evidence.coverage < MIN_COVERAGE or not np.isfinite(evidence.displacement):
        return f"only {100 * evidence.coverage:.0f} % of the head is in both images"
    if evidence.displacement > MAX_DISPLACEMENT:
        motion = f"{evidence.displacement:.0f} mm apart ({evidence.shift:.0f} mm and {evidence.turn:.0f} degrees)"
        return f"the images lie about {motion}, whatever their headers say: register them"
    if evidence.overlap < MIN_OVERLAP:
        return f"the two heads overlap by {evidence.overlap:.2f} only (Dice): check that both are of one person"
    if evidence.null is not None and evidence.nmi <= evidence.null:
        alike = f"alike (mutual information {evidence.nmi:.3f}) than those of different people ({evidence.null:.3f})"
        return f"the images are no more {alike}: check that both are of one person"
    return None
