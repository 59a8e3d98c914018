"""Tokens of a network that knows where it is: a dial from perfect to random, with the truth known.

Two tokens are as similar as their true places are near, whatever the person, the pose or the modality; noise takes that
knowledge away. No network is like that; on such tokens one learns what a measure or a gate can tell.
"""

from __future__ import annotations

import torch
from torch import Tensor


def ideal_tokens(
    template: Tensor,
    *,
    noise: float = 0.0,
    reach: float = 30.0,
    features: int = 96,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Random Fourier features of the true place (Rahimi & Recht, 2007), plus noise.

    Without noise the cosine similarity of two tokens is about exp(-d^2 / (2 reach^2)), d mm apart in the template.

    Args:
        template: (..., N, 3), template mm of each token.
        noise: length of a random vector added to each unit token; 0 is perfect, far above 1 is random.
        reach: mm.
        features: F, even.
        generator: source of the noise; the features themselves are always the same.

    Returns:
        Tokens (..., N, F).
    """
    waves = torch.randn(3, features // 2, generator=torch.Generator().manual_seed(0)) / reach
    phase = template @ waves
    unit = torch.cat([phase.cos(), phase.sin()], dim=-1) / (features // 2) ** 0.5
    disturbance: Tensor = torch.randn(unit.shape, generator=generator) / unit.shape[-1] ** 0.5
    noisy: Tensor = unit + noise * disturbance
    return noisy
