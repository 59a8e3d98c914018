"""Noise and bias of the scanner against their closed forms."""

import numpy as np
import pytest
import torch
from scipy.special import ive

from toposlearn.cohort import SITES
from toposlearn.cohort.scanner import SCANNERS, draw_bias, rician

SHAPE = (60, 60, 60)


@pytest.mark.parametrize("signal", [0.0, 0.05, 0.5])
def test_noise_is_rician(signal):
    """Mean sigma sqrt(pi/2) L_1/2(-A^2 / 2 sigma^2), second moment A^2 + 2 sigma^2."""
    sigma = 0.05
    measured = rician(np.random.default_rng(0), torch.full(SHAPE, signal), sigma).double()
    half = (signal / sigma) ** 2 / 4
    laguerre = (1 + 2 * half) * ive(0, half) + 2 * half * ive(1, half)
    assert measured.mean().item() == pytest.approx(sigma * np.sqrt(np.pi / 2) * laguerre, rel=5e-3)
    assert (measured**2).mean().item() == pytest.approx(signal**2 + 2 * sigma**2, rel=1e-2)
    assert measured.min() >= 0


def test_no_noise_leaves_the_image_alone():
    image = torch.rand(8, 8, 8)
    torch.testing.assert_close(rician(np.random.default_rng(0), image, 0.0), image)


@pytest.mark.parametrize("strength", [0.08, 0.16, 2.0])
def test_bias_is_smooth_and_bounded(strength):
    bias = draw_bias(np.random.default_rng(1), (96, 112, 96), strength)
    assert bias.shape == (96, 112, 96)
    assert bias.min() >= 0.5
    assert bias.max() <= 2.0
    if strength < 0.5:
        assert bias.log().std().item() == pytest.approx(strength, rel=0.15)
        steps = [bias[24:-24, 28:-28, 24:-24].log().diff(dim=axis).abs().max().item() for axis in range(3)]
        assert max(steps) < 0.3 * strength  # between neighboring voxels of the head


def test_every_site_has_a_scanner_and_they_differ():
    assert set(SCANNERS) == set(SITES)
    assert len({scanner.noise for scanner in SCANNERS.values()}) == len(SITES)
