"""Every way in which people keep scans: who is a person, which files are theirs; and by patterns the same again."""

import random
import time
from contextlib import suppress
from pathlib import Path

import pytest
from foreign_maker import TREES, touch, tree

from toposlearn.data import Manifest, Source, read_manifest
from toposlearn.data.layouts.pattern import infer_patterns


def people(manifest: Manifest) -> list[str]:
    return sorted(record.name for record in manifest.records)


def used(manifest: Manifest) -> dict[str, dict[str, Path]]:
    """Person -> modality or kind of label map -> file."""
    return {
        record.name: {**record.images, **{f"label:{kind}": path for kind, path in record.label_maps.items()}}
        for record in manifest.records
    }


@pytest.mark.parametrize("name", TREES)
def test_people_and_files_are_found(tmp_path, name):
    files, subjects, kinds = TREES[name]
    manifest = read_manifest(touch(tmp_path, files))
    assert people(manifest) == sorted(subjects.split())
    assert sorted(used(manifest)[subjects.split()[0]]) == sorted(kinds.split())


@pytest.mark.parametrize("name", TREES)
def test_inferred_patterns_read_the_same(tmp_path, name):
    manifest = read_manifest(touch(tmp_path, TREES[name][0]))
    patterns = infer_patterns(manifest.records, manifest.root)  # not told of BIDS, which has its own
    assert set(patterns) == set().union(*used(manifest).values())
    again = read_manifest(Source.of_options(tmp_path, patterns=[f"{kind}={each}" for kind, each in patterns.items()]))
    assert used(again) == used(manifest)


@pytest.mark.parametrize("name", [name for name in TREES if "visit" in name and "no visits" not in name])
def test_visits_are_of_one_person_and_can_be_asked_for(tmp_path, name):
    touch(tmp_path, TREES[name][0])
    every = read_manifest(Source((tmp_path,), session="all"))
    assert len(every) > len(read_manifest(tmp_path))
    assert {record.subject for record in every.records} == {
        record.subject for record in read_manifest(tmp_path).records
    }


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("P{n}/T1.nii.gz", "1 2 3"),
        ("P{n}_T1.nii.gz", "1 2 3"),
        ("HC_V{n}/T1.nii.gz", "01 02 03"),
        ("C_M{n}/T1.nii", "1 2"),
    ],
)
def test_a_number_alone_is_no_visit(tmp_path, template, words):
    assert len(read_manifest(touch(tmp_path, tree(template, n=words)))) == len(words.split())


def test_the_plain_copy_in_most_images_space_is_used(tmp_path):
    files = tree("ANNA/{what}.nii.gz", what="t1_reg t1 t2_reg flair_reg t1_brain_reg")
    record = read_manifest(touch(tmp_path, files)).records[0]
    assert record.images["T1w"].name == "t1_reg.nii.gz"


def test_of_a_tumor_the_label_map_by_hand_is_used(tmp_path):
    manifest = read_manifest(touch(tmp_path, TREES["UPENN-GBM"][0]))
    assert manifest.records[0].lesion == tmp_path / "images_segm/UPENN-GBM-00001_11_segm.nii.gz"


def test_a_file_that_is_not_clear_stops_nobody(tmp_path):
    odd = ["ANNA/scan3.nii.gz", "ANNA/t1_to_t2.nii.gz", "MNI152_T1_1mm.nii.gz", "BEN/T1_bias_field.nii.gz"]
    manifest = read_manifest(touch(tmp_path, [*TREES["folder per person"][0], *odd]))
    assert people(manifest) == ["ANNA", "BEN"]
    assert {path.relative_to(tmp_path).as_posix() for path in manifest.ignored} == set(odd)
    told = "\n".join(manifest.notes)
    assert "ANNA/scan3.nii.gz names no modality (t1, " in told
    assert "e.g. with --pattern 'T1w={subject}/scan3.nii.gz'" in told
    assert "ANNA/t1_to_t2.nii.gz names more than one modality (T1w, T2w)" in told
    assert "MNI152_T1_1mm.nii.gz names no person" in told


def test_one_name_at_two_places_is_one_person_and_told(tmp_path):
    manifest = read_manifest(touch(tmp_path, tree("{site}/{who}/T1.nii.gz", site="Berlin Paris", who="001 002")))
    assert people(manifest) == ["001", "002"]
    assert "001 lies in Berlin and in Paris of" in manifest.notes[0]
    assert "give each folder by its own --data" in manifest.notes[0]


def test_two_data_sets_keep_their_people_apart(tmp_path):
    for place in ("Berlin", "Paris"):
        touch(tmp_path / place, ["001/T1.nii.gz", "002/T1.nii.gz"])
    manifest = read_manifest([tmp_path / "Berlin", tmp_path / "Paris"])
    assert people(manifest) == ["Berlin_001", "Berlin_002", "Paris_001", "Paris_002"]
    assert {record.root for record in manifest.records} == {tmp_path / "Berlin", tmp_path / "Paris"}


def test_links_that_lead_back_are_not_followed(tmp_path):
    touch(tmp_path, ["ANNA/T1.nii.gz", "BEN/T1.nii.gz"])
    (tmp_path / "ANNA" / "loop").symlink_to(tmp_path)
    assert people(read_manifest(tmp_path)) == ["ANNA", "BEN"]


_PIECES = ("T1", "t2", "_", "-", " ", "+", "({subject}", "é*", "seg", "ANNA", "1", "visit", ".|", "ses-", "sub-", "\\")


def _drawn(draw: random.Random) -> str:
    parts = ("".join(draw.choices(_PIECES, k=draw.randint(1, 6))) + "x" for _ in range(draw.randint(1, 4)))
    return "/".join(parts) + ".nii.gz"


@pytest.mark.parametrize("number", range(50))
def test_any_names_are_read_or_refused_in_one_line(tmp_path, number):
    draw = random.Random(number)
    touch(tmp_path, {_drawn(draw) for _ in range(4)})
    with suppress(ValueError, FileNotFoundError):  # nobody is left: any other error fails here
        assert all(record.images for record in read_manifest(tmp_path).records)


def test_ten_thousand_people_are_read_in_seconds(tmp_path):
    touch(tmp_path, tree("{who}/{what}.nii.gz", who=" ".join(f"P{n:05d}" for n in range(2000)), what="T1 T2 FLAIR"))
    start = time.perf_counter()
    assert len(read_manifest(tmp_path)) == 2000
    assert time.perf_counter() - start < 10  # a fifth of ten thousand people


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["derivatives/fs/sub-1/mri/T1.mgz"], "but deeper, in {root}/derivatives/fs: give the folder"),
        (
            tree("imagesTr/G_{who}_{what}.nii.gz", who="001 002", what="0000 0001"),
            "'T1w=imagesTr/{{subject}}_0000.nii.gz'",
        ),
        (["ANNA/brainmask.nii.gz"], "or name them with --pattern"),
    ],
)
def test_what_to_do_where_no_image_is_found(tmp_path, files, words):
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        read_manifest(touch(tmp_path, files))
    assert words.format(root=tmp_path) in str(error.value)


def test_of_files_of_one_name_the_folders_are_told(tmp_path):
    (note,) = read_manifest(touch(tmp_path, ["P1/T1/t1w.nii.gz", "P1/T2/t1w.nii.gz"])).notes
    assert "T1/t1w.nii.gz is used instead of T2/t1w.nii.gz" in note


def test_files_that_are_alike_are_one_line_in_folders_of_any_days(tmp_path):
    days = tree("YG_{who}/20{day}-02-11/POST.nii.gz", who="1 2", day="15 16 17")
    manifest = read_manifest(touch(tmp_path, [*days, "YG_1/2015-02-11/T1.nii.gz"]))
    assert sum("names no modality" in note for note in manifest.notes) == 1
    assert "and 5 more files like it" in " ".join(manifest.notes)
