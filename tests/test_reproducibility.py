"""Seeds, reports and files that are whole or absent."""

import contextlib
import json
import random
import subprocess

import numpy as np
import pytest
import torch

from toposlearn import reproducibility
from toposlearn.reproducibility import (
    atomic_path,
    commit_hash,
    environment_line,
    environment_report,
    metric,
    peak_memory_bytes,
    set_seed,
    write_json,
    write_result,
)


def test_one_seed_seeds_every_generator():
    def draws():
        return random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002 (the global one is meant)

    set_seed(3)
    first = draws()
    set_seed(4)
    other = draws()
    set_seed(3)
    assert draws() == first
    assert all(a != b for a, b in zip(first, other, strict=True))


def test_seeds_beyond_32_bits_are_taken():
    drawn = []
    for seed in (2**40 + 1, 2**40 + 1, 2**40 + 2):
        set_seed(seed)
        drawn.append((np.random.rand(), torch.rand(()).item()))  # noqa: NPY002 (the global one is meant)
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_environment_is_plain_json_and_one_line():
    report = json.loads(json.dumps(environment_report()))
    assert {"python", "torch", "monai", "toposlearn"} <= set(report["versions"])
    line = environment_line()
    assert "\n" not in line
    assert f"torch {report['versions']['torch']}" in line


def test_a_package_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr(reproducibility, "PACKAGES", ("numpy", "no-such-package-anywhere"))
    assert set(reproducibility.package_versions()) == {"python", "numpy"}


def test_peak_memory_grows_with_what_is_held():
    before = peak_memory_bytes()
    held = np.ones(before // 8 + 2**22)  # more than everything so far
    assert peak_memory_bytes() > before > 2**20
    assert held[0] == 1


def test_outside_a_checkout_there_is_no_commit(monkeypatch):
    def fail(*_, **__):
        raise subprocess.CalledProcessError(128, "git")

    monkeypatch.setattr(subprocess, "run", fail)
    assert commit_hash() is None


def test_an_atomic_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "volume.nii.gz"
    with atomic_path(path) as partial:
        assert partial.name.endswith(".nii.gz")  # writers choose the format by it
        partial.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    with contextlib.suppress(RuntimeError), atomic_path(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_json_makes_its_folder_and_refuses_nan(tmp_path):
    path = write_json(tmp_path / "new" / "a.json", {"a": 1})
    assert json.loads(path.read_text()) == {"a": 1}
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}


def test_a_metric_leaves_out_what_is_not_known():
    assert metric(1.5, unit="mm", n=3) == {"value": 1.5, "unit": "mm", "n": 3}
    assert metric(0.0, low=0.0, null=0.0) == {"value": 0.0, "low": 0.0, "null": 0.0}  # zero is known


def test_a_result_holds_what_every_number_must_have(tmp_path):
    path = write_result(
        tmp_path / "result.json",
        source="test",
        metrics={"error": metric(2.0, low=1.0, high=3.0, unit="mm")},
        config={"steps": 3},
        seeds=[0, 1],
        seconds=1.5,
    )
    result = json.loads(path.read_text())
    assert result["schema"] == "toposlearn/result/1"
    assert result["metrics"]["error"] == {"value": 2.0, "low": 1.0, "high": 3.0, "unit": "mm"}
    assert (result["seeds"], result["config"], result["seconds"]) == ([0, 1], {"steps": 3}, 1.5)
    assert {"versions", "device", "peak_memory_bytes"} <= set(result)
    bare = json.loads(write_result(tmp_path / "bare.json", source="test", metrics={}).read_text())
    assert not {"config", "seeds", "seconds"} & set(bare)
