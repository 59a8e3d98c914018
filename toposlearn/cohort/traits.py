"""Who is in the cohort: diagnosis, lesion, site, sex and age, drawn so that none of them tells another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import qmc

from toposlearn.cohort.streams import balanced, stream

RecipeName = Literal["plain", "full"]
SITES = ("north", "harbor", "hill", "lake")  # recipe plain: the first three
DIAGNOSES = ("control", "atrophy", "developmental")  # recipe plain: the first two
DEGREES = ("mild", "moderate", "severe")  # of atrophy
LESIONS = (  # of recipe full; the mass of recipe plain is a "glioma"
    "low-grade-glioma",
    "high-grade-glioma",
    "stroke",
    "white-matter-lesions",
    "metastases",
)
YOUNGEST, OLDEST = 20, 80  # years
FEWEST = 32  # people of recipe full; fewer tie site, sex and lesion to each other

_PLAIN_SITES = SITES[:3]
_CONDITIONS: tuple[tuple[str, str | None], ...] = (  # equally frequent, in recipe full
    *(("control", None),) * 3,
    *(("atrophy", degree) for degree in DEGREES),
    *(("developmental", None),) * 2,
)
_LESION_SLOTS = (None, None, None, *LESIONS)  # equally frequent, in recipe full


@dataclass(frozen=True)
class Traits:
    """One row of ``participants.tsv``. Age in years."""

    number: int  # from 0
    seed: int
    anatomy: str
    age: int
    sex: str
    site: str
    diagnosis: str
    lesion: bool
    degree: str | None = None  # of atrophy
    lesion_type: str | None = None

    @property
    def participant_id(self) -> str:
        """BIDS name, from sub-001."""
        return f"sub-{self.number + 1:03d}"


def draw_traits(number: int, *, seed: int = 0, anatomy: str = "A", recipe: RecipeName = "plain") -> Traits:
    """Draw person `number` of the cohort with this seed.

    In recipe ``plain`` each property has a random stream of its own. In recipe ``full`` each is one coordinate of a
    scrambled Sobol sequence, evenly spread over all pairs of properties: in whole blocks of 64 people diagnosis,
    lesion, site and sex are unrelated. Fewer than `FEWEST` tie some: up to 16, all people of a site have one sex.
    """
    return _draw_full(number, seed, anatomy) if recipe == "full" else _draw_plain(number, seed, anatomy)


def _draw_plain(number: int, seed: int, anatomy: str) -> Traits:
    diagnosis = DIAGNOSES[balanced(seed, "diagnosis", number)]
    lesion = bool(balanced(seed, "lesion", number))
    return Traits(
        number=number,
        seed=seed,
        anatomy=anatomy,
        age=int(stream(seed, "age", number).integers(YOUNGEST, OLDEST + 1)),
        sex="FM"[balanced(seed, "sex", number)],
        site=_PLAIN_SITES[int(stream(seed, "site", number).integers(len(_PLAIN_SITES)))],
        diagnosis=diagnosis,
        lesion=lesion,
        degree="severe" if diagnosis == "atrophy" else None,
        lesion_type="glioma" if lesion else None,
    )


def _draw_full(number: int, seed: int, anatomy: str) -> Traits:
    sequence = qmc.Sobol(5, scramble=True, rng=np.random.default_rng(seed))
    if number > 0:  # a step of 0 is an error there
        sequence.fast_forward(number)
    site, condition, lesion, sex, age = sequence.random(1)[0]
    diagnosis, degree = _CONDITIONS[int(condition * len(_CONDITIONS))]
    lesion_type = _LESION_SLOTS[int(lesion * len(_LESION_SLOTS))]
    return Traits(
        number=number,
        seed=seed,
        anatomy=anatomy,
        age=YOUNGEST + int(age * (OLDEST + 1 - YOUNGEST)),
        sex="FM"[int(sex * 2)],
        site=SITES[int(site * len(SITES))],
        diagnosis=diagnosis,
        lesion=lesion_type is not None,
        degree=degree,
        lesion_type=lesion_type,
    )
