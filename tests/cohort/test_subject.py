"""A simulated person: the same voxels every time, truth that fits the pictures, diseases that do what they say."""

from dataclasses import replace

import numpy as np
import pytest
from nibabel.orientations import aff2axcodes
from phantom import labels_of_tissue
from scipy import ndimage

from toposlearn.anatomy import STRUCTURES, structure
from toposlearn.cohort import Subject, draw_traits, recipes, simulate
from toposlearn.cohort.head import load_head
from toposlearn.cohort.recipes import Body, PoseRange

AIR = 0


@pytest.fixture(scope="module")
def atrophic() -> Subject:
    """Person 0 of seed 0, a control without a mass, as if ill."""
    person = draw_traits(0)
    assert (person.diagnosis, person.lesion) == ("control", False)
    return simulate(replace(person, diagnosis="atrophy", degree="severe"))


@pytest.fixture(scope="module")
def healthy() -> Subject:
    return simulate(draw_traits(0))


@pytest.fixture(scope="module")
def sick() -> Subject:
    """A person with a mass, of the held-out family."""
    person = draw_traits(1, anatomy="B")
    assert person.lesion
    return simulate(person)


@pytest.fixture(params=["healthy", "sick"])
def subject(request) -> Subject:
    return request.getfixturevalue(request.param)


def milliliters(subject: Subject, name: str) -> float:
    labels = [one.label for one in STRUCTURES if one.name == name]
    return float(np.isin(subject.labels, labels).sum() * abs(np.linalg.det(subject.affine[:3, :3])) / 1000)


def test_images_and_truth_lie_on_one_ras_grid(subject):
    shape = subject.labels.shape
    assert {scan.image.shape for scan in subject.scans.values()} == {shape}
    assert subject.lesion.shape == shape
    assert subject.to_template.shape == (*shape, 3)
    assert aff2axcodes(subject.affine) == ("R", "A", "S")
    assert [one.dtype for one in (subject.labels, subject.lesion, subject.to_template)] == ["int16", "uint8", "float32"]
    assert subject.smallest_jacobian > 0
    assert all(np.array_equal(scan.affine, subject.affine) for scan in subject.scans.values())


def test_each_voxel_has_the_label_of_the_head_at_the_mapped_point(subject):
    head = load_head(subject.traits.anatomy)
    voxels = np.rint((subject.to_template - head.affine[:3, 3]) / head.spacing).astype(int)
    voxels = np.clip(voxels, 0, np.array(head.labels.shape) - 1)
    expected = head.labels[tuple(np.moveaxis(voxels, -1, 0))]
    assert (subject.labels == expected).mean() > 0.9999  # ties of rounding


def test_the_map_does_not_fold_on_the_image_grid(subject):
    spacing = subject.affine[0, 0]
    jacobian = np.stack([np.stack(np.gradient(axis, spacing)) for axis in np.moveaxis(subject.to_template, -1, 0)])
    assert np.linalg.det(np.moveaxis(jacobian, (0, 1), (-2, -1)))[subject.labels > 0].min() > 0


def test_the_same_seed_gives_the_person_that_it_always_gave(healthy):
    """Numbers of the release that made the shipped weights: what is added must not move the random streams."""
    means = {name: scan.image.mean() for name, scan in healthy.scans.items()}
    assert means == pytest.approx({"T1w": 170.093, "T2w": 147.276, "FLAIR": 139.137, "PDw": 257.551}, rel=1e-3)
    assert (healthy.labels > 0).sum() == pytest.approx(310953, rel=1e-4)


def test_left_is_left(subject):
    world = np.argwhere(subject.labels >= 0).reshape(*subject.labels.shape, 3) @ subject.affine[:3, :3].T
    for name in ("putamen", "hippocampus", "frontal-cortex", "cerebellum-cortex"):
        left, right = (world[subject.labels == structure(name, side).label] for side in ("left", "right"))
        assert left[:, 0].mean() < right[:, 0].mean() - 15  # mm, in the scanner
        assert (subject.to_template[subject.labels == structure(name, "left").label][:, 0] < 2).all()  # in the template


def test_the_whole_head_is_in_the_picture(subject):
    for axis in range(3):
        assert not np.take(subject.labels, (0, -1), axis=axis).any()
    present = set(np.unique(subject.labels).tolist())
    assert present == {AIR, *(one.label for one in STRUCTURES)}
    assert 900 < (subject.labels > 0).sum() * 8 / 1000 < 2800  # ml, with the fluid around the brain


def median(subject: Subject, modality: str, tissue: str) -> float:
    mask = np.isin(subject.labels, labels_of_tissue(tissue)) & (subject.lesion == 0)
    return float(np.median(subject.scans[modality].image[ndimage.binary_erosion(mask)]))


def test_contrasts_are_those_of_a_radiologist(subject):
    t1, t2, flair, pd = (
        {tissue: median(subject, name, tissue) for tissue in ("white", "cortex", "csf")}
        for name in ("T1w", "T2w", "FLAIR", "PDw")
    )
    assert t1["white"] > t1["cortex"] > t1["csf"]
    assert t2["csf"] > t2["cortex"] > t2["white"]
    assert flair["cortex"] > flair["white"] > flair["csf"]
    assert pd["cortex"] > pd["white"]


def test_a_mass_is_where_it_is_masked_and_shows(sick):
    mask = sick.lesion > 0
    radius = (mask.sum() * 8 * 3 / (4 * np.pi)) ** (1 / 3)
    assert 6 < radius < 30  # mm
    assert set(np.unique(sick.lesion)) == {0, 1, 2, 3}  # core, edema, rim
    white = np.isin(sick.labels, labels_of_tissue("white"))
    for modality in ("T2w", "FLAIR"):
        image = sick.scans[modality].image
        assert np.median(image[mask & white]) > 1.2 * np.median(image[white & ~mask])  # edema is bright


def test_no_mass_no_mask(healthy):
    assert not healthy.lesion.any()


def test_atrophy_is_larger_ventricles_and_smaller_hippocampi(healthy, atrophic):
    assert milliliters(atrophic, "lateral-ventricle") > 1.2 * milliliters(healthy, "lateral-ventricle")
    assert milliliters(atrophic, "hippocampus") < 0.9 * milliliters(healthy, "hippocampus")
    for name in ("putamen", "frontal-cortex", "cerebellum-cortex", "brainstem"):
        assert milliliters(atrophic, name) == pytest.approx(milliliters(healthy, name), rel=0.1)


def test_a_diagnosis_changes_nothing_but_the_shape(healthy, atrophic):
    """Pose, site, noise and tissue come from streams of their own."""
    far = np.zeros(healthy.labels.shape, dtype=bool)
    far[:, :, :30] = True  # below the ventricles
    far &= (healthy.labels == atrophic.labels) & (np.abs(healthy.to_template - atrophic.to_template).max(-1) < 1e-3)
    assert far.sum() > 10_000
    for name, scan in healthy.scans.items():
        assert (np.abs(scan.image.astype(int) - atrophic.scans[name].image)[far] <= 1).mean() > 0.99


def test_air_is_zero_and_tissue_is_not(subject):
    inside = ndimage.binary_erosion(subject.labels > 0, iterations=2)
    outside = ndimage.binary_erosion(subject.labels == 0, iterations=2)
    for scan in subject.scans.values():
        assert scan.image.dtype == np.int16
        assert not scan.image[outside].any()
        assert (scan.image[inside] > 0).mean() > 0.999


def test_another_seed_is_another_person_and_without_a_pose_sits_at_the_center(healthy, monkeypatch):
    still = Body(PoseRange(rotation=0, shift=0, size=0, stretch=0, shear=0))
    monkeypatch.setattr(recipes, "BODIES", {"plain": still})
    upright = simulate(draw_traits(0, seed=1))
    assert not np.array_equal(upright.labels, healthy.labels)
    assert not np.array_equal(upright.scans["T1w"].image, healthy.scans["T1w"].image)
    brain = np.argwhere(upright.labels > 0)
    middle = (brain.min(0) + brain.max(0)) / 2 @ upright.affine[:3, :3] + upright.affine[:3, 3]
    assert np.abs(middle).max() < 15  # mm: the deformation alone


def test_both_maps_in_turn_lead_back(subject):
    assert subject.round_trip.mean() < 0.15  # mm
    assert subject.round_trip.max() < 1.0
