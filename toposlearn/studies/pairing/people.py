"""People of whom a share has both modalities and the others one each, and held-out people in two poses each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from toposlearn.config import TacoConfig
from toposlearn.data import Cache, Manifest, PairDataset, PosedSubjects, pose_subjects
from toposlearn.reproducibility import metric

MODALITIES = ("T1w", "T2w")
POSE_SEEDS = (0, 1)


def with_share(manifest: Manifest, train: Manifest, share: float, seed: int = 0) -> Manifest:
    """The same people; of those of `train` only a share keeps both modalities, the others in turn T1w or T2w.

    The order in which people lose a modality is drawn from `seed`: those paired at a low share are so at a higher one.
    """
    order = np.random.default_rng(seed).permutation(len(train))
    alone = {train.records[place].name: MODALITIES[rank % 2] for rank, place in enumerate(order)}
    for place in order[: round(share * len(train))]:
        del alone[train.records[place].name]
    kept = [(record, (alone[record.name],) if record.name in alone else MODALITIES) for record in manifest.records]
    records = [replace(record, images={name: record.images[name] for name in names}) for record, names in kept]
    return replace(manifest, records=tuple(records))


def comparisons(people: Cache, config: TacoConfig) -> dict[str, dict[str, Any]]:
    """Share of a run's comparisons of two people that are across modalities, and of its steps that make any."""
    dataset = PairDataset(people, config)
    drawn = torch.tensor([dataset.draw(step).modalities for step in range(len(dataset))])  # (steps, B, 2)
    differ = drawn[:, :, None, 0] != drawn[:, None, :, 1]  # (steps, B, B), a of p and b of q
    across = differ[:, ~torch.eye(drawn.shape[1], dtype=torch.bool)].float()
    means = {"comparisons": across.mean(), "steps": across.amax(1).mean()}
    return {f"{name}_across_modalities": metric(float(mean), n=len(drawn)) for name, mean in means.items()}


def posed_twice(people: Cache, config: TacoConfig) -> PosedSubjects:
    """S people in two poses each: number p and number S + p are the same person."""
    one, two = (pose_subjects(people, config, seed=seed) for seed in POSE_SEEDS)
    tensors: Mapping[str, Tensor] = {name: each for name, each in vars(one).items() if isinstance(each, Tensor)}
    both = {name: torch.cat([each, getattr(two, name)]) for name, each in tensors.items()}
    return replace(one, names=one.names + two.names, info=one.info + two.info, **cast(dict[str, Any], both))
