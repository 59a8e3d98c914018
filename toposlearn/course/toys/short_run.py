"""A few dozen steps of training, measured on held-out people on the way: runs to compare with each other.

It is not the loop of `toposlearn.pretrain`: no schedule, no checkpoint, nothing is written. Runs with the same batches
and the same seed begin with the same weights and see the same images, so that only the loss differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from toposlearn.config import TacoConfig
from toposlearn.course.toys.tokens import ideal_tokens
from toposlearn.data import PairBatch, PairDataset, PosedSubjects, augment, prepare, read_manifest, split_subjects
from toposlearn.intervals import across_subjects, same_person
from toposlearn.losses import TacoLoss
from toposlearn.models import Taco, TacoOutput
from toposlearn.pretrain import encode, error_matrix
from toposlearn.pretrain.correspond import read_at_same_places
from toposlearn.reproducibility import set_seed, step_seed
from toposlearn.topology import neighbor_distance, neighbor_overlap, tokens_from_map

COARSE_SHARE = 0.25  # of a coarse token must be head: with one half, too few of 27 would be left to have neighbors

Measure = Callable[[Taco], Mapping[str, float]]


class ShortRun(NamedTuple):
    """The result of a short run."""

    network: Taco
    loss: list[float]  # of every step
    steps: list[int]  # after how many steps it was measured
    measures: dict[str, list[float]]  # each measure then


def draw_batches(config: TacoConfig, root: str | Path, subjects: int, *, truth: bool = False) -> list[PairBatch]:
    """Batches of all ``config.train.steps``, posed and changed in brightness, of the first training people of a folder.

    `truth` keeps the true places, which only the oracle matcher reads.
    """
    train, _ = split_subjects(read_manifest(root), test_fraction=config.train.test_fraction, minimum=2)
    chosen = train.select([record.name for record in train.records[:subjects]])
    config = config.replace(loss={"matcher": "oracle"}) if truth else config
    dataset = PairDataset(prepare(chosen, config.volume, progress=False), config)
    seeds = (step_seed(config.train.seed, step) for step in range(config.train.steps))
    return [augment(dataset[i], config, torch.Generator().manual_seed(seed)) for i, seed in enumerate(seeds)]


def short_run(
    config: TacoConfig, batches: Sequence[PairBatch], measure: Measure, *, side: int | None = None, every: int = 10
) -> ShortRun:
    """Train a new network, one step per batch, with AdamW; `measure` it at first and after every few steps.

    The loss reads side^3 tokens, averages of the network's (`coarse_tokens`), or with None all of them.
    """
    train = config.train
    set_seed(train.seed)
    network, loss = Taco(config.model), TacoLoss(config)
    optimizer = torch.optim.AdamW(network.parameters(), lr=train.learning_rate, weight_decay=train.weight_decay)
    run = ShortRun(network, [], [], {})
    for step, batch in enumerate([*batches, None]):
        if step % every == 0:
            run.steps.append(step)
            for name, value in measure(network.eval()).items():
                run.measures.setdefault(name, []).append(value)
        if batch is None:
            break
        network.train()
        places = batch.token_places(config.model.token_strides)
        total = loss(*_outputs(network, batch, config, side), batch.subjects, places=places).total
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), train.clip_norm)
        optimizer.step()
        run.loss.append(float(total.detach()))
    return run


def _outputs(network: Taco, batch: PairBatch, config: TacoConfig, side: int | None) -> tuple[TacoOutput, TacoOutput]:
    """Of both modalities, token i of both at the same place."""
    reconstruct = config.loss.weight_reconstruction > 0
    output_a, output_b = network(batch.volumes, batch.foreground, reconstruct).halves()
    if not config.augment.shared_pose:
        output_b = read_at_same_places(output_b, batch.a_to_b, config.volume)
    return (output_a, output_b) if side is None else (_coarse(output_a, side), _coarse(output_b, side))


def _coarse(output: TacoOutput, side: int) -> TacoOutput:
    masks = {stride: None if mask is None else coarse_mask(mask, side) for stride, mask in output.masks.items()}
    tokens = {stride: coarse_tokens(each, side) for stride, each in output.tokens.items()}
    return replace(output, tokens=tokens, masks=masks)


def coarse_tokens(tokens: Tensor, side: int) -> Tensor:
    """Tokens (B, N, F) of a cubic grid, averaged over the cells of a coarser one: (B, side^3, F). Places too."""
    grid = round(tokens.shape[1] ** (1 / 3))
    if grid**3 != tokens.shape[1] or not 1 <= side <= grid:
        raise ValueError(
            f"tokens must fill a cubic grid no coarser than side = {side}, got {tokens.shape[1]} tokens: choose a "
            "volume of equal sides, or a smaller side"
        )
    features = tokens.mT.reshape(len(tokens), -1, grid, grid, grid)  # (B, F, d, h, w)
    return tokens_from_map(F.adaptive_avg_pool3d(features, side))


def coarse_mask(mask: Tensor, side: int) -> Tensor:
    """The coarse tokens that count, at least a quarter of each in the head: (B, N) bool -> (B, side^3) bool."""
    return coarse_tokens(mask[..., None].float(), side)[..., 0] >= COARSE_SHARE


def measure_tokens(network: Taco, subjects: PosedSubjects, *, stride: int, k: int = 5) -> dict[str, float]:
    """Measure a network's tokens on held-out people, first modality against second, against the ground truth.

    ``same person`` and, where the truth is known, ``two people``: mm between a token's true place and its best match.
    ``neighbors apart``: mm in the head between neighbors of feature space. ``real neighbors``: share of a token's K
    neighbors in the head that are its neighbors in feature space.
    """
    tokens_a, tokens_b = (encode(network, subjects, modality)[stride] for modality in subjects.modalities[:2])
    places, mask = subjects.token_places(stride), subjects.token_mask(stride)
    errors = error_matrix(tokens_a, tokens_b, places, mask, across=subjects.known)[None]
    grid = subjects.token_positions(stride).expand_as(places)
    knowing = ideal_tokens(places, features=tokens_a.shape[-1])
    return {
        "same person": float(same_person(errors).mean()),
        **({"two people": across_subjects(errors)} if subjects.known else {}),
        "neighbors apart": float(neighbor_distance(tokens_a, positions=grid, k=k, mask=mask).mean()),
        "real neighbors": float(neighbor_overlap(knowing, tokens_a, k=k, mask=mask).mean()),
    }
