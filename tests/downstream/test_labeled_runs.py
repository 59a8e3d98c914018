"""From a folder to scores: folds, numbers of labeled people, subsets of images, and what a resumed call computes."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from labeled_heads import save, write_heads
from safetensors.torch import load_file

from toposlearn.data import read_manifest
from toposlearn.data.split import Split
from toposlearn.downstream import labeled_runs, run_scores
from toposlearn.downstream.finetuning import Tuner
from toposlearn.downstream.labeled_runs import base_config, finetune
from toposlearn.downstream.network_file import NETWORK
from toposlearn.downstream.settings import MISSING, TaskConfig, finetune_config
from toposlearn.downstream.tables import scores_table
from toposlearn.downstream.targets import Target
from toposlearn.models import Taco, load_weights, save_weights

SEX, AGE = TaskConfig("classification", target="sex"), TaskConfig("regression", target="AGE")
SHORT = {"steps": 2, "people_per_step": 1, "checkpoint_every": 1}


pytestmark = pytest.mark.usefixtures("prepared_once")


@pytest.fixture
def run(tiny, tiny_weights, heads):
    """Fine-tune the tiny network for a task and return the folder."""

    def call(out: Path, task: TaskConfig = SEX, data: Path = heads, changes=None, **options) -> Path:
        config = finetune_config(tiny, task, **{**SHORT, **(changes or {})})
        assert (
            finetune(config, data, out, **{"weights": tiny_weights, "progress": False, **options})
            == out / "results.json"
        )
        return out

    return call


def result_of(out: Path) -> dict:
    return json.loads((out / "results.json").read_text())


def folders(out: Path) -> set[str]:
    return {path.parent.name for path in out.glob(f"*/{NETWORK}")}


@pytest.fixture(scope="module")
def segmented(tiny, tiny_weights, heads, tmp_path_factory) -> Path:
    """A segmentation that is judged with every subset of the images."""
    out = tmp_path_factory.mktemp("segmented")
    config = finetune_config(tiny, TaskConfig(), **SHORT)
    finetune(config, heads, out, weights=tiny_weights, each_subset=True, progress=False)
    return out


def test_a_segmentation_writes_what_it_promises(segmented):
    names = {"config.json", "split.json", "history.jsonl", "validation.jsonl", "checkpoint.pt", NETWORK, "scores.csv"}
    assert {path.name for path in segmented.iterdir()} == {*names, "results.json"}
    result = result_of(segmented)
    assert result["config"]["missing means"] == MISSING["mean"]
    assert result["config"]["weights"].endswith("tiny.safetensors")
    metrics = result["metrics"]
    for name in ("network/dice", "network/dice/label 1", "network/T1w/dice", "position prior/dice/label 2"):
        assert 0 <= metrics[name]["value"] <= 1
        assert metrics[name]["n"] == 2
    table = scores_table(segmented / "results.json")
    rows = [line.split("|")[1].strip() for line in table.splitlines()]
    assert rows[2:] == ["network", "network/T1w", "network/T2w", "position prior", "ceiling"]
    assert "Dice" in table.splitlines()[0]


def test_a_complete_run_is_not_computed_again(segmented, heads, tiny, tiny_weights, monkeypatch):
    before = {path.name: path.stat().st_mtime_ns for path in segmented.iterdir()}
    metrics = result_of(segmented)["metrics"]
    for module, name in ((labeled_runs, "finetune_once"), (run_scores, "judge"), (run_scores, "judge_prior")):
        monkeypatch.setattr(module, name, None)
    config = finetune_config(tiny, TaskConfig(), **SHORT)
    options = {"weights": tiny_weights, "each_subset": True, "resume": True, "progress": False}
    finetune(config, heads, segmented, **options)
    assert result_of(segmented)["metrics"] == metrics
    unchanged = {"checkpoint.pt", NETWORK, "scores.csv", "history.jsonl"}
    assert {name for name in before if (segmented / name).stat().st_mtime_ns == before[name]} >= unchanged
    finetune(config.replace(workers=1), heads, segmented, **options)  # where batches are prepared changes nothing


def test_no_run_is_overwritten_and_no_other_one_resumed(segmented, run, tmp_path):
    with pytest.raises(ValueError, match="already holds a run: continue it with --resume, or choose another --out"):
        run(segmented, TaskConfig())
    with pytest.raises(ValueError, match=r"other settings \(steps, seed\): resume it with the same ones"):
        run(segmented, TaskConfig(), changes={"steps": 3, "seed": 1}, resume=True)
    with pytest.raises(ValueError, match="holds a run with other --folds"):
        run(segmented, TaskConfig(), folds=2, resume=True)
    with pytest.raises(FileNotFoundError, match=r"no run in .*: run without --resume to start from the beginning"):
        run(tmp_path / "nothing", resume=True)
    assert not (tmp_path / "nothing").exists()


def test_other_weights_do_not_continue_a_run(segmented, run, tiny, tiny_weights, tmp_path):
    other = save_weights(tmp_path / "other.safetensors", Taco(tiny.model), tiny)
    with pytest.raises(ValueError, match="holds a run with other --weights"):
        run(segmented, TaskConfig(), weights=other, resume=True)
    moved = shutil.copy(tiny_weights, tmp_path / "moved.safetensors")
    run(segmented, TaskConfig(), weights=moved, resume=True)


def test_everyone_is_judged_once_in_folds_also_after_an_interruption(run, tmp_path, monkeypatch):
    whole = run(tmp_path / "whole", folds=3)
    assert folders(whole) == {"fold0", "fold1", "fold2"}
    metrics = result_of(whole)["metrics"]
    assert {"network/auc", "network/balanced_accuracy", "network/recall/F"} <= set(metrics)
    assert metrics["network/auc"]["n"] == 8
    stopped, steps = tmp_path / "stopped", []
    train = Tuner.train_step

    def counted(self, batch):
        steps.append(0)
        if len(steps) == 4:  # in the second step of the second fold
            raise KeyboardInterrupt
        train(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Tuner, "train_step", counted)
        with pytest.raises(KeyboardInterrupt):
            run(stopped, folds=3)
    assert folders(stopped) == {"fold0"}
    steps.clear()
    monkeypatch.setattr(Tuner, "train_step", lambda self, batch: (steps.append(0), train(self, batch)))
    run(stopped, folds=3, resume=True)
    assert len(steps) == 3  # one of the second fold, two of the third
    assert result_of(stopped)["metrics"] == metrics
    for fold in folders(whole):
        one, other = (load_file(out / fold / NETWORK) for out in (whole, stopped))
        assert all((one[name] == other[name]).all() for name in one)


def test_a_resumed_call_keeps_its_people_although_the_folder_has_grown(run, heads, tmp_path, monkeypatch):
    data = shutil.copytree(heads, tmp_path / "people")
    with monkeypatch.context() as patch:
        patch.setattr(Tuner, "best_network", None)
        with pytest.raises(TypeError):
            run(tmp_path / "out", data=data)
    before = (tmp_path / "out" / "split.json").read_text()
    for name in ("T1w", "T2w"):
        save(data / "P9" / f"{name}.nii.gz", np.flip(np.asarray(load(data / "P1" / f"{name}.nii.gz")), 0))
    table = data / "participants.tsv"
    table.write_text(table.read_text() + "P9\tdivers\t40\n")
    run(tmp_path / "out", data=data, resume=True)
    assert (tmp_path / "out" / "split.json").read_text() == before
    shutil.rmtree(data / "P3")
    with pytest.raises(ValueError, match="can no longer use P3 of this run: restore their files"):
        run(tmp_path / "out", data=data, resume=True)


def load(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def test_the_curve_of_labels_has_a_run_and_a_score_for_each_number(run, tmp_path):
    out = run(tmp_path, AGE, shots=(2, 4, 6))
    assert folders(out) == {"shots2", "shots4", "shots6"}
    metrics = result_of(out)["metrics"]
    assert {f"shots{count}/network/mae" for count in (2, 4, 6)} <= set(metrics)
    for count in (2, 4, 6):
        part = metrics[f"shots{count}/network/mae"]
        assert part["n"] == 2
        assert part["baseline"] > 0  # of the median of the people trained on
    runs = json.loads((out / "split.json").read_text())["runs"]
    assert len({tuple(each["judged"]) for each in runs}) == 1


def test_regression_is_in_the_units_of_the_column(run, tmp_path):
    out = run(tmp_path, AGE)
    rows = (out / "scores.csv").read_text().splitlines()
    assert rows[0] == "method,present,person,predicted,truth,median"
    ages = {f"P{number}": 20.0 + 7 * number for number in range(1, 9)}
    for row in rows[1:]:
        _, _, person, predicted, truth, median = row.split(",")
        assert float(truth) == ages[person]
        assert 0 < float(predicted) < 100
        assert float(median) in {(one + other) / 2 for one in ages.values() for other in ages.values()}
    mean = np.mean([abs(float(row.split(",")[3]) - float(row.split(",")[4])) for row in rows[1:]])
    assert result_of(out)["metrics"]["network/mae"]["value"] == pytest.approx(mean, rel=1e-4)


def test_people_who_lack_an_image_take_part_and_subsets_are_of_those_who_have_it(run, heads, tmp_path):
    data = shutil.copytree(heads, tmp_path / "people")
    for number in (1, 5, 7):
        (data / f"P{number}" / "T2w.nii.gz").unlink()
    out = run(tmp_path / "out", AGE, data=data, folds=2, each_subset=True)
    metrics = result_of(out)["metrics"]
    assert {name: metrics[f"{name}/mae"]["n"] for name in ("network", "network/T1w", "network/T2w")} == {
        "network": 8,
        "network/T1w": 8,
        "network/T2w": 5,
    }


def test_images_that_no_judged_person_has_are_not_judged(run, heads, tmp_path):
    data = shutil.copytree(heads, tmp_path / "people")
    (sides,) = json.loads((run(tmp_path / "first", AGE) / "split.json").read_text())["runs"]
    for name in sides["judged"]:
        (data / name / "T2w.nii.gz").unlink()
    metrics = result_of(run(tmp_path / "out", AGE, data=data, each_subset=True))["metrics"]
    assert {name.rpartition("/")[0] for name in metrics} == {"network", "network/T1w"}


@pytest.mark.parametrize("names", [["01", "1", "007"], ["NA", "nan", "None"], ["P1, left", 'the "other"', "1e3"]])
def test_scores_keep_names_that_look_like_numbers_or_nothing(names, tmp_path):
    scores = pd.DataFrame({"predicted": [1.0, np.nan, 3.0]}, index=pd.Index(names, name="person"))
    pd.concat({("network", "all"): scores}, names=["method", "present"]).to_csv(tmp_path / "scores.csv")
    read = run_scores._read(tmp_path / "scores.csv", Target("regression", "age"))
    assert read.index.to_list() == [("network", "all", name) for name in names]
    np.testing.assert_array_equal(read["predicted"], [1.0, np.nan, 3.0])


def test_a_label_that_only_judged_people_have_is_not_judged(run, heads, tmp_path, capsys):
    data = write_heads(tmp_path / "people", 4)
    (judged,) = json.loads((run(tmp_path / "first", TaskConfig(), data=data) / "split.json").read_text())["runs"][0][
        "judged"
    ]
    labels = np.where(load(data / judged / "seg.nii.gz") == 2, 9, 1)
    save(data / judged / "seg.nii.gz", labels.astype(np.int16))
    capsys.readouterr()
    out = run(tmp_path / "out", TaskConfig(), data=data)
    assert "note: labels that no one trained on has are not judged: 9" in capsys.readouterr().err
    scores = (out / "scores.csv").read_text()
    assert "label 1" in scores
    assert "label 9" not in scores


def test_folds_with_different_labels_are_judged_by_the_same_classes(run, tmp_path, capsys):
    data = write_heads(tmp_path / "people", 4)
    rare = load(data / "P1" / "seg.nii.gz")
    save(data / "P1" / "seg.nii.gz", np.where(rare == 2, 5, rare).astype(np.int16))
    out = run(tmp_path / "out", TaskConfig(), data=data, folds=2)
    assert "people trained on has label 5: it is not learned" in capsys.readouterr().err
    metrics = result_of(out)["metrics"]
    assert metrics["network/dice/label 5"]["value"] == 0  # where P1 is judged, the label is not known
    assert metrics["network/dice/label 1"]["n"] == 4


def test_people_that_the_weights_were_trained_on_are_not_judged(run, heads, tiny, tmp_path):
    people = read_manifest(heads)
    seen = people.select(["P2", "P3", "P8"])
    split = Split.of(seen, people.select(["P1"]), {}).to_dict()
    weights = save_weights(tmp_path / "seen.safetensors", Taco(tiny.model), tiny, split=split)
    out = run(tmp_path / "out", AGE, weights=weights)
    assert not {"P2", "P3", "P8"} & set(json.loads((out / "split.json").read_text())["runs"][0]["judged"])
    with pytest.raises(ValueError, match=r"trained on 3 of the 8 labeled people .*: P2, P3, P8; leave --folds out"):
        run(tmp_path / "folds", AGE, weights=weights, folds=2)
    assert not (tmp_path / "folds").exists()
    allowed = run(tmp_path / "folds", AGE, weights=weights, folds=2, allow_seen=True)
    assert folders(allowed) == {"fold0", "fold1"}
    assert result_of(allowed)["config"]["measured people who were trained on"] == ["P2", "P3", "P8"]
    assert "measured people who were trained on" not in result_of(out)["config"]


def test_from_scratch_and_frozen_begin_where_they_should(run, tiny, tiny_weights, tmp_path):
    pretrained = load_weights(tiny_weights)[0].state_dict()

    def encoder_of(out: Path) -> dict:
        weights = load_file(out / NETWORK)
        return {name.removeprefix("encoder."): part for name, part in weights.items() if name.startswith("encoder.")}

    def distance(weights: dict) -> float:
        return max(float((part - pretrained[name]).abs().max()) for name, part in weights.items())

    assert distance(encoder_of(run(tmp_path / "frozen", AGE, changes={"freeze": True}))) == 0
    assert 0 < distance(encoder_of(run(tmp_path / "tuned", AGE))) < 0.01
    scratch = run(tmp_path / "scratch", AGE, changes={"from_scratch": True})
    assert distance(encoder_of(scratch)) > 0.05
    without = run(tmp_path / "without", AGE, changes={"from_scratch": True}, weights=None)
    one, other = (load_file(out / NETWORK) for out in (scratch, without))
    assert all((one[name] == other[name]).all() for name in one)  # the same network, whether weights were named or not


def test_a_finer_grid_is_learned_in_patches_and_judged_in_windows(run, tmp_path):
    out = run(tmp_path, TaskConfig(), changes={"spacing": 4.5})
    config = json.loads((out / "config.json").read_text())
    assert (config["volume"]["shape"], config["patch"]) == ([32, 32, 32], [16, 16, 16])
    assert result_of(out)["metrics"]["network/dice"]["n"] == 2


def test_settings_and_weights_must_be_of_one_network(run, tiny, tiny_weights, heads, tmp_path):
    with pytest.raises(ValueError, match="no weights are given to start from"):
        run(tmp_path, weights=None)
    other = tiny.replace(model={"feature_size": 8})
    config = finetune_config(other, SEX, **SHORT)
    with pytest.raises(ValueError, match=r"is of another network than config\.model"):
        finetune(config, heads, tmp_path, weights=tiny_weights, progress=False)
    assert base_config(tiny_weights, None, heads).model == tiny.model
    assert base_config(None, "smoke", heads).volume.modalities == ("T1w", "T2w")
    assert base_config(tiny_weights, None, heads, ("T2w",)).volume.modalities == ("T2w",)
    with pytest.raises(ValueError, match="--preset smoke is not read with --weights"):
        base_config(tiny_weights, "smoke", heads)
