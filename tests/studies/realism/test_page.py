"""The realism page of six simulated people: files in, page, table and result out."""

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
from toposlearn.data import Record
from toposlearn.intervals import bootstrap_subjects
from toposlearn.studies.realism import write_realism
from toposlearn.studies.realism.measure import healthy_of, measure_folder
from toposlearn.studies.realism.page import counts, number, shortcomings
from toposlearn.studies.realism.table import _spread, mean, neighbors_shared, realism_table, reference_of, resampled

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


def scans_of(measured):
    """Subject -> number of scans with a row in the long table."""
    return measured.rows.groupby("subject")["modality"].nunique().replace(0, np.nan).dropna().to_dict()


def test_people_are_evenly_spaced_and_each_scan_has_a_row(measured):
    assert [record.subject for record in measured.records] == ["sub-001", "sub-006"]
    assert scans_of(measured) == {"sub-001": 4, "sub-006": 4}
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
    assert scans_of(measured) == {"sub-001": 4, "sub-003": 3}
    volumes = measured.rows[measured.rows["group"] == "volume"]
    assert volumes["subject"].unique().tolist() == ["sub-001", "sub-002", "sub-003"]  # their shape is known
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
    people = [("control", "false")] * controls + [("control", "true"), ("atrophy", "false")]
    records = [Record(f"sub-{i}", {}, info=dict(diagnosis=d, lesion=lesion)) for i, (d, lesion) in enumerate(people)]
    assert len(healthy_of(records)) == kept


def test_one_person_is_enough(cohort, tmp_path):
    """Without the numbers that only a group of people has."""
    write_realism(copied(cohort, tmp_path / "data", "sub-001"), tmp_path / "out", progress=False)
    table = pd.read_csv(tmp_path / "out/realism.csv")
    assert table["value"].notna().all()
    assert not {"size", "spread between people", "aging"} & set(table["group"])


def long(values, subjects=None, **columns):
    """Rows of a long table."""
    return pd.DataFrame({"value": values, "subject": subjects or range(len(values)), "sex": ""} | columns)


def test_a_mean_has_the_people_and_an_interval():
    assert mean(long([1.0, 2.0, 3.0])) == (
        2.0, 3, pytest.approx((1.1, 2.9)), bootstrap_subjects(np.array([[1.0, 2.0, 3.0]]))
    )  # fmt: skip


def test_a_number_of_a_group_has_the_interval_of_few_people():
    """Six people: 1.4 times as wide as the plain percentile interval, drawn here in a loop."""
    people = long([1.0, 2.0, 4.0, 7.0, 11.0, 12.0])
    value, n, percentiles, (low, high) = resampled(lambda values, _: float(values.mean()), people)
    drawn = np.random.default_rng(1).integers(6, size=(5000, 6))
    plain = np.diff(np.percentile(people["value"].to_numpy()[drawn].mean(axis=1), [2.5, 97.5]))[0]
    assert (value, n) == (pytest.approx(37 / 6), 6)
    assert np.isnan(percentiles).all()
    assert 1.25 < (high - low) / plain < 1.5
    assert np.isnan(resampled(_spread, people[:1])[3]).all()


def test_neighbors_that_two_people_share_have_an_interval_over_people():
    """Pairs of people are not independent: people are drawn again."""
    touching = [{23, 34}, {23}, {23, 34, 24}, {34}]
    rows = long([pair for each in touching for pair in each], [i for i, each in enumerate(touching) for _ in each])
    value, n, _, interval = neighbors_shared(rows)
    pairs = np.array([[len(one & other) / len(one | other) for other in touching] for one in touching])
    assert (value, n) == (pytest.approx(pairs[np.triu_indices(4, k=1)].mean()), 6)
    assert interval == pytest.approx(bootstrap_subjects(pairs[None]))


def test_real_people_are_a_reference_by_their_range_or_by_the_interval_of_their_spread():
    real = long([0.8, 0.9, 0.7], group="T1w, over white matter", name="cortex")
    assert reference_of("T1w, over white matter", "cortex", real) == (
        0.7,
        0.9,
        "0.70 to 0.90 (three templates)",
        "templates",
    )
    low, high, text, source = reference_of(
        "spread between people", "caudate", real.assign(group="spread between people", name="caudate")
    )
    assert (low, high) == pytest.approx((0.1 * (2 / 7.3778) ** 0.5, 0.1 * (2 / 0.050636) ** 0.5), rel=1e-4)
    assert (text, source) == ("0.10, interval 0.05 to 0.63 (six donors)", "donors")


def test_statuses_are_counted_and_numbers_are_short():
    kinds = ("within", "as known", "outside: 2.00 × the upper end", "undecided: …", NOT_JUDGED)
    assert counts(pd.Series(kinds)) == {"within": 2, "outside": 1, "undecided": 1}
    assert [number(value) for value in (1443.3, -0.0109, 0.0, 12.34, np.nan)] == ["1443", "−0.0109", "0", "12.3", "–"]


def test_shortcomings_have_their_numbers_or_are_left_out(measured):
    table = realism_table(measured)
    sentences = shortcomings(table, measured.real)
    assert any("0.78 to 0.82" in sentence for sentence in sentences)  # cortex of the templates
    assert len(shortcomings(table[:0], measured.real)) < len(sentences)
    assert all(sentence.endswith(".") for sentence in sentences)
