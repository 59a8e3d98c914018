"""The comparison from people to table, on six people and one-step runs; and its arithmetic on known numbers."""

import json
import shutil

import numpy as np
import pytest

from toposlearn.config import preset
from toposlearn.models import load_weights
from toposlearn.pretrain.scorecard import Controls
from toposlearn.studies.ablation.ablation import run_ablation
from toposlearn.studies.ablation.comparison import UNTRAINED, Judges, compare
from toposlearn.studies.ablation.table import comparison_table, result_section

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
def judged():
    reference = Controls(matrix(0, 40), matrix(0, 25), matrix(0, 10), matrix(80, 80), matrix(80, 80))
    judges = Judges({}, None, {("A", 8): reference})
    return compare({UNTRAINED: raw(50, 70), "intra": raw(5, 34), "full": raw(4, 30)}, judges)


def test_known_errors_give_known_metrics(judged):
    full = judged["A/full/stride8/across_people_error"]
    assert (full["value"], full["low"], full["high"]) == pytest.approx((30, 30, 30))
    assert (full["null"], full["baseline"]) == pytest.approx((80, 40))
    assert judged["A/full/stride8/across_people_relative"]["value"] == pytest.approx((30 - 10) / (40 - 10))
    assert judged["A/full/stride8/same_person_error"]["value"] == pytest.approx(4)
    assert judged["A/full/stride8/overlap"]["null"] == pytest.approx(0.1)
    assert judged["A/full/stride8/overlap"]["value"] == pytest.approx(0.5)


def test_differences_are_full_minus_the_other(judged):
    assert judged["A/full-intra/stride8/across_people_error"]["value"] == pytest.approx(-4)
    assert judged["A/full-centered/stride8/across_people_error"]["value"] == pytest.approx(5)


def test_the_table_shows_every_row_with_its_interval(judged):
    table = comparison_table(judged)
    assert "| + intra | 5.0 [5.0, 5.0] | 34.0 [34.0, 34.0] |" in table
    assert "floor" in table
    assert "+ inter |" not in table.replace("+ intra + inter", "")


@pytest.fixture(scope="module")
def ablation(cohort, tmp_path_factory):
    out = tmp_path_factory.mktemp("ablation")
    config = preset("smoke").replace(train={"steps": 1, "test_fraction": 0.5})
    arguments = {"seeds": (0,), "variants": ("reconstruction", "full"), "shipped": out / "shipped", "progress": False}
    data = out / "data"
    shutil.copytree(cohort, data)
    run_ablation(config, data, out / "runs", **arguments)
    return config, data, out, arguments


def test_one_command_trains_measures_and_ships(ablation):
    _, _, out, _ = ablation
    result = json.loads((out / "runs" / "results.json").read_text())
    assert result["schema"] == "toposlearn/result/1"
    assert {"A/full/stride4/across_people_error", "A/full/stride4/probe_T1w_T2w"} <= set(result["metrics"])
    assert "full minus" in result_section(result)
    _, config = load_weights(out / "shipped" / "reconstruction.safetensors")
    assert config.loss.weight_intra == 0
    assert (out / "shipped" / "full.history.jsonl").read_text().count("\n") == 1


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
