"""Files of landmarks find their people in every layout."""

from pathlib import Path

import pytest
from foreign_maker import touch

from toposlearn.data import Source, read_manifest
from toposlearn.data.file_names import used_names
from toposlearn.settings import TRUTH


def points_of(root: Path, *patterns: str, session: str = "") -> dict[str, list[str]]:
    """Person -> the files of landmarks, seen from the data folder."""
    manifest = read_manifest(Source.of_options(root, session, patterns=patterns))
    return {each.name: [path.relative_to(root).as_posix() for path in each.points] for each in manifest.records}


@pytest.mark.parametrize(
    ("images", "points"),
    [
        (["sub-01/anat/sub-01_T1w.nii.gz"], "sub-01/anat/sub-01_space-T1w_desc-groundtruth_afids.fcsv"),
        (["sub-01/anat/sub-01_T1w.nii.gz"], "derivatives/afids/sub-01/anat/sub-01_afids.mrk.json"),
        (["ANNA/T1.nii.gz", "ANNA/T2.nii.gz", "BEN/T1.nii.gz"], "ANNA/points.fcsv"),
        (["ANNA/MRI/T1.nii.gz", "BEN/MRI/T1.nii.gz"], "ANNA/F.mrk.json"),
        (["ANNA_T1.nii.gz", "BEN_T1.nii.gz", "ANNA-2_T1.nii.gz"], "ANNA.fcsv"),
        (["ANNA_T1.nii.gz", "BEN_T1.nii.gz"], "landmarks_ANNA_rater1.FCSV"),
    ],
)
def test_landmarks_lie_with_the_images_of_their_person(tmp_path, images, points):
    touch(tmp_path, [*images, points, f"{TRUTH}/cache/ANNA.fcsv"])
    found = points_of(tmp_path)
    first = next(iter(found))
    assert {person: files for person, files in found.items() if files} == {first: [points]}
    assert any(
        line.split() == ["landmarks", Path(points).name.replace(first, "PERSON"), "(1)"]
        for line in used_names(read_manifest(tmp_path))
    )


def test_several_raters_are_kept_and_landmarks_in_another_space_are_not(tmp_path):
    anat = "sub-01/anat/sub-01"
    raters = [f"derivatives/{rater}/{anat}_afids.fcsv" for rater in ("anna", "ben")]
    touch(tmp_path, [f"{anat}_T1w.nii.gz", *raters, f"{anat}_space-MNI152_afids.fcsv"])
    assert points_of(tmp_path) == {"sub-01": raters}


def test_each_session_has_its_own(tmp_path):
    names = [f"sub-01/ses-{visit}/anat/sub-01_ses-{visit}" for visit in "12"]
    touch(tmp_path, [f"{name}{end}" for name in names for end in ("_T1w.nii.gz", "_afids.fcsv")])
    assert points_of(tmp_path) == {"sub-01": [f"{names[0]}_afids.fcsv"]}
    both = points_of(tmp_path, session="all")
    assert both == {f"sub-01_ses-{visit}": [f"{name}_afids.fcsv"] for visit, name in zip("12", names, strict=True)}


def test_a_pattern_names_tables_anywhere_and_leaves_the_layout_of_images_alone(tmp_path):
    touch(tmp_path, ["sub-01/anat/sub-01_T1w.nii.gz", "sub-02/anat/sub-02_T1w.nii.gz"])
    touch(tmp_path, ["placed/sub-01_AC-PC_final.csv", "placed/sub-02_x.tsv", "placed/sub-03_x.tsv"])
    found = points_of(tmp_path, "points=placed/sub-{subject}_*.csv", "points=placed/sub-{subject}_x.tsv")
    assert found == {"sub-01": ["placed/sub-01_AC-PC_final.csv"], "sub-02": ["placed/sub-02_x.tsv"]}
    manifest = read_manifest(Source.of_options(tmp_path, patterns=["points=placed/sub-{subject}_x.tsv"]))
    assert manifest.layout == "BIDS"
    assert [note for note in manifest.notes if note.startswith("landmarks of no person with images: placed/sub-03")]


def test_a_pattern_that_names_nothing_is_reported(tmp_path):
    touch(tmp_path, ["ANNA/T1.nii.gz"])
    (note,) = read_manifest(Source((tmp_path,), patterns={"points": "{subject}/x.csv"})).notes
    assert note.startswith("pattern points={subject}/x.csv names no file in ")
