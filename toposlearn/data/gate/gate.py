"""The quality gate for pairs: which two images of a person may be compared place by place, and why the others may not.

Headers say where an image lies, and headers can lie: so the images themselves are asked (`alignment`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
from tqdm import tqdm

from toposlearn.data.gate.alignment import PairEvidence, pair_evidence
from toposlearn.data.gate.coarse import CoarseHead, coarse_head, shrink
from toposlearn.data.manifest import Manifest, Record
from toposlearn.data.gate.quality import BadImageError, ImageFacts, read_image, same_grid
from toposlearn.data.gate.verdicts import INTER_ONLY, LEFT_OUT, REGISTERED, RESAMPLED, PairVerdict, PersonVerdict

MAX_DISPLACEMENT = 2.0  # mm, mean over the head: benchmarks/gate.py
MIN_COVERAGE = 0.3  # of the head, shown by both
MIN_OVERLAP = 0.3  # Dice of the foregrounds: brain-extracted against whole head is about 0.6
OTHERS = 4  # people whose images make the null
LEAST_PEOPLE = 3  # for a null


@dataclass(frozen=True, eq=False)
class Look:
    """The images of one person, read once: what each is, what is broken, and all on one coarse grid."""

    facts: Mapping[str, ImageFacts]
    broken: Mapping[str, str]
    head: CoarseHead | None


def look_at(record: Record, modalities: Sequence[str]) -> Look:
    """Read a person's images of these modalities."""
    facts: dict[str, ImageFacts] = {}
    broken: dict[str, str] = {}
    images = {}
    for name in modalities:
        if name in record.images:
            try:
                facts[name], data = read_image(record.images[name])
            except BadImageError as error:
                broken[name] = str(error)
            else:
                images[name] = shrink(data, facts[name].affine)
    return Look(facts, broken, coarse_head(images) if images else None)


def judge_people(
    manifest: Manifest,
    modalities: Sequence[str] | None = None,
    *,
    subjects: Iterable[str] | None = None,
    progress: bool = False,
) -> list[PersonVerdict]:
    """The verdict on every pair of images of each person.

    Args:
        manifest: the people; those who come next in it make the null of each.
        modalities: which to judge; None: all that anybody has.
        subjects: judge only these; None: everybody.
        progress: show a progress bar.
    """
    if modalities is None:
        modalities = sorted({name for record in manifest.records for name in record.images})
    wanted = [record.subject for record in manifest.records] if subjects is None else list(subjects)
    judging = iterate_verdicts(manifest, modalities, wanted)
    hidden = None if progress and wanted else True  # None: shown on a terminal only
    return list(tqdm(judging, total=len(wanted), desc="checking", unit="person", leave=False, disable=hidden))


def iterate_verdicts(
    manifest: Manifest, modalities: Sequence[str], subjects: Collection[str]
) -> Iterator[PersonVerdict]:
    """The verdicts of `judge_people` one by one, in the manifest's order."""
    records = manifest.records
    look = lru_cache(maxsize=2 * OTHERS)(lambda place: look_at(records[place], modalities))
    for place, record in enumerate(records):
        if record.subject in subjects:
            yield judge(record, modalities, look(place), [look(other) for other in _others(place, len(records))])


def _others(place: int, count: int) -> list[int]:
    """The people who make the null of the one at `place`: who come next, around the end of the list."""
    if count < LEAST_PEOPLE:
        return []
    return [(place + step) % count for step in range(1, min(OTHERS, count - 1) + 1)]


def judge(record: Record, modalities: Sequence[str], look: Look, others: Sequence[Look] = ()) -> PersonVerdict:
    """The verdict on a person who was looked at, against others."""
    heads = [other.head for other in others if other.head is not None]
    found = pair_evidence(look.head, heads) if look.head is not None else {}
    pairs = []
    for first, second in combinations([name for name in modalities if name in record.images], 2):
        bad = [look.broken[name] for name in (first, second) if name in look.broken]
        if bad:
            pairs.append(PairVerdict(first, second, LEFT_OUT, bad[0]))
        else:
            pairs.append(_judge_pair(look, first, second, found[first, second]))
    missing = tuple(name for name in modalities if name not in record.images)
    return PersonVerdict(record.subject, tuple(pairs), look.facts, look.broken, missing)


def _judge_pair(look: Look, first: str, second: str, evidence: PairEvidence) -> PairVerdict:
    one, other = look.facts[first], look.facts[second]
    head = look.head
    assert head is not None
    volumes = [head.volumes[head.modalities.index(name)] for name in (first, second)]
    grid = same_grid(one, other)
    if np.array_equal(*volumes):
        twice = f"{one.path.name} and {other.path.name} hold the same image: keep one of them"
        return PairVerdict(first, second, LEFT_OUT, twice, evidence)
    doubt = _doubt(one, other, grid, evidence)
    if doubt is not None:
        return PairVerdict(first, second, INTER_ONLY, doubt, evidence)
    if grid:
        return PairVerdict(first, second, REGISTERED, "one grid, and the images agree", evidence)
    return PairVerdict(
        first, second, RESAMPLED, "other grids, whose headers say how they lie, and the images agree", evidence
    )


def _doubt(one: ImageFacts, other: ImageFacts, grid: bool, evidence: PairEvidence) -> str | None:
    """Why two images may not be compared place by place, in words, or None."""
    if not grid and not (one.placed and other.placed):
        lost = one if not one.placed else other
        return f"the header of {lost.path.name} does not say where it lies (no qform or sform code)"
    if evidence.coverage < MIN_COVERAGE or not np.isfinite(evidence.displacement):
        return f"only {100 * evidence.coverage:.0f} % of the head is in both images"
    if evidence.displacement > MAX_DISPLACEMENT:
        return (
            f"the images lie about {evidence.displacement:.0f} mm apart ({evidence.shift:.0f} mm and "
            f"{evidence.turn:.0f} degrees), whatever their headers say: register them"
        )
    if evidence.overlap < MIN_OVERLAP:
        return f"what is no air overlaps by {evidence.overlap:.2f} only (Dice)"
    if evidence.null is not None and evidence.nmi <= evidence.null:
        return (
            f"the images are no more alike (mutual information {evidence.nmi:.3f}) than those of different people "
            f"({evidence.null:.3f})"
        )
    return None
