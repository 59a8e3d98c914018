"""An interrupted cohort: whole or absent, continued to the same voxels, grown without changing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import psutil
import pytest
from trees import content, tree

from toposlearn.cohort import FULL, PLAIN, bids, recipe_named, write_cohort, writing


def fail_at(monkeypatch, call: int) -> None:
    save, calls = bids._save, []

    def failing(*arguments, **options):
        calls.append(arguments)
        if len(calls) == call:
            raise OSError(28, "No space left on device")
        save(*arguments, **options)

    monkeypatch.setattr(bids, "_save", failing)


@pytest.mark.parametrize("call", [1, 2, 6, 9, 11, 18])
def test_an_interrupted_cohort_leaves_nothing_half_written_and_is_continued(tmp_path, small, monkeypatch, call):
    whole = write_cohort(tmp_path / "whole", subjects=2, workers=1, progress=False)
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        fail_at(patch, call)
        with pytest.raises(OSError, match="No space left"):
            write_cohort(out, subjects=2, workers=1, progress=False)
    assert not list(out.rglob("*.part"))
    assert not (out / "participants.tsv").exists()  # written last: the sign of a whole cohort
    for folder in out.glob("sub-*"):
        assert len(tree(folder)) == 8
    small.clear()
    write_cohort(out, subjects=2, workers=1, progress=False)
    assert small == ([0, 1] if call <= 9 else [1])  # complete subjects are kept
    assert tree(out) == tree(whole)
    assert content(out) == content(whole)


def test_what_a_killed_run_left_behind_goes(tmp_path, small):
    out = write_cohort(tmp_path / "out", subjects=1, workers=1, progress=False)
    (out / ".sub-002.123.part" / "anat").mkdir(parents=True)
    write_cohort(out, subjects=2, workers=1, progress=False)
    assert not (out / ".sub-002.123.part").exists()


def test_a_run_that_died_before_its_first_subject_is_continued(tmp_path, small, monkeypatch):
    write_json, written = writing.write_json, []

    def dying(path, value):
        if written:
            raise KeyboardInterrupt
        written.append(write_json(path, value))

    with monkeypatch.context() as patch:
        patch.setattr(writing, "write_json", dying)
        with pytest.raises(KeyboardInterrupt):
            write_cohort(tmp_path / "out", subjects=1, workers=1, progress=False)
    assert len(written) == 1
    out = write_cohort(tmp_path / "out", subjects=1, workers=1, progress=False)
    assert tree(out) == tree(write_cohort(tmp_path / "whole", subjects=1, workers=1, progress=False))


def test_a_cohort_grows_without_changing(tmp_path, small):
    out = write_cohort(tmp_path / "out", subjects=2, workers=1, progress=False)
    before = {name: os.stat(out / name).st_mtime_ns for name in tree(out) if "sub-" in name}
    write_cohort(out, subjects=3, workers=1, progress=False)
    assert small == [0, 1, 2]
    assert all(os.stat(out / name).st_mtime_ns == time for name, time in before.items())
    assert len(pd.read_csv(out / "participants.tsv", sep="\t")) == 3


@pytest.mark.parametrize("recipe", [PLAIN, FULL])
def test_only_a_subject_with_a_missing_file_is_simulated_again(tmp_path, small, recipe):
    out = write_cohort(tmp_path / "out", subjects=2, workers=1, recipe=recipe, progress=False)
    files, whole = [name for name in tree(out) if "sub-002" in name], content(out)
    for name in files:
        for lose in (Path.unlink, lambda file: file.write_bytes(b"")):
            lose(out / name)
            small.clear()
            write_cohort(out, subjects=2, workers=1, recipe=recipe, progress=False)
            assert small == [1], name
    assert (len(files), content(out)) == ({PLAIN: 14, FULL: 22}[recipe], whole)
    small.clear()
    write_cohort(out, subjects=2, workers=1, recipe=recipe, progress=False)
    assert small == []


def test_more_subjects_than_asked_for_are_reported(tmp_path, small, capsys):
    out = write_cohort(tmp_path / "out", subjects=3, workers=1)
    assert "already holds" not in capsys.readouterr().err
    write_cohort(out, subjects=2, workers=1)
    assert f"{out} already holds 3 people: all are kept" in capsys.readouterr().err.splitlines()


def test_fewer_subjects_than_there_are_keep_the_table_whole(tmp_path, small):
    out = write_cohort(tmp_path / "out", subjects=3, workers=1, progress=False)
    write_cohort(out, subjects=1, workers=1, progress=False)
    assert len(list(out.glob("sub-*"))) == len(pd.read_csv(out / "participants.tsv", sep="\t")) == 3


def test_a_killed_run_is_continued_to_the_same_voxels(tmp_path):
    recipe = recipe_named("full", voxels=24, modalities=("T1w", "dwi"))
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "toposlearn", "cohort", "--recipe", "full", "--voxels", "24", "--subjects", "5"]
    run = subprocess.Popen(
        [*command, "--modalities", "T1w,dwi", "--workers", "2", "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 60
    while not (out / "sub-002").exists() and time.monotonic() < until:
        time.sleep(0.01)
    workers = psutil.Process(run.pid).children()
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL  # it had not finished
    assert len(workers) >= 2
    assert not psutil.wait_procs(workers, timeout=20)[1]  # they end by themselves
    write_cohort(out, subjects=5, recipe=recipe, workers=1, progress=False)
    whole = write_cohort(tmp_path / "whole", subjects=5, recipe=recipe, workers=1, progress=False)
    assert tree(out) == tree(whole)
    for name in tree(whole):
        if name.endswith(".nii.gz"):
            one, other = nib.load(out / name), nib.load(whole / name)
            np.testing.assert_array_equal(np.asanyarray(one.dataobj), np.asanyarray(other.dataobj))
            np.testing.assert_array_equal(one.affine, other.affine)
