"""The realism page of six simulated people: files in, page, table and result out."""

import dataclasses
import json
import re
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from typer.testing import CliRunner

from toposlearn import cli
from toposlearn.commands import app
from toposlearn.intervals import bootstrap_subjects
from toposlearn.studies.realism import write_realism
from toposlearn.studies.realism.measure import healthy_of, measure_folder
from toposlearn.studies.realism.page import counts, number, shortcomings
from toposlearn.studies.realism.table import mean_row, realism_table, resampled

NOT_JUDGED = "not judged"


@pytest.fixture(scope="module")
def written(cohort, tmp_path_factory):
    """Folder that the command wrote, of three of the six people."""
    out = tmp_path_factory.mktemp("realism")
    done = CliRunner().invoke(app, ["realism", str(cohort), "--out", str(out), "--limit", "3"])
    assert done.exit_code == 0, done.output
    assert done.output.strip().endswith(str(out / "realism.html"))
    assert not plt.get_fignums()
    return out


@pytest.fixture(scope="module")
def measured(cohort):
    return measure_folder(cohort, limit=2, progress=False)


def test_the_page_stands_alone_and_reports_how_many_were_measured(written):
    page = (written / "realism.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert all(f'id="{key}"' in page for key in re.findall(r'href="#(\w+)"', page))
    assert "3 of the 6 people" in page
    assert "Where it falls short" in page


def test_the_table_and_the_result_hold_the_same_numbers(written):
    table = pd.read_csv(written / "realism.csv")
    result = json.loads((written / "realism.json").read_text())
    names = table["group"] + "/" + table["name"]
    assert names.is_unique
    assert set(names) | {"within", "outside", "undecided"} == set(result["metrics"])
    row = table[names == "volume/thalamus"].iloc[0]
    metric = result["metrics"]["volume/thalamus"]
    assert (metric["value"], metric["low"], metric["n"]) == pytest.approx((row["value"], row["interval_low"], row["n"]))
    said = table["verdict"][table["verdict"] != NOT_JUDGED]
    assert sum(result["metrics"][kind]["value"] for kind in ("within", "outside", "undecided")) == len(said)


def test_what_is_known_of_these_people_is_found(written):
    table = pd.read_csv(written / "realism.csv").set_index(["group", "name"])
    assert table.loc[("map to the template", "share folded"), "value"] == 0
    assert table.loc[("one brain, bent", "voxels with the label that the template has there"), "value"] > 0.99
    assert table.loc[("texture of white matter", "T1w"), "verdict"].startswith("outside")  # flat tissue
    assert (table.loc["order of tissues"]["verdict"] == "as known").all()


def test_people_are_evenly_spaced_and_each_scan_has_a_row(measured):
    assert measured.subjects["subject"].tolist() == ["sub-001", "sub-006"]
    assert len(measured.images) == 8
    assert measured.total == 6


def test_a_folder_without_labels_is_refused_by_name(cohort, tmp_path):
    for person in ("sub-001", "sub-002"):
        shutil.copytree(cohort / person, tmp_path / person)
    with pytest.raises(ValueError, match=r"sub-001 .* has no structure labels"):
        write_realism(tmp_path, tmp_path / "out", progress=False)


def test_labels_alone_are_enough(cohort, tmp_path):
    """No map to the template, no lesion mask, no table of participants."""
    for person in ("sub-001", "sub-002"):
        shutil.copytree(cohort / person, tmp_path / person)
        truth = f"derivatives/toposlearn/{person}/anat"
        (tmp_path / truth).mkdir(parents=True)
        shutil.copy(cohort / truth / f"{person}_dseg.nii.gz", tmp_path / truth)
    page = write_realism(tmp_path, tmp_path / "out", progress=False).read_text()
    assert "all 2 people" in page
    table = pd.read_csv(tmp_path / "out/realism.csv")
    assert "map to the template" not in set(table["group"])
    assert "aging" not in set(table["group"])
    assert "volume" in set(table["group"])


def copied(cohort, root, *people):
    """Some people of the cohort, with their truth, to be damaged."""
    for person in people:
        for place in (person, f"derivatives/toposlearn/{person}"):
            shutil.copytree(cohort / place, root / place)
    return root


def cut(file):
    file.write_bytes(file.read_bytes()[:-2000])


def two_volumes(file):
    image = nib.load(file)
    nib.save(nib.Nifti1Image(np.stack([image.get_fdata()] * 2, axis=-1), image.affine), file)


def all_zero(file):
    image = nib.load(file)
    nib.save(nib.Nifti1Image(np.zeros(image.shape, dtype=np.int16), image.affine), file)


def not_finite(file):
    image = nib.load(file)
    nib.save(nib.Nifti1Image(np.full(image.shape, np.nan, dtype=np.float32), image.affine), file)


ILLS = {"T1w": two_volumes, "T2w": all_zero, "FLAIR": not_finite, "PDw": cut}


def test_broken_images_are_left_out_and_reported_in_one_line(cohort, tmp_path, capsys):
    data = copied(cohort, tmp_path / "data", "sub-001", "sub-002", "sub-003")
    files = {name: data / f"sub-002/anat/sub-002_{name}.nii.gz" for name in ILLS}
    for name, ill in ILLS.items():
        ill(files[name])
    (data / "sub-003/anat/sub-003_T1w.nii.gz").write_bytes(b"")
    measured = measure_folder(data, progress=False)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("sub-002: ")
    assert all(f"{name} is left out: {file}" in first for name, file in files.items())
    assert second.startswith(f"sub-003: T1w is left out: {data / 'sub-003/anat/sub-003_T1w.nii.gz'} is empty (0 bytes)")
    assert measured.images.groupby("subject").size().to_dict() == {"sub-001": 4, "sub-003": 3}
    assert measured.subjects["subject"].tolist() == ["sub-001", "sub-002", "sub-003"]  # their shape is known
    assert write_realism(data, tmp_path / "out", progress=False).exists()


def test_a_folder_without_any_image_that_can_be_used_is_refused(cohort, tmp_path):
    data = copied(cohort, tmp_path / "data", "sub-001")
    for file in data.glob("sub-001/anat/*.nii.gz"):
        cut(file)
    with pytest.raises(ValueError, match=r"no image in .*data can be used: repair"):
        measure_folder(data, progress=False)


@pytest.mark.parametrize("ending", ["dseg", "label-lesion_mask", "from-subject_to-template_xfm"])
def test_damaged_truth_ends_in_one_line_that_names_the_file(cohort, tmp_path, capsys, ending):
    data = copied(cohort, tmp_path / "data", "sub-001")
    file = data / f"derivatives/toposlearn/sub-001/anat/sub-001_{ending}.nii.gz"
    file.write_bytes(file.read_bytes()[:-200])
    assert cli.execute(["realism", str(data), "--out", str(tmp_path / "out")]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"error: {file} ")
    assert line.endswith(("copy it again", "replace it"))


@pytest.mark.parametrize(("controls", "kept"), [(8, 8), (7, 9)])
def test_healthy_subjects_are_kept_apart_where_they_are_enough(controls, kept):
    ill = [("control", "true"), ("atrophy", "false")]
    subjects = pd.DataFrame([("control", "false")] * controls + ill, columns=["diagnosis", "lesion"])
    assert len(healthy_of(subjects)) == kept


def test_a_row_has_the_mean_the_people_and_an_interval():
    (row,) = mean_row("volume", "name", [1.0, 2.0, 3.0, np.nan])
    assert (row["value"], row["n"], row["unit"], row["verdict"]) == (2.0, 3, "ml", NOT_JUDGED)
    assert (row["people_low"], row["people_high"]) == pytest.approx((1.1, 2.9))
    assert (row["interval_low"], row["interval_high"]) == bootstrap_subjects(np.array([[1.0, 2.0, 3.0]]))
    assert list(mean_row("group", "name", [np.nan])) == []


def donor_volumes():
    """Volumes of two made-up donors, ml."""
    large, small = ("thalamus", "caudate", "putamen", "pallidum"), ("hippocampus", "amygdala", "accumbens")
    columns = {f"volume/{name}": [10.0, 12.0] for name in large}
    return pd.DataFrame(columns | {f"volume/{name}": [5.0, 6.0] for name in small})


def test_a_number_of_a_group_has_the_interval_of_few_people():
    """Six people: 1.4 times as wide as the plain percentile interval, drawn here in a loop."""
    people = pd.DataFrame({"x": [1.0, 2.0, 4.0, 7.0, 11.0, 12.0]})
    row = resampled("group", "mean", people, lambda table: float(table["x"].mean()))
    drawn = np.random.default_rng(1).integers(6, size=(5000, 6))
    plain = np.diff(np.percentile(people["x"].to_numpy()[drawn].mean(axis=1), [2.5, 97.5]))[0]
    assert (row["value"], row["n"]) == (pytest.approx(37 / 6), 6)
    assert np.isnan([row["people_low"], row["people_high"]]).all()
    assert 1.25 < (row["interval_high"] - row["interval_low"]) / plain < 1.5
    alone = resampled("group", "mean", people[:1], lambda table: float(table["x"].mean()))
    assert np.isnan([alone["interval_low"], alone["interval_high"]]).all()


def pairs_of(*pairs):
    return {frozenset(pair) for pair in pairs}


TEMPLATES = pd.DataFrame({"ratio/cortex": [0.8, 0.9], "texture": [0.008, 0.009]})


def test_neighbors_that_two_people_share_have_an_interval_over_people(measured):
    """Pairs of people are not independent: people are drawn again."""
    shares = [pairs_of((2, 3), (3, 4)), pairs_of((2, 3)), pairs_of((2, 3), (3, 4), (2, 4)), pairs_of((3, 4))]
    four = dataclasses.replace(measured, touching=shares)
    donors = [pairs_of((2, 3), (3, 4), (2, 4)), pairs_of((2, 3))]
    table = realism_table(four, TEMPLATES, donor_volumes(), donors)
    row = table[table["name"] == "neighbors that two people share"].iloc[0]
    pairs = np.array([[len(one & other) / len(one | other) for other in shares] for one in shares])
    assert row["value"] == pytest.approx(pairs[np.triu_indices(4, k=1)].mean())
    assert (row["interval_low"], row["interval_high"]) == pytest.approx(bootstrap_subjects(pairs[None]))


def test_statuses_are_counted_and_numbers_are_short():
    kinds = ("within", "as known", "outside: 2.00 × the upper end", "undecided: …", NOT_JUDGED, "not measured")
    assert counts(pd.Series(kinds)) == {"within": 2, "outside": 1, "undecided": 1}
    assert [number(value) for value in (1443.3, -0.0109, 0.0, 12.34, np.nan)] == ["1443", "−0.0109", "0", "12.3", "–"]


def test_shortcomings_have_their_numbers_or_are_left_out(measured):
    donors = donor_volumes()
    table = realism_table(measured, TEMPLATES, donors, [pairs_of((2, 3)), pairs_of((2, 3), (3, 4))])
    sentences = shortcomings(table, donors)
    assert any("0.80 to 0.90" in sentence for sentence in sentences)
    assert len(shortcomings(table[:0], donors)) < len(sentences)
    assert all(sentence.endswith(".") for sentence in sentences)
