"""The commands `finetune` and `predict`: a whole course, and one line for each kind of bad input."""

import re
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from labeled_heads import AFFINE, save, write_heads

from toposlearn.cli import execute
from toposlearn.downstream.network_file import load_network

pytestmark = pytest.mark.usefixtures("prepared_once")


@pytest.fixture
def tune(tiny_weights, tmp_path):
    """Run the command with the tiny network, and return its exit code."""

    def call(data: Path, *options: str, out: Path = tmp_path / "out") -> int:
        return execute(
            ["finetune", str(data), "--weights", str(tiny_weights), "--steps", "2", "--out", str(out), *options]
        )

    return call


def the_error(capsys) -> str:
    """The one line of an error; notes and progress are before it."""
    lines = [line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if line.startswith("error: ")]
    (line,) = lines  # of one line, although labels may be wrong in everyone
    return line


def test_a_segmentation_is_tuned_and_predicts_new_people(tune, heads, tmp_path, capsys):
    assert tune(heads, "--regions", "balls=1,2;ball=1", "--missing", "drop", "--shots", "3,6") == 0
    out = capsys.readouterr().out
    assert "modalities: T1w, T2w\nfor an image that is missing the network gets nothing: features are weighted" in out
    assert "| shots3/network |" in out
    assert "| shots6/position prior |" in out
    network = tmp_path / "out" / "shots6"
    _, config, target = load_network(network)
    assert config.missing == "drop"
    assert target.regions == {"balls": (1, 2), "ball": (1,)}
    new = write_heads(tmp_path / "new", 1, modalities=("T2w",))  # one image only
    (new / "P1").rename(new / "N1")
    labels = tmp_path / "labels"
    assert execute(["predict", str(network), str(new), "--out", str(labels), "--probabilities", "--no-page"]) == 0
    assert capsys.readouterr().out == f"{labels}: 2 files\n"
    assert nib.load(labels / "N1_dseg.nii.gz").shape == nib.load(new / "N1" / "T2w.nii.gz").shape


def test_a_class_is_tuned_in_folds_and_predicted_as_a_table(tune, heads, tmp_path, capsys):
    options = ("--task", "classification", "--target", "SEX", "--folds", "2", "--pooling", "attention", "--freeze")
    assert tune(heads, *options, "--each-subset") == 0
    out = capsys.readouterr().out
    for row in ("network", "network/T1w", "network/T2w"):
        assert f"| {row} |" in out
    assert "AUC" in out
    table = tmp_path / "table"
    assert execute(["predict", str(tmp_path / "out" / "fold1"), str(heads), "--out", str(table)]) == 0
    assert capsys.readouterr().out == f"{table / 'predictions.csv'}\n"
    assert (table / "predictions.csv").read_text().startswith("name,Sex,probability F,probability M\nP1,")
    assert execute(["predict", str(tmp_path / "out"), str(heads), "--out", str(table)]) == 1
    assert "the networks of several runs: give one of its folders fold0, fold1" in the_error(capsys)


def everyone(data: Path, change) -> None:
    """Change every label map of a folder."""
    for path in sorted(data.glob("*/seg.nii.gz")):
        change(path)


def fractions(path: Path) -> None:
    save(path, np.asarray(nib.load(path).dataobj).astype(np.float32) * 0.5 + 0.25)


def empty(path: Path) -> None:
    save(path, np.zeros((24, 28, 20), np.int16))


def elsewhere(path: Path) -> None:
    away = AFFINE.copy()
    away[:3, 3] += 500
    save(path, np.asarray(nib.load(path).dataobj), away)


BAD_LABELS = {
    "floats": (fractions, "P1: left out: .*seg.nii.gz holds .* values that are not whole numbers"),
    "empty": (empty, "the label maps of the 5 people who would be trained on, .* are empty on the network's grid"),
    "on a grid that does not reach the images": (elsewhere, "are empty on the network's grid: check that they lie on"),
    "no files": (Path.unlink, "has no label maps: put them beside the images, or name them with --pattern 'label:seg="),
    "no images": (lambda path: path.write_bytes(b"text"), "seg.nii.gz is text, not an image"),
}


@pytest.mark.parametrize("kind", BAD_LABELS)
def test_label_maps_that_cannot_be_used_are_one_line(kind, tune, heads, tmp_path, capsys):
    data = shutil.copytree(heads, tmp_path / "people")
    change, reason = BAD_LABELS[kind]
    everyone(data, change)
    assert tune(data) == 1
    assert re.search(reason, the_error(capsys))
    assert not (tmp_path / "out").exists()


def test_one_bad_label_map_leaves_out_one_person(tune, heads, tmp_path, capsys):
    data = shutil.copytree(heads, tmp_path / "people")
    fractions(data / "P4" / "seg.nii.gz")
    (data / "P6" / "seg.nii.gz").unlink()
    assert tune(data) == 0
    err = capsys.readouterr().err
    assert "note: left out because they have no seg: P6" in err
    assert "P4: left out: " in err
    split = (tmp_path / "out" / "split.json").read_text()
    assert '"P4"' not in split
    assert '"P6"' not in split


def test_label_maps_on_another_grid_than_the_images_are_learned_and_judged_on_it(tune, heads, tmp_path):
    data = shutil.copytree(heads, tmp_path / "people")
    for path in data.glob("*/seg.nii.gz"):
        flipped = nib.load(path).slicer[2:, :, 1:].as_reoriented([[0, -1], [1, 1], [2, 1]])
        nib.save(flipped, path)
    assert tune(data) == 0
    assert tune(heads, out=tmp_path / "same grid") == 0
    one, other = ((tmp_path / name / "scores.csv").read_text().splitlines() for name in ("out", "same grid"))
    volumes = [[float(row.split(",")[6]) for row in rows[1:] if row.split(",")[6]] for rows in (one, other)]
    assert volumes[0] == pytest.approx(volumes[1])


def test_two_people_are_one_to_learn_from_and_one_to_judge(tune, tmp_path, capsys):
    assert tune(write_heads(tmp_path / "two", 2)) == 0
    err = capsys.readouterr().err
    assert "note: with fewer than 4 labeled people none are spared for validation: all steps are made" in err


@pytest.mark.parametrize(
    ("count", "options", "reason"),
    [
        (1, (), "has 1 labeled people: two are needed, to learn and to judge"),
        (2, ("--task", "classification", "--target", "sex"), "none of the 1 people who would be judged has Sex"),
        (
            2,
            ("--task", "classification", "--target", "sex", "--folds", "2"),
            "for all 1 people who would be trained on",
        ),
        (2, ("--task", "regression", "--target", "age"), "for all 1 people who would be judged"),
        (8, ("--task", "classification", "--target", "gender"), "have no column 'gender': choose among"),
        (8, ("--task", "classification"), "classification needs a column of participants: name it with --target"),
        (8, ("--task", "classification", "--target", "same"), "column same of .* is 'x' for all 8 people"),
        (8, ("--task", "regression", "--target", "sex"), "Sex of P1 is 'M', which is no number"),
        (8, ("--target", "age"), "task.target 'age' is not read with segmentation"),
        (8, ("--task", "detection"), "task.kind must be one of segmentation, classification, regression"),
        (8, ("--labels", "lesion"), "has no label maps of kind 'lesion': choose among seg"),
        (8, ("--regions", "core=7"), "no label of the region core occurs: .* have the labels 1, 2"),
        (8, ("--regions", "core"), "--regions 'core' is not understood: write brats"),
        (8, ("--names", "nothing.csv"), "no table of labels 'nothing.csv'"),
        (8, ("--task", "regression", "--target", "age", "--names", "freesurfer"), "regression does not read: leave it"),
        (8, ("--pooling", "attention"), "finetune.pooling is read with classification and regression only"),
        (8, ("--missing", "guess"), "finetune.missing must be one of mean, zero, drop"),
        (8, ("--shots", "2,x"), "--shots 'x' is no whole number: write it as in '--shots 2,4,8'"),
        (8, ("--shots", "9"), "--shots 9: there are 6 labeled people to train on"),
        (8, ("--folds", "9"), "--folds must be between 2 and 8"),
        (8, ("--modalities", "T1w,FLAIR"), "P1 in .* has no FLAIR image"),
        (8, ("--freeze", "--from-scratch"), "--freeze keeps pre-trained weights"),
        (8, ("--preset", "lab"), "--preset lab is not read with --weights"),
        (8, ("--spacing", "-1"), "--spacing must be positive"),
        (8, ("--resume",), "no run in .*: run without --resume"),
    ],
)
def test_each_bad_input_is_one_line_before_anything_is_trained(count, options, reason, tune, heads, tmp_path, capsys):
    data = heads if count == 8 else write_heads(tmp_path / "people", count)
    if "same" in options:
        data = shutil.copytree(heads, tmp_path / "people")
        rows = (data / "participants.tsv").read_text().splitlines()
        (data / "participants.tsv").write_text("\n".join([f"{rows[0]}\tsame", *(f"{row}\tx" for row in rows[1:])]))
    assert tune(data, *options) == 1
    assert re.search(reason, the_error(capsys))
    assert not (tmp_path / "out").exists()


def test_a_network_of_pre_training_and_missing_data_are_one_line(heads, tiny_weights, tmp_path, capsys):
    assert execute(["predict", str(tiny_weights), str(heads), "--out", str(tmp_path)]) == 1
    assert "is not a network of 'toposlearn finetune'" in the_error(capsys)
    assert (
        execute(["finetune", str(tmp_path / "no"), "--weights", str(tiny_weights), "--out", str(tmp_path / "x")]) == 1
    )
    assert "does not exist" in the_error(capsys)
    assert execute(["finetune", str(heads), "--weights", str(tmp_path / "w"), "--out", str(tmp_path / "x")]) == 1
    assert "do not exist: pre-train first" in the_error(capsys)
