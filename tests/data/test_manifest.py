"""Which people and files a folder holds, and which people are held out."""

import shutil
from pathlib import Path

import pytest
from image_maker import bids, head, save

from toposlearn.data import Manifest, Record, read_manifest, split_subjects
from toposlearn.data.layouts.bids import bids_file


def test_the_cohort_is_read_with_its_truth(cohort):
    manifest = read_manifest(cohort)
    assert [record.subject for record in manifest.records] == [f"sub-{number:03d}" for number in range(1, 7)]
    assert manifest.modalities == ("FLAIR", "PDw", "T1w", "T2w")
    for record in manifest.records:
        assert record.labels.name == f"{record.subject}_dseg.nii.gz"
        assert record.lesion.name == f"{record.subject}_label-lesion_mask.nii.gz"
        assert record.to_template.name == f"{record.subject}_from-subject_to-template_xfm.nii.gz"
        assert record.info["participant_id"] == record.subject
        assert record.info["diagnosis"] in ("control", "atrophy")


def test_without_tables_and_truth_there_are_still_images(tmp_path):
    manifest = read_manifest(bids(tmp_path))
    record = manifest.records[0]
    assert (record.labels, record.lesion, record.to_template, record.info) == (None, None, None, {})
    assert manifest.modalities == ("T1w", "T2w")


def test_the_first_session_is_used(tmp_path):
    for session in ("ses-2", "ses-1"):
        save(tmp_path / "sub-01" / session / "anat" / f"sub-01_{session}_T1w.nii.gz", head())
    (record,) = read_manifest(tmp_path).records
    assert record.images["T1w"].name == "sub-01_ses-1_T1w.nii.gz"


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("sub-01_T1w.nii.gz", "T1w"),
        ("sub-01_T1w.nii", "T1w"),
        ("sub-01_ses-pre_acq-3d_run-1_FLAIR.nii.gz", "FLAIR"),
        ("sub-01_ce-gadolinium_T1w.nii.gz", "ce-gadolinium_T1w"),
        ("sub-01_ses-1_ce-gadolinium_run-2_T1w.nii.gz", "ce-gadolinium_T1w"),
        ("sub-01_dseg.nii.gz", None),
        ("sub-01_label-lesion_mask.nii.gz", None),
        ("sub-01_from-subject_to-template_xfm.nii.gz", None),
    ],
)
def test_the_modality_is_read_from_the_name(name, modality):
    assert bids_file(Path("sub-01/anat") / name, "sub-01").modality == (modality or "")


def test_contrast_agent_and_plain_are_two_modalities(tmp_path):
    bids(tmp_path, "sub-01", modalities=("T1w", "ce-gadolinium_T1w"))
    assert read_manifest(tmp_path).modalities == ("T1w", "ce-gadolinium_T1w")


def test_a_missing_modality_names_the_person_and_what_there_is(tmp_path):
    bids(tmp_path, "sub-01", modalities=("T1w", "T2w"))
    bids(tmp_path, "sub-02", modalities=("T1w",))
    manifest = read_manifest(tmp_path)
    assert manifest.modalities == ("T1w",)
    manifest.require(["T1w"])
    with pytest.raises(ValueError, match=r"sub-02 in .* has no T2w image \(it has T1w\): add it, or choose"):
        manifest.require(["T1w", "T2w"])


def test_no_folder_a_file_and_no_images(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent does not exist: make one with 'toposlearn cohort --out"):
        read_manifest(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    with pytest.raises((FileNotFoundError, NotADirectoryError), match="file"):
        read_manifest(tmp_path / "file")
    with pytest.raises(FileNotFoundError, match=r"no image found in .*: expected BIDS names such as"):
        read_manifest(tmp_path)
    (tmp_path / "sub-01" / "anat").mkdir(parents=True)
    (tmp_path / "sub-01" / "anat" / "scan.nii.gz").write_text("")
    with pytest.raises(ValueError, match=r"scan.nii.gz names no modality \(t1, .*rename it"):
        read_manifest(tmp_path)


def test_people_without_images_are_left_out(tmp_path):
    bids(tmp_path, "sub-01")
    (tmp_path / "sub-02" / "anat").mkdir(parents=True)
    (tmp_path / "sub-03").mkdir()
    assert [record.subject for record in read_manifest(tmp_path).records] == ["sub-01"]


def test_half_written_people_are_not_seen(tmp_path):
    bids(tmp_path, "sub-01")
    shutil.copytree(tmp_path / "sub-01", tmp_path / ".sub-02.77.part")
    assert len(read_manifest(tmp_path)) == 1


def subjects(root, count: int) -> Manifest:
    return Manifest(root, tuple(Record(f"sub-{number:02d}", {}) for number in range(count)))


def names(manifest: Manifest) -> list[str]:
    return [record.subject for record in manifest.records]


@pytest.mark.parametrize("count", [2, 3, 7, 64])
@pytest.mark.parametrize("fraction", [0.01, 0.25, 0.5])
def test_no_person_is_in_both_parts(tmp_path, count, fraction):
    manifest = subjects(tmp_path, count)
    train, test = split_subjects(manifest, test_fraction=fraction)
    assert not set(names(train)) & set(names(test))
    assert sorted(names(train) + names(test)) == names(manifest)
    assert len(test) == max(1, round(fraction * count))
    assert names(train) == sorted(names(train))
    assert [names(part) for part in split_subjects(manifest, test_fraction=fraction)] == [names(train), names(test)]


def test_one_person_cannot_be_split(tmp_path):
    with pytest.raises(ValueError, match="holds one person only: at least two are needed"):
        split_subjects(subjects(tmp_path, 1))
