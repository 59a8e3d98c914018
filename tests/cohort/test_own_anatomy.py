"""People bent from label maps in files: whole heads and brains, several anatomies in one folder, random contrasts."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage
from whole_head import save_whole_head

from toposlearn.anatomy import structure
from toposlearn.cohort import PLAIN, draw_traits, recipe_named, simulate, write_cohort, writing
from toposlearn.cohort.contrast import ALL_TISSUES, draw_contrast
from toposlearn.cohort.head import Anatomy, find_anatomies
from toposlearn.cohort.scanner import contrast_of
from toposlearn.data import read_manifest

COARSE = recipe_named("plain", voxels=64, modalities=("T1w", "T2w"))
TRUTH = "derivatives/toposlearn"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    return [save_whole_head(folder / f"head_{number}.nii.gz") for number in (1, 2)]


def person(file, *, whole, recipe=COARSE, number=1):
    anatomy = Anatomy("head_1", file, "toposlearn", whole=whole)
    return simulate(draw_traits(number, anatomy=anatomy.name), recipe, anatomy)


@pytest.fixture(scope="module")
def whole(files):
    return person(files[0], whole=True)


@pytest.fixture(scope="module")
def brain(files):
    return person(files[0], whole=False)


def test_left_is_left_and_labels_are_of_the_brain(whole, brain):
    for subject in (whole, brain):
        assert subject.labels.max() < 301
        for name in ("putamen", "hippocampus", "frontal-cortex", "cerebellum-cortex"):
            sides = (np.argwhere(subject.labels == structure(name, side).label) for side in ("left", "right"))
            left, right = ((each @ subject.affine[:3, :3].T + subject.affine[:3, 3]).mean(axis=0)[0] for each in sides)
            assert left < -5 < 5 < right


def test_the_brain_is_the_same_in_both(whole, brain):
    """Skull and scalp change neither pose nor shape."""
    assert np.abs(whole.to_template - brain.to_template).max() < 3
    inside = (whole.labels > 0) & (whole.labels != structure("csf").label)
    assert (whole.labels == brain.labels)[inside].mean() > 0.9


def test_a_whole_head_has_a_dark_skull_a_bright_scalp_and_noise_around(whole, brain):
    distance = ndimage.distance_transform_edt(whole.labels == 0, sampling=3.5)
    image = whole.scans["T1w"].image
    upper = np.zeros(image.shape, dtype=bool)
    upper[:, :, 40:] = True  # above the neck
    skull, scalp, air = (upper & (distance > low) & (distance < high) for low, high in ((2, 5), (9, 14), (35, 60)))
    white = whole.labels == structure("cerebral-white-matter", "left").label
    assert np.median(image[skull]) < 0.4 * np.median(image[white])
    assert np.median(image[scalp]) > np.median(image[white])
    assert 0 < np.median(image[air]) < 0.2 * np.median(image[white])
    outside = ndimage.binary_erosion(brain.labels == 0, iterations=2)
    assert not brain.scans["T1w"].image[outside].any()


def test_a_neck_goes_on_to_the_edge_of_the_picture(whole):
    image = whole.scans["T1w"].image
    assert np.median(image[20:44, 20:44, 0]) > 3 * np.median(image[:, :, -1])


def test_random_contrasts_change_the_brightness_and_nothing_else(files, brain):
    drawn = person(files[0], whole=False, recipe=replace(COARSE, random_contrast=1.0))
    np.testing.assert_array_equal(drawn.labels, brain.labels)
    np.testing.assert_array_equal(drawn.to_template, brain.to_template)
    means = brightness(drawn)
    assert [scan.protocol for scan in drawn.scans.values()] == [None, None]
    assert np.abs(np.diff(means, axis=0)).max() > 0.1  # the two scans differ
    again = person(files[0], whole=False, recipe=replace(COARSE, random_contrast=1.0))
    np.testing.assert_array_equal(again.scans["T2w"].image, drawn.scans["T2w"].image)


def brightness(subject):
    names = ("cerebral-white-matter", "thalamus", "putamen", "frontal-cortex")
    masks = [subject.labels == structure(name, "left").label for name in names]
    return np.array([[scan.image[mask].mean() / 1000 for mask in masks] for scan in subject.scans.values()])


def test_a_random_contrast_covers_all_orders_of_tissues():
    drawn = np.stack([draw_contrast(np.random.default_rng(scan)) for scan in range(400)])
    rows = list(ALL_TISSUES)
    white, gray = (drawn[:, 0, rows.index(name)] for name in ("white", "cortex"))
    assert 0.4 < (white > gray).mean() < 0.6
    assert not drawn[:, :, rows.index("air")].any()
    assert drawn.min() >= 0
    assert drawn.max() <= 1


def test_a_share_of_the_scans_has_a_random_contrast():
    recipe = recipe_named("full", random_contrast=0.5)
    people = [draw_traits(number, recipe="full") for number in range(40)]
    random = [contrast_of(each, modality, recipe) is not None for each in people for modality in recipe.modalities]
    assert 0.35 < np.mean(random) < 0.5  # an ADC map has none
    assert contrast_of(people[0], "T1w", replace(recipe, random_contrast=0.0)) is None
    assert contrast_of(people[0], "ADC", replace(recipe, random_contrast=1.0)) is None


def test_people_take_turns_among_anatomies_and_share_no_template(tmp_path, files):
    recipe = replace(COARSE, voxels=16, heads="both")
    out = write_cohort(
        tmp_path / "out",
        subjects=6,
        anatomy=f"B,{files[0].parent}",
        labels="toposlearn",
        workers=1,
        recipe=recipe,
        progress=False,
    )
    table = pd.read_csv(out / "participants.tsv", sep="\t")
    assert table["anatomy"].tolist() == ["B", "head_1", "head_2"] * 2
    assert "head_2" in json.loads((out / "participants.json").read_text())["anatomy"]["Levels"]
    stripped = [
        json.loads((out / f"{name}/anat/{name}_T1w.json").read_text())["SkullStripped"]
        for name in table["participant_id"]
    ]
    assert stripped == [True, True, True, True, False, False]
    assert all(record.to_template is None and record.labels for record in read_manifest(out).records)
    own = out / TRUTH / "sub-002/anat/sub-002_from-subject_to-head1_xfm.nii.gz"
    assert nib.load(own).shape == (16, 16, 16, 3)
    names = pd.read_csv(out / TRUTH / "dseg.tsv", sep="\t")["name"].tolist()
    assert "left-cerebral-cortex" in names
    assert "skull" not in names
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.nii.gz")}
    write_cohort(out, subjects=6, anatomy=f"B,{files[0].parent}", labels="toposlearn", recipe=recipe, progress=False)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.nii.gz")} == before


def test_people_of_one_file_share_its_space(tmp_path, files):
    recipe = replace(COARSE, voxels=16)
    out = write_cohort(
        tmp_path, subjects=2, anatomy=str(files[0]), labels="toposlearn", workers=1, recipe=recipe, progress=False
    )
    assert all(record.to_template for record in read_manifest(out).records)


def test_each_label_map_is_loaded_by_one_process(tmp_path, files, small, monkeypatch):
    monkeypatch.setattr(writing, "ProcessPoolExecutor", lambda *_, **__: ThreadPoolExecutor(1))
    anatomy = ",".join(map(str, files))
    write_cohort(tmp_path / "two", subjects=6, anatomy=anatomy, labels="toposlearn", workers=2, progress=False)
    assert small == [0, 2, 4, 1, 3, 5]


def test_heads_without_a_skull_cannot_be_whole(tmp_path):
    with pytest.raises(ValueError, match="anatomy A has no skull: give --heads brain"):
        write_cohort(tmp_path / "out", recipe=replace(PLAIN, heads="whole"))
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_holds_no_anatomy(tmp_path):
    with pytest.raises(ValueError, match="anatomy must be A, B, a label map or a folder of label maps, got"):
        find_anatomies(str(tmp_path), "synthseg")
