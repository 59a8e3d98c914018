"""The loop of fine-tuning: a pre-trained encoder and what is added to it learn a task from labeled people.

Every draw of step s follows from (seed, s), so a resumed run takes the same steps as an uninterrupted one.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from monai.losses.dice import DiceCELoss
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from toposlearn.downstream.examples import Example, Examples
from toposlearn.downstream.network_file import NETWORK, save_network
from toposlearn.downstream.networks import PersonReader, Segmenter, build_network
from toposlearn.downstream.settings import CLASSIFICATION, SEGMENTATION, FinetuneConfig
from toposlearn.downstream.sides import Sides
from toposlearn.downstream.whole_heads import predict_head
from toposlearn.models import Taco
from toposlearn.pretrain import run_folder
from toposlearn.pretrain.loop import LOG_EVERY, make_accelerator
from toposlearn.reproducibility import set_seed, step_seed, write_json

VALIDATIONS = "validation.jsonl"
SMOOTH = 1e-5  # in Dice, so that a class that a batch lacks counts as found


def finetune_once(
    config: FinetuneConfig,
    encoder: Taco | None,
    train: Examples,
    validation: Examples,
    sides: Sides,
    out: Path,
    *,
    resume: bool = False,
    progress: bool = True,
) -> Path:
    """Train on labeled people and return the network file ``out/network.safetensors``.

    `encoder` is the pre-trained network; None: random weights. Training stops early when people of `validation` are no
    longer predicted better, and the best weights are kept; without such people all steps are made. Writes
    ``config.json``, ``split.json``, ``history.jsonl``, ``validation.jsonl`` and ``checkpoint.pt``, from which `resume`
    continues. FloatingPointError: a loss that is not finite.
    """
    check_run(config, out, resume)
    tuner = Tuner(config, encoder, train, validation, out)
    tuner.start(resume)
    sides.save(out)
    write_json(out / run_folder.CONFIG, config.to_dict())
    name = f"{config.task.kind}{f', {sides.label}' if sides.label else ''}, seed {config.seed}"
    steps = range(tuner.step, config.steps)
    with tqdm(total=config.steps, initial=tuner.step, desc=name, unit="step", disable=not progress) as bar:
        for step in steps:
            if tuner.stopped:
                bar.write(f"stopped at step {step}: no better for {config.patience} validations")
                break
            tuner.train_step()
            bar.update()
            if tuner.is_due(LOG_EVERY):
                bar.set_postfix(loss=f"{float(tuner.pending[-1][1]):.3f}", refresh=False)
                tuner.write_history()
            if len(validation) and tuner.is_due(config.validate_every):
                tuner.validate()
            if tuner.is_due(config.checkpoint_every):
                tuner.checkpoint()
    tuner.checkpoint()
    return save_network(out / NETWORK, tuner.best_network(), config, train.target)


def check_run(config: FinetuneConfig, out: Path, resume: bool) -> None:
    """Raise unless `out` can take this run; nothing is written."""
    saved = out / run_folder.CONFIG
    if resume and not run_folder.has_checkpoint(out):
        raise FileNotFoundError(f"no checkpoint in {out}: run without --resume to start from the beginning")
    if not resume:
        if saved.exists():
            raise ValueError(f"{out} already holds a run: continue it with --resume, or choose another --out")
        return
    try:
        stored = json.loads(saved.read_bytes())
    except (FileNotFoundError, ValueError):
        return  # lost or cut off, as by a full disk: written again
    if stored != json.loads(json.dumps(config.to_dict())):
        different = [
            name for name, value in json.loads(json.dumps(config.to_dict())).items() if stored.get(name) != value
        ]
        raise ValueError(
            f"{out} holds a run with other settings ({', '.join(different)}): resume it with the same ones"
        )


class Tuner:
    """One run in progress."""

    def __init__(
        self, config: FinetuneConfig, encoder: Taco | None, train: Examples, validation: Examples, out: Path
    ) -> None:
        self.config, self.train, self.validation, self.out = config, train, validation, out
        set_seed(config.seed)
        network = build_network(encoder or Taco(config.model), config, train.target.outputs)
        self.accelerator: Accelerator = make_accelerator(config.precision)
        optimizer = AdamW(_groups(network, config), weight_decay=config.weight_decay)
        self.schedule = LambdaLR(optimizer, lambda step: rate_factor(step, config))
        self.model, self.optimizer = self.accelerator.prepare(network, optimizer)
        self.step = 0
        self.best: dict[str, Any] = {"score": -math.inf, "step": 0, "waited": 0}
        self.best_weights: dict[str, Tensor] = {}  # empty: those that are there now
        self.pending: list[tuple[int, Tensor, float]] = []
        self.written = time.perf_counter()

    @property
    def network(self) -> Segmenter | PersonReader:
        """The model without what Accelerate wraps around it."""
        network: Segmenter | PersonReader = self.accelerator.unwrap_model(self.model)
        return network

    @property
    def stopped(self) -> bool:
        """True where validation got no better for long enough."""
        return 0 < self.config.patience <= self.best["waited"]

    def is_due(self, every: int) -> bool:
        """Whether the step just taken is one of every `every`, or the last."""
        return self.step % every == 0 or self.step == self.config.steps

    def start(self, resume: bool) -> None:
        """Make the folder and its first checkpoint, or continue from the one that is there."""
        if not resume:
            self.out.mkdir(parents=True, exist_ok=True)
            self.checkpoint()
            return
        state = run_folder.load_checkpoint(self.out, self.accelerator.device)
        self.network.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.step, self.best, self.best_weights = state["step"], state["best"], state["best_weights"]
        run_folder.truncate(self.out, self.step)
        run_folder.truncate_lines(self.out / VALIDATIONS, self.step + 1)

    def train_step(self) -> None:
        """One optimizer step on the batch of step `self.step`."""
        batch = {name: part.to(self.accelerator.device) for name, part in self.train.batch(self.step).items()}
        set_seed(step_seed(self.config.seed, self.step))  # of dropout
        self.model.train()
        with self.accelerator.autocast():
            loss = task_loss(self.config.task.kind, self.forward(batch), batch["truth"])
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.pending.append((self.step, loss.detach(), float(self.schedule.get_last_lr()[-1])))
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1

    def forward(self, batch: Example) -> Tensor:
        """The network's output for a batch."""
        inputs = (
            ("volumes", "present") if self.config.task.kind == SEGMENTATION else ("volumes", "present", "foreground")
        )
        output: Tensor = self.model(*(batch[name] for name in inputs))
        return output

    def validate(self) -> None:
        """Score the people of the validation part, and keep the weights if they are the best so far."""
        scores = [self._score(index) for index in range(len(self.validation))]
        score = sum(scores) / len(scores)
        if score > self.best["score"]:
            self.best = {"score": score, "step": self.step, "waited": 0}
            self.best_weights = {name: part.detach().clone() for name, part in self.network.state_dict().items()}
        else:
            self.best = {**self.best, "waited": self.best["waited"] + 1}
        measure = "dice" if self.config.task.kind == SEGMENTATION else "minus_loss"
        run_folder.append_line(self.out / VALIDATIONS, {"step": self.step, measure: score})
        self.written = time.perf_counter()

    def _score(self, index: int) -> float:
        """Mean Dice over the classes of one person, or minus the loss."""
        example = self.validation.whole(index)
        output = predict_head(self.network.eval(), example, self.config, self.accelerator.device)
        truth = example["truth"].to(output.device)
        if self.config.task.kind == SEGMENTATION:
            return mean_dice(output.argmax(dim=0), truth[0])
        return -float(task_loss(self.config.task.kind, output[None], truth[None]))

    def best_network(self) -> nn.Module:
        """The network with the best weights."""
        if self.best_weights:
            self.network.load_state_dict(self.best_weights)
        return self.network

    def write_history(self) -> None:
        """Append the pending steps to the history."""
        pending, self.pending = self.pending, []
        if not pending:
            return
        values = torch.stack([loss for _, loss, _ in pending]).double().tolist()
        seconds = (time.perf_counter() - self.written) / len(pending)
        for (step, _, rate), loss in zip(pending, values, strict=True):
            if not math.isfinite(loss):
                raise FloatingPointError(f"the loss is {loss} at step {step}: lower --learning-rate, in another --out")
            line = {"step": step, "loss": loss, "learning_rate": rate, "seconds": seconds}
            run_folder.append_line(self.out / run_folder.HISTORY, line)
        self.written = time.perf_counter()

    def checkpoint(self) -> None:
        """Write history and state."""
        self.write_history()
        parts = {"model": self.network, "optimizer": self.optimizer, "schedule": self.schedule}
        states = {name: part.state_dict() for name, part in parts.items()}
        run_folder.save_checkpoint(self.out, step=self.step, best=self.best, best_weights=self.best_weights, **states)


def _groups(network: Segmenter | PersonReader, config: FinetuneConfig) -> list[dict[str, Any]]:
    """Parameters that learn: those of the encoder, at a lower rate where they are pre-trained, and those added."""
    own = {id(weight) for weight in network.encoder.parameters()}
    encoder = [weight for weight in network.encoder.parameters() if weight.requires_grad]
    added = [weight for weight in network.parameters() if id(weight) not in own]
    rate = config.learning_rate * (1 if config.from_scratch else config.encoder_rate)
    groups = [{"params": encoder, "lr": rate}, {"params": added, "lr": config.learning_rate}]
    return [group for group in groups if group["params"]]


def rate_factor(step: int, config: FinetuneConfig) -> float:
    """Linear warm-up, then a cosine to zero."""
    warm = config.warmup * config.steps
    if step < warm:
        return (step + 1) / (warm + 1)
    return 0.5 * (1 + math.cos(math.pi * min((step - warm) / max(config.steps - warm, 1), 1.0)))


def task_loss(kind: str, output: Tensor, truth: Tensor) -> Tensor:
    """Dice and cross-entropy (B, C, D, H, W), cross-entropy (B, C), or mean squared error (B, 1)."""
    if kind == SEGMENTATION:
        loss: Tensor = DiceCELoss(softmax=True, to_onehot_y=True, batch=True)(output.float(), truth)
        return loss
    if kind == CLASSIFICATION:
        return F.cross_entropy(output.float(), truth.long())
    return F.mse_loss(output[:, 0].float(), truth.float())


def mean_dice(predicted: Tensor, truth: Tensor) -> float:
    """Mean Dice of class indices (D, H, W) over the classes in the truth or the prediction, without background."""
    highest = int(max(predicted.max(), truth.max())) + 1
    sizes = [torch.bincount(each.flatten(), minlength=highest) for each in (predicted, truth)]
    both = torch.bincount(truth[predicted == truth].flatten(), minlength=highest)
    there = (sizes[0] + sizes[1] > 0)[1:]
    dice = (2 * both / (sizes[0] + sizes[1]).clamp(min=1))[1:][there]
    return float(dice.mean()) if len(dice) else 1.0
