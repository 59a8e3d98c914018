"""The null of every comparison of structures: the same places under other names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from toposlearn.anatomy import Structure


def permuted_within_sides(structures: Sequence[Structure], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """A random order (S,) that keeps left, right and midline: the null that knows places and sides but no names."""
    order = np.arange(len(structures))
    sides = np.array([each.side for each in structures])
    for side in np.unique(sides):
        order[sides == side] = rng.permutation(order[sides == side])
    return order
