"""``toposlearn topology``: the donors, a data folder, the user's segmentations, and their faults."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from toposlearn import cli
from toposlearn.anatomy import DONOR_IDS, load_label_map
from toposlearn.anatomy.atlases import load_raw_labels


def test_topology_writes_tables_graphs_and_a_page_of_the_donors(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("toposlearn.studies.agreement.study.DONOR_IDS", DONOR_IDS[:2])  # two are enough here
    out = tmp_path / "new" / "topology"
    assert cli.execute(["topology", "--within", "0", "--out", str(out)]) == 0
    header, *rows = (out / "relations.csv").read_text().splitlines()
    assert header == "person,structure_a,side_a,structure_b,side_b,relation,holds,margin,verdict"
    assert {row.split(",")[0] for row in rows} == set(DONOR_IDS[:2])
    assert len(rows) == 2 * 26 * 25 * 4  # every ordered pair, also of left with right
    tables = {"relations", "distances", "consistency", "disputed", "agreement"}
    assert {path.stem for path in out.glob("*.csv")} == tables
    assert len(list((out / "graphs").glob("*.graphml"))) == 4
    assert "Consistency score" in (out / "index.html").read_text()
    result = json.loads((out / "result.json").read_text())
    facts = {"people": 2, "structures": 26, "table": "donors", "source": ""}
    assert (result["source"], result["config"] | facts) == ("toposlearn topology --within 0", result["config"])
    putamen = result["metrics"]["thalamus medial to putamen, both sides"]
    assert (putamen["count"], putamen["n"], putamen["low"]) == (2, 2, pytest.approx(0.025**0.5))
    table = pd.read_csv(out / "relations.csv").query("structure_a == 'thalamus' and structure_b == 'putamen'")
    margins = table.query("relation == 'medial' and side_a == side_b")["margin"]
    ends = [putamen["null"], putamen["margin_min"], putamen["margin_max"]]
    np.testing.assert_allclose(ends, [0.5, margins.min(), margins.max()], rtol=1e-4)
    kept = result["metrics"]["relations kept by all people"]
    once = pd.read_csv(out / "consistency.csv").query("relation != 'adjacent'")
    assert kept["relations"] == len(once) / 2
    assert kept["value"] == pytest.approx((once["fraction"] != 0.5).mean(), abs=1e-3)
    assert f"{out}/index.html: 2 people, 26 structures that all have" in capsys.readouterr().out


def points(path: Path, seed: int, tilt: float = 0.0, **more: tuple[float, float, float]) -> str:
    """A file of landmarks around fixed places, in a head that is tilted forward by `tilt` radians."""
    places = {"AC": (0, 2, 0), "PC": (0, -24, 0), "R MB": (3, -6, -9), "L MB": (-3, -6, -9)}
    places |= {"R horn": (20, -60, 1), "L horn": (-20, -60, 1), "R LV": (16, 20, 20), "L LV": (-16, 20, 20)} | more
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), np.sin(tilt)], [0, -np.sin(tilt), np.cos(tilt)]])
    own = np.array(list(places.values())) + np.random.default_rng(seed).normal(scale=0.3, size=(len(places), 3))
    rows = [f"{name},{x},{y},{z}" for name, (x, y, z) in zip(places, own @ turn.T + 50, strict=True)]
    path.write_text("\n".join(["name,x,y,z", *rows]))
    return str(path)


def test_topology_of_landmarks_needs_no_label_map(tmp_path, capsys):
    files = [points(tmp_path / f"sub-{who}_rater-{rater}.csv", rater, who / 4) for who in range(9) for rater in (1, 2)]
    files.append(points(tmp_path / "other.csv", 0, extra=(0, 0, 30)))
    arguments = ["topology", "--points", *files, "--out", str(tmp_path / "out"), "--source", "me, CC0"]
    assert cli.execute(arguments) == 0
    assert "10 people, 8 structures that all have" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "out" / "relations.csv")
    assert set(table["relation"]) == {"medial", "anterior", "superior"}
    ends = (table["structure_a"] == "ac") & (table["structure_b"] == "pc") & (table["relation"] == "anterior")
    assert table[ends]["person"].tolist() == [*(f"sub-{who}" for who in range(9)), "other"]
    np.testing.assert_allclose(table[ends]["margin"], 26, atol=2)  # however the head is tilted
    horn = table[(table["structure_a"] == "lv") & (table["structure_b"] == "horn") & (table["relation"] == "medial")]
    np.testing.assert_allclose(horn["margin"], 4, atol=2)
    assert {path.stem.rpartition("_")[2] for path in (tmp_path / "out" / "graphs").iterdir()} == {"nearest"}
    assert "touching" not in (tmp_path / "out" / "agreement.csv").read_text()
    text = (tmp_path / "out" / "result.json").read_text()
    assert "sub-" not in text
    assert str(tmp_path) not in text
    result = json.loads(text)
    assert result["source"] == "toposlearn topology SEG... --points"
    assert (result["config"]["source"], result["config"]["table"]) == ("me, CC0", "points")
    metrics = result["metrics"]
    assert metrics["left-right relations, share of the majority"]["value"] > 0.95
    assert metrics["neighbor agreement"]["value"] > metrics["neighbor agreement"]["null"]


def segmentation(path: Path, *, parts: dict[int, tuple[int, int, int]], kind: type = np.int16) -> str:
    """A label map of cubes, 6 mm wide, by label."""
    labels = np.zeros((64, 64, 64), dtype=kind)
    for label, place in parts.items():
        labels[tuple(slice(at, at + 6) for at in place)] = label
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(labels, np.eye(4)), path)
    return str(path)


FREESURFER_PARTS = {
    10: (22, 30, 30), 49: (36, 30, 30), 12: (8, 36, 30), 51: (50, 36, 30), 17: (12, 20, 20), 53: (46, 20, 20),
    16: (29, 24, 10), 1028: (16, 50, 40), 2028: (42, 50, 40),
}  # fmt: skip


def test_topology_of_segmentations_reports_people_left_out_and_why(tmp_path, capsys):
    subjects = [
        segmentation(tmp_path / name / "mri" / "aseg.nii.gz", parts=FREESURFER_PARTS) for name in ("bert", "ernie")
    ]
    (tmp_path / "out" / "graphs").mkdir(parents=True)
    (tmp_path / "out" / "graphs" / "zoe_nearest.graphml").write_text("of an earlier run")
    image = segmentation(tmp_path / "image" / "mri" / "aseg.nii.gz", parts={10: (22, 30, 30)}, kind=np.float32)
    loaded = nib.load(image)
    nib.save(nib.Nifti1Image(loaded.get_fdata(dtype=np.float32) * 0.05, np.eye(4)), image)
    one = segmentation(tmp_path / "one" / "mri" / "aseg.nii.gz", parts={10: (22, 30, 30)})
    out = tmp_path / "out"
    arguments = ["topology", *subjects, image, one, "--labels", "freesurfer", "--out", str(out)]
    assert cli.execute(arguments) == 0
    source = json.loads((out / "result.json").read_text())["source"]
    assert source == "toposlearn topology SEG... --labels freesurfer --within 30"
    errors = capsys.readouterr().err
    assert "left out: image: " in errors
    assert "not whole numbers" in errors
    assert "left out: one: labels hold no structure on both sides" in errors
    rows = [line.split(",") for line in (out / "relations.csv").read_text().splitlines()[1:]]
    assert {row[0] for row in rows} == {"bert", "ernie"}
    (margin,) = {row[7] for row in rows if row[1:6] == ["thalamus", "left", "putamen", "left", "medial"]}
    assert float(margin) == pytest.approx(14)
    page = (out / "index.html").read_text()
    assert "not whole numbers" in page
    graphs = {path.name for path in (out / "graphs").iterdir()}
    assert graphs == {f"{name}_{kind}.graphml" for name in ("bert", "ernie") for kind in ("nearest", "adjacent")}


def test_topology_reports_people_with_nothing_in_common(tmp_path, capsys):
    first = segmentation(tmp_path / "first.nii.gz", parts={10: (22, 30, 30), 49: (36, 30, 30)})
    second = segmentation(tmp_path / "second.nii.gz", parts={12: (8, 36, 30), 51: (50, 36, 30)})
    voxel = segmentation(tmp_path / "voxel.nii.gz", parts={12: (8, 36, 30), 51: (50, 36, 30)})
    labels = np.asarray(nib.load(voxel).dataobj).copy()
    labels[40, 40, 40] = 17  # a structure of one voxel
    nib.save(nib.Nifti1Image(labels, np.eye(4)), voxel)
    out = tmp_path / "out"
    assert cli.execute(["topology", first, second, voxel, "--labels", "freesurfer", "--out", str(out)]) == 0
    assert "3 people, 0 structures that all have" in capsys.readouterr().out
    assert "there is nothing to compare" in (out / "index.html").read_text()
    assert "hippocampus" in (out / "relations.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["SEG"], "error: --labels says what the labels mean: freesurfer, desikan"),
        (["SEG", "--labels", "aal"], "error: no table of labels 'aal': choose one of freesurfer"),
        (["SEG", "SEG", "--labels", "freesurfer"], "seg.nii.gz is given twice"),
        (["SEG", "--labels", "desikan"], "error: none of 1 people can be measured; seg: "),
        (["SEG", "--points", "--labels", "desikan"], "error: --points goes with files of landmarks, without --labels"),
        (["SEG", "--points"], "seg.nii.gz is no file of landmarks"),
        (["SEG", "--data", "d", "--labels", "desikan"], "error: give segmentations or --data, not both"),
        (["--labels", "desikan"], "error: --labels is about segmentations or --data"),
        (["SEG", "--labels", "freesurfer", "--out", "SEG"], "is no folder that may be written; choose another --out"),
    ],
)
def test_topology_reports_mistakes_in_one_line(tmp_path, capsys, arguments, message):
    seg = segmentation(tmp_path / "seg.nii.gz", parts={1028: (22, 30, 30)})
    assert cli.execute(["topology", "--out", str(tmp_path / "o"), *(seg if a == "SEG" else a for a in arguments)]) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "o").exists()


def test_topology_of_a_data_folder_needs_labels(tmp_path, capsys):
    image = nib.Nifti1Image(np.ones((8, 8, 8), dtype=np.float32), np.eye(4))
    folder = tmp_path / "d" / "sub-01" / "anat"
    folder.mkdir(parents=True)
    nib.save(image, folder / "sub-01_T1w.nii.gz")
    arguments = ["topology", "--data", str(tmp_path / "d"), "--out", str(tmp_path / "t"), "--within", "0"]
    assert cli.execute(arguments) == 1
    assert f"no person in {tmp_path / 'd'} has structure labels" in capsys.readouterr().err
    truth = tmp_path / "d/derivatives/toposlearn/sub-01/anat"
    truth.mkdir(parents=True)
    atlas = load_label_map("A")
    nib.save(nib.Nifti1Image(atlas.labels, atlas.affine), truth / "sub-01_dseg.nii.gz")
    assert cli.execute(arguments) == 0
    assert (tmp_path / "t" / "relations.csv").read_text().splitlines()[1].startswith("sub-01,")
    source = json.loads((tmp_path / "t" / "result.json").read_text())["source"]
    assert source == f"toposlearn topology --data {tmp_path / 'd'} --within 0"


def test_a_wrong_table_and_a_mirrored_affine_are_doubted(tmp_path, capsys):
    raw, affine = load_raw_labels("A")
    coarse = raw[::3, ::3, ::3].astype(np.int32), affine @ np.diag([3.0, 3, 3, 1])
    nib.save(nib.Nifti1Image(*coarse), tmp_path / "good.nii.gz")
    mirror = np.diag([-1.0, 1, 1, 1]) @ coarse[1]
    nib.save(nib.Nifti1Image(coarse[0], mirror), tmp_path / "mirror.nii.gz")
    sheared = coarse[1].copy()
    sheared[0, 1] = 0.3
    nib.save(nib.Nifti1Image(coarse[0], sheared), tmp_path / "sheared.nii.gz")
    subjects = [str(tmp_path / f"{name}.nii.gz") for name in ("good", "mirror", "sheared")]
    arguments = ["topology", *subjects, "--within", "0", "--out", str(tmp_path / "out")]
    assert cli.execute([*arguments, "--labels", "freesurfer"]) == 0
    errors = capsys.readouterr().err
    assert "doubtful: good" not in errors
    assert "doubtful: mirror: left and right lie as in a mirror" in errors
    assert "doubtful: sheared: the voxels' axes are not at right angles" in errors
    assert "as in a mirror" in (tmp_path / "out" / "index.html").read_text()
    assert cli.execute([*arguments, "--labels", "neuromorphometrics"]) == 0
    assert "% of the labeled voxels have labels that the table does not name" in capsys.readouterr().err


def test_a_person_without_usual_structures_is_reported(tmp_path, capsys):
    few = {label: FREESURFER_PARTS[label] for label in (10, 49, 12, 51)}
    parts = {"one": FREESURFER_PARTS, "two": FREESURFER_PARTS, "few": few}
    subjects = [segmentation(tmp_path / f"{name}.nii.gz", parts=of) for name, of in parts.items()]
    assert cli.execute(["topology", *subjects, "--labels", "freesurfer", "--within", "0", "--out", str(tmp_path)]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("doubtful:")]
    assert lines == ["doubtful: few: lacks 5 of 9 structures that most people have: all are compared without these"]
    assert "lacks 5 of 9 structures" in (tmp_path / "index.html").read_text()


def test_a_folder_that_cannot_be_written_is_reported_before_people_are_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("toposlearn.studies.agreement.study.measure_subjects", lambda *_, **__: pytest.fail("measured"))
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    assert cli.execute(["topology", "--out", str(tmp_path / "new" / "out")]) == 1
    assert f"{tmp_path} is no folder that may be written; choose another --out" in capsys.readouterr().err
