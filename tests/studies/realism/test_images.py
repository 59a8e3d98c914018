"""Measures of images, on a ball of white matter in cortex, fluid and air whose numbers are known."""

import numpy as np
import pytest
from scipy import ndimage

from toposlearn.anatomy import STRUCTURES, LabelMap
from toposlearn.studies.realism import images

LABEL = {structure.tissue: structure.label for structure in STRUCTURES}
SIGNAL = {"white": 100.0, "cortex": 60.0, "csf": 20.0}
SIZE = 64
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


def ball(radius):
    axes = np.indices((SIZE,) * 3) - (SIZE - 1) / 2
    return np.sqrt((axes**2).sum(axis=0)) < radius


@pytest.fixture(scope="module")
def labels():
    nested = np.zeros((SIZE,) * 3, dtype=np.int16)
    nested[ball(26)] = LABEL["cortex"]
    nested[ball(20)] = LABEL["white"]
    nested[ball(7)] = LABEL["csf"]
    return nested


@pytest.fixture(scope="module")
def clean(labels):
    return sum(value * (labels == LABEL[name]) for name, value in SIGNAL.items()).astype(np.float32)


def truth(labels, affine=AFFINE, lesion=None):
    return images.truth_of(LabelMap(labels, affine, "ball", "test"), lesion)


def view(image, labels, affine=AFFINE, lesion=None):
    return images.view_of(image.astype(np.float32), affine, truth(labels, lesion=lesion))


def noise(sigma, seed=0):
    return sigma * np.random.default_rng(seed).standard_normal((SIZE,) * 3)


def test_depth_counts_mm_from_the_nearest_voxel_that_touches_another_tissue():
    halves = np.zeros((12, 5, 5), dtype=np.uint8)
    halves[6:] = LABEL["white"]
    depth = truth(halves, np.diag([3.0, 1.0, 1.0, 1.0])).depth
    assert depth[:, 2, 2].tolist() == [15, 12, 9, 6, 3, 0, 0, 3, 6, 9, 12, 15]


def test_tissues_are_read_where_nothing_is_mixed(labels, clean):
    cross = ndimage.generate_binary_structure(3, 1) / 7.0
    blurred = ndimage.convolve(clean, cross)  # mixes tissues in voxels that share a face with another, nowhere else
    means = images.tissue_means(view(blurred, labels))
    assert means == pytest.approx(SIGNAL)
    measured = dict(images.measure_image(view(blurred + noise(0.1), labels), "T1w"))
    ratios = measured["T1w, over white matter"]
    assert [ratios["cortex"], ratios["csf"]] == pytest.approx([0.6, 0.2], rel=1e-3)
    assert measured["order of tissues"] == {"T1w": 1}


def test_a_lesion_is_a_tissue_of_its_own(labels, clean):
    lesion = ball(12) & ~ball(7)
    means = images.tissue_means(view(np.where(lesion, 300, clean), labels, lesion=lesion))
    assert means["lesion"] == pytest.approx(300)
    assert means["white"] == pytest.approx(100)
    measured = images.measure_image(view(np.where(lesion, 300, clean), labels, lesion=lesion), "ADC", lesion="stroke")
    ratios = dict(measured)["ADC, over white matter"]
    assert ratios["stroke"] == ratios["lesion"] == pytest.approx(3)


def test_an_image_on_a_grid_of_its_own_is_measured_in_the_same_places(labels, clean):
    affine = np.diag([2.0, 2.0, 6.0, 1.0])
    affine[2, 3] = 2.0  # each slice is the mean of three
    thick = clean[:, :, : SIZE // 3 * 3].reshape(SIZE, SIZE, -1, 3).mean(axis=-1)
    found = view(thick, labels, affine)
    assert found.spacing.tolist() == [2, 2, 6]
    means = images.tissue_means(found)
    assert means["white"] == pytest.approx(100)


def test_noise_is_measured_in_spite_of_shading_and_of_other_tissues(labels, clean):
    slope = np.linspace(0.8, 1.2, SIZE)[:, None, None]
    extracted = (clean * slope + noise(3.0)) * (labels > 0)
    assert images.noise_of(view(extracted, labels)) == pytest.approx(3.0, rel=0.08)
    assert np.isnan(images.noise_of(view(0 * clean, np.zeros_like(labels))))


def test_noise_of_air_is_that_of_one_channel_unless_air_was_set_to_zero(labels, clean):
    measured = np.hypot(clean + noise(2.0), noise(2.0, seed=1)) + 5 * noise(1.0, seed=2) * (labels > 0)
    assert images.noise_of(view(measured, labels)) == pytest.approx(2.0, rel=0.03)
    assert images.noise_of(view(measured * (labels > 0), labels)) == pytest.approx(29**0.5, rel=0.08)


def test_shading_is_slow_change_alone(labels, clean):
    assert images.shading(view(clean + noise(3.0), labels)) < 0.003
    slope = np.exp(np.linspace(-0.5, 0.5, SIZE))[:, None, None]
    white = view(clean, labels).white()
    true = np.broadcast_to(np.log(slope), white.shape)[white].std()
    assert images.shading(view(clean * slope + noise(1.0), labels)) == pytest.approx(true, rel=0.25)


def test_texture_is_neither_noise_nor_shading(labels, clean):
    slope = np.linspace(0.8, 1.2, SIZE)[:, None, None]
    flat, pattern = clean * slope + noise(3.0), ndimage.gaussian_filter(noise(1.0, seed=2), 1.5)
    textured = flat * (1 + 0.03 * pattern / pattern.std())
    assert images.texture(view(flat, labels), 3.0) < 0.003
    assert 0.012 < images.texture(view(textured, labels), 3.0) < 0.03
