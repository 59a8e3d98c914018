"""The pre-training loop: explicit, on Accelerate, the same from a laptop to many GPUs.

Every draw of step s follows from (seed, s), so a resumed run takes the same steps as an uninterrupted one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from toposlearn.config import TacoConfig
from toposlearn.data import Cache, Manifest, PairDataset, PointSource, augment, pose_subjects, prepare, read_manifest
from toposlearn.data.batches import load_batches
from toposlearn.data.gate.assessment import REPORTED, report_problems
from toposlearn.data.posed import measurable
from toposlearn.data.source import Data
from toposlearn.losses import TacoLoss, TacoTerms
from toposlearn.models import Taco
from toposlearn.pretrain import run_folder
from toposlearn.pretrain.correspond import read_at_same_places
from toposlearn.pretrain.readout import readout_chooser
from toposlearn.pretrain.scorecard import controls, scorecard
from toposlearn.reproducibility import set_seed, step_seed
from toposlearn.settings import TrainConfig

LOG_EVERY = 10  # steps between writes of the history: one device synchronization each


def pretrain(
    config: TacoConfig,
    data: Data | Manifest,
    out: str | Path,
    *,
    resume: bool = False,
    hash_names: bool = False,
    points: PointSource | None = None,
    cache: str | Path | None = None,
    progress: bool = True,
) -> Path:
    """Pre-train on the training people of `data`, a folder or a manifest, and return the weights file.

    Writes below `out`: ``config.json``, ``split.json`` (who is trained on, and who is held out), ``history.jsonl`` (one
    line per step), ``scorecard.jsonl`` (metrics on held-out people, where the data set has the truth),
    ``checkpoint.pt``, and at the end ``weights.safetensors`` and ``card.md``. `resume` continues from the checkpoint,
    with the people of its split. With `hash_names`, people are stored as salted hashes. `points` are places known in
    training people, on whom the readout is chosen. `cache` is the folder of the preprocessed people
    (default: below `data`).
    Raises ValueError for bad data or settings, or a run in `out` without `resume`, FileNotFoundError without people or
    checkpoint, and FloatingPointError when the loss is not finite.
    """
    accelerator, out = make_accelerator(config.train.precision), Path(out)
    run_folder.check_run(config, out, resume)  # before anything is computed
    manifest = data if isinstance(data, Manifest) else read_manifest(data, config.volume.modalities)
    first = accelerator.is_main_process
    if first:
        _report(manifest.notes)
    with accelerator.main_process_first():
        how = {"unpaired": config.train.unpaired, "progress": progress and first, "report": first}
        prepared = prepare(manifest, config.volume, folder=cache, **how)
    sides = run_folder.sides(out, prepared, manifest, config, resume)
    train_subjects, test_subjects = map(prepared.of, sides)
    split = run_folder.split_of(out, train_subjects, sides[1], resume, hash_names)
    choose = readout_chooser(train_subjects, config, points or PointSource()) if first else None
    dataset = PairDataset(train_subjects, config, accelerator.process_index, accelerator.num_processes)
    accelerator.wait_for_everyone()  # every process has checked: now the folder may change
    if first and not resume:
        run_folder.write_split(out, split)
    trainer = Trainer(config, accelerator, out)
    trainer.start(resume)
    if first and resume:  # it may have been missing
        run_folder.write_split(out, split)
    score = _scorer(config, test_subjects) if accelerator.is_main_process else None
    began, started_at = time.perf_counter(), trainer.step
    bar = _batches(dataset, trainer, progress)
    for batch in bar:
        trainer.train_step(batch)
        if trainer.is_due(LOG_EVERY):
            bar.set_postfix(loss=f"{float(trainer.pending[-1][1][0]):.4f}")
            trainer.write_history()
        if trainer.is_due(config.train.checkpoint_every):
            trainer.checkpoint()
        if score and trainer.is_due(config.train.score_every):
            run_folder.append_line(out / run_folder.SCORES, {"step": trainer.step, "metrics": score(trainer.network)})
            trainer.written = time.perf_counter()
    accelerator.wait_for_everyone()
    if choose:
        seconds = (time.perf_counter() - began) / max(trainer.step - started_at, 1)
        roots = dict.fromkeys(record.root for record in train_subjects.manifest.records)
        readout = choose(trainer.network)
        run_folder.write_weights(out, trainer.network, config, split, readout, trainer.untrained, seconds, roots)
    return out / run_folder.WEIGHTS


class Trainer:
    """One run in progress: model, optimizer, schedule, and the steps logged since the last write."""

    def __init__(self, config: TacoConfig, accelerator: Accelerator, out: Path) -> None:
        self.config, self.accelerator, self.out = config, accelerator, out
        set_seed(config.train.seed)
        model = Taco(config.model)
        optimizer = AdamW(model.parameters(), lr=config.train.learning_rate, weight_decay=config.train.weight_decay)
        self.schedule = LambdaLR(optimizer, lambda step: learning_rate_factor(step, config.train))
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        self.loss = TacoLoss(config)
        self.step = 0
        self.untrained: tuple[str, ...] = ()  # weights without a gradient
        self.pending: list[tuple[int, Tensor, float]] = []  # step, terms and gradient norm, learning rate
        self.written = time.perf_counter()

    @property
    def network(self) -> Taco:
        """The model without what Accelerate wraps around it."""
        network: Taco = self.accelerator.unwrap_model(self.model)
        return network

    def start(self, resume: bool) -> None:
        """Make the folder and its first checkpoint, or continue from the checkpoint that is there."""
        if resume:
            state = run_folder.load_checkpoint(self.out, self.accelerator.device)
            self.network.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
            self.step = state["step"]
            if self.accelerator.is_main_process:
                run_folder.truncate(self.out, self.step)
                run_folder.write_config(self.out, self.config)
        elif self.accelerator.is_main_process:
            self.out.mkdir(parents=True, exist_ok=True)
            self.checkpoint()  # from here on the run can be resumed
            run_folder.write_config(self.out, self.config)

    def is_due(self, every: int) -> bool:
        """Whether the step just taken is one of every `every` (0: none), or the last."""
        return every > 0 and (self.step % every == 0 or self.step == self.config.train.steps)

    def train_step(self, batch: dict[str, Tensor]) -> TacoTerms:
        """One optimizer step on the batch of step `self.step`."""
        set_seed(step_seed(self.config.train.seed, self.step, self.accelerator.process_index))
        self.model.train()
        batch = {name: tensor.to(self.accelerator.device, non_blocking=True) for name, tensor in batch.items()}
        pair = augment(batch, self.config)
        with self.accelerator.autocast():
            redraw = self.config.loss.weight_reconstruction > 0
            output_a, output_b = self.model(pair.volumes, pair.foreground, redraw).halves()
        if not self.config.augment.shared_pose:
            output_b = read_at_same_places(output_b, pair.a_to_b, self.config.volume)
        places = pair.token_places(self.config.model.token_strides)
        facts = {"places": places, "registered": pair.registered}
        terms: TacoTerms = self.loss(output_a, output_b, pair.subjects, self.step, **facts)
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
        """Append the pending steps to the history; a loss that is not finite raises FloatingPointError."""
        pending, self.pending = self.pending, []
        if not pending or not self.accelerator.is_main_process:
            return
        values = torch.stack([terms for _, terms, _ in pending]).double().tolist()
        seconds = (time.perf_counter() - self.written) / len(pending)
        names = (*TacoTerms._fields, "gradient_norm")
        for (step, _, rate), row in zip(pending, values, strict=True):
            if not math.isfinite(row[0]):
                remedy = f"lower train.learning_rate, or resume from {self.out}"
                raise FloatingPointError(f"the loss is {row[0]} at step {step}: {remedy}")
            line = {"step": step, **dict(zip(names, row, strict=True)), "learning_rate": rate, "seconds": seconds}
            run_folder.append_line(self.out / run_folder.HISTORY, line)
        self.written = time.perf_counter()

    def checkpoint(self) -> None:
        """Write history and state."""
        self.write_history()
        if self.accelerator.is_main_process:
            parts = {"model": self.network, "optimizer": self.optimizer, "schedule": self.schedule}
            states = {name: part.state_dict() for name, part in parts.items()}
            run_folder.save_checkpoint(self.out, step=self.step, **states)


def learning_rate_factor(step: int, train: TrainConfig) -> float:
    """Linear warm-up, then a cosine to zero."""
    if step < train.warmup_steps:
        return (step + 1) / train.warmup_steps
    progress = (step - train.warmup_steps) / max(train.steps - train.warmup_steps, 1)
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def make_accelerator(precision: str) -> Accelerator:
    """All processes and devices, at this precision; without a GPU at full precision, which is reported.

    A CPU gains nothing from bf16, and on it torch 2.13 may return unwritten memory as the weight gradient of a 3-D
    convolution over a map two voxels deep.
    """
    possible = precision if torch.accelerator.is_available() else "no"
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)  # a stage that no term reaches
    accelerator = Accelerator(mixed_precision=possible, kwargs_handlers=[unused])
    if possible != precision:
        accelerator.print(f"no GPU: training in full precision instead of {precision}")
    return accelerator


def _report(notes: Sequence[str]) -> None:
    """Report which files and people of the data are not used: `REPORTED` lines or fewer."""
    more = [f"and {len(notes) - REPORTED + 1} more notes: 'toposlearn inspect' lists them"] * (len(notes) > REPORTED)
    report_problems([*notes[: REPORTED - len(more)], *more])


def _batches(dataset: PairDataset, trainer: Trainer, progress: bool) -> tqdm[dict[str, Tensor]]:
    """The batches from the trainer's step on, one item of the dataset each, under a progress bar."""
    return tqdm(
        load_batches(dataset, range(trainer.step, len(dataset))),
        desc=f"{trainer.config.variant}, seed {trainer.config.train.seed}",
        initial=trainer.step,
        total=len(dataset),
        unit="step",
        disable=not progress or not trainer.accelerator.is_main_process,
    )


def _scorer(config: TacoConfig, test: Cache) -> Callable[[Taco], dict[str, dict[str, Any]]] | None:
    """The scorecard on held-out people, with controls computed once; None without truth or with fewer than two."""
    few = measurable(test, config.train.score_people)
    known = len(few) > 1 and all(record.to_template for record in few.manifest.records)
    if not config.train.score_every or not known or len(config.volume.modalities) < 2:
        return None
    subjects = pose_subjects(few, config)
    reference = {stride: controls(subjects, stride) for stride in config.model.token_strides}
    return partial(scorecard, subjects=subjects, reference=reference)
