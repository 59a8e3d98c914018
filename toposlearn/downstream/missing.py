"""Modalities that are missing: every modality goes through the same one-channel encoder, those present are averaged.

Any subset can then be read by a reader that was fitted on another. The field's protocol for four modalities is the
fifteen subsets that are not empty.
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
    """Every non-empty subset, the largest first, each in the order given."""
    sizes = range(len(modalities), 0, -1)
    return tuple(chosen for size in sizes for chosen in combinations(modalities, size))


def subset_name(subset: Sequence[str]) -> str:
    """``T1w+T2w``."""
    return "+".join(subset)


def encode_modalities(model: Taco, subjects: PosedSubjects, stride: int) -> Tensor:
    """Tokens (S, M, N, F) of every person in every modality, in the order of `people.modalities`."""
    return torch.stack([encode(model, subjects, modality)[stride] for modality in subjects.modalities], dim=1)


def fuse(tokens: Tensor, modalities: Sequence[str], present: Sequence[str]) -> Tensor:
    """The mean (S, N, F) of the tokens (S, M, N, F) of the modalities that are present.

    Raises:
        ValueError: none is present, or one is unknown.
    """
    unknown = sorted(set(present) - set(modalities))
    if unknown or not present:
        raise ValueError(
            f"present must name at least one of {', '.join(modalities)}, got {', '.join(present) or 'none'}"
        )
    return tokens[:, [modalities.index(name) for name in present]].mean(dim=1)
