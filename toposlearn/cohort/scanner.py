"""What the scanner adds to the signal: a smooth bias field and Rician noise, both of a strength that is the site's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Scanner:
    """Noise (standard deviation relative to the brightest tissue) and bias (standard deviation of its logarithm)."""

    noise: float
    bias: float


SCANNERS: Mapping[str, Scanner] = {
    "north": Scanner(noise=0.015, bias=0.08),
    "harbor": Scanner(noise=0.025, bias=0.12),
    "hill": Scanner(noise=0.035, bias=0.16),
}


def draw_bias(generator: np.random.Generator, shape: tuple[int, ...], strength: float) -> Tensor:
    """A smooth multiplicative field of this shape, in [0.5, 2], with a correlation length of a third of the image."""
    noise = generator.standard_normal((24, 24, 24))
    lattice = ndimage.gaussian_filter(noise, 24 / 6, mode="nearest")
    field = strength * lattice / lattice.std()
    smooth = torch.as_tensor(np.exp(np.clip(field, -np.log(2), np.log(2))), dtype=torch.float32)
    return F.interpolate(smooth[None, None], size=shape, mode="trilinear", align_corners=False)[0, 0]


def rician(generator: np.random.Generator, image: Tensor, sigma: float) -> Tensor:
    """Magnitude of a complex image with Gaussian noise in both channels (Gudbjartsson and Patz 1995)."""
    noise = torch.as_tensor(generator.standard_normal((2, *image.shape), dtype=np.float32))
    return torch.hypot(image + sigma * noise[0], sigma * noise[1])
