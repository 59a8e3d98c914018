"""The cohort on disk: valid BIDS as the contract says, and never mixed with another data set."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from trees import tree

from toposlearn.anatomy import STRUCTURES
from toposlearn.cohort import FULL, draw_traits, recipe_named, simulate, write_cohort

MODALITIES = ("T1w", "T2w", "FLAIR", "PDw")
TRUTH = "derivatives/toposlearn"


def test_the_tree_is_exactly_that_of_the_contract(tmp_path, small):
    cohort = write_cohort(tmp_path / "cohort", subjects=6, workers=1, progress=False)
    expected = {"dataset_description.json", "participants.tsv", "participants.json", "README.md"}
    expected |= {f"{TRUTH}/{name}" for name in ("dataset_description.json", "README.md", ".bidsignore")}
    expected |= {f"{TRUTH}/dseg.tsv", f"{TRUTH}/desc-lesion_dseg.tsv"}
    for number in range(1, 7):
        name = f"sub-{number:03d}"
        expected |= {f"{name}/anat/{name}_{m}.{end}" for m in MODALITIES for end in ("nii.gz", "json")}
        endings = ["dseg", "label-lesion_mask", "desc-lesion_dseg"]
        endings += ["from-subject_to-template_xfm", "from-template_to-subject_xfm"]
        expected.add(f"{TRUTH}/{name}/anat/{name}_from-template_to-subject_xfm.json")
        expected |= {f"{TRUTH}/{name}/anat/{name}_{ending}.nii.gz" for ending in endings}
    assert set(tree(cohort)) == expected


def test_the_tables_are_those_of_the_contract(cohort):
    table = pd.read_csv(cohort / "participants.tsv", sep="\t", dtype=str)
    assert " ".join(table.columns) == "participant_id age sex site diagnosis degree lesion lesion_type anatomy seed"
    for number, row in table.iterrows():
        person = draw_traits(int(str(number)))
        assert row["participant_id"] == person.participant_id
        assert (row["age"], row["sex"], row["lesion"]) == (str(person.age), person.sex, str(person.lesion).lower())
        assert (row["anatomy"], row["seed"]) == ("A", "0")
    described = json.loads((cohort / "participants.json").read_text())
    assert set(described) == set(table.columns) - {"participant_id"}
    names = pd.read_csv(cohort / TRUTH / "dseg.tsv", sep="\t")
    assert list(names.columns[:2]) == ["index", "name"]
    assert dict(zip(names["index"], names["name"], strict=True)) == {s.label: s.full_name for s in STRUCTURES}


def test_descriptions_have_what_bids_requires(cohort):
    raw = json.loads((cohort / "dataset_description.json").read_text())
    truth = json.loads((cohort / TRUTH / "dataset_description.json").read_text())
    assert re.fullmatch(r"\d+\.\d+\.\d+", raw["BIDSVersion"])
    assert raw["Name"]
    assert raw["DatasetType"] == "raw"
    assert (truth["DatasetType"], truth["GeneratedBy"][0]["Name"]) == ("derivative", "toposlearn")


def test_sidecars_are_in_seconds(cohort):
    sidecars = {name: json.loads((cohort / f"sub-001/anat/sub-001_{name}.json").read_text()) for name in MODALITIES}
    assert all(0 < one["EchoTime"] < 0.2 < one["RepetitionTime"] < 20 for one in sidecars.values())
    assert [name for name, one in sidecars.items() if "InversionTime" in one] == ["T1w", "FLAIR"]


def test_files_hold_the_simulated_voxels(cohort):
    """Written by one process long before; person 2 (with a mass) alone now: the same bytes of voxel data."""
    subject = simulate(draw_traits(2))
    assert subject.traits.lesion
    truth = cohort / TRUTH / "sub-003/anat"
    images = {name: nib.load(cohort / f"sub-003/anat/sub-003_{name}.nii.gz") for name in MODALITIES}
    for name, image in images.items():
        assert image.get_data_dtype() == np.int16
        np.testing.assert_array_equal(np.asanyarray(image.dataobj), subject.scans[name].image)
        np.testing.assert_allclose(image.affine, subject.affine)
        assert image.header.get_xyzt_units()[0] == "mm"
    labels = nib.load(truth / "sub-003_dseg.nii.gz")
    assert labels.get_data_dtype() == np.int16
    np.testing.assert_array_equal(np.asanyarray(labels.dataobj), subject.labels)
    np.testing.assert_array_equal(nib.load(truth / "sub-003_label-lesion_mask.nii.gz").dataobj, subject.lesion > 0)
    np.testing.assert_array_equal(nib.load(truth / "sub-003_desc-lesion_dseg.nii.gz").dataobj, subject.lesion)
    field = nib.load(truth / "sub-003_from-subject_to-template_xfm.nii.gz")
    assert field.shape == (*subject.labels.shape, 3)
    assert field.dataobj.slope == 1 / 64
    np.testing.assert_allclose(np.asanyarray(field.dataobj), subject.to_template, atol=1 / 128 + 1e-5)  # rounded


def test_everyone_has_a_lesion_mask_and_only_the_sick_a_lesion(cohort):
    for number in range(6):
        person = draw_traits(number)
        name = person.participant_id
        mask = nib.load(cohort / TRUTH / name / "anat" / f"{name}_label-lesion_mask.nii.gz")
        assert bool(np.asanyarray(mask.dataobj).any()) == person.lesion


def test_another_data_set_is_never_touched(tmp_path, small):
    out = write_cohort(tmp_path / "out", subjects=1, workers=1, progress=False)
    with pytest.raises(ValueError, match=r"holds another data set .* choose an empty folder with --out"):
        write_cohort(out, subjects=1, seed=1, workers=1, progress=False)
    with pytest.raises(ValueError, match="holds another data set"):
        write_cohort(out, subjects=1, anatomy="B", workers=1, progress=False)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.docx").write_text("years of work")
    with pytest.raises(ValueError, match="full is not an empty folder: choose another with --out"):
        write_cohort(tmp_path / "full", subjects=1, workers=1, progress=False)
    assert tree(tmp_path / "full") == ["thesis.docx"]


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path, small):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write_cohort(tmp_path / "file" / "cohort", subjects=1, workers=1, progress=False)
    with pytest.raises(ValueError, match="file is not an empty folder"):
        write_cohort(tmp_path / "file", subjects=1, workers=1, progress=False)
    assert small == []


def test_arguments_that_make_no_sense_are_refused_before_anything_is_made(tmp_path):
    with pytest.raises(ValueError, match="subjects must be at least 1, got 0"):
        write_cohort(tmp_path / "out", subjects=0)
    with pytest.raises(ValueError, match="anatomy must be A, B, a label map or a folder of label maps, got 'C'"):
        write_cohort(tmp_path / "out", anatomy="C")
    assert not (tmp_path / "out").exists()


def test_the_full_recipe_has_a_folder_for_diffusion(tmp_path, small):
    out = write_cohort(tmp_path / "out", subjects=1, workers=1, recipe=FULL, progress=False)
    anat = {f"sub-001_{name}" for name in FULL.modalities[:5]}
    assert {path.name.split(".")[0] for path in (out / "sub-001/anat").iterdir()} == anat
    assert {path.name for path in (out / "sub-001/dwi").iterdir()} == {
        *(f"sub-001_dwi.{ending}" for ending in ("nii.gz", "json", "bval", "bvec")),
        *(f"sub-001_ADC.{ending}" for ending in ("nii.gz", "json")),
    }
    assert (out / "sub-001/dwi/sub-001_dwi.bval").read_text() == "1000\n"


def test_a_cohort_of_another_recipe_is_never_mixed_in(tmp_path, small):
    write_cohort(tmp_path / "out", subjects=1, workers=1, recipe=recipe_named("plain", voxels=64), progress=False)
    with pytest.raises(ValueError, match="holds another data set"):
        write_cohort(tmp_path / "out", subjects=1, workers=1, progress=False)
    write_cohort(tmp_path / "out", subjects=1, workers=1, recipe=recipe_named("plain", voxels=64), progress=False)


def validated(folder: Path) -> dict:
    """What an independent validator says of a folder that it finds valid."""
    command = [str(Path(sys.executable).with_name("bids-validator-deno")), str(folder), "--format", "json"]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert [issue for issue in found["issues"]["issues"] if issue["severity"] == "error"] == []
    return found


@pytest.mark.parametrize("place", ["", TRUTH])
def test_an_independent_validator_finds_valid_bids(full_cohort, cohort, place):
    for root in (cohort, full_cohort):
        assert validated(root / place)["summary"]["totalFiles"] > 10


def test_what_training_keeps_there_leaves_it_valid(tmp_path, small):
    out = write_cohort(tmp_path / "out", subjects=1, workers=1, progress=False)
    kept = out / TRUTH / "cache" / "9f577e0b5680"
    kept.mkdir(parents=True)
    for name in ("sub-001.safetensors", "verdicts.json"):
        (kept / name).write_text("{}")
    validated(out)
    validated(out / TRUTH)
