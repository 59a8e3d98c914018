"""Own data: every notebook that loads data runs to its end on a folder not of our making, and so does training.

The folder: other names, spacing and axes, whole heads in noisy air, three modalities, no labels, no table, no truth.
"""

import json
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from foreign_maker import NAMES, write_foreign
from shared_folder import make_once

from toposlearn import cli
from toposlearn.course.notebooks import course_folder
from toposlearn.course.run import run_notebook
from toposlearn.data import Manifest, load_posed, pose_subjects
from toposlearn.explore.curves import plot_pose_sweep, read_jsonl
from toposlearn.explore.neighborhoods import find_match, plot_match
from toposlearn.pretrain import controls, error_matrix, mean_errors

UNKNOWN = "true correspondence: not known here; errors between two people are left out"
FIRST = min(NAMES, key=str.casefold)  # the first person of the folder, whom a notebook without a truth shows
SMALL = {  # notebook -> parameters that make it short, and what it prints about this folder
    "00_start_here": ({}, FIRST),
    "01_load_multimodal_volumes": ({"PEOPLE": 2}, FIRST),
    "03_intra_instance_loss": ({"STEPS": 2}, UNKNOWN),
    "04_inter_instance_loss": ({"STEPS": 20}, UNKNOWN),
    "05_reconstruction_and_total_loss": ({}, UNKNOWN),
    "06_pretraining": ({"STEPS": 4}, UNKNOWN),
    "11_a_loss_that_falls_for_the_wrong_reason": ({"STEPS": 2, "EVERY": 2, "TRAIN": 2, "PEOPLE": 2}, UNKNOWN),
    "12_where_not_what": ({"STEPS": 2, "PEOPLE": 3, "LEARNERS": 2}, UNKNOWN),
    "13_from_structures_to_tokens": ({"POSES": 2, "MANY": 3, "PEOPLE": 2}, UNKNOWN),
    "15_real_people": ({"POSES": 2, "PEOPLE": 2}, UNKNOWN),  # needs the heads that `make run` fetches
}


@pytest.fixture(scope="module")
def foreign(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six people, written once for all processes; the cache of prepared people is shared by all tests here."""
    return make_once(tmp_path_factory, "scans", lambda folder: write_foreign(folder, manifest.records))


def printed(path: Path) -> str:
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "".join(output.text for output in outputs if output.output_type == "stream")


@pytest.mark.slow
@pytest.mark.notebook
def test_representations_are_explored_without_any_truth(foreign, tmp_path):
    given = {"DATA": str(foreign), "RESULTS": str(tmp_path / "results")}
    assert run_notebook(course_folder() / "10_explore_representations.ipynb", tmp_path, given).error is None


@pytest.mark.slow
@pytest.mark.notebook
@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("07_downstream_segmentation", "no structure labels"),
        ("08_downstream_classification", "no column diagnosis"),
        ("09_missing_modalities", "no structure labels"),
    ],
)
def test_where_there_is_nothing_to_score_the_notebook_says_what_is_missing(name, missing, foreign, tmp_path):
    run = run_notebook(course_folder() / f"{name}.ipynb", tmp_path, {"DATA": str(foreign)})
    assert run.error is not None
    assert missing in run.error


@pytest.mark.slow
@pytest.mark.notebook
@pytest.mark.parametrize("name", SMALL)
def test_a_notebook_runs_to_its_end(name, foreign, cohort, tmp_path):
    parameters, shown = SMALL[name]
    given = {"DATA": str(foreign), "RESULTS": str(tmp_path / "results"), **parameters}
    if name.startswith(("04", "11", "12", "13")):
        given["TRUTH"] = str(cohort)
    run = run_notebook(course_folder() / f"{name}.ipynb", tmp_path, given)
    assert run.error is None
    text = printed(tmp_path / f"{name}.ipynb")
    assert shown in text
    assert (UNKNOWN in text) == (shown == UNKNOWN)
    metrics = json.loads((tmp_path / "results" / f"{name}.json").read_text())["metrics"]
    assert metrics
    own_errors = [
        key for key in metrics if "across_people" in key or "other person" in key or "untrained network" in key
    ]
    assert own_errors in ([], ["matched fraction, untrained network"])


def test_inspect_pretrain_and_scorecard(foreign, tmp_path, capsys):
    assert cli.execute(["inspect", str(foreign)]) == 0
    assert "layout: one folder per person" in capsys.readouterr().out
    run = tmp_path / "run"
    training = ["pretrain", "--preset", "smoke", "--steps", "2", "--data", str(foreign), "--out", str(run)]
    assert cli.execute(training) == 0
    assert "modalities: T1w, FLAIR, ce-gadolinium_T1w" in capsys.readouterr().out
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert len(rows) == 2
    assert min(rows[0][term] for term in ("reconstruction", "intra", "inter", "gradient_norm")) > 0
    result = tmp_path / "result.json"
    scoring = ["scorecard", str(run / "weights.safetensors"), "--data", str(foreign), "--out", str(result)]
    assert cli.execute(scoring) == 0
    names = set(json.loads(result.read_text())["metrics"])
    assert {"stride4/same_person_error", "stride8/overlap"} <= names
    assert not any("across_people" in name for name in names)


def test_named_modalities_are_taken_or_refused(foreign, tmp_path, capsys):
    training = ["pretrain", "--preset", "smoke", "--steps", "1", "--data", str(foreign), "--out", str(tmp_path / "run")]
    assert cli.execute([*training, "--modalities", "T1w,PDw"]) == 1
    assert "has no PDw image" in capsys.readouterr().err
    assert cli.execute([*training, "--modalities", "FLAIR,T1w"]) == 0


def test_what_is_known_of_people(foreign, subjects, smoke):
    posed = pose_subjects(subjects, smoke)
    assert posed.known
    assert torch.equal(posed.token_places(4), posed.token_template(4))
    theirs = load_posed(foreign, smoke, 4)
    assert len(theirs.names) == 2  # a quarter of six
    assert theirs.truth == UNKNOWN
    assert torch.equal(theirs.token_places(4)[1], theirs.token_positions(4))
    with pytest.raises(ValueError, match="no ground-truth map"):
        theirs.token_template(4)


def test_without_the_truth_only_the_diagonal_is_measured(subjects, smoke):
    posed = pose_subjects(subjects, smoke)
    template, mask = posed.token_template(4), posed.token_mask(4)
    tokens = torch.randn(2, *template.shape, generator=torch.Generator().manual_seed(0))
    whole = error_matrix(*tokens, template, mask)
    alone = error_matrix(*tokens, template, mask, across=False)
    np.testing.assert_allclose(np.diag(alone), np.diag(whole))
    assert np.isnan(alone[~np.eye(len(alone), dtype=bool)]).all()
    assert set(mean_errors(whole[None], interval=True)) == {"same person", "other person", "low", "high"}
    assert mean_errors(alone[None], interval=True) == {"same person": mean_errors(whole[None])["same person"]}


def test_grid_position_is_right_within_a_person(foreign, smoke):
    known = controls(load_posed(foreign, smoke, 2), 4)
    assert np.diag(known.position).max() == 0
    assert np.diag(known.random).min() > 20  # mm
    assert np.isnan(known.random[0, 1])


def test_pictures_leave_out_what_is_not_known(foreign, smoke, tmp_path):
    theirs = load_posed(foreign, smoke, 2)
    places, mask = theirs.token_places(4), theirs.token_mask(4)
    tokens = torch.randn(2, *places.shape[1:], generator=torch.Generator().manual_seed(0))
    anchor = int(mask[0].nonzero()[0])
    grid = theirs.token_positions(4)
    match = find_match(anchor, tokens, (grid, grid), mask[1], places if theirs.known else None)
    assert (match.truth, match.errors) == (None, {})
    figure = plot_match(theirs.volumes[0, 0], theirs.volumes[1, 1], match, stride=4, spacing=6.0, mask_b=mask[1])
    assert figure.get_suptitle() == "the true place is not known"
    assert plot_pose_sweep({}) is None
    drawn = plot_pose_sweep({0.0: {"full": 3.0, "floor": 1.0}, 1.0: {"full": 4.0, "floor": 1.0}})
    assert drawn is not None
    assert [line.get_label() for line in drawn.axes[0].lines] == ["full", "best token there is"]
    assert read_jsonl(tmp_path / "absent", optional=True) == []
