"""Training batches: two modalities of a few people. Step s is always the same batch: runs resume exactly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from toposlearn.config import AugmentConfig, TacoConfig
from toposlearn.data.cache import Cache
from toposlearn.data.pose import apply_pose, draw_motion, draw_poses, relative_pose, then
from toposlearn.data.prepared import INTER, INTRA, Prepared
from toposlearn.topology import tokens_from_map

MOTION_STREAM = 78  # keeps what misregisters a person apart from what augments


@dataclass(frozen=True, eq=False)
class PairBatch:
    """Two modalities of B people, a first.

    Attributes:
        volumes: (2B, 1, D, H, W), modality a of everybody, then modality b.
        foreground: (2B, 1, D, H, W) bool.
        subjects: (B,) long.
        a_to_b: (B, 3, 4) from a's posed mm to b's: the identity when the pose is shared.
        to_template: (B, 3, D, H, W), template mm of each voxel of modality a; only where the loss asks for the truth.
        registered: (B,) bool, people whose two modalities lie at the same place, the others have no `a_to_b`;
            None: everybody's do.
    """

    volumes: Tensor
    foreground: Tensor
    subjects: Tensor
    a_to_b: Tensor
    to_template: Tensor | None = None
    registered: Tensor | None = None

    def token_places(self, strides: Iterable[int]) -> dict[int, Tensor]:
        """Stride -> (B, N, 3), template mm of token centers; empty without the truth."""
        if self.to_template is None:
            return {}
        return {stride: tokens_from_map(F.avg_pool3d(self.to_template, stride)) for stride in strides}


def step_generator(seed: int, step: int, process: int = 0) -> torch.Generator:
    """The random generator of one step of one process: what is drawn never depends on earlier steps."""
    mixed = (seed * 1_000_003 + step) * 4_099 + process
    return torch.Generator().manual_seed(mixed % 2**63)


class PairDataset(Dataset[dict[str, Tensor]]):
    """Item s is the batch of step s, before pose and intensity augmentation (`augment`, on the device)."""

    def __init__(self, cache: Cache, config: TacoConfig, process: int = 0) -> None:
        if len(config.volume.modalities) < 2:
            raise ValueError("volume.modalities must name at least two modalities to form pairs")
        loss, subjects = config.loss, [cache[index] for index in range(len(cache))]
        if loss.matcher == "oracle" and any(subject.to_template is None for subject in subjects):
            raise ValueError("loss.matcher 'oracle' needs people whose map to the template is known: simulate a cohort")
        across = loss.weight_inter > 0 and loss.matcher != "oracle"  # a term that needs no registered pair
        self.least = INTER if across or loss.weight_intra == 0 else INTRA
        self.subjects = [subject for subject in subjects if subject.pairs is None or _any_pair(subject.pairs, self.least)]
        if len(self.subjects) < config.train.subjects_per_step:
            raise ValueError(
                f"{len(self.subjects)} people to train on, but train.subjects_per_step is "
                f"{config.train.subjects_per_step}"
            )
        self.all_registered = all(subject.registered for subject in self.subjects)
        self.config, self.process = config, process

    def __len__(self) -> int:
        return self.config.train.steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        generator = step_generator(self.config.train.seed, step, self.process)
        chosen = torch.randperm(len(self.subjects), generator=generator)[: self.config.train.subjects_per_step]
        subjects = [self.subjects[index] for index in chosen.tolist()]
        pairs = torch.stack([self._pair(subject, generator) for subject in subjects])
        return (
            self._truth(subjects)
            | self._registered(subjects, pairs)
            | {
                "volumes": torch.stack([p.volumes[pair] for p, pair in zip(subjects, pairs, strict=True)]),
                "foreground": torch.stack(
                    [
                        torch.stack([p.foreground_of(m) for m in pair])
                        for p, pair in zip(subjects, pairs.tolist(), strict=True)
                    ]
                ),
                "subjects": chosen,
                "modalities": pairs,
                "poses": self._poses(len(subjects), generator),
                "motions": torch.stack(
                    [
                        torch.stack([self._motion(index, modality) for modality in pair])
                        for index, pair in zip(chosen.tolist(), pairs.tolist(), strict=True)
                    ]
                ),
            }
        )

    def _pair(self, subject: Prepared, generator: torch.Generator) -> Tensor:
        """Two modalities (2,), drawn until they may be compared."""
        while True:
            pair = torch.randperm(len(self.config.volume.modalities), generator=generator)[:2]
            if subject.may(int(pair[0]), int(pair[1]), self.least):
                return pair

    def _registered(self, subjects: Sequence[Prepared], pairs: Tensor) -> dict[str, Tensor]:
        """Whose pair is registered (B,): only in a data set in which that is not everybody's."""
        if self.all_registered:
            return {}
        told = [subject.may(a, b, INTRA) for subject, (a, b) in zip(subjects, pairs.tolist(), strict=True)]
        return {"registered": torch.tensor(told)}

    def _truth(self, subjects: Sequence[Prepared]) -> dict[str, Tensor]:
        """Template mm (B, 3, D, H, W), only for a loss that asks for it: no other may see it."""
        if self.config.loss.matcher != "oracle":
            return {}
        return {"to_template": torch.stack([subject.to_template for subject in subjects if subject.to_template is not None])}

    def _motion(self, index: int, modality: int) -> Tensor:
        """How far (3, 4) a person's modality lies from where it is said to lie: the identity unless studied."""
        augment, count = self.config.augment, len(self.config.volume.modalities)
        if modality == 0:
            return torch.eye(3, 4)
        number = modality + count * (0 if augment.misregister_alike else index)
        generator = step_generator(self.config.train.seed, number, MOTION_STREAM)
        return draw_motion(augment.misregister_shift, augment.misregister_rotation, generator)

    def _poses(self, count: int, generator: torch.Generator) -> Tensor:
        """Poses (B, 2, 3, 4) of both modalities."""
        first = draw_poses(count, self.config.augment, generator)
        shared = self.config.augment.shared_pose
        return torch.stack([first, first if shared else draw_poses(count, self.config.augment, generator)], dim=1)


def _any_pair(pairs: Tensor, least: int) -> bool:
    """True where a table (M, M) lets any two different modalities enter what `least` stands for."""
    return bool((pairs.triu(1) >= least).any())


def augment(batch: dict[str, Tensor], config: TacoConfig, generator: torch.Generator | None = None) -> PairBatch:
    """Pose the two modalities of each person, change the intensity of each by itself; on the batch's device."""
    spacing = config.volume.spacing
    poses = batch["poses"].transpose(0, 1)  # (2, B, 3, 4)
    flat = then(poses.flatten(0, 1), batch["motions"].transpose(0, 1).flatten(0, 1))
    volumes = apply_pose(batch["volumes"].transpose(0, 1).flatten(0, 1)[:, None], flat, spacing)
    shown = batch["foreground"].transpose(0, 1).flatten(0, 1)[:, None]
    foreground = apply_pose(shown.float(), flat, spacing, nearest=True) > 0.5
    volumes = _change_intensity(volumes, config.augment, generator) * foreground
    truth = batch.get("to_template")
    if truth is not None:
        truth = apply_pose(truth, poses[0], spacing, border=True)
    a_to_b, registered = relative_pose(poses[0], poses[1]), batch.get("registered")
    if registered is not None:  # nobody knows the map of the others: their tokens are read where they are
        a_to_b = torch.where(registered[:, None, None], a_to_b, torch.eye(3, 4, device=a_to_b.device))
    return PairBatch(volumes, foreground, batch["subjects"], a_to_b, truth, registered)


def _change_intensity(volumes: Tensor, config: AugmentConfig, generator: torch.Generator | None) -> Tensor:
    """Gamma and noise, drawn anew for each volume (2B, 1, D, H, W) in [0, 1]."""
    draws = torch.rand(len(volumes), 1, 1, 1, 1, generator=generator, device=volumes.device)
    gamma = 1 + config.gamma * (2 * draws - 1)
    noise = torch.randn(volumes.shape, generator=generator, device=volumes.device)
    return volumes.clamp(min=1e-6) ** gamma + config.noise * noise
