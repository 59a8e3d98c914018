"""Networks and rivals on people with a truth between them: keys, paired differences, tables, and the command."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from foreign_maker import LABELED, write_labeled

from toposlearn import cli
from toposlearn.data import PointSource, PosedSubjects, pose_subjects
from toposlearn.intervals import across_subjects
from toposlearn.models import Readout, Taco, save_weights
from toposlearn.pretrain.between_people import POSES, Comparison, between_metrics, comparable, in_poses, measure_people
from toposlearn.pretrain.people_table import better_in_words, people_section, people_table, row_names
from toposlearn.pretrain.point_errors import CONTINUOUS, FITTED, TOKEN

PEOPLE = 4
NOBODY = {"schema": "toposlearn/split/1", "train": {}, "held_out": [], "salt": "", "described": {}}


@pytest.fixture(scope="module")
def model(smoke) -> Taco:
    torch.manual_seed(3)
    return Taco(smoke.model).eval()


@pytest.fixture(scope="module")
def poses(subjects, smoke) -> dict[str, PosedSubjects]:
    """Three people with a map to the template."""
    return {name: people.take([0, 1, 2]) for name, people in in_poses(subjects, smoke, PointSource()).items()}


def matrix(value: float) -> np.ndarray:
    return np.where(np.eye(PEOPLE, dtype=bool), 0, value).astype(float)


def known_metrics(network: float, affine: float):
    rivals = {name: {TOKEN: matrix(9), CONTINUOUS: matrix(8)} for name in ("position", "centered", "rigid")}
    rivals |= {"affine": {TOKEN: matrix(9), CONTINUOUS: matrix(affine)}, "floor": {TOKEN: matrix(2)}}
    rivals |= {"random": {TOKEN: matrix(70)}}
    networks = {"full": {TOKEN: matrix(7)[None], CONTINUOUS: matrix(network)[None]}}
    return between_metrics("x/NAME", networks, rivals)


def test_known_errors_give_known_metrics_and_paired_differences():
    metrics = known_metrics(network=6, affine=5)
    own = metrics[f"x/full/{CONTINUOUS}"]
    assert [own[part] for part in ("value", "low", "high", "null", "baseline", "n")] == pytest.approx(
        [6, 6, 6, 70, 8, 4]
    )
    assert metrics[f"x/full-affine/{CONTINUOUS}"]["value"] == pytest.approx(1)
    assert metrics[f"x/full-rigid/{TOKEN}"]["value"] == pytest.approx(-2)
    assert metrics[f"x/floor/{TOKEN}"]["value"] == pytest.approx(2)


def test_the_sentences_name_the_rival_that_is_better():
    rows, keys = row_names(["full"]), {"as scanned": "x/NAME"}
    metrics = known_metrics(network=6, affine=5)
    assert better_in_words(metrics, keys, "full", rows) == [
        "full, as scanned, at tokens (7.00 mm): no rival is better.",
        "full, as scanned, continuous (6.00 mm): affine registration (5.00 mm) is better.",
    ]
    worse = better_in_words(known_metrics(network=8.5, affine=8.5), keys, "full", rows)[1]
    assert (
        "grid position (8.00 mm), centered and scaled position (8.00 mm) and rigid registration (8.00 mm) are" in worse
    )
    table = people_table(metrics, keys, rows)
    assert "| affine registration | 9.00 [9.00, 9.00] | 5.00 [5.00, 5.00] |" in table
    assert "| floor: best token there is | 2.00 [2.00, 2.00] | – |" in table
    assert "untrained" not in table


def test_simulated_people_are_measured_in_both_poses_and_modalities(model, poses):
    metrics = measure_people({"full": (model, Readout())}, poses, registration=False)
    for stride in (4, 8):
        for pose in POSES:
            for pair in ("T1w-T1w", "T1w-T2w"):
                key = f"stride{stride}/{pose}/{pair}"
                assert metrics[f"{key}/floor/{TOKEN}"]["value"] < metrics[f"{key}/full/{TOKEN}"]["value"]
                assert f"{key}/full-centered/{CONTINUOUS}" in metrics
                assert f"{key}/untrained/{CONTINUOUS}" in metrics
    crossed = metrics[f"stride4/posed/T1w-T2w/full/{TOKEN}"]
    assert crossed["value"] == pytest.approx(metrics["stride4/across_people_error"]["value"])
    section = people_section(metrics, {"full": (model, Readout())}, poses["posed"])
    assert "**24 mm tokens, T1w to T2w**" in section
    assert "3 people; true correspondence: known, in template mm" in section
    assert "temperature 0.04, reach 24 mm: the default" in section
    assert "registration" not in section


def test_points_are_those_of_people_posed_one_by_one(subjects, smoke, poses):
    posed = pose_subjects(subjects, smoke, points=PointSource()).take([0, 1, 2])
    torch.testing.assert_close(poses["posed"].points, posed.points, equal_nan=True)
    torch.testing.assert_close(poses["posed"].volumes, posed.volumes)
    assert poses["posed"].truth == posed.truth == poses["as_scanned"].truth
    assert not torch.equal(poses["posed"].points, poses["as_scanned"].points)


def test_a_perfect_network_reaches_the_floor(poses, model, monkeypatch):
    posed = poses["posed"]
    comparison = Comparison.of(posed, ("T1w", "T1w"), [4], registration=False)
    template = {4: posed.token_template(4)}
    unit = {4: torch.cat([template[4], torch.full_like(template[4][..., :1], 400.0)], -1)}
    monkeypatch.setattr("toposlearn.pretrain.between_people.encode", lambda *_: unit)
    found = comparison.measure(model, Readout(1e-4, reach=12.0))[4]
    floor = across_subjects(comparison.rivals[4]["floor"][TOKEN])
    assert floor <= across_subjects(found[TOKEN]) < 1.2 * floor
    assert across_subjects(found[FITTED]) < across_subjects(found[CONTINUOUS]) < across_subjects(found[TOKEN])


def test_people_who_share_no_point_with_others_are_left_out(poses, capsys):
    points = torch.zeros(3, 2, 3)
    points[1], points[0, 1], points[2, 1] = torch.nan, torch.nan, torch.nan
    own = {"to_template": None, "points": points, "point_names": ("a", "b")}
    unknown = {name: dataclasses.replace(people, **own) for name, people in poses.items()}
    kept = comparable(unknown)
    assert kept["posed"].names == (poses["posed"].names[0], poses["posed"].names[2])
    assert f"with the others: {poses['posed'].names[1]}" in capsys.readouterr().err
    assert comparable({n: dataclasses.replace(p, points=None) for n, p in unknown.items()}) == {}
    assert comparable({n: p.take([0]) for n, p in poses.items()}) == {}


@pytest.fixture(scope="module")
def labeled(manifest, tmp_path_factory):
    return write_labeled(tmp_path_factory.mktemp("labeled"), manifest.records[:3])


def test_the_command_measures_people_with_one_modality_and_labels(labeled, model, smoke, tmp_path, capsys):
    weights = save_weights(tmp_path / "one.safetensors", model, smoke, split=NOBODY, readout=Readout(0.08, "here"))
    out, (scans, maps) = tmp_path / "real.json", LABELED
    data = ["--data", str(labeled), "--pattern", scans, "--cache", str(tmp_path / "cache")]
    command = ["scorecard", str(weights), *data]
    assert cli.execute(command) == 1
    assert "name the table of their label maps with --labels" in capsys.readouterr().err
    labels = ["--pattern", maps, "--labels", "toposlearn"]
    assert cli.execute([*command, *labels, "--out", str(out), "--source", "me, CC0"]) == 0
    shown = capsys.readouterr().out
    assert "| affine registration |" in shown
    assert "temperature 0.08, reach 24 mm: here" in shown
    result = json.loads(out.read_text())
    assert result["metrics"][f"stride4/as_scanned/T1w-T1w/affine/{CONTINUOUS}"]["n"] == 3
    assert (result["config"]["source"], result["config"]["labels"]) == ("me, CC0", "toposlearn")
    assert len(set(result["config"]["people"])) == 3
    assert not any(person in out.read_text() for person in ("P1", "P2", "P3"))
    assert list((tmp_path / "cache").rglob("registrations/*.safetensors"))
