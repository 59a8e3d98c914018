"""Both studies from people to results, on six people and one-step runs; their arithmetic on known numbers."""

import json
import shutil

import numpy as np
import pytest
from foreign_maker import LABELED, write_labeled

from toposlearn.config import preset
from toposlearn.data import PointSource, Source, read_manifest, split_subjects
from toposlearn.models import load_readout, load_weights
from toposlearn.pretrain.scorecard import Controls
from toposlearn.studies.ablation import RealPeople, run_ablation, run_matchers
from toposlearn.studies.ablation.measure import (
    COMPARED,
    UNTRAINED,
    HeldOut,
    full_minus_others,
    matcher_minus_mutual,
    profile_metrics,
    variant_metrics,
)
from toposlearn.studies.ablation.tables import comparison_table, matchers_section, result_section

PEOPLE = 6


def matrix(diagonal, other):
    return np.where(np.eye(PEOPLE, dtype=bool), diagonal, other).astype(float)


def raw(diagonal, other, seeds=2):
    prefix = "A/stride8"
    one = np.ones((seeds, PEOPLE))
    return {
        f"{prefix}/errors": np.stack([matrix(diagonal, other)] * seeds),
        f"{prefix}/overlap": 0.5 * one,
        f"{prefix}/overlap_null": 0.1 * one,
        f"{prefix}/matched": 0.3 * one,
    }


@pytest.fixture
def metrics():
    reference = Controls(matrix(0, 40), matrix(0, 25), matrix(0, 10), matrix(80, 80), matrix(80, 80))
    held_out = HeldOut({}, None, {("A", 8): reference})
    measured = {UNTRAINED: raw(50, 70), "intra": raw(5, 34), "full": raw(4, 30)}
    return variant_metrics(measured, held_out) | full_minus_others(measured, held_out)


def test_known_errors_give_known_metrics(metrics):
    full = metrics["A/full/stride8/across_people_error"]
    assert (full["value"], full["low"], full["high"]) == pytest.approx((30, 30, 30))
    assert (full["null"], full["baseline"]) == pytest.approx((80, 40))
    assert metrics["A/full/stride8/across_people_relative"]["value"] == pytest.approx((30 - 10) / (40 - 10))
    assert metrics["A/full/stride8/same_person_error"]["value"] == pytest.approx(4)
    assert metrics["A/full/stride8/overlap"]["null"] == pytest.approx(0.1)
    assert metrics["A/full/stride8/overlap"]["value"] == pytest.approx(0.5)


def test_differences_are_full_minus_the_other(metrics):
    assert metrics["A/full-intra/stride8/across_people_error"]["value"] == pytest.approx(-4)
    assert metrics["A/full-centered/stride8/across_people_error"]["value"] == pytest.approx(5)


def test_the_table_shows_every_row_with_its_interval(metrics):
    table = comparison_table(metrics)
    assert "| + intra | 5.0 [5.0, 5.0] | 34.0 [34.0, 34.0] |" in table
    assert "floor" in table
    assert "+ inter |" not in table.replace("+ intra + inter", "")


@pytest.fixture(scope="module")
def setting(cohort, tmp_path_factory):
    """Settings of one-step runs, the data, and the folder of both studies."""
    out = tmp_path_factory.mktemp("ablation")
    shutil.copytree(cohort, out / "data")
    return preset("smoke").replace(train={"steps": 1, "test_fraction": 0.5}), out / "data", out


@pytest.fixture(scope="module")
def labeled(setting, tmp_path_factory):
    """The three held-out people, as people of another data set."""
    config, data, _ = setting
    _, held_out = split_subjects(read_manifest(data), test_fraction=config.train.test_fraction)
    return write_labeled(tmp_path_factory.mktemp("labeled"), held_out.records)


@pytest.fixture(scope="module")
def ablation(setting, labeled):
    config, data, out = setting
    real = RealPeople(Source.of_options(labeled, patterns=LABELED), PointSource("toposlearn"), "simulated, CC0")
    arguments = {"seeds": (0,), "variants": ("reconstruction", "full"), "shipped": out / "shipped", "progress": False}
    arguments |= {"real": real, "registration": False}
    run_ablation(config, data, out / "runs", **arguments)
    return config, data, out, arguments


def test_one_command_trains_measures_and_ships(ablation):
    _, _, out, _ = ablation
    result = json.loads((out / "runs" / "results.json").read_text())
    assert result["schema"] == "toposlearn/result/1"
    assert {"A/full/stride4/across_people_error", "A/full/stride4/probe_T1w_T2w"} <= set(result["metrics"])
    assert "full minus" in result_section(result)
    assert load_readout(out / "shipped" / "full.safetensors").chosen.startswith("lowest error between different people")
    _, config = load_weights(out / "shipped" / "reconstruction.safetensors")
    assert config.loss.weight_intra == 0
    assert (out / "shipped" / "full.history.jsonl").read_text().count("\n") == 1


def test_real_people_are_measured_in_both_poses_beside_their_rivals(ablation):
    _, _, out, _ = ablation
    result = json.loads((out / "runs" / "results.json").read_text())
    metrics = result["metrics"]
    for group in ("R", "R-up"):
        for name in ("full", "untrained", "full-reconstruction", "full-centered", "position"):
            for reading in ("across_people_error", "continuous_error", "point_to_token_error"):
                assert metrics[f"{group}/{name}/stride4/{reading}"]["n"] == 3
    assert metrics["R-up/position/stride4/continuous_error"] != metrics["R/position/stride4/continuous_error"]
    assert "A/full/stride4/continuous_error" in metrics
    assert "A/full-reconstruction/stride4/continuous_error" in metrics
    assert not any("cross" in name.split("/")[0] for name in metrics)  # one modality
    assert result["config"]["real people"]["source"] == "simulated, CC0"
    section = result_section(result)
    assert "**Real people** (3), one modality, 24 mm tokens" in section
    assert "two people, continuous, /4" in section


def test_real_people_without_a_truth_end_it_before_anything_is_trained(smoke, cohort, labeled, tmp_path):
    bare = RealPeople(Source.of_options(labeled, patterns=LABELED[:1]), PointSource())
    with pytest.raises(ValueError, match="no places are known that correspond in two people"):
        run_ablation(smoke, cohort, tmp_path / "runs", real=bare, progress=False)
    assert not (tmp_path / "runs").exists()


def test_complete_runs_are_not_trained_again(ablation):
    config, data, out, arguments = ablation
    weights = out / "runs" / "full-seed0" / "weights.safetensors"
    before = weights.stat().st_mtime_ns
    run_ablation(config, data, out / "runs", **arguments)
    assert weights.stat().st_mtime_ns == before


def test_an_unknown_variant_ends_it_before_anything_is_trained(smoke, cohort, tmp_path):
    with pytest.raises(ValueError, match="unknown variant 'fulll'"):
        run_ablation(smoke, cohort, tmp_path / "runs", variants=("reconstruction", "fulll"), progress=False)
    assert not (tmp_path / "runs").exists()


@pytest.fixture(scope="module")
def study(setting):
    config, data, out = setting
    arguments = {"seeds": (0,), "variants": ("inter", "inter-oracle"), "shipped": out / "shipped", "progress": False}
    arguments |= {"registration": True}
    path = run_matchers(config, data, out / "runs", **arguments)
    return config, out, arguments, path


def test_every_measure_has_an_interval_and_a_null(study):
    *_, path = study
    metrics = json.loads(path.read_text())["metrics"]
    for variant in ("untrained", "inter", "inter-oracle"):
        for measure in ("match_error/next_person", "match_precision/next_person", "effective_rank/first_modality"):
            found = metrics[f"A/{variant}/stride8/{measure}"]
            assert found["low"] <= found["value"] <= found["high"]
            assert np.isfinite(found["null"])
    assert "A/inter-oracle-inter/stride8/across_people_error" in metrics
    assert "A/inter-oracle-inter/stride8/continuous_error" in metrics
    assert (
        metrics["A/affine/stride8/continuous_error"]["value"] < metrics["A/position/stride8/continuous_error"]["value"]
    )
    for measure in COMPARED:
        assert f"A/inter-oracle-inter/stride8/{measure}" in metrics


def test_the_result_is_shipped_and_complete_runs_are_kept(study):
    config, out, arguments, _ = study
    assert json.loads((out / "shipped" / "matchers.json").read_text())["source"] == "toposlearn matchers"
    kept = [out / "runs" / "inter-oracle-seed0" / name for name in ("weights.safetensors", "profile.safetensors")]
    before = [file.stat().st_mtime_ns for file in kept]
    run_matchers(config, out / "data", out / "runs", **arguments)
    assert [file.stat().st_mtime_ns for file in kept] == before


def test_the_table_shows_networks_nulls_and_changes(study):
    table = matchers_section(json.loads(study[-1].read_text()))
    assert "| + inter: mutual |" in table
    assert "| *null* |" in table
    assert table.count("| + inter: *oracle* |") == 3  # two token levels and the changes
    assert "random" not in table
    assert "| *affine registration* |" in table


def test_differences_are_paired_by_person_and_seed():
    subjects = np.arange(6.0)
    errors = np.add.outer(subjects, subjects)[None].repeat(2, 0)
    measured = {
        "inter": {"A/stride8/errors": errors, "A/stride8/probe_T1w_T1w": subjects[None].repeat(2, 0)},
        "inter-random": {"A/stride8/errors": errors + 7, "A/stride8/probe_T1w_T1w": subjects[None].repeat(2, 0) - 1},
    }
    name = "stride8/effective_rank/first_modality"
    profiles = {variant: {name: np.full((2, 6), rank)} for variant, rank in (("inter", 5.0), ("inter-random", 4.0))}
    found = matcher_minus_mutual(measured, profiles, "inter-random", "inter")
    known = {"stride8/across_people_error": 7, "stride8/probe_T1w_T1w": -1, name: -1}
    assert {key.split("/", 2)[2] for key in found} == set(known)
    for key, change in found.items():
        assert [change[part] for part in ("value", "low", "high")] == pytest.approx([known[key.split("/", 2)[2]]] * 3)


def test_people_without_a_match_are_left_out_of_its_error():
    values = np.array([[1.0, np.nan, 3.0], [1.0, 2.0, 3.0]])
    name = "stride8/match_error/next_person"
    (found,) = profile_metrics({"inter": {name: values, f"{name}/null": np.full((2, 3), 80.0)}}).values()
    assert (found["value"], found["n"], found["null"], found["unit"]) == (2.0, 2, 80.0, "mm")
