"""The loop on real (small) data: what it writes, that it learns, that it resumes as if never interrupted."""

import dataclasses
import json
import math
import os
import shutil
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from accelerate import Accelerator

from toposlearn import cli
from toposlearn.config import TacoConfig, with_variant
from toposlearn.data import PairDataset, Split, read_manifest, split_subjects
from toposlearn.data.tensors import INTER
from toposlearn.models import load_readout, load_weights
from toposlearn.pretrain import Trainer, loop, pretrain
from toposlearn.pretrain.loop import learning_rate_factor

TERMS = ("total", "reconstruction", "intra", "inter")


@pytest.fixture(scope="module")
def run(config, cohort, cache, tmp_path_factory) -> Path:
    """One uninterrupted run."""
    out = tmp_path_factory.mktemp("run") / "new" / "run"
    pretrain(config, cohort, out, cache=cache, progress=False)
    return out


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def trainer(config: TacoConfig, out: Path) -> Trainer:
    return Trainer(config, Accelerator(cpu=True), out)


def test_a_run_writes_what_it_promises(run, config):
    expected = {
        "config.json",
        "split.json",
        "history.jsonl",
        "scorecard.jsonl",
        "checkpoint.pt",
        "weights.safetensors",
        "card.md",
    }
    assert {path.name for path in run.iterdir()} == expected
    assert TacoConfig.load(run / "config.json") == config
    model, stored = load_weights(run / "weights.safetensors")
    assert stored == config
    assert "people trained on: 4" in (run / "card.md").read_text()  # two of six are held out
    assert "no loss term reached: none" in (run / "card.md").read_text()
    readout = load_readout(run / "weights.safetensors")
    assert readout.chosen == "lowest error between different people, 4 of the people trained on"
    assert f"a token: {readout}" in (run / "card.md").read_text()
    assert torch.isfinite(torch.cat([weight.flatten() for weight in model.parameters()])).all()


def test_the_history_has_one_line_per_step(run, config):
    history = lines(run / "history.jsonl")
    assert [line["step"] for line in history] == list(range(7))
    for line in history:
        assert set(line) == {"step", *TERMS, "gradient_norm", "learning_rate", "seconds"}
        assert all(math.isfinite(line[name]) for name in TERMS)
        assert line["total"] == pytest.approx(line["reconstruction"] + line["intra"] + line["inter"], rel=1e-5)
        factor = learning_rate_factor(line["step"], config.train)
        assert line["learning_rate"] == pytest.approx(config.train.learning_rate * factor)
        assert line["seconds"] > 0


def test_the_scorecard_is_on_people_held_out(run, config):
    (score,) = lines(run / "scorecard.jsonl")
    assert score["step"] == 7
    for stride in config.model.token_strides:
        error = score["metrics"][f"stride{stride}/across_people_error"]
        assert error["n"] == 2
        assert error["low"] <= error["value"] <= error["high"]
        assert {"unit", "null", "baseline"} <= set(error)


def interrupt_at(monkeypatch, step: int) -> None:
    train_step = Trainer.train_step

    def interrupted(self, batch):
        if self.step == step:
            raise KeyboardInterrupt
        return train_step(self, batch)

    monkeypatch.setattr(Trainer, "train_step", interrupted)


@pytest.mark.parametrize("step", [1, 5])
def test_a_resumed_run_is_the_uninterrupted_one(run, config, cohort, cache, tmp_path, monkeypatch, step):
    """Interrupted before its first checkpoint on disk, and after; also: two runs with one seed are equal."""
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        interrupt_at(patch, step)
        with pytest.raises(KeyboardInterrupt):
            pretrain(config, cohort, out, cache=cache, progress=False)
    assert not (out / "weights.safetensors").exists()
    pretrain(config, cohort, out, cache=cache, resume=True, progress=False)
    resumed, whole = (load_weights(folder / "weights.safetensors")[0].state_dict() for folder in (out, run))
    for name, tensor in whole.items():
        torch.testing.assert_close(resumed[name], tensor, rtol=1e-3, atol=1e-5)
    history, expected = lines(out / "history.jsonl"), lines(run / "history.jsonl")
    assert [line["step"] for line in history] == list(range(7))
    for line, reference in zip(history, expected, strict=True):
        assert line["total"] == pytest.approx(reference["total"], rel=1e-3)
    assert [line["step"] for line in lines(out / "scorecard.jsonl")] == [7]


def test_a_finished_run_can_be_resumed_and_changes_nothing(run, config, cohort, cache):
    before = (run / "history.jsonl").read_text(), (run / "weights.safetensors").read_bytes()
    pretrain(config, cohort, run, cache=cache, resume=True, progress=False)
    assert ((run / "history.jsonl").read_text(), (run / "weights.safetensors").read_bytes()) == before


def test_a_run_is_never_overwritten_or_continued_with_other_settings(run, config, cohort, cache):
    before = (run / "config.json").read_text()
    with pytest.raises(ValueError, match="already holds a run: continue it with --resume, or choose another --out"):
        pretrain(config, cohort, run, cache=cache, progress=False)
    other = config.replace(train={"seed": 1})
    with pytest.raises(ValueError, match="holds a run with other settings"):
        pretrain(other, cohort, run, cache=cache, resume=True, progress=False)
    assert (run / "config.json").read_text() == before


def test_there_must_be_something_to_resume(config, cohort, cache, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint in .*: run without --resume"):
        pretrain(config, cohort, tmp_path / "run", cache=cache, resume=True, progress=False)
    assert not (tmp_path / "run").exists()


def test_a_damaged_checkpoint_ends_in_one_line(config, cohort, tmp_path, capsys, monkeypatch, cache):
    out = tmp_path / "run"
    out.mkdir()
    (out / "checkpoint.pt").write_bytes(b"half")
    config.save(out / "config.json")
    with pytest.raises(ValueError, match=r"checkpoint.pt is damaged"):
        pretrain(config, cohort, out, cache=cache, resume=True, progress=False)
    assert {path.name for path in out.iterdir()} == {"checkpoint.pt", "config.json"}


def test_an_output_that_cannot_be_written_is_reported_before_anything_is_computed(config, cohort, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file is no folder that may be written; choose another --out"):
        pretrain(config, cohort, tmp_path / "file" / "run", progress=False)


def folder_of_few(cohort, root, count):
    root.mkdir()
    for number in range(1, count + 1):
        (root / f"sub-{number:03d}").symlink_to(cohort / f"sub-{number:03d}")
    return root


def test_of_two_people_both_are_trained_on_and_nobody_is_held_out(config, cohort, tmp_path, capsys):
    few, out = folder_of_few(cohort, tmp_path / "data", 2), tmp_path / "run"
    pretrain(config.replace(train={"steps": 2}), few, out, cache=tmp_path / "cache", progress=False)
    assert f"all people of {few} are trained on (2): no one is held out" in capsys.readouterr().err
    split = Split.load(out)
    assert (len(split.train), len(split.held_out)) == (2, 0)
    assert not (out / "scorecard.jsonl").exists()


def test_one_person_is_trained_on_alone_without_the_inter_term(cohort, tmp_path, capsys):
    few, out = folder_of_few(cohort, tmp_path / "data", 1), tmp_path / "run"
    command = ["pretrain", "--preset", "smoke", "--steps", "2", "--data", str(few), "--out", str(out)]
    assert cli.execute([*command, "--cache", str(tmp_path / "cache")]) == 0
    assert "TOPOSLEARN_CACHE" not in os.environ  # for this command only
    assert list((tmp_path / "cache").rglob("sub-001.safetensors"))
    assert "note: a step takes 1 instead of 2 people" in capsys.readouterr().err
    lines = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    assert [line["inter"] for line in lines] == [0, 0]
    assert all(line["intra"] > 0 for line in lines)


def test_without_truth_there_is_training_but_no_scorecard(config, cohort, cache, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for number in range(1, 7):
        (data / f"sub-{number:03d}").symlink_to(cohort / f"sub-{number:03d}")
    short = config.replace(train={"steps": 1, "score_every": 1})
    weights = pretrain(short, data, tmp_path / "run", cache=tmp_path / "cache", progress=False)
    assert weights.exists()
    assert not (weights.parent / "scorecard.jsonl").exists()
    assert load_readout(weights).chosen == "lowest error between two poses of a person, 4 of the people trained on"


def test_the_loss_falls_on_one_batch(subjects, config, tmp_path):
    easy = config.replace(train={"steps": 60, "warmup_steps": 2, "learning_rate": 2e-3})
    one, batch = trainer(easy, tmp_path), PairDataset(subjects, easy)[0]
    totals = [one.train_step(batch).total.item() for _ in range(24)]
    assert all(map(math.isfinite, totals))
    assert sum(totals[-4:]) < 0.7 * sum(totals[:4])


@pytest.mark.parametrize(
    ("variant", "on"),
    [("reconstruction", {"reconstruction"}), ("intra", {"reconstruction", "intra"}), ("full", set(TERMS[1:]))],
)
def test_a_variant_really_leaves_terms_out(subjects, config, tmp_path, variant, on):
    less = with_variant(config, variant)
    one = trainer(less, tmp_path)
    terms = one.train_step(PairDataset(subjects, less)[0])
    assert {name for name in TERMS[1:] if getattr(terms, name) != 0} == on
    assert terms.total.item() == pytest.approx(sum(getattr(terms, name).item() for name in on), rel=1e-5)


def test_people_who_are_not_registered_teach_across_people_only(subjects, config, tmp_path):
    together = [subjects[index] for index in range(len(subjects))]
    apart = [dataclasses.replace(subject, pairs=torch.full((4, 4), INTER)) for subject in together]
    terms = trainer(config, tmp_path).train_step(PairDataset(apart, config)[0])
    assert terms.intra == 0
    assert terms.inter > 0
    assert torch.isfinite(terms.total)
    with pytest.raises(ValueError, match="0 people to train on"):
        PairDataset(apart, with_variant(config, "intra"))


def test_a_folder_with_images_that_lie_elsewhere_is_trained_on_and_scored(config, cohort, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(cohort, data)
    for number in (1, 2, 3):
        path = data / f"sub-{number:03d}/anat/sub-{number:03d}_T2w.nii.gz"
        image = nib.load(path)
        nib.save(
            nib.Nifti1Image(np.asarray(image.dataobj), nib.affines.from_matvec(np.eye(3), (9, 0, 9)) @ image.affine),
            path,
        )
    short = config.replace(train={"steps": 2, "score_every": 2, "test_fraction": 0.6, "score_people": 6})
    weights = pretrain(short, data, tmp_path / "run", progress=False)
    reported = capsys.readouterr().err
    assert reported.count("T2w: inter only: the images lie about 13 mm apart") == 3
    (score,) = lines(weights.parent / "scorecard.jsonl")
    held_out = split_subjects(read_manifest(data), test_fraction=0.6)[1].records
    scored = [record for record in held_out if int(record.subject[-1]) > 3]
    assert score["metrics"]["stride4/across_people_error"]["n"] == len(scored)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(subjects, config, tmp_path):
    one = trainer(config, tmp_path)
    one.checkpoint()
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with torch.no_grad():
        one.network.decoder[0].conv_block.bias.fill_(float("nan"))
    one.train_step(PairDataset(subjects, config)[0])
    with pytest.raises(FloatingPointError, match=r"the loss is nan at step 0: lower train.learning_rate") as caught:
        one.checkpoint()
    assert "\n" not in str(caught.value)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_without_a_gpu_training_is_in_full_precision_and_says_so(config, cohort, cache, tmp_path, capsys, monkeypatch):
    """In the gradient of a bf16 convolution over a map two voxels deep torch may return memory it never wrote."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    once = config.replace(train={"steps": 1, "score_every": 0})
    weights = [
        pretrain(once.replace(train={"precision": one}), cohort, tmp_path / one, cache=cache, progress=False)
        for one in ("bf16", "no")
    ]
    assert capsys.readouterr().out.count("no GPU: training in full precision instead of bf16") == 1
    reduced, full = (load_weights(path)[0].state_dict() for path in weights)
    assert all(torch.equal(reduced[name], weight) for name, weight in full.items())


def test_the_learning_rate_warms_up_and_follows_a_cosine(config):
    train = config.replace(train={"steps": 110, "warmup_steps": 10}).train
    assert [learning_rate_factor(step, train) for step in (0, 4, 9, 10)] == pytest.approx([0.1, 0.5, 1.0, 1.0])
    assert learning_rate_factor(60, train) == pytest.approx(0.5)
    assert learning_rate_factor(110, train) == pytest.approx(0, abs=1e-12)
    never_warm = config.replace(train={"warmup_steps": 0}).train
    assert learning_rate_factor(0, never_warm) == 1


def test_the_command_trains_and_prints_where_the_weights_are(cohort, tmp_path, monkeypatch, capsys, cache):
    monkeypatch.setattr(loop, "prepare", lambda manifest, config, **_: prepare_there(manifest, config, folder=cache))
    prepare_there = sys.modules["toposlearn.data"].prepare
    out = tmp_path / "run"
    arguments = ["pretrain", "--preset", "smoke", "--steps", "1", "--data", str(cohort), "--out", str(out)]
    assert cli.execute(arguments) == 0
    assert str(out / "weights.safetensors") in capsys.readouterr().out
    assert cli.execute(arguments) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {out} already holds a run")


@pytest.mark.parametrize("content", ["", '{"volume"', "[]", "null"])
def test_a_run_whose_settings_were_cut_off_resumes_and_writes_them_again(run, config, cohort, cache, tmp_path, content):
    out = tmp_path / "run"
    shutil.copytree(run, out)
    (out / "config.json").write_text(content)
    (out / "history.jsonl").write_bytes((out / "history.jsonl").read_bytes() + b'{"step": 7, "\xff')
    pretrain(config, cohort, out, cache=cache, resume=True, progress=False)
    for name in ("config.json", "history.jsonl"):
        assert (out / name).read_bytes() == (run / name).read_bytes()


def test_a_run_without_its_split_says_so_and_keeps_the_one_it_draws(run, config, cohort, cache, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(run, out)
    (out / "split.json").unlink()
    pretrain(config, cohort, out, cache=cache, resume=True, progress=False)
    assert f"note: {out / 'split.json'} is missing: people are divided as for a new run" in capsys.readouterr().err
    assert (out / "split.json").read_text() == (run / "split.json").read_text()


@pytest.mark.parametrize(("count", "last"), [(5, "note 4"), (9, "and 5 more notes: 'toposlearn inspect' lists them")])
def test_files_and_people_that_are_not_used_are_told(capsys, count, last):
    loop._report([f"note {number}" for number in range(count)])
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == last
    assert len(lines) == 5
