"""The evaluation from weights to result file, on six people; resumed; its arithmetic on known numbers."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from toposlearn.downstream.finetune import FinetuneConfig
from toposlearn.models import Taco, save_weights
from toposlearn.reproducibility import set_seed
from toposlearn.studies.tasks import evaluation
from toposlearn.studies.tasks.bench import find_checkpoints, gather
from toposlearn.studies.tasks.evaluation import evaluate
from toposlearn.studies.tasks.summary import evaluation_tables, summarize, with_subset_means


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory, smoke):
    folder = tmp_path_factory.mktemp("weights")
    for seed, variant in enumerate(("reconstruction", "full")):
        set_seed(seed)
        save_weights(folder / f"{variant}.safetensors", Taco(smoke.model), smoke)
    return folder


@pytest.fixture(scope="module")
def quick():
    """Two steps of fine-tuning: what is trained is not what is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "FinetuneConfig", lambda seed: FinetuneConfig(steps=2, voxels=200, seed=seed))
        yield


@pytest.fixture(scope="module")
def result(checkpoints, cohort, quick, tmp_path_factory):
    return evaluate(checkpoints, cohort, tmp_path_factory.mktemp("out"), progress=False)


def test_every_task_reader_and_subset_is_in_the_result(result):
    metrics = json.loads(result.read_text())["metrics"]
    for variant in ("untrained", "reconstruction", "full"):
        for reader in ("linear", "finetuned"):
            prefix = f"A/{variant}/structures/{reader}/dice"
            names = [name for name in metrics if name.startswith(prefix)]
            assert len(names) == 15 + 2  # subsets, their mean, the share kept
        assert f"A/{variant}/structures/knn/dice" in metrics
    assert {
        "A/position/structures/knn/dice",
        "A/centered/structures/knn/dice",
        "A/full-position/structures/knn/dice",
    } <= set(metrics)


def test_every_number_has_an_interval_and_its_null_and_baseline(result):
    """The null of a network is the value of shuffled truth, the baseline that of an untrained network."""
    metrics = json.loads(result.read_text())["metrics"]
    for name, metric in metrics.items():
        assert metric["low"] <= metric["value"] + 1e-9, name
        assert metric["value"] <= metric["high"] + 1e-9, name
        if "full-" in name:
            assert metric["null"] == 0
    dice = {name: metrics[f"A/{name}/structures/linear/dice"] for name in ("full", "shuffled", "untrained")}
    assert dice["full"]["null"] == pytest.approx(dice["shuffled"]["value"])
    assert dice["full"]["baseline"] == pytest.approx(dice["untrained"]["value"])
    assert dice["full"]["low"] < dice["full"]["value"] < dice["full"]["high"]


def test_shuffled_truth_is_below_the_ceiling(result):
    metrics = json.loads(result.read_text())["metrics"]
    shuffled, full, ceiling = (
        metrics[f"A/{name}/structures/linear/dice"]["value"] for name in ("shuffled", "full", "oracle")
    )
    assert shuffled < 0.05 < 0.1 < ceiling
    assert full < ceiling


def test_no_auc_of_so_few_people(result):
    assert not [name for name in json.loads(result.read_text())["metrics"] if "auc" in name]


def test_tables_name_every_row(result):
    text = evaluation_tables(result)
    assert "reconstruction only" in text
    assert "ceiling: true shares" in text
    assert "Missing modalities" in text


def test_what_was_measured_is_not_measured_again(checkpoints, cohort, result, monkeypatch):
    def fail(*_, **__):
        raise AssertionError("measured twice")

    monkeypatch.setattr(evaluation, "measure_network", fail)
    before = json.loads(result.read_text())["metrics"]
    evaluate(checkpoints, cohort, result.parent, progress=False)
    assert json.loads(result.read_text())["metrics"] == before


def test_an_interrupted_run_is_continued_and_changed_weights_are_measured_again(
    checkpoints, cohort, quick, smoke, tmp_path, monkeypatch
):
    weights, out, real, measured = tmp_path / "weights", tmp_path / "out", evaluation.measure_network, []
    shutil.copytree(checkpoints, weights)

    def counted(model, bench, **settings):
        if len(measured) == 1:
            measured.append("stopped")
            raise KeyboardInterrupt
        measured.append("network")
        return real(model, bench, **settings)

    monkeypatch.setattr(evaluation, "measure_network", counted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(weights, cohort, out, progress=False)
    assert not (out / "results.json").exists()
    evaluate(weights, cohort, out, progress=False)
    assert measured == ["network", "stopped", "network", "network"]
    save_weights(weights / "full.safetensors", Taco(smoke.model), smoke)
    evaluate(weights, cohort, out, progress=False)
    assert measured[4:] == ["network"]


def test_weights_are_found_by_their_names(tmp_path):
    for run in ("full-seed10", "full-seed2", "intra-seed0", "full-old"):
        (tmp_path / run).mkdir()
        (tmp_path / run / "weights.safetensors").touch()
    (tmp_path / "reconstruction.safetensors").touch()
    found = find_checkpoints(tmp_path)
    assert list(found) == ["reconstruction", "intra", "full"]
    assert [path.parent.name for path in found["full"]] == ["full-seed2", "full-seed10"]
    with pytest.raises(FileNotFoundError, match=r"expected VARIANT-seedN/weights.safetensors"):
        find_checkpoints(tmp_path / "full-old")


def test_training_people_cannot_be_test_people(checkpoints, cohort, tmp_path):
    with pytest.raises(ValueError, match="is in both"):
        evaluate(checkpoints, cohort, tmp_path / "out", tests=[cohort], progress=False)


def test_groups_of_test_people_with_one_name_are_refused(checkpoints, cohort, tmp_path):
    with pytest.raises(ValueError, match=r"group names that differ .*, got A, A"):
        evaluate(checkpoints, cohort, tmp_path / "out", tests=[cohort, cohort], progress=False)


def test_other_people_or_images_change_the_stamp(cohort, smoke):
    bench = gather(smoke, cohort)
    brighter = dataclasses.replace(bench.train, volumes=bench.train.volumes + 0.1)
    assert bench.stamp() == gather(smoke, cohort).stamp()
    assert bench.stamp() != dataclasses.replace(bench, train=brighter).stamp()
    assert bench.stamp() != dataclasses.replace(bench, tests={"C": bench.tests["A"]}).stamp()


def test_means_and_differences_of_known_numbers():
    name = "A/structures/linear/dice"
    full, other = np.full((2, 6), 0.6), np.full((2, 6), 0.4)
    raw = {"full": {name: full, f"{name}/T1w": full / 2}, "untrained": {name: other, f"{name}/T1w": other / 4}}
    metrics = summarize(raw, {})
    assert metrics["A/full/structures/linear/dice/mean-of-subsets"]["value"] == pytest.approx(0.45)
    assert metrics["A/full/structures/linear/dice/kept"]["value"] == pytest.approx(0.75)
    assert metrics["A/full-untrained/structures/linear/dice"]["value"] == pytest.approx(0.2)
    assert metrics["A/full-untrained/structures/linear/dice/mean-of-subsets"]["value"] == pytest.approx(0.45 - 0.25)
    assert metrics["A/full/structures/linear/dice"]["baseline"] == pytest.approx(0.4)


def test_people_without_a_lesion_do_not_count():
    values = np.array([[0.5, np.nan, 0.7, np.nan]])
    metric = summarize({"full": {"A/lesion/linear/dice": values}}, {})["A/full/lesion/linear/dice"]
    assert (metric["value"], metric["n"]) == (pytest.approx(0.6), 2)


def test_scores_keep_their_subsets_apart_until_the_auc():
    raw = {"A/diagnosis/linear/score": np.zeros((3, 8)), "A/diagnosis/linear/score/T1w": np.ones((3, 8))}
    stacked = with_subset_means(raw)["A/diagnosis/linear/score/mean-of-subsets"]
    np.testing.assert_array_equal(stacked, np.stack([np.zeros((3, 8)), np.ones((3, 8))], axis=1))


def test_copies_of_people_to_whom_readers_are_fitted_are_no_test_people(cohort, smoke, tmp_path):
    for number in range(1, 7):
        for path in (cohort / f"sub-{number:03d}").rglob("*_T[12]w.nii.gz"):
            copy = tmp_path / "copies" / f"sub-9{number}" / "anat" / path.name.replace(f"{number:03d}", f"9{number}", 1)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    config = smoke.replace(volume={"modalities": ("T1w", "T2w")})
    with pytest.raises(ValueError, match=r"images of sub-9\d, .* in .*copies are also those of people .*: remove one"):
        gather(config, cohort, [tmp_path / "copies"])


def test_weights_that_do_not_name_their_people_are_told(checkpoints, result):
    """The result says so, and its command names folders."""
    stored = json.loads(result.read_text())
    assert stored["config"]["weights without the people trained on"] == [
        str(checkpoints / f"{name}.safetensors") for name in ("reconstruction", "full")
    ]
    assert "Source(" not in stored["source"]
