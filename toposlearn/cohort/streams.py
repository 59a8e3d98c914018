"""Independent random streams: one for each property of each person, so that no property can leak into another.

A person's draws depend on the cohort's seed, the person's number and the property alone: subject 3 is the same in
a cohort of 4 and in one of 400.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

Property = Literal[  # appended to, never reordered: the place is part of the seed
    "age",
    "sex",
    "site",
    "diagnosis",
    "lesion",
    "pose",
    "shape",
    "tissue",
    "scanner",
    "protocol",
    "diffusion",
    "view",
    "motion",
]
_NUMBER = {name: number for number, name in enumerate(get_args(Property))}
_BLOCK_STREAM = 1_000_003  # keeps the draws of a block apart from those of a person


def stream(seed: int, prop: Property, number: int, *part: int) -> np.random.Generator:
    """The generator of one property of one person, or of one part of it, such as one scan."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_NUMBER[prop], number, *part)))


def balanced(seed: int, prop: Property, number: int, classes: int = 2, repeats: int = 2) -> int:
    """A class label in ``range(classes)``, balanced within every block of ``classes * repeats`` people."""
    size = classes * repeats
    block, place = divmod(number, size)
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_NUMBER[prop], _BLOCK_STREAM, block)))
    return int(generator.permutation(size)[place] % classes)
