"""Missing modalities: each modality goes through the same one-channel encoder, and those present are averaged.

A reader fitted on one subset can then read any other. The field's protocol for four modalities is the fifteen
non-empty subsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from toposlearn.data import PosedSubjects
from toposlearn.models import Taco
from toposlearn.pretrain.scorecard import encode

Subset = tuple[str, ...]


def subsets(modalities: Sequence[str]) -> tuple[Subset, ...]:
    """Every non-empty subset, the largest first, each in the given order."""
    sizes = range(len(modalities), 0, -1)
    return tuple(chosen for size in sizes for chosen in combinations(modalities, size))


def encode_modalities(model: Taco, subjects: PosedSubjects, stride: int) -> Tensor:
    """Tokens (S, M, N, F) of every subject in every modality, in the order of `subjects.modalities`."""
    return torch.stack([encode(model, subjects, modality)[stride] for modality in subjects.modalities], dim=1)


def fuse(tokens: Tensor, modalities: Sequence[str], present: Sequence[str]) -> Tensor:
    """The mean (S, N, F) of the tokens (S, M, N, F) over the modalities that are present.

    Raises:
        ValueError: none is present, or one is unknown.
    """
    if not present or not set(present) <= set(modalities):
        known, seen = ", ".join(modalities), ", ".join(present) or "none"
        raise ValueError(f"present must name at least one of {known}, got {seen}")
    return tokens[:, [modalities.index(name) for name in present]].mean(dim=1)
