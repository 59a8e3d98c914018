"""Shortcuts of a small data set: measured, explained where a reason is stated, unexplained elsewhere."""

import json
import os
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from toposlearn import cli
from toposlearn.anatomy import structure
from toposlearn.config import VolumeConfig
from toposlearn.data import read_manifest
from toposlearn.studies.shortcuts import find_shortcuts, inputs, shortcuts_report
from toposlearn.studies.shortcuts.measure import REASONS, association, association_table, explain, reason_for

VOLUME = VolumeConfig(shape=(16, 16, 16), spacing=4.0, modalities=("T1w", "T2w"))
PEOPLE = 48
SIDE, SPACING = 16, 4.0


def head(radius, bright, generator):
    distance = np.linalg.norm(np.indices((SIDE,) * 3) - (SIDE - 1) / 2, axis=0)
    texture = np.where(generator.random((SIDE,) * 3) < bright, 800, 400)
    return np.where(distance < radius, texture, 0).astype(np.int16)


def write(root, simulated):
    """Heads of men are larger, site west has brighter ones; ill people have a larger thalamus, and a wider T2w grid."""
    generator = np.random.default_rng(0)
    rows = []
    for number in range(PEOPLE):
        name, man, west, ill = f"sub-{number:02d}", number % 2, number // 2 % 2, number // 4 % 2
        radius = 5.8 + 0.6 * man + 0.1 * generator.random()
        affine = np.diag([SPACING, SPACING, SPACING, 1])
        truth = root / "derivatives" / "toposlearn" / name / "anat"
        for folder in (root / name / "anat", truth):
            folder.mkdir(parents=True)
        volume = head(radius, 0.3 + 0.4 * west, generator)
        nib.save(nib.Nifti1Image(volume, affine), root / name / "anat" / f"{name}_T1w.nii.gz")
        wide = np.pad(head(radius, 0.5, generator), ((0, 2 * ill), (0, 0), (0, 0)))
        nib.save(nib.Nifti1Image(wide, affine), root / name / "anat" / f"{name}_T2w.nii.gz")
        labels = np.where(volume > 0, structure("putamen", "left").label, 0).astype(np.int16)
        labels[6 : 8 + 2 * ill, 7:9, 7:9] = structure("thalamus", "left").label
        nib.save(nib.Nifti1Image(labels, affine), truth / f"{name}_dseg.nii.gz")
        row = {"participant_id": name, "sex": "FM"[man], "site": ("east", "west")[west]}
        row |= {"diagnosis": ("control", "atrophy")[ill], "age": 20 + int(generator.integers(60))}
        rows.append(row | ({"anatomy": "A", "seed": 0} if simulated else {}))
    pd.DataFrame(rows).to_csv(root / "participants.tsv", sep="\t", index=False)
    return root


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("simulated"), simulated=True)


@pytest.fixture(scope="module")
def result(folder, tmp_path_factory):
    return find_shortcuts(folder, tmp_path_factory.mktemp("out"), VOLUME, permutations=60)


@pytest.fixture(scope="module")
def rows(result):
    return pd.read_csv(result.parent / "shortcuts.csv", keep_default_na=False)


@pytest.fixture
def cohort_without_table(tmp_path):
    place = tmp_path / "bare" / "sub-1" / "anat"
    place.mkdir(parents=True)
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4), np.int16), np.eye(4)), place / "sub-1_T1w.nii.gz")
    return tmp_path / "bare"


def status(rows, label, shortcut, split="people left out"):
    (status,) = rows[(rows["label"] == label) & (rows["shortcut"] == shortcut) & (rows["split"] == split)]["verdict"]
    return status


def test_a_prediction_with_a_stated_reason_is_a_shortcut(rows):
    for split in ("people left out", "sites left out"):
        assert status(rows, "diagnosis atrophy", "volumes, shares", split) == "shortcut"
        assert status(rows, "sex M", "brain size", split) == "shortcut"
    assert status(rows, "site west", "histogram") == "shortcut"


def test_a_prediction_without_a_reason_is_unexplained_and_ends_the_report(rows, result):
    assert status(rows, "diagnosis atrophy", "headers") == "unexplained"
    lines = [line for line in shortcuts_report(result.parent).splitlines() if line.startswith("!! ")]
    start = "!! UNEXPLAINED: diagnosis atrophy is predicted by headers (people left out): AUC 1.00 [1.00, 1.00], p = "
    assert lines[0].startswith(start)
    assert len(lines) == 2  # a thalamus that does not grow with the head is a smaller share of a man's
    assert "sex M is predicted by volumes, shares" in lines[1]


def test_the_rest_is_at_chance(rows):
    rest = rows[(rows["column"] == "age") | (rows["shortcut"] == "age, sex, site")]
    assert set(rest["verdict"]) <= {"at chance", "accident"}
    assert (rest["verdict"] == "at chance").mean() > 0.8


def test_reasons_are_those_of_the_simulated_cohort_only(folder, rows):
    known = rows.drop(columns=["verdict", "reason"])
    unknown = explain(known, simulated=False)
    assert status(unknown, "sex M", "brain size") == "unexplained"
    assert set(unknown["reason"]) == {""}


def test_reasons_belong_to_labels_and_shortcuts_that_exist():
    assert reason_for("sex M", "brain size") == "heads of men are larger"
    assert reason_for("degree atrophy mild", "volumes, ml") == reason_for("diagnosis atrophy", "volumes, shares")
    assert reason_for("lesion_type stroke", "volumes, ml") == ""  # a stroke pushes nothing
    assert reason_for("diagnosis atrophy", "age, sex, site") == ""
    known = {"age, sex, site", "brain size", "histogram", "headers", "volumes, ml", "volumes, shares"}
    assert all(set(reason["shortcuts"]) <= known for reason in REASONS)


def test_each_site_has_a_row_of_its_own(rows):
    split = rows[(rows["label"] == "sex M") & (rows["shortcut"] == "brain size")]["split"]
    assert list(split) == ["people left out", "sites left out", "site east left out", "site west left out"]
    assert not rows[rows["column"] == "site"]["split"].str.startswith("site").any()


def test_the_result_file_has_metrics_with_interval_and_null(result):
    metrics = json.loads(result.read_text())["metrics"]
    size = metrics["sex M/brain size/people left out/auc"]
    assert 0.9 < size["low"] <= size["value"] <= size["high"] <= 1
    assert size["n"] == PEOPLE
    assert 0.4 < size["null"] < 0.6


def test_the_report_names_easy_labels_and_ends_with_unexplained_ones(result):
    report = shortcuts_report(result.parent)
    assert "* diagnosis atrophy, an easy task: predicted by " in report
    assert "atrophy is a change of volumes" in report
    assert "* predicted by no shortcut: age over 50.5." in report
    assert "| diagnosis, site | Cramer's V | 0.00 | 1.000 | independent |" in report
    assert report.strip().splitlines()[-1].startswith("!! UNEXPLAINED: ")


def test_files_are_read_again_only_when_one_has_changed(folder, tmp_path, monkeypatch):
    manifest, table = read_manifest(folder), tmp_path / "features.csv"
    few = manifest.select(["sub-03", "sub-04"])
    read = []
    real = inputs.check_image
    monkeypatch.setattr(inputs, "check_image", lambda path: read.append(path) or real(path))
    first = inputs.file_features(few, VOLUME, table)
    assert len(read) == 4
    again = inputs.file_features(few, VOLUME, table)
    pd.testing.assert_frame_equal(again, first)
    assert len(read) == 4
    newest = max(path.stat().st_mtime for path in few.records[1].images.values())
    os.utime(table, (newest - 10, newest - 10))
    inputs.file_features(few, VOLUME, table)
    assert len(read) == 8
    inputs.file_features(manifest.select(["sub-03"]), VOLUME, table)
    assert len(read) == 10


def test_damaged_labels_are_named(folder, tmp_path, capsys):
    for place in ("sub-00", "derivatives/toposlearn/sub-00"):
        shutil.copytree(folder / place, tmp_path / "data" / place)
    shutil.copy(folder / "participants.tsv", tmp_path / "data")
    file = tmp_path / "data/derivatives/toposlearn/sub-00/anat/sub-00_dseg.nii.gz"
    file.write_bytes(file.read_bytes()[:-20])
    out = tmp_path / "out"
    assert cli.execute(["shortcuts", "--data", str(tmp_path / "data"), "--out", str(out), "--preset", "smoke"]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {file} is truncated or damaged")


def test_volumes_are_in_milliliters_and_nothing_is_its_own_shortcut(folder, result):
    features = pd.read_csv(result.parent / "features.csv", index_col="participant_id")
    assert features.loc["sub-00", "ml/left-thalamus"] == pytest.approx(2 * 2 * 2 * SPACING**3 / 1000)
    table = inputs.subject_table(read_manifest(folder))
    widths = {
        name.split()[0]: inputs.shortcut_features(features, table, label)["age, sex, site"].shape[1]
        for name, label in inputs.label_table(table).items()
    }
    assert widths == {"diagnosis": 5, "site": 3, "sex": 3, "age": 4}


def test_too_few_people_are_reported_as_too_few(tmp_path):
    row = {"label": "sex M", "shortcut": "headers", "split": "people left out", "people": 5, "positive": 3}
    few = explain(pd.DataFrame([row]), simulated=True)
    assert list(few["verdict"]) == ["too few people"]
    few.to_csv(tmp_path / "shortcuts.csv")
    association(pd.DataFrame({"sex": ["M", "F"]})).to_csv(tmp_path / "association.csv")
    assert "| sex M (3, 2) | too few people |" in shortcuts_report(tmp_path)


def test_one_high_number_among_many_is_an_accident():
    many = {"label": "lesion true", "shortcut": "headers", "split": "people left out", "null_high": 0.6, "p": 0.02}
    rows = pd.DataFrame([{**many, "value": value} for value in (0.65, *[0.5] * 9)])
    assert list(explain(rows, simulated=True)["verdict"]) == ["accident"] + 9 * ["at chance"]
    assert explain(rows.assign(p=0.004), simulated=True)["verdict"][0] == "unexplained"


def test_dependent_properties_stand_out():
    pair = {"first": "site", "second": "sex", "measure": "Cramer's V", "strength": 0.5}
    pairs = pd.DataFrame([{**pair, "p": p} for p in (0.001, 0.04, 0.4)])
    lines = association_table(pairs).splitlines()[2:]
    assert [line.split("|")[-2].strip() for line in lines] == ["**dependent**", "accident", "independent"]


def test_the_command_succeeds_and_prints_unexplained_shortcuts(folder, tmp_path, capsys):
    assert cli.execute(["shortcuts", "--data", str(folder), "--out", str(tmp_path), "--preset", "smoke"]) == 0
    printed = capsys.readouterr().out
    assert "!! UNEXPLAINED: diagnosis atrophy is predicted by headers" in printed
    assert printed.endswith("results.json\n")


def test_a_folder_without_labels_is_refused_in_one_line(cohort_without_table, tmp_path, capsys):
    assert cli.execute(["shortcuts", "--data", str(cohort_without_table), "--out", str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "participants.tsv has none of the columns diagnosis, degree" in line
