"""People of the full recipe: scans on grids of their own that still show one head; lesions that show."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine, voxel_sizes
from phantom import labels_of_tissue
from scipy import ndimage

from toposlearn.cohort import LESIONS, Subject, draw_traits, recipe_named, simulate
from toposlearn.cohort.scanner import SCANNERS
from toposlearn.settings import T1CE

RECIPE = recipe_named("full", voxels=56)


def someone(site: str = "north", lesion: str | None = None, **changes) -> Subject:
    person = draw_traits(3, recipe="full")
    asked = {"site": site, "lesion": lesion is not None, "lesion_type": lesion, "diagnosis": "control", "degree": None}
    return simulate(replace(person, **asked), recipe=replace(RECIPE, **changes))


def on_truth(subject: Subject, modality: str) -> np.ndarray:
    """A scan read at the voxels of the truth, by the affines alone; NaN where it saw nothing."""
    scan = subject.scans[modality]
    voxels = np.indices(subject.labels.shape).reshape(3, -1).T
    there = apply_affine(np.linalg.inv(scan.affine) @ subject.affine, voxels).T
    read = ndimage.map_coordinates(scan.image.astype(float), there, order=1, cval=np.nan)
    return read.reshape(subject.labels.shape)


def median(subject: Subject, modality: str, mask: np.ndarray) -> float:
    values = on_truth(subject, modality)[mask]
    return float(np.median(values[np.isfinite(values)]))


@pytest.fixture(scope="module")
def everywhere() -> dict[str, Subject]:
    return {site: someone(site) for site in SCANNERS}


@pytest.fixture(scope="module")
def lesions() -> dict[str, Subject]:
    return {name: someone(lesion=name) for name in LESIONS}


def test_scans_lie_on_grids_of_their_own(everywhere):
    for site, subject in everywhere.items():
        scanner = SCANNERS[site]
        for name, scan in subject.scans.items():
            assert "".join(nib.aff2axcodes(scan.affine)) == scanner.axes
            sizes = voxel_sizes(nib.as_closest_canonical(nib.Nifti1Image(scan.image, scan.affine)).affine)
            if name in scanner.slices:
                axis, thickness = scanner.slices[name]
                assert sizes[axis] == pytest.approx(max(thickness, RECIPE.spacing), rel=0.1)
            thin = [size for axis, size in enumerate(sizes) if axis != scanner.slices.get(name, (3,))[0]]
            np.testing.assert_allclose(thin, RECIPE.spacing)
        assert len({scan.image.shape for scan in subject.scans.values()}) > 1


def test_the_affines_say_where_each_scan_lies(everywhere):
    """Fluid is where the labels have it, in every scan of every site, whatever its grid."""
    for subject in everywhere.values():
        ventricle = ndimage.binary_erosion(np.isin(subject.labels, labels_of_tissue("csf")))
        white = ndimage.binary_erosion(np.isin(subject.labels, labels_of_tissue("white")))
        for name, brighter in (("T1w", False), ("T2w", True), ("ADC", True), ("dwi", False)):
            assert (median(subject, name, ventricle) > median(subject, name, white)) == brighter


def test_adc_counts_what_diffusion_is(everywhere):
    subject = everywhere["north"]
    white = ndimage.binary_erosion(np.isin(subject.labels, labels_of_tissue("white")))
    assert 600 < median(subject, "ADC", white) < 950  # 1e-6 mm^2/s
    ventricle = ndimage.binary_erosion(subject.labels == 1)
    assert 1800 < median(subject, "ADC", ventricle) < 3600


def around(subject: Subject, mask: np.ndarray) -> np.ndarray:
    """White matter, for comparison, away from the lesion."""
    white = np.isin(subject.labels, labels_of_tissue("white"))
    return ndimage.binary_erosion(white & ~ndimage.binary_dilation(mask, iterations=3))


def test_every_kind_has_its_mask_and_labels(lesions):
    expected = {
        "low-grade-glioma": {1, 2},
        "high-grade-glioma": {1, 2, 3},
        "stroke": {4},
        "white-matter-lesions": {5},
        "metastases": {1, 2, 3},
    }
    for name, subject in lesions.items():
        assert set(np.unique(subject.lesion)) - {0} == expected[name]


def test_only_a_leaking_rim_enhances(lesions):
    rim = lesions["high-grade-glioma"].lesion == 3
    assert median(lesions["high-grade-glioma"], T1CE, rim) > 1.3 * median(lesions["high-grade-glioma"], "T1w", rim)
    mass = lesions["low-grade-glioma"].lesion == 1
    ratio = median(lesions["low-grade-glioma"], T1CE, mass) / median(lesions["low-grade-glioma"], "T1w", mass)
    assert ratio == pytest.approx(1, abs=0.25)


def test_a_fresh_stroke_is_bright_in_diffusion_and_dark_in_adc(lesions):
    subject = lesions["stroke"]
    infarct = ndimage.binary_erosion(subject.lesion == 4)
    white = around(subject, infarct)
    assert median(subject, "dwi", infarct) > 1.3 * median(subject, "dwi", white)
    assert median(subject, "ADC", infarct) < 0.75 * median(subject, "ADC", white)


def test_lesions_of_white_matter_are_bright_in_flair(lesions):
    subject = lesions["white-matter-lesions"]
    assert median(subject, "FLAIR", subject.lesion == 5) > 1.15 * median(
        subject, "FLAIR", around(subject, subject.lesion > 0)
    )


def test_a_head_that_moved_between_scans_keeps_its_first_scan_and_its_truth():
    still = someone(modalities=("T1w", "T2w"))
    moved = someone(modalities=("T1w", "T2w"), misregister_mm=12.0, misregister_degrees=0.0)
    np.testing.assert_array_equal(moved.scans["T1w"].image, still.scans["T1w"].image)
    np.testing.assert_array_equal(moved.labels, still.labels)
    center = [
        np.nanmean(np.argwhere(np.nan_to_num(on_truth(subject, "T2w")) > 0), axis=0) for subject in (still, moved)
    ]
    assert np.linalg.norm(center[1] - center[0]) * RECIPE.spacing == pytest.approx(12, abs=4)
    assert np.corrcoef(still.scans["T1w"].image.ravel(), moved.scans["T1w"].image.ravel())[0, 1] == pytest.approx(1)


def test_the_same_scan_whatever_else_is_scanned():
    few, all_of_them = someone(modalities=("T2w", "ADC")), someone()
    for name in ("T2w", "ADC"):
        np.testing.assert_array_equal(few.scans[name].image, all_of_them.scans[name].image)


def test_fluid_is_dark_in_every_flair(everywhere):
    for subject in everywhere.values():
        fluid = ndimage.binary_erosion(subject.labels == 1)
        white = ndimage.binary_erosion(np.isin(subject.labels, labels_of_tissue("white")))
        assert median(subject, "FLAIR", fluid) < 0.4 * median(subject, "FLAIR", white)


def test_heads_are_as_large_as_people_have_them():
    volumes = [
        (simulate(draw_traits(number, recipe="full"), recipe=replace(RECIPE, modalities=("T1w",))).labels > 0).sum()
        for number in range(8)
    ]
    milliliters = np.array(volumes) * RECIPE.spacing**3 / 1000
    assert 1443 - 2 * 129 < milliliters.mean() < 1443 + 2 * 129  # toposlearn.studies.realism.published
    assert milliliters.std() / milliliters.mean() < 0.15
