"""The pre-training loop: explicit, on Accelerate, the same from a laptop to many GPUs.

It is not a trainer framework: read it from top to bottom. Every draw of step s follows from (seed, s), so a resumed
run takes the same steps as one that was never interrupted.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from tqdm import tqdm

from toposlearn.config import TacoConfig, TrainConfig
from toposlearn.data import (
    Cache,
    Manifest,
    PairDataset,
    PosedSubjects,
    augment,
    pose_subjects,
    prepare,
    read_manifest,
    split_subjects,
)
from toposlearn.losses import TacoLoss, TacoTerms
from toposlearn.models import Taco
from toposlearn.pretrain.checkpoint import load_checkpoint, save_checkpoint
from toposlearn.pretrain.correspond import read_at_same_places
from toposlearn.pretrain.run_folder import CONFIG, HISTORY, SCORES, WEIGHTS, check_run, truncate, write_weights
from toposlearn.pretrain.scorecard import Controls, controls, scorecard
from toposlearn.reproducibility import set_seed

LOG_EVERY = 10  # steps between writes of the history: one device synchronization each


@dataclass
class Trainer:
    """One run in progress: model, optimizer, schedule, and what was logged since the last write."""

    config: TacoConfig
    accelerator: Accelerator
    out: Path
    model: torch.nn.Module = field(init=False)
    optimizer: Any = field(init=False)
    schedule: LambdaLR = field(init=False)
    loss: TacoLoss = field(init=False)
    step: int = 0
    untrained: tuple[str, ...] = ()
    pending: list[tuple[int, Tensor, float]] = field(default_factory=list)
    written: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        set_seed(self.config.train.seed)
        train = self.config.train
        model = Taco(self.config.model)
        optimizer = AdamW(model.parameters(), lr=train.learning_rate, weight_decay=train.weight_decay)
        self.schedule = LambdaLR(optimizer, lambda step: learning_rate_factor(step, train))
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.loss = TacoLoss(self.config)

    @property
    def network(self) -> Taco:
        """The model without what Accelerate wraps around it."""
        network: Taco = self.accelerator.unwrap_model(self.model)
        return network

    def resume(self) -> None:
        """Continue from the checkpoint in `out`."""
        state = load_checkpoint(self.out, self.accelerator.device)
        self.network.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.step = state["step"]
        truncate(self.out, self.step)

    def train_step(self, batch: dict[str, Tensor]) -> TacoTerms:
        """One optimizer step on the batch of step `self.step`."""
        process = self.accelerator.process_index
        set_seed((self.config.train.seed * 1_000_003 + self.step) * 4_099 + process)
        self.model.train()
        batch = {name: tensor.to(self.accelerator.device, non_blocking=True) for name, tensor in batch.items()}
        pair = augment(batch, self.config)
        with self.accelerator.autocast():
            redraw = self.config.loss.weight_reconstruction > 0
            output_a, output_b = self.model(pair.volumes, pair.foreground, redraw).halves()
        if not self.config.augment.shared_pose:
            output_b = read_at_same_places(output_b, pair.a_to_b, self.config.volume)
        places = pair.token_places(self.config.model.token_strides)
        terms: TacoTerms = self.loss(
            output_a, output_b, pair.subjects, self.step, places=places, registered=pair.registered
        )
        self.accelerator.backward(terms.total)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.train.clip_norm)
        if not self.untrained:
            self.untrained = tuple(n for n, weight in self.network.named_parameters() if weight.grad is None)
        self.pending.append((self.step, torch.stack([*terms, norm]).detach(), float(self.schedule.get_last_lr()[0])))
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return terms

    def write_history(self) -> None:
        """Append the pending steps to the history.

        Raises:
            FloatingPointError: a loss is not finite.
        """
        if not self.pending or not self.accelerator.is_main_process:
            self.pending.clear()
            return
        values = torch.stack([terms for _, terms, _ in self.pending]).double().tolist()
        seconds = (time.perf_counter() - self.written) / len(self.pending)
        names = (*TacoTerms._fields, "gradient_norm")
        with (self.out / HISTORY).open("a") as file:
            for (step, _, rate), row in zip(self.pending, values, strict=True):
                if not all(map(math.isfinite, row[:1])):
                    raise FloatingPointError(
                        f"the loss is {row[0]} at step {step}: lower train.learning_rate, or resume from {self.out}"
                    )
                line = {"step": step, **dict(zip(names, row, strict=True)), "learning_rate": rate, "seconds": seconds}
                file.write(json.dumps(line) + "\n")
        self.pending.clear()
        self.written = time.perf_counter()

    def checkpoint(self) -> None:
        """Write history and state."""
        self.write_history()
        if self.accelerator.is_main_process:
            save_checkpoint(
                self.out,
                step=self.step,
                model=self.network.state_dict(),
                optimizer=self.optimizer.state_dict(),
                schedule=self.schedule.state_dict(),
            )


def learning_rate_factor(step: int, train: TrainConfig) -> float:
    """Linear warm-up, then a cosine to zero."""
    if step < train.warmup_steps:
        return (step + 1) / train.warmup_steps
    progress = (step - train.warmup_steps) / max(train.steps - train.warmup_steps, 1)
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def pretrain(
    config: TacoConfig,
    data: str | Path,
    out: str | Path,
    *,
    resume: bool = False,
    cache: str | Path | None = None,
    progress: bool = True,
) -> Path:
    """Pre-train on the training people of a data folder.

    Writes below `out`: ``config.json``, ``history.jsonl`` (a line a step), ``scorecard.jsonl`` (metrics on held-out
    people, where the data set knows the truth), ``checkpoint.pt``, and at the end ``weights.safetensors``, ``card.md``.

    Args:
        config: all settings.
        data: a BIDS folder.
        out: the run's folder.
        resume: continue from its checkpoint.
        cache: where to keep preprocessed people; None keeps them below `data`.
        progress: show progress bars.

    Returns:
        The weights file.

    Raises:
        ValueError: bad data or settings, or `out` holds a run and `resume` is False.
        FileNotFoundError: nothing to train on, or nothing to resume.
        FloatingPointError: the loss is not finite.
    """
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)  # a stage that no term reaches
    accelerator = Accelerator(mixed_precision=_precision(config, progress), kwargs_handlers=[unused])
    out = Path(out)
    check_run(config, out, resume)  # before anything is computed
    train_subjects, test_subjects = open_data(
        config, data, cache, progress and accelerator.is_main_process, accelerator
    )
    dataset = PairDataset(train_subjects, config, accelerator.process_index)
    accelerator.wait_for_everyone()  # everybody has checked: now the folder may change
    trainer = Trainer(config, accelerator, out)
    if resume:
        trainer.resume()
    elif accelerator.is_main_process:
        out.mkdir(parents=True, exist_ok=True)
        trainer.checkpoint()  # from here on the run can be resumed
        config.save(out / CONFIG)
    judge = _judge(config, test_subjects) if accelerator.is_main_process else None
    started, first = time.perf_counter(), trainer.step
    bar = tqdm(
        _batches(dataset, trainer.step),
        desc=f"{config.variant}, seed {config.train.seed}",
        initial=trainer.step,
        total=config.train.steps,
        unit="step",
        disable=not progress or not accelerator.is_main_process,
    )
    for batch in bar:
        trainer.train_step(batch)
        if trainer.step % LOG_EVERY == 0:
            bar.set_postfix(loss=f"{float(trainer.pending[-1][1][0]):.4f}")
            trainer.write_history()
        last = trainer.step == config.train.steps
        if trainer.step % config.train.checkpoint_every == 0 or last:
            trainer.checkpoint()
        if judge and config.train.score_every and (trainer.step % config.train.score_every == 0 or last):
            _write_score(trainer, *judge)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        seconds = (time.perf_counter() - started) / max(trainer.step - first, 1)
        write_weights(out, trainer.network, config, train_subjects.manifest, trainer.untrained, seconds)
    return out / WEIGHTS


def _precision(config: TacoConfig, progress: bool) -> str:
    """The run's precision on an accelerator; on a processor full precision, and a line that says so.

    A processor gains nothing from bf16, and there torch 2.13 may return, as the weight gradient of a 3-D convolution
    over a map two voxels deep, memory that it never wrote.
    """
    if config.train.precision == "no" or torch.accelerator.is_available():
        return config.train.precision
    if progress:
        tqdm.write(f"no GPU: training in full precision instead of {config.train.precision}")
    return "no"


def open_data(
    config: TacoConfig, data: str | Path, cache: str | Path | None, progress: bool, accelerator: Accelerator
) -> tuple[Cache, Cache]:
    """Preprocess once (on the first process), and split into training and held-out people."""
    manifest: Manifest = read_manifest(data)
    with accelerator.main_process_first():
        prepared = prepare(manifest, config.volume, folder=cache, progress=progress, report=accelerator.is_main_process)
    train, test = split_subjects(manifest, test_fraction=config.train.test_fraction)
    return prepared.of(train), prepared.of(test)


def _batches(dataset: PairDataset, start: int) -> Iterator[dict[str, Tensor]]:
    """The batches from step `start` on; a batch is an item of the dataset."""
    return iter(DataLoader(dataset, batch_size=None, sampler=range(start, len(dataset))))


def _judge(config: TacoConfig, test: Cache) -> tuple[PosedSubjects, dict[int, Controls]] | None:
    """Held-out people and their controls, computed once; None when the truth is not known or too few people."""
    if not config.train.score_every:
        return None
    test = test.registered()
    few = test.manifest.records[: config.train.score_people]
    known = len(few) > 1 and all(record.to_template for record in few)
    if not known or len(config.volume.modalities) < 2:
        return None
    subjects = pose_subjects(Cache(Manifest(test.manifest.root, few), test.folder), config)
    return subjects, {stride: controls(subjects, stride) for stride in config.model.token_strides}


def _write_score(trainer: Trainer, subjects: PosedSubjects, reference: dict[int, Controls]) -> None:
    metrics = scorecard(trainer.network, subjects, reference=reference)
    with (trainer.out / SCORES).open("a") as file:
        file.write(json.dumps({"step": trainer.step, "metrics": metrics}) + "\n")
    trainer.written = time.perf_counter()
