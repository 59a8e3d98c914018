"""The loop of fine-tuning: a pre-trained encoder and what is added to it learn a task from labeled people.

Every draw of step s follows from (seed, s), so a resumed run takes the same steps as an uninterrupted one.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from monai.losses.dice import DiceCELoss
from torch import Tensor
from torch.nn import functional as F
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from toposlearn.data.gate.assessment import report_problems
from toposlearn.downstream.examples import Example, Examples
from toposlearn.downstream.network_file import NETWORK, save_network
from toposlearn.downstream.networks import PersonReader, Segmenter, build_network
from toposlearn.downstream.settings import CLASSIFICATION, SEGMENTATION, FinetuneConfig
from toposlearn.downstream.whole_heads import predict_head
from toposlearn.models import Taco
from toposlearn.pretrain import run_folder
from toposlearn.pretrain.loop import LOG_EVERY, make_accelerator
from toposlearn.reproducibility import set_seed, step_seed

VALIDATIONS = "validation.jsonl"
MOST_SCORES = (
    1 << 23
)  # of voxels and classes in a step's loss: two heads with 134 structures would have eight times that


def finetune_once(
    config: FinetuneConfig,
    encoder: Taco | None,
    train: Examples,
    validation: Examples,
    out: Path,
    *,
    label: str = "",
    progress: bool = True,
) -> Path:
    """Train on labeled people and return the network file ``out/network.safetensors``.

    `encoder` is the pre-trained network, which is changed; None: random weights. Training stops early when people of
    `validation` are no longer predicted better, and the best weights are kept; without such people all steps are made.
    Writes ``history.jsonl``, ``validation.jsonl`` and ``checkpoint.pt``, from which it continues if `out` has one.
    `label` stands before the progress. FloatingPointError: a loss that is not finite.
    """
    tuner = Tuner(config, encoder, train.target.outputs, validation, out)
    tuner.start()
    name = f"{config.task.kind}{f', {label}' if label else ''}, seed {config.seed}"
    with tqdm(total=config.steps, initial=tuner.step, desc=name, unit="step", disable=not progress) as bar:
        for batch in train.batches(range(tuner.step, 0 if tuner.stopped else config.steps)):
            tuner.train_step(batch)
            bar.update()
            if tuner.is_due(LOG_EVERY):
                bar.set_postfix(loss=f"{float(tuner.pending[-1][1]):.3f}", refresh=False)
                tuner.write_history()
            if len(validation.people) and tuner.is_due(config.validate_every):
                tuner.validate()
            if tuner.is_due(config.checkpoint_every) or tuner.stopped:
                tuner.checkpoint()
            if tuner.stopped:
                break
    if tuner.step < config.steps:
        report_problems([f"note: {name}: stopped at step {tuner.step}, no better for {config.patience} validations"])
    return save_network(out / NETWORK, tuner.best_network(), config, train.target)


class Tuner:
    """One run in progress."""

    def __init__(
        self, config: FinetuneConfig, encoder: Taco | None, outputs: int, validation: Examples, out: Path
    ) -> None:
        self.config, self.validation, self.out = config, validation, out
        set_seed(config.seed)
        network = build_network(Taco(config.model) if encoder is None else encoder, config, outputs)
        self.accelerator: Accelerator = make_accelerator(config.precision)
        optimizer = AdamW(_groups(network, config), weight_decay=config.weight_decay)
        self.schedule = LambdaLR(optimizer, lambda step: rate_factor(step, config))
        self.model, self.optimizer = self.accelerator.prepare(network, optimizer)
        self.step = 0
        self.best: dict[str, Any] = {"score": -math.inf, "step": 0, "waited": 0}
        self.best_weights: dict[str, Tensor] = {}  # empty: those that are there now
        self.pending: list[tuple[int, Tensor, float]] = []  # step, loss, learning rate
        self.written = time.perf_counter()

    @property
    def network(self) -> Segmenter | PersonReader:
        """The model without what Accelerate wraps around it."""
        network: Segmenter | PersonReader = self.accelerator.unwrap_model(self.model)
        return network

    @property
    def stopped(self) -> bool:
        """True where validation got no better for long enough."""
        waited: int = self.best["waited"]
        return 0 < self.config.patience <= waited

    def is_due(self, every: int) -> bool:
        """Whether the step just taken is one of every `every`, or the last."""
        return self.step % every == 0 or self.step == self.config.steps

    def start(self) -> None:
        """Continue from the checkpoint of the folder, or make the folder and its first checkpoint."""
        if not run_folder.has_checkpoint(self.out):
            self.out.mkdir(parents=True, exist_ok=True)
            self.checkpoint()
            return
        state = run_folder.load_checkpoint(self.out, self.accelerator.device)
        try:
            self.network.load_state_dict(state["model"])
        except RuntimeError:  # its message lists every weight
            raise ValueError(f"{self.out} holds a run on other classes: start a new one in another --out") from None
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.step, self.best, self.best_weights = state["step"], state["best"], state["best_weights"]
        run_folder.truncate(self.out, self.step)
        run_folder.truncate_lines(self.out / VALIDATIONS, self.step + 1)

    def train_step(self, batch: Example) -> None:
        """One optimizer step on the batch of step `self.step`."""
        batch = {name: part.to(self.accelerator.device, non_blocking=True) for name, part in batch.items()}
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
        read = ("volumes", "present", "foreground")[: 2 if self.config.task.kind == SEGMENTATION else 3]
        output: Tensor = self.model(*(batch[name] for name in read))
        return output

    def validate(self) -> None:
        """Score the people of the validation part, and keep the weights if they are the best so far."""
        self.write_history()
        scores = [self._score(index) for index in range(len(self.validation.people))]
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
        output = predict_head(self.network, example, self.config)
        truth = example["truth"].to(output.device)
        if self.config.task.kind == SEGMENTATION:
            return mean_dice(output.argmax(dim=0), truth[0])
        return -float(task_loss(self.config.task.kind, output[None], truth[None]))

    def best_network(self) -> Segmenter | PersonReader:
        """The network with the best weights."""
        if self.best_weights:
            self.network.load_state_dict(self.best_weights)
        return self.network

    def write_history(self) -> None:
        """Append the pending steps to the history; a loss that is not finite raises FloatingPointError."""
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
        output, truth = _some_voxels(output, truth)
        loss: Tensor = DiceCELoss(softmax=True, to_onehot_y=True, batch=True)(output.float(), truth)
        return loss
    if kind == CLASSIFICATION:
        return F.cross_entropy(output.float(), truth.long())
    return F.mse_loss(output[:, 0].float(), truth.float())


def _some_voxels(output: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (1, C, V) and truth (1, 1, V) at V random voxels, half of them labeled; all where there are few scores."""
    classes = output.shape[1]
    count = MOST_SCORES // classes
    if truth.numel() <= count:
        return output, truth
    labeled = truth.flatten().nonzero()[:, 0]
    labeled = labeled[torch.randperm(len(labeled), device=labeled.device)[: count // 2]]
    rows = torch.cat([labeled, torch.randint(truth.numel(), (count - len(labeled),), device=truth.device)])
    scores = output.movedim(1, -1).reshape(-1, classes).index_select(0, rows)
    return scores.T[None], truth.flatten()[rows][None, None]


def mean_dice(predicted: Tensor, truth: Tensor) -> float:
    """Mean Dice of class indices (D, H, W) over the classes in the truth or the prediction, without background."""
    highest = int(max(predicted.max(), truth.max())) + 1
    sizes = [torch.bincount(each.flatten(), minlength=highest) for each in (predicted, truth)]
    both = torch.bincount(truth[predicted == truth].flatten(), minlength=highest)
    there = (sizes[0] + sizes[1] > 0)[1:]
    dice = (2 * both / (sizes[0] + sizes[1]).clamp(min=1))[1:][there]
    return float(dice.mean()) if len(dice) else 1.0
