"""Training batches: two modalities of a few people. Step s is always the same batch, so that runs resume exactly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from toposlearn.config import TacoConfig
from toposlearn.data.pose import apply_pose, compose, draw_motion, draw_poses, relative_pose
from toposlearn.data.prepared import INTER, INTRA, Cache, Prepared
from toposlearn.reproducibility import step_seed
from toposlearn.topology import tokens_from_map

MOTION_STREAM = 78  # separates the random numbers of misregistration from those of augmentation


@dataclass(frozen=True, eq=False)
class PairBatch:
    """Two modalities, a and b, of B people."""

    volumes: Tensor  # (2B, 1, D, H, W), modality a of all people, then modality b
    foreground: Tensor  # (2B, 1, D, H, W) bool
    subjects: Tensor  # (B,) long
    a_to_b: Tensor  # (B, 3, 4) from a's posed mm to b's: the identity when the pose is shared
    to_template: Tensor | None = None  # (B, 3, D, H, W), template mm of each voxel of a; only for matcher "oracle"
    registered: Tensor | None = None  # (B,) bool, people whose a and b lie at the same place; None: all do

    def token_places(self, strides: Iterable[int]) -> dict[int, Tensor]:
        """Stride -> (B, N, 3), template mm of token centers; empty without the truth."""
        if self.to_template is None:
            return {}
        return {stride: tokens_from_map(F.avg_pool3d(self.to_template, stride)) for stride in strides}


def step_generator(seed: int, step: int, process: int = 0) -> torch.Generator:
    """The random generator of one step of one process; it does not depend on earlier steps."""
    return torch.Generator().manual_seed(step_seed(seed, step, process) % 2**63)


class PairDataset(Dataset[dict[str, Tensor]]):
    """Item s is the batch of step s, before pose and intensity augmentation (`augment`, on the device)."""

    def __init__(self, cache: Cache, config: TacoConfig, process: int = 0) -> None:
        if len(config.volume.modalities) < 2:
            raise ValueError("volume.modalities must name at least two modalities to form pairs")
        loss, subjects = config.loss, [cache[index] for index in range(len(cache))]
        if loss.matcher == "oracle" and any(subject.to_template is None for subject in subjects):
            raise ValueError("loss.matcher 'oracle' needs people whose map to the template is known: simulate a cohort")
        inter = loss.weight_inter > 0 and loss.matcher != "oracle"  # a term that needs no registered pair
        self.term = INTER if inter or loss.weight_intra == 0 else INTRA
        self.subjects = [each for each in subjects if each.pairs is None or (each.pairs.triu(1) >= self.term).any()]
        if len(self.subjects) < config.train.subjects_per_step:
            counts = f"{len(self.subjects)} people to train on, but train.subjects_per_step is"
            raise ValueError(f"{counts} {config.train.subjects_per_step}: add people, or lower it")
        self.all_registered = all(subject.registered for subject in self.subjects)
        self.config, self.process = config, process

    def __len__(self) -> int:
        return self.config.train.steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        generator = step_generator(self.config.train.seed, step, self.process)
        chosen = torch.randperm(len(self.subjects), generator=generator)[: self.config.train.subjects_per_step]
        people, settings = chosen.tolist(), self.config.augment
        rows = [(self.subjects[index], self._draw_pair(self.subjects[index], generator)) for index in people]
        first = draw_poses(len(rows), settings, generator)
        masks = [subject.foreground_of(modality) for subject, pair in rows for modality in pair]
        poses = [first, first if settings.shared_pose else draw_poses(len(rows), settings, generator)]
        batch = {
            "volumes": torch.stack([subject.volumes[list(pair)] for subject, pair in rows]),  # (B, 2, D, H, W)
            "foreground": torch.stack(masks).view(len(rows), 2, *masks[0].shape),
            "subjects": chosen,
            "modalities": torch.tensor([pair for _, pair in rows]),  # (B, 2)
            "poses": torch.stack(poses, dim=1),  # (B, 2, 3, 4)
            "motions": torch.stack([self._motions(index, pair) for index, (_, pair) in zip(people, rows, strict=True)]),
        }
        if not self.all_registered:
            batch["registered"] = torch.tensor([subject.allows(*pair, INTRA) for subject, pair in rows])
        if self.config.loss.matcher == "oracle":  # no other loss may see the truth
            batch["to_template"] = torch.stack([cast(Tensor, subject.to_template) for subject, _ in rows])
        return batch

    def _draw_pair(self, subject: Prepared, generator: torch.Generator) -> tuple[int, int]:
        """Two modalities, drawn until they may be compared."""
        while True:
            first, second = torch.randperm(len(self.config.volume.modalities), generator=generator)[:2].tolist()
            if subject.allows(first, second, self.term):
                return first, second

    def _motions(self, index: int, pair: tuple[int, int]) -> Tensor:
        """Simulated misregistration (2, 3, 4) of a person's modalities: the identity for the first modality."""
        augment, count = self.config.augment, len(self.config.volume.modalities)
        motions = torch.eye(3, 4).repeat(2, 1, 1)
        for place, modality in enumerate(pair):
            if modality > 0:
                number = modality + count * (0 if augment.misregister_alike else index)
                generator = step_generator(self.config.train.seed, number, MOTION_STREAM)
                motions[place] = draw_motion(augment.misregister_shift, augment.misregister_rotation, generator)
        return motions


def augment(batch: dict[str, Tensor], config: TacoConfig, generator: torch.Generator | None = None) -> PairBatch:
    """Pose both modalities of each person and change the gamma and noise of each by itself, on the batch's device."""
    spacing = config.volume.spacing
    poses = batch["poses"].transpose(0, 1)  # (2, B, 3, 4)
    maps = compose(poses.flatten(0, 1), batch["motions"].transpose(0, 1).flatten(0, 1))  # (2B, 3, 4)
    volumes = apply_pose(batch["volumes"].transpose(0, 1).flatten(0, 1)[:, None], maps, spacing)  # (2B, 1, D, H, W)
    head = batch["foreground"].transpose(0, 1).flatten(0, 1)[:, None]
    foreground = apply_pose(head.float(), maps, spacing, nearest=True) > 0.5
    draws = torch.rand(len(volumes), 1, 1, 1, 1, generator=generator, device=volumes.device)
    gamma = 1 + config.augment.gamma * (2 * draws - 1)
    noise = config.augment.noise * torch.randn(volumes.shape, generator=generator, device=volumes.device)
    volumes = (volumes.clamp(min=1e-6) ** gamma + noise) * foreground
    truth = batch.get("to_template")
    if truth is not None:
        truth = apply_pose(truth, poses[0], spacing, border=True)
    a_to_b, registered = relative_pose(poses[0], poses[1]), batch.get("registered")
    if registered is not None:  # the map of the others is unknown: their tokens are read where they are
        a_to_b = torch.where(registered[:, None, None], a_to_b, torch.eye(3, 4, device=a_to_b.device))
    return PairBatch(volumes, foreground, batch["subjects"], a_to_b, truth, registered)
