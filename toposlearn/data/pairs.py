"""Training batches: two registered modalities of a few people. Step s is always the same batch: runs resume exactly."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

from toposlearn.config import AugmentConfig, TacoConfig
from toposlearn.data.cache import Cache
from toposlearn.data.pose import apply_pose, draw_poses


@dataclass(frozen=True, eq=False)
class PairBatch:
    """Two modalities of B people. Volumes (B, 1, D, H, W), foreground (B, 1, D, H, W) bool, subjects (B,) long."""

    volume_a: Tensor
    volume_b: Tensor
    foreground: Tensor
    subjects: Tensor
    modalities: tuple[tuple[int, int], ...] = ()


def step_generator(seed: int, step: int, process: int = 0) -> torch.Generator:
    """The random generator of one step of one process: what is drawn never depends on earlier steps."""
    mixed = (seed * 1_000_003 + step) * 4_099 + process
    return torch.Generator().manual_seed(mixed % 2**63)


class PairDataset(Dataset[dict[str, Tensor]]):
    """Item s is the batch of step s, before pose and intensity augmentation (`augment`, on the device)."""

    def __init__(self, cache: Cache, config: TacoConfig, process: int = 0) -> None:
        if len(cache) < config.train.subjects_per_step:
            raise ValueError(
                f"{len(cache)} people to train on, but train.subjects_per_step is {config.train.subjects_per_step}"
            )
        if len(config.volume.modalities) < 2:
            raise ValueError("volume.modalities must name at least two modalities to form pairs")
        self.people = [cache[index] for index in range(len(cache))]
        self.config, self.process = config, process

    def __len__(self) -> int:
        return self.config.train.steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        generator = step_generator(self.config.train.seed, step, self.process)
        chosen = torch.randperm(len(self.people), generator=generator)[: self.config.train.subjects_per_step]
        pairs = torch.stack(
            [torch.randperm(len(self.config.volume.modalities), generator=generator)[:2] for _ in chosen]
        )
        people = [self.people[index] for index in chosen.tolist()]
        return {
            "volumes": torch.stack([p.volumes[pair] for p, pair in zip(people, pairs, strict=True)]),
            "foreground": torch.stack([person.foreground[None] for person in people]),
            "subjects": chosen,
            "modalities": pairs,
            "poses": draw_poses(len(people), self.config.augment, generator),
        }


def augment(batch: dict[str, Tensor], config: TacoConfig, generator: torch.Generator | None = None) -> PairBatch:
    """Pose both modalities of a person alike, and change the intensity of each by itself. On the batch's device."""
    spacing = config.volume.spacing
    volumes = apply_pose(batch["volumes"], batch["poses"], spacing)
    foreground = apply_pose(batch["foreground"].float(), batch["poses"], spacing, nearest=True) > 0.5
    volumes = _change_intensity(volumes, config.augment, generator) * foreground
    return PairBatch(volumes[:, :1], volumes[:, 1:], foreground, batch["subjects"])


def _change_intensity(volumes: Tensor, config: AugmentConfig, generator: torch.Generator | None) -> Tensor:
    """Gamma and noise, drawn anew for each person and modality. volumes (B, 2, D, H, W) in [0, 1]."""
    draws = torch.rand(*volumes.shape[:2], 1, 1, 1, generator=generator, device=volumes.device)
    gamma = 1 + config.gamma * (2 * draws - 1)
    noise = torch.randn(volumes.shape, generator=generator, device=volumes.device)
    return volumes.clamp(min=1e-6) ** gamma + config.noise * noise
