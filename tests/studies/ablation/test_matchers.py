"""From people to the table of matchers, on six people and one-step runs; and differences on known numbers."""

import json
import shutil

import numpy as np
import pytest

from toposlearn.config import preset
from toposlearn.studies.ablation import matchers
from toposlearn.studies.ablation.matchers import run_matchers
from toposlearn.studies.ablation.matchers_table import matchers_section


@pytest.fixture(scope="module")
def study(cohort, tmp_path_factory):
    out = tmp_path_factory.mktemp("matchers")
    config = preset("smoke").replace(train={"steps": 1, "test_fraction": 0.5})
    shutil.copytree(cohort, out / "data")
    arguments = {"seeds": (0,), "variants": ("inter", "inter-oracle"), "shipped": out / "shipped", "progress": False}
    path = run_matchers(config, out / "data", out / "runs", **arguments)
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
    for measure in matchers.COMPARED:
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


def test_differences_are_paired_by_person_and_seed():
    subjects = np.arange(6.0)
    errors = np.add.outer(subjects, subjects)[None].repeat(2, 0)
    measured = {
        "inter": {"A/stride8/errors": errors, "A/stride8/probe_T1w_T1w": subjects[None].repeat(2, 0)},
        "inter-random": {"A/stride8/errors": errors + 7, "A/stride8/probe_T1w_T1w": subjects[None].repeat(2, 0) - 1},
    }
    name = "stride8/effective_rank/first_modality"
    profiles = {variant: {name: np.full((2, 6), rank)} for variant, rank in (("inter", 5.0), ("inter-random", 4.0))}
    found = matchers._differences(measured, profiles, "inter-random", "inter")
    known = {"stride8/across_people_error": 7, "stride8/probe_T1w_T1w": -1, name: -1}
    assert {key.split("/", 2)[2] for key in found} == set(known)
    for key, change in found.items():
        assert [change[part] for part in ("value", "low", "high")] == pytest.approx([known[key.split("/", 2)[2]]] * 3)


def test_people_without_a_match_are_left_out_of_its_error():
    values = np.array([[1.0, np.nan, 3.0], [1.0, 2.0, 3.0]])
    found = matchers._metric(values, np.full((2, 3), 80.0), "stride8/match_error/next_person")
    assert (found["value"], found["n"], found["null"], found["unit"]) == (2.0, 2, 80.0, "mm")
