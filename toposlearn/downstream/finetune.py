"""Fine-tuning for segmentation: a linear head on the fused tokens, and the encoder, learn from few labeled people.

In each step a random subset of the modalities is present, so that any subset can be read afterwards.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from monai.losses.dice import DiceCELoss
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from toposlearn.data import PosedSubjects
from toposlearn.data.pairs import step_generator
from toposlearn.downstream.segmentation import class_index, draw_voxels, grid_of, read_at
from toposlearn.models import Taco
from toposlearn.reproducibility import set_seed


@dataclass(frozen=True)
class FinetuneConfig:
    """Settings of fine-tuning."""

    subjects: int = 8  # labeled people
    poses: int = 4  # of each
    steps: int = 200
    subjects_per_step: int = 2
    voxels: int = 8192  # of the foreground, drawn per subject and step
    learning_rate: float = 3e-3
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Finetuned:
    """A network and the linear head on its tokens; a reader of tokens, as the frozen readers are."""

    model: Taco
    head: nn.Linear
    losses: tuple[float, ...]

    @torch.no_grad()
    def __call__(self, tokens: Tensor) -> Tensor:
        """Tokens (N, F) -> scores (N, C)."""
        scores: Tensor = self.head(tokens)
        return scores


def finetune(model: Taco, poses: Sequence[PosedSubjects], classes: Tensor, config: FinetuneConfig) -> Finetuned:
    """Train a copy of the network, and a head, to segment `classes` (C,), 0 first, on the same people in `poses`."""
    set_seed(config.seed)
    model = copy.deepcopy(model).train()
    stride = min(model.config.token_strides)
    head = nn.Linear(model.config.features_at(stride), len(classes))
    weights = [*model.parameters(), *head.parameters()]
    optimizer = AdamW(weights, lr=config.learning_rate, weight_decay=0.05)
    schedule = OneCycleLR(optimizer, config.learning_rate, total_steps=config.steps, pct_start=0.1)
    dice_and_entropy = DiceCELoss(softmax=True, to_onehot_y=True, batch=True)
    losses = []
    for step in range(config.steps):
        generator = step_generator(config.seed, step, 0)
        subjects = poses[int(torch.randint(len(poses), (1,), generator=generator))]
        chosen = torch.randperm(len(subjects.volumes), generator=generator)[: config.subjects_per_step]
        subjects = subjects.take(chosen.tolist())
        voxels = draw_voxels(subjects, config.voxels, generator)
        assert voxels.labels is not None
        scores = head(_tokens_of_a_subset(model, subjects, stride, generator))
        scores = read_at(scores, voxels.points, grid_of(subjects, stride))
        loss = dice_and_entropy(scores.mT, class_index(voxels.labels, classes)[:, None])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
    return Finetuned(model.eval(), head.eval(), tuple(torch.stack(losses).tolist()))


def _tokens_of_a_subset(model: Taco, subjects: PosedSubjects, stride: int, generator: torch.Generator) -> Tensor:
    """Tokens (B, N, F), mean of one or two drawn modalities: more would cost more and add nothing to learn."""
    count = min(int(torch.randint(1, 3, (1,), generator=generator)), len(subjects.modalities))
    present = torch.randperm(len(subjects.modalities), generator=generator)[:count]
    volumes = subjects.volumes[:, present]  # (B, m, D, H, W)
    tokens: Tensor = model(volumes.flatten(0, 1)[:, None], reconstruct=False).tokens[stride]
    return tokens.reshape(len(volumes), count, *tokens.shape[1:]).mean(dim=1)
