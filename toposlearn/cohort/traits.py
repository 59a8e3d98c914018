"""The traits of a simulated subject (diagnosis, lesion, site, sex, age), drawn so that none predicts another.

Each property of each subject has a random stream of its own: it depends on the cohort's seed, the subject's number and
the property only, so that subject 3 is the same in a cohort of 4 and in one of 400.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.stats import qmc

RecipeName = Literal["plain", "full"]
SITES = ("north", "harbor", "hill", "lake")  # recipe plain: the first three
DIAGNOSES = ("control", "atrophy", "developmental")  # recipe plain: the first two
DEGREES = ("mild", "moderate", "severe")  # of atrophy
# of recipe full; the mass of recipe plain is a "glioma"
LESIONS = ("low-grade-glioma", "high-grade-glioma", "stroke", "white-matter-lesions", "metastases")
YOUNGEST, OLDEST = 20, 80  # years
FEWEST = 32  # subjects of recipe full; among fewer, site, sex and lesion predict each other

_CONDITIONS: tuple[tuple[str, str | None], ...] = (  # equally frequent, in recipe full
    *(("control", None),) * 3,
    *(("atrophy", degree) for degree in DEGREES),
    *(("developmental", None),) * 2,
)
_LESION_SLOTS = (None, None, None, *LESIONS)  # equally frequent, in recipe full

# Appended to, never reordered: the place is part of the seed.
Traited = Literal["age", "sex", "site", "diagnosis", "lesion"]
Simulated = Literal["pose", "shape", "tissue", "scanner", "protocol", "diffusion", "view", "motion", "contrast"]
Property = Literal[Traited, Simulated]
_NUMBER = {name: number for number, name in enumerate(get_args(Property))}
_BLOCK_STREAM = 1_000_003  # keeps the draws of a block apart from those of a subject


def stream(seed: int, prop: Property, number: int, *part: int) -> np.random.Generator:
    """The generator of one property of one subject, or of one part of it, such as one scan."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_NUMBER[prop], number, *part)))


def balanced(seed: int, prop: Property, number: int) -> int:
    """0 or 1 for a subject, each twice in every block of four."""
    block, place = divmod(number, 4)
    return int(stream(seed, prop, _BLOCK_STREAM, block).permutation(4)[place] % 2)


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
    """Draw the traits of subject `number` of the cohort with this seed.

    In recipe ``plain`` each property has a random stream of its own. In recipe ``full`` each is one coordinate of a
    scrambled Sobol sequence, evenly spread over all pairs of properties: in whole blocks of 64 subjects diagnosis,
    lesion, site and sex are unrelated. Among fewer than `FEWEST` some are related: among 16, a site has one sex.
    """
    if recipe == "full":
        return _draw_full(number, seed, anatomy)
    diagnosis = DIAGNOSES[balanced(seed, "diagnosis", number)]
    lesion = bool(balanced(seed, "lesion", number))
    age = int(stream(seed, "age", number).integers(YOUNGEST, OLDEST + 1))
    sex = "FM"[balanced(seed, "sex", number)]
    site = SITES[int(stream(seed, "site", number).integers(3))]
    degree, lesion_type = "severe" if diagnosis == "atrophy" else None, "glioma" if lesion else None
    return Traits(number, seed, anatomy, age, sex, site, diagnosis, lesion, degree, lesion_type)


def _draw_full(number: int, seed: int, anatomy: str) -> Traits:
    sequence = qmc.Sobol(5, scramble=True, rng=np.random.default_rng(seed))
    if number > 0:  # a step of 0 is an error there
        sequence.fast_forward(number)
    site, condition, lesion, sex, age = sequence.random(1)[0]
    diagnosis, degree = _CONDITIONS[int(condition * len(_CONDITIONS))]
    lesion_type = _LESION_SLOTS[int(lesion * len(_LESION_SLOTS))]
    years = YOUNGEST + int(age * (OLDEST + 1 - YOUNGEST))
    place = SITES[int(site * len(SITES))]
    shown = lesion_type is not None
    return Traits(number, seed, anatomy, years, "FM"[int(sex * 2)], place, diagnosis, shown, degree, lesion_type)
