"""Measures of images, on a ball of white matter in cortex, fluid and air whose numbers are known."""

import numpy as np
import pytest
from scipy import ndimage

from toposlearn.anatomy import STRUCTURES
from toposlearn.studies.realism import realism

LABEL = {structure.tissue: structure.label for structure in STRUCTURES}
SIGNAL = {"white": 100.0, "cortex": 60.0, "csf": 20.0}
SIZE = 64
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


def ball(radius):
    axes = np.indices((SIZE,) * 3) - (SIZE - 1) / 2
    return np.sqrt((axes**2).sum(axis=0)) < radius


@pytest.fixture(scope="module")
def labels():
    found = np.zeros((SIZE,) * 3, dtype=np.int16)
    found[ball(26)] = LABEL["cortex"]
    found[ball(20)] = LABEL["white"]
    found[ball(7)] = LABEL["csf"]
    return found


@pytest.fixture(scope="module")
def clean(labels):
    return sum(value * (labels == LABEL[name]) for name, value in SIGNAL.items()).astype(np.float32)


def view(image, labels, affine=AFFINE, lesion=None):
    tissue = realism.tissue_map(labels, lesion)
    depth = realism.depth_of(tissue, np.full(3, 2.0))
    return realism.view_of(image.astype(np.float32), affine, tissue, depth, AFFINE)


def noise(sigma, seed=0):
    return sigma * np.random.default_rng(seed).standard_normal((SIZE,) * 3)


def test_depth_counts_mm_from_the_nearest_voxel_that_touches_another_tissue():
    tissue = np.zeros((12, 5, 5), dtype=np.uint8)
    tissue[6:] = 1
    depth = realism.depth_of(tissue, np.array([3.0, 1.0, 1.0]))
    assert depth[:, 2, 2].tolist() == [15, 12, 9, 6, 3, 0, 0, 3, 6, 9, 12, 15]


def test_tissues_are_read_where_nothing_is_mixed(labels, clean):
    cross = ndimage.generate_binary_structure(3, 1) / 7.0
    blurred = ndimage.convolve(clean, cross)  # mixes tissues in voxels that share a face with another, nowhere else
    means = realism.tissue_means(view(blurred, labels))
    assert means == pytest.approx(SIGNAL)
    assert realism.ratios(means) == pytest.approx({"cortex": 0.6, "csf": 0.2})


def test_a_lesion_is_a_tissue_of_its_own_and_nobody_elses(labels, clean):
    lesion = ball(12) & ~ball(7)
    means = realism.tissue_means(view(np.where(lesion, 300, clean), labels, lesion=lesion))
    assert means["lesion"] == pytest.approx(300)
    assert means["white"] == pytest.approx(100)


def test_an_image_on_a_grid_of_its_own_is_measured_in_the_same_places(labels, clean):
    affine = np.diag([2.0, 2.0, 6.0, 1.0])
    affine[2, 3] = 2.0  # each slice is the mean of three
    thick = clean[:, :, : SIZE // 3 * 3].reshape(SIZE, SIZE, -1, 3).mean(axis=-1)
    found = view(thick, labels, affine)
    assert found.spacing.tolist() == [2, 2, 6]
    means = realism.tissue_means(found)
    assert means["white"] == pytest.approx(100)
    widths = realism.edge_widths(found, means)
    assert widths[2] > 1.6 * widths[0]
    assert widths[0] == pytest.approx(widths[1], rel=0.05)


def test_noise_is_told_in_spite_of_shading_and_of_other_tissues(labels, clean):
    slope = np.linspace(0.8, 1.2, SIZE)[:, None, None]
    assert realism.noise_level(view(clean * slope + noise(3.0), labels)) == pytest.approx(3.0, rel=0.08)
    assert np.isnan(realism.noise_level(view(clean, np.zeros_like(labels))))


def test_noise_of_air_is_that_of_one_channel_and_none_where_air_was_set_to_zero(labels, clean):
    measured = np.hypot(clean + noise(2.0), noise(2.0, seed=1))
    assert realism.air_noise(view(measured, labels)) == pytest.approx(2.0, rel=0.03)
    assert realism.air_noise(view(measured * (labels > 0), labels)) is None


def test_shading_is_slow_change_alone(labels, clean):
    assert realism.shading(view(clean + noise(3.0), labels)) < 0.003
    slope = np.exp(np.linspace(-0.5, 0.5, SIZE))[:, None, None]
    white = view(clean, labels).inside("white")
    true = np.broadcast_to(np.log(slope), white.shape)[white].std()
    assert realism.shading(view(clean * slope + noise(1.0), labels)) == pytest.approx(true, rel=0.25)


def test_texture_is_neither_noise_nor_shading(labels, clean):
    slope = np.linspace(0.8, 1.2, SIZE)[:, None, None]
    flat, pattern = clean * slope + noise(3.0), ndimage.gaussian_filter(noise(1.0, seed=2), 1.5)
    textured = flat * (1 + 0.03 * pattern / pattern.std())
    assert realism.texture(view(flat, labels), 3.0) < 0.003
    assert 0.012 < realism.texture(view(textured, labels), 3.0) < 0.03


def test_blocks_are_averaged_and_what_does_not_fill_one_is_cut_off():
    volume = np.arange(5 * 4 * 4, dtype=np.float32).reshape(5, 4, 4)
    coarse = realism.block_mean(volume, 2)
    assert coarse.shape == (2, 2, 2)
    assert coarse[0, 0, 0] == volume[:2, :2, :2].mean()
