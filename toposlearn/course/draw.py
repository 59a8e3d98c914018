"""Tensors drawn at random for checks, without ties that rounding could decide."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

GAP = 1e-4  # of distances; far above the rounding of single precision


def normal(rng: np.random.Generator, *shape: int) -> Tensor:
    """Normal values in single precision, as a learner's own tensors have it."""
    return torch.from_numpy(rng.normal(size=shape)).float()


def uniform(rng: np.random.Generator, *shape: int) -> Tensor:
    """Values in [0, 1) in single precision."""
    return torch.from_numpy(rng.random(shape)).float()


def apart(draw: Callable[[], Tensor], *distances: Callable[[Tensor], Tensor]) -> Tensor:
    """What `draw` gives, drawn again until along the last axis no two of its distances are nearer than GAP."""
    while True:
        drawn = draw()
        if all(bool((distance(drawn).sort(-1).values.diff(dim=-1) > GAP).all()) for distance in distances):
            return drawn
