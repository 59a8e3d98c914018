"""Who is in the cohort: diagnosis, lesion, site, sex and age, each drawn independently of all the others."""

from __future__ import annotations

from dataclasses import dataclass

from toposlearn.cohort.streams import balanced, stream

SITES = ("north", "harbor", "hill")
DIAGNOSES = ("control", "atrophy")


@dataclass(frozen=True)
class Person:
    """One row of ``participants.tsv``. Age in years."""

    number: int  # from 0
    seed: int
    anatomy: str
    age: int
    sex: str
    site: str
    diagnosis: str
    lesion: bool

    @property
    def participant_id(self) -> str:
        """BIDS name, from sub-001."""
        return f"sub-{self.number + 1:03d}"


def draw_person(number: int, *, seed: int = 0, anatomy: str = "A") -> Person:
    """Draw person `number` of the cohort with this seed."""
    return Person(
        number=number,
        seed=seed,
        anatomy=anatomy,
        age=int(stream(seed, "age", number).integers(20, 81)),
        sex="FM"[balanced(seed, "sex", number)],
        site=SITES[int(stream(seed, "site", number).integers(len(SITES)))],
        diagnosis=DIAGNOSES[balanced(seed, "diagnosis", number)],
        lesion=bool(balanced(seed, "lesion", number)),
    )
