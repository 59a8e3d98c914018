"""Tokens without a network: ideal ones, made from their true places, and free ones that descend a loss."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

REACH = 30.0  # mm over which ideal tokens become dissimilar
RATE = 0.05  # learning rate of free tokens
OfTokens = Callable[[Tensor], Tensor]  # of tokens (B, N, F)


def ideal_tokens(
    template: Tensor, *, noise: float = 0.0, features: int = 96, generator: torch.Generator | None = None
) -> Tensor:
    """Random Fourier features (Rahimi & Recht, 2007) of the true place, (..., N, 3) in template mm -> (..., N, F).

    The cosine similarity of two tokens d mm apart in the template is about exp(-d^2 / (2 REACH^2)), in any person, pose
    or modality. `noise` is the length of a random vector added to each unit token: 0 is perfect, far above 1 is random.
    Such tokens show what a measure or a gate can detect; no network makes them. F is even; `generator` is the source of
    the noise alone, the features are always the same.
    """
    waves = torch.randn(3, features // 2, generator=torch.Generator().manual_seed(0)) / REACH
    phase = template @ waves
    unit = torch.cat([phase.cos(), phase.sin()], dim=-1) / (features // 2) ** 0.5
    disturbance: Tensor = torch.randn(unit.shape, generator=generator) / unit.shape[-1] ** 0.5
    noisy: Tensor = unit + noise * disturbance
    return noisy


class Descent(NamedTuple):
    """The course of free tokens: where they ended, and at the noted steps the loss and each measure."""

    tokens: Tensor  # (B, N, F)
    steps: list[int]
    loss: list[float]
    measures: dict[str, list[float]]


def descend(
    loss: OfTokens, start: Tensor, measures: Mapping[str, OfTokens], *, steps: int = 100, every: int = 5
) -> Descent:
    """Let tokens (B, N, F) that are free parameters, at first a copy of `start`, descend a loss with Adam.

    This shows what a loss asks for, in seconds; it does not show what a network would learn. Every few steps the loss
    and the mean of each measure of the tokens are noted.
    """
    tokens = start.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([tokens], lr=RATE)
    notes = Descent(tokens.detach(), [], [], {name: [] for name in measures})
    for step in range(steps + 1):
        value = loss(tokens)
        if step % every == 0:
            notes.steps.append(step)
            notes.loss.append(float(value.detach()))
            for name, measure in measures.items():
                notes.measures[name].append(float(measure(tokens.detach()).mean()))
        if step < steps:
            optimizer.zero_grad()
            torch.autograd.backward(value)
            optimizer.step()
    return notes
