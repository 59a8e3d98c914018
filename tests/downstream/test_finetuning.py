"""The loop: it learns, stops early, and resumes after any stop with the same weights to the last bit."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from toposlearn.cli import execute
from toposlearn.data import Cache
from toposlearn.downstream import finetuning
from toposlearn.downstream.examples import Examples
from toposlearn.downstream.finetuning import Tuner, finetune_once, mean_dice, rate_factor
from toposlearn.downstream.network_file import NETWORK, load_network
from toposlearn.downstream.settings import FinetuneConfig, TaskConfig, finetune_config
from toposlearn.downstream.targets import Target
from toposlearn.models import load_weights
from toposlearn.pretrain import run_folder

AGE = TaskConfig("regression", target="age")
NUMBER = Target("regression", "age", names=("age",), center=50.0, spread=16.0)
BALLS = Target("segmentation", "seg", (0, 1, 2), ("background", "ball", "second"), {"ball": (1,)})
SHORT = {"steps": 6, "people_per_step": 1, "validate_every": 2, "checkpoint_every": 4, "patience": 0}


class Run:
    """A fine-tuning on five of eight people, validated on two."""

    def __init__(self, people: Cache, config: FinetuneConfig, target: Target, weights: Path) -> None:
        names = [record.name for record in people.manifest.records]
        self.config, self.weights = config, weights
        self.train, self.validation = (
            Examples(people.of(people.manifest.select(part)), target, config) for part in (names[:5], names[5:7])
        )

    def to(self, out: Path) -> dict[str, torch.Tensor]:
        """The weights after it has run, or continued, in this folder."""
        encoder = load_weights(self.weights)[0]
        return load_file(finetune_once(self.config, encoder, self.train, self.validation, out, progress=False))

    def tuner(self, out: Path) -> Tuner:
        return Tuner(self.config, load_weights(self.weights)[0], self.train.target.outputs, self.validation, out)


@pytest.fixture(scope="module")
def numbers(prepared_heads, tiny, tiny_weights):
    """Make a run of a regression with some settings changed."""
    return lambda **changes: Run(
        prepared_heads, finetune_config(tiny, AGE, **{**SHORT, **changes}), NUMBER, tiny_weights
    )


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def stop_in(monkeypatch, method: str, call: int) -> None:
    """Interrupt a run in this call, counted from 1, of a method of `Tuner`."""
    original, calls = getattr(Tuner, method), []

    def counted(self, *arguments):
        calls.append(method)
        if len(calls) == call:
            raise KeyboardInterrupt
        return original(self, *arguments)

    monkeypatch.setattr(Tuner, method, counted)


STOPS = {
    "before the first checkpoint": ("checkpoint", 1),
    "in the first step": ("train_step", 1),
    "between two checkpoints": ("train_step", 4),
    "after a checkpoint": ("train_step", 6),
    "while it validates": ("validate", 2),
    "in the last checkpoint": ("checkpoint", 3),
    "before the network is written": ("best_network", 1),
}


@pytest.fixture(scope="module")
def uninterrupted(numbers, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    return numbers().to(out), out


@pytest.mark.parametrize("stop", STOPS)
def test_a_run_that_was_stopped_has_the_same_weights_to_the_last_bit(
    stop, numbers, uninterrupted, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        stop_in(patch, *STOPS[stop])
        with pytest.raises(KeyboardInterrupt):
            numbers().to(tmp_path)
    assert not (tmp_path / NETWORK).exists()
    weights, out = uninterrupted
    assert same(numbers().to(tmp_path), weights)
    for name, values in (("history.jsonl", ("step", "loss")), ("validation.jsonl", ("step", "minus_loss"))):
        rows = [[row[value] for value in values] for row in lines(tmp_path / name)]
        assert rows == [[row[value] for value in values] for row in lines(out / name)]


def test_a_segmentation_is_resumed_to_the_last_bit_too(prepared_heads, tiny, tiny_weights, tmp_path, monkeypatch):
    config = finetune_config(tiny, TaskConfig(), **{**SHORT, "steps": 3, "checkpoint_every": 2}, missing="drop")
    run = Run(prepared_heads, config, BALLS, tiny_weights)
    weights = run.to(tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_in(patch, "train_step", 3)
        with pytest.raises(KeyboardInterrupt):
            run.to(tmp_path / "stopped")
    assert same(run.to(tmp_path / "stopped"), weights)


def test_what_a_run_writes(uninterrupted, numbers):
    weights, out = uninterrupted
    assert {path.name for path in out.iterdir()} == {"checkpoint.pt", "history.jsonl", "validation.jsonl", NETWORK}
    history = lines(out / "history.jsonl")
    assert [line["step"] for line in history] == list(range(6))
    assert all(math.isfinite(line["loss"]) and line["seconds"] > 1e-3 for line in history)
    factors = [rate_factor(step, numbers().config) for step in range(6)]
    assert [line["learning_rate"] for line in history] == pytest.approx(
        [numbers().config.learning_rate * factor for factor in factors]
    )
    assert [line["step"] for line in lines(out / "validation.jsonl")] == [2, 4, 6]
    network, config, target = load_network(out)
    assert not network.training
    assert config == numbers().config
    assert target == NUMBER
    assert same({name: part.cpu() for name, part in network.state_dict().items()}, weights)


def test_the_best_weights_of_validation_are_kept(numbers, tmp_path, monkeypatch):
    scores = iter([0.1, 0.1, 0.5, 0.5, 0.3, 0.3])  # of two people after each second step
    monkeypatch.setattr(Tuner, "_score", lambda self, index: next(scores))
    kept = {}
    validate = Tuner.validate

    def remember(self):
        validate(self)
        kept[self.step] = {name: part.clone() for name, part in self.network.state_dict().items()}

    monkeypatch.setattr(Tuner, "validate", remember)
    weights = numbers().to(tmp_path)
    assert same(weights, kept[4])
    assert not same(weights, kept[6])


def test_early_stopping_and_a_stop_after_it(numbers, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Tuner, "_score", lambda self, index: -float(self.step))
    run = numbers(steps=40, validate_every=1, checkpoint_every=40, patience=2)
    weights = run.to(tmp_path)
    assert "regression, seed 0: stopped at step 3, no better for 2 validations" in capsys.readouterr().err
    assert [line["step"] for line in lines(tmp_path / "validation.jsonl")] == [1, 2, 3]
    (tmp_path / NETWORK).unlink()  # as if stopped before it was written
    monkeypatch.setattr(Tuner, "train_step", None)
    assert same(run.to(tmp_path), weights)


def test_without_people_to_validate_on_all_steps_are_made(prepared_heads, tiny, tiny_weights, tmp_path):
    config = finetune_config(tiny, AGE, **{**SHORT, "steps": 2, "patience": 1})
    train = Examples(prepared_heads, NUMBER, config)
    none = Examples(prepared_heads.of(prepared_heads.manifest.select([])), NUMBER, config)
    finetune_once(config, load_weights(tiny_weights)[0], train, none, tmp_path, progress=False)
    assert len(lines(tmp_path / "history.jsonl")) == 2
    assert not (tmp_path / "validation.jsonl").exists()


def test_the_loss_falls_and_a_ball_is_found(prepared_heads, tiny, tiny_weights, tmp_path):
    changes = {"steps": 60, "people_per_step": 2, "learning_rate": 0.02, "validate_every": 60, "checkpoint_every": 60}
    run = Run(prepared_heads, finetune_config(tiny, TaskConfig(), **changes), BALLS, tiny_weights)
    run.to(tmp_path)
    losses = [line["loss"] for line in lines(tmp_path / "history.jsonl")]
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    assert lines(tmp_path / "validation.jsonl")[-1]["dice"] > 0.4


def test_half_precision_without_a_gpu_is_full_precision(numbers, uninterrupted, tmp_path, monkeypatch):
    precisions = []
    make = finetuning.make_accelerator
    monkeypatch.setattr(finetuning, "make_accelerator", lambda asked: precisions.append(asked) or make(asked))
    for precision in ("bf16", "fp16"):
        weights = numbers(precision=precision).to(tmp_path / precision)
        if not torch.accelerator.is_available():
            assert same(weights, uninterrupted[0])
    assert precisions == ["bf16", "fp16"]


def test_a_loss_that_is_not_finite_ends_the_run_before_its_weights_are_kept(numbers, tmp_path, monkeypatch):
    monkeypatch.setattr(finetuning, "task_loss", lambda kind, output, truth: output.sum() * math.nan)
    with pytest.raises(FloatingPointError, match="the loss is nan at step 0: lower --learning-rate"):
        numbers(validate_every=6).to(tmp_path)
    assert run_folder.load_checkpoint(tmp_path, torch.device("cpu"))["step"] == 0


def test_a_checkpoint_of_other_classes_is_one_line(numbers, prepared_heads, tiny, tiny_weights, uninterrupted):
    task = TaskConfig("classification", target="Sex")
    target = Target("classification", "Sex", ("F", "M"), ("F", "M"))
    run = Run(prepared_heads, finetune_config(tiny, task, **SHORT), target, tiny_weights)
    with pytest.raises(ValueError, match="holds a run on other classes: start a new one in another --out"):
        run.tuner(uninterrupted[1]).start()


def test_the_rate_warms_up_and_falls_to_nothing(tiny):
    config = finetune_config(tiny, AGE, steps=100, warmup=0.1)
    factors = [rate_factor(step, config) for step in range(100)]
    assert factors[0] == pytest.approx(1 / 11)
    assert max(factors) == factors[10] == 1.0
    assert factors[:11] == sorted(factors[:11])
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[-1] < 0.001


def test_mean_dice_of_the_classes_that_are_there():
    truth = torch.tensor([0, 1, 1, 2, 2, 2, 0, 0]).view(2, 2, 2)
    predicted = torch.tensor([0, 1, 1, 2, 0, 0, 3, 0]).view(2, 2, 2)
    assert mean_dice(predicted, truth) == pytest.approx((1 + 0.5 + 0) / 3)
    assert mean_dice(truth, truth) == 1
    assert mean_dice(torch.zeros_like(truth), torch.zeros_like(truth)) == 1


def test_a_process_that_is_killed_is_resumed_to_the_same_weights(heads, tmp_path, monkeypatch):
    monkeypatch.setenv("TOPOSLEARN_CACHE", str(tmp_path / "cache"))
    call = ["finetune", str(heads), "--preset", "smoke", "--modalities", "T1w", "--out"]
    assert execute([*call, str(tmp_path / "whole")]) == 0
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "toposlearn", *call, str(killed)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 100
    while not _steps(killed) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (killed / NETWORK).exists()
    assert execute([*call, str(killed), "--resume"]) == 0
    weights = load_file(tmp_path / "whole" / NETWORK)
    assert same(load_file(killed / NETWORK), weights)
    assert (killed / "scores.csv").read_text() == (tmp_path / "whole" / "scores.csv").read_text()


def _steps(out: Path) -> int:
    """How many steps a run has made for certain."""
    path = out / "validation.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_of_many_scores_a_part_of_the_voxels_is_compared_half_of_them_labeled(monkeypatch):
    monkeypatch.setattr(finetuning, "MOST_SCORES", 3 * 400)
    truth = torch.zeros(2, 1, 10, 10, 10)
    truth[0, 0, 2:8, 2:8, 2:8] = 1.0
    scores = torch.stack([truth[:, 0] * 10, truth[:, 0], truth[:, 0] * 0], dim=1)
    some, labels = finetuning._some_voxels(scores, truth)
    assert some.shape == (1, 3, 400)
    assert labels.shape == (1, 1, 400)
    assert 200 + 5 < int(labels.sum()) < 200 + 50  # of the other half, about a tenth lies in the cube
    torch.testing.assert_close(some[0, 0], labels[0, 0] * 10)
    assert finetuning._some_voxels(scores[:, :, :4, :4, :4], truth[:, :, :4, :4, :4])[0].shape == (2, 3, 4, 4, 4)
