"""Assessments: which images may be compared place by place, and the reason for the others."""

import shutil

import nibabel as nib
import numpy as np
import pytest
from image_maker import AFFINE, head, save

from toposlearn.data import Manifest, read_manifest
from toposlearn.data.gate.assessment import (
    INTER_ONLY,
    LEFT_OUT,
    MAX_DISPLACEMENT,
    REGISTERED,
    RESAMPLED,
    assess_subjects,
    iterate_assessments,
)


@pytest.fixture
def folder(cohort, tmp_path):
    """A copy of three people that a test may change."""
    for number in (1, 2, 3):
        shutil.copytree(cohort / f"sub-{number:03d}", tmp_path / f"sub-{number:03d}")
    return tmp_path


def image(folder, modality="T2w", subject="sub-001"):
    return folder / subject / "anat" / f"{subject}_{modality}.nii.gz"


def rewrite(path, affine=lambda affine: affine, data=lambda data: data):
    loaded = nib.load(path)
    changed = nib.Nifti1Image(data(np.asarray(loaded.dataobj)), affine(loaded.affine))
    nib.save(changed, path)


def assessed(folder, modalities=("T1w", "T2w", "FLAIR")):
    return assess_subjects(read_manifest(folder), modalities)


def pair_of(subject, *names):
    return next((pair for pair in subject.pairs if {pair.first, pair.second} == set(names)), None)


def test_every_pair_of_the_cohort_is_registered(manifest):
    subjects = assess_subjects(manifest)
    assert [subject.subject for subject in subjects] == [record.subject for record in manifest.records]
    for subject in subjects:
        assert subject.complete
        assert len(subject.pairs) == 6
        assert {pair.status for pair in subject.pairs} == {REGISTERED}
        assert all(pair.evidence.displacement < MAX_DISPLACEMENT / 2 for pair in subject.pairs)
        assert all(pair.evidence.nmi > pair.evidence.null for pair in subject.pairs)


def test_an_image_moved_by_its_header_alone_is_found(folder):
    rewrite(image(folder), affine=lambda affine: nib.affines.from_matvec(np.eye(3), (0, 6, 8)) @ affine)
    subject = assessed(folder)[0]
    pair = pair_of(subject, "T2w", "T1w")
    assert pair.status == INTER_ONLY
    assert "about 10 mm apart (10 mm and 0 degrees), whatever their headers say" in pair.reason
    assert pair.evidence.shift == pytest.approx(10, abs=1)
    assert pair_of(subject, "T1w", "FLAIR").status == REGISTERED
    assert not subject.complete
    assert assessed(folder)[1].complete


def test_other_grids_are_resampled_where_the_headers_say_how(folder):
    crop = nib.affines.from_matvec(np.eye(3), (0, 0, 20))
    rewrite(image(folder), affine=lambda affine: affine @ crop, data=lambda data: data[:, :, 20:])
    subject = assessed(folder)[0]
    assert pair_of(subject, "T1w", "T2w").status == RESAMPLED
    assert pair_of(subject, "T1w", "T2w").aligned
    assert subject.complete


def test_a_header_that_does_not_say_where_the_image_lies(folder):
    loaded = nib.load(image(folder))
    lost = nib.Nifti1Image(np.asarray(loaded.dataobj)[:-2], None)
    lost.header.set_zooms(loaded.header.get_zooms())
    nib.save(lost, image(folder))
    pair = pair_of(assessed(folder)[0], "T1w", "T2w")
    assert pair.status == INTER_ONLY
    assert (
        pair.reason == "the header of sub-001_T2w.nii.gz does not define its position (no qform or sform code): set one"
    )


def test_a_broken_image_leaves_its_pairs_out_and_the_others_in(folder):
    image(folder).write_bytes(b"no image")
    subject = assessed(folder)[0]
    assert set(subject.broken) == {"T2w"}
    assert pair_of(subject, "T1w", "T2w").status == pair_of(subject, "FLAIR", "T2w").status == LEFT_OUT
    assert pair_of(subject, "T1w", "T2w").reason == subject.broken["T2w"]
    assert str(image(folder)) in subject.broken["T2w"]
    assert pair_of(subject, "T1w", "T2w").evidence is None
    assert pair_of(subject, "T1w", "FLAIR").status == REGISTERED


def test_a_missing_modality_is_named(folder):
    image(folder).unlink()
    subject = assessed(folder)[0]
    assert subject.missing == ("T2w",)
    assert pair_of(subject, "T1w", "T2w") is None
    assert [(pair.first, pair.second) for pair in subject.pairs] == [("T1w", "FLAIR")]


def test_one_image_under_two_names_is_left_out(folder):
    shutil.copy(image(folder), image(folder, "FLAIR"))
    pair = pair_of(assessed(folder)[0], "T2w", "FLAIR")
    assert (pair.status, "hold the same image: keep one of them" in pair.reason) == (LEFT_OUT, True)


def test_the_image_of_another_person_is_found(folder):
    shutil.copy(image(folder, subject="sub-002"), image(folder))
    assert pair_of(assessed(folder)[0], "T1w", "T2w").status == INTER_ONLY


def test_an_image_that_shows_too_little_of_the_head(folder):
    crop = nib.affines.from_matvec(np.eye(3), (0, 0, 60))
    rewrite(image(folder), affine=lambda affine: affine @ crop, data=lambda data: data[:, :, 60:70])
    pair = pair_of(assessed(folder)[0], "T1w", "T2w")
    assert pair.status == INTER_ONLY
    assert "of the head is in both images" in pair.reason


def test_two_people_are_too_few_for_a_null_and_still_assessed(folder):
    manifest = read_manifest(folder)
    few = assess_subjects(Manifest(folder, manifest.records[:2]), ("T1w", "T2w"))
    assert [subject.pairs[0].evidence.null for subject in few] == [None, None]
    assert all(subject.complete for subject in few)


def test_some_of_the_people_are_assessed_as_they_are_among_all(folder):
    among_all = assessed(folder)
    (one,) = iterate_assessments(read_manifest(folder), ("T1w", "T2w", "FLAIR"), ["sub-002"])
    assert one.pairs == among_all[1].pairs


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        (np.diag([3.0, 3, 45, 1]), "has voxels of 3 x 3 x 45 mm, which no scan of a head has: repair its header"),
        (np.diag([0.001, 3, 3, 1]), "has voxels of 0.001 x 3 x 3 mm, which no scan of a head has"),
        (np.diag([0.3, 0.3, 15, 1]), "has voxels of 0.3 x 0.3 x 15 mm, which no scan of a head has"),
        (
            np.array([[3.0, 3, 0, 0], [0, 0.2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]]),
            "whose axes are nearly parallel: repair the affine",
        ),
    ],
)
def test_an_affine_no_head_was_scanned_with(tmp_path, affine, message):
    path = tmp_path / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    save(path, head())
    nib.save(nib.Nifti1Image(head(), affine), path)
    save(tmp_path / "sub-01" / "anat" / "sub-01_T2w.nii.gz", head(), AFFINE)
    (subject,) = assess_subjects(read_manifest(tmp_path))
    assert message in subject.broken["T1w"]
    assert subject.pairs[0].status == LEFT_OUT
