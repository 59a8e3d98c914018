"""What the quality gate says of a person's images, and how it is said: never silently, never at length."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from toposlearn.data.gate.alignment import PairEvidence
from toposlearn.data.gate.quality import ImageFacts

REGISTERED, RESAMPLED, INTER_ONLY, LEFT_OUT = "registered", "resampled", "inter only", "left out"
TOLD = 5  # people who are named when some are left out


@dataclass(frozen=True)
class PairVerdict:
    """What may be done with two images of one person.

    Attributes:
        first: a modality.
        second: another.
        verdict: ``registered`` (one grid) and ``resampled`` (other grids, whose headers say how they lie) may enter the
            intra-instance loss; ``inter only``: the images do not show the same place at the same place; ``left out``.
        reason: one line.
        evidence: what was measured; None where nothing could be.
    """

    first: str
    second: str
    verdict: str
    reason: str
    evidence: PairEvidence | None = None

    @property
    def aligned(self) -> bool:
        """True where the pair may enter the intra-instance loss."""
        return self.verdict in (REGISTERED, RESAMPLED)


@dataclass(frozen=True)
class PersonVerdict:
    """What may be done with the images of one person.

    Attributes:
        subject: the person.
        pairs: every two modalities that have a file.
        facts: modality -> what was read.
        broken: modality -> why it cannot be used, in one line.
        missing: modalities without a file.
    """

    subject: str
    pairs: tuple[PairVerdict, ...]
    facts: Mapping[str, ImageFacts] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    def pair(self, first: str, second: str) -> PairVerdict | None:
        """The verdict on two modalities in either order; None where one has no file."""
        return next((pair for pair in self.pairs if {pair.first, pair.second} == {first, second}), None)

    @property
    def complete(self) -> bool:
        """True where no image is missing or broken and every pair is aligned."""
        return not self.broken and not self.missing and all(pair.aligned for pair in self.pairs)

    @property
    def summary(self) -> str:
        """What is wrong, in one line; "" where nothing is."""
        said = [f"no {', '.join(self.missing)} image"] * bool(self.missing)
        said += [f"{name} is left out: {reason}" for name, reason in self.broken.items()]
        said += [f"{', '.join(names)}: {pair.verdict}: {pair.reason}" for names, pair in self._odd_ones()]
        return "; ".join(said)

    def _odd_ones(self) -> list[tuple[list[str], PairVerdict]]:
        """The pairs that are not aligned, told by the modality that is in most of them and one pair of it."""
        pairs = [pair for pair in self.pairs if not pair.aligned and pair.evidence is not None]
        told = []
        while pairs:
            counts = Counter(name for pair in reversed(pairs) for name in (pair.second, pair.first))
            odd = counts.most_common(1)[0][0]
            own = [pair for pair in pairs if odd in (pair.first, pair.second)]
            names = [odd] if len(own) > 1 else [own[0].first, own[0].second]
            told.append((names, own[0]))
            pairs = [pair for pair in pairs if pair not in own]
        return told

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: the verdicts, without what was read."""
        pairs = [asdict(pair) for pair in self.pairs]
        for pair in pairs:
            if pair["evidence"]:
                pair["evidence"] = {name: _rounded(value) for name, value in pair["evidence"].items()}
        return {
            "subject": self.subject,
            "complete": self.complete,
            "missing": list(self.missing),
            "broken": dict(self.broken),
            "pairs": pairs,
        }


def _rounded(value: float | None) -> float | None:
    return round(value, 4) if value is not None and math.isfinite(value) else None


def tell(lines: Sequence[str], file: Path | None = None) -> None:
    """Say on stderr what is wrong with people, a line each; when they are many, the first few and where the rest is."""
    for line in lines[:TOLD]:
        tqdm.write(line, file=sys.stderr)
    if len(lines) > TOLD:
        tqdm.write(f"and {len(lines) - TOLD} more people, all in {file}", file=sys.stderr)
