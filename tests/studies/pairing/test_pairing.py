"""The study of paired people: who keeps which image, what is measured, and the whole with runs of one step."""

import json
import shutil

import numpy as np
import pytest

from toposlearn import cli
from toposlearn.config import preset
from toposlearn.data import split_subjects
from toposlearn.pretrain.point_errors import TOKEN
from toposlearn.studies.pairing import run_pairing
from toposlearn.studies.pairing.figures import plot_pairing
from toposlearn.studies.pairing.measure import WITHIN, difference_metrics, measure_controls
from toposlearn.studies.pairing.people import MODALITIES, posed_twice, with_share
from toposlearn.studies.pairing.tables import pairing_section, shares_of

SHARES = (1.0, 0.4, 0.0)


@pytest.fixture(scope="module")
def sides(manifest):
    return split_subjects(manifest, test_fraction=0.2)


def test_a_share_keeps_both_images_and_the_others_one_each_in_turn(manifest, sides):
    train, held_out = sides
    kept = {}
    for share in SHARES:
        people = with_share(manifest, train, share)
        assert [record.name for record in people.records] == [record.name for record in manifest.records]
        kept[share] = {record.name: tuple(record.images) for record in people.records}
        assert all(kept[share][record.name] == MODALITIES for record in held_out.records)
        counts = [
            sum(kept[share][record.name] == names for record in train.records)
            for names in (MODALITIES, *zip(MODALITIES))
        ]
        assert counts[0] == round(share * len(train)) == len(train) - counts[1] - counts[2]
        assert abs(counts[1] - counts[2]) <= 1
    for name, images in kept[0.4].items():
        assert images in (MODALITIES, kept[0.0][name])  # nested: the same image is kept at every share


def test_within_a_person_the_two_images_are_in_two_poses(subjects, smoke):
    people = posed_twice(subjects, smoke)
    assert people.names[:6] == people.names[6:]
    known = measure_controls(people.take([0, 1, 6, 7]), (4,))
    position, floor = (known[name][f"stride4/T1w-T2w/{WITHIN[TOKEN]}"] for name in ("position", "floor"))
    assert position.shape == floor.shape == (2,)
    assert (floor > 0).all()
    assert (position > 1.5 * floor).all()  # in one pose it would be right
    assert known["position"][f"stride4/T1w-T2w/{TOKEN}"].shape == (2, 2)


def test_differences_are_paired_by_person_and_seed():
    errors = np.add.outer(np.arange(4.0), np.arange(4.0))[None].repeat(2, 0)
    raw = {
        "stride4/T1w-T2w/across_people_error": errors,
        "stride4/overlap": errors[0, :2],
        "stride4/overlap_null": errors,
    }
    found = difference_metrics({name: values - 3 for name, values in raw.items()}, raw, "a-b")
    assert set(found) == {"a-b/stride4/T1w-T2w/across_people_error", "a-b/stride4/overlap"}
    assert all((each["value"], each["low"], each["high"]) == pytest.approx((-3,) * 3) for each in found.values())


@pytest.fixture(scope="module")
def study(cohort, tmp_path_factory):
    """Folder of the study, its arguments, and its result."""
    out = tmp_path_factory.mktemp("pairing")
    shutil.copytree(cohort, out / "data")
    config = preset("smoke").replace(train={"steps": 1, "test_fraction": 0.5})
    given = {"shares": (1.0, 0.0), "variants": ("intra", "full"), "seeds": (0,), "shipped": out / "shipped"}
    path = run_pairing(config, out / "data", out / "runs", **given, progress=False)
    return out, config, given, json.loads(path.read_text())


def test_networks_are_trained_at_every_share_and_compared(study):
    out, _, _, result = study
    metrics = result["metrics"]
    assert result["schema"] == "toposlearn/result/1"
    assert shares_of(metrics) == [1.0, 0.0]
    for kind in ("share1/intra", "share1/full", "share0/intra", "share0/full", "share0/full-random", "untrained"):
        error = metrics[f"{kind}/stride4/T1w-T2w/across_people_error"]
        assert error["low"] <= error["value"] <= error["high"]
        assert error["null"] > error["baseline"] > 0
        assert {f"{kind}/stride4/T1w-T2w/{name}" for name in WITHIN.values()} <= set(metrics)
        assert f"{kind}/stride4/overlap" in metrics
    assert "share1/full-random/stride4/overlap" not in metrics
    assert metrics["share0/full-intra/stride4/T1w-T2w/across_people_error"]["null"] == 0
    assert 0 <= metrics["share0/comparisons_across_modalities"]["value"] <= 1
    config = json.loads((out / "runs/0-full-seed0/config.json").read_text())
    assert config["train"]["unpaired"]
    assert config["volume"]["modalities"] == list(MODALITIES)


def test_the_result_is_shipped_and_complete_runs_are_kept(study):
    out, config, given, result = study
    assert json.loads((out / "shipped/pairing.json").read_text()) == result
    kept = [out / "runs/0-full-seed0" / name for name in ("weights.safetensors", "pairing.safetensors")]
    before = [file.stat().st_mtime_ns for file in kept]
    run_pairing(config, out / "data", out / "runs", **given, progress=False)
    assert [file.stat().st_mtime_ns for file in kept] == before


def test_tables_and_figure_show_every_network(study):
    *_, result = study
    table = pairing_section(result)
    assert table.count("| 0 %, inter, random matches (null) |") == 4  # two token levels, each with its differences
    assert table.count("| *grid position* |") == 2
    figure = plot_pairing(result, 4)
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {"no inter", "inter, mutual matches", "inter, random matches (null)", "grid position"} <= labels
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["100 %", "0 %"]


def test_wrong_shares_and_people_without_the_truth_are_refused(cohort, smoke, tmp_path, capsys):
    with pytest.raises(ValueError, match="shares must be between 0 and 1, got 25"):
        run_pairing(smoke, cohort, tmp_path / "runs", shares=(25.0,))
    assert cli.execute(["pairing", "--shares", "1,few"]) == 1
    assert "--shares 'few' is no number" in capsys.readouterr().err
    shutil.copytree(cohort / "sub-001", tmp_path / "data/sub-001")
    with pytest.raises(ValueError, match=r"sub-001 in .* has no map to the template, which is the truth"):
        run_pairing(smoke, tmp_path / "data", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
