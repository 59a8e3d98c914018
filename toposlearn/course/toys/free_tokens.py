"""A loss without a network: tokens that are free parameters go where the loss pushes them.

Shows what a loss asks for, in seconds. It says nothing about what a network would learn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor


class Descent(NamedTuple):
    """Steps at which something was noted, the loss there, and each measure there."""

    tokens: Tensor  # (B, N, F), where they ended
    steps: list[int]
    loss: list[float]
    measures: dict[str, list[float]]


def descend(
    loss: Callable[[Tensor], Tensor],
    start: Tensor,
    measures: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
    *,
    steps: int = 100,
    rate: float = 0.05,
    every: int = 5,
) -> Descent:
    """Let tokens (B, N, F) descend a loss with Adam.

    Args:
        loss: tokens -> scalar.
        start: tokens at first; not changed.
        measures: name -> function of the tokens; its mean is noted.
        steps: steps of Adam.
        rate: its learning rate.
        every: steps between two notes.
    """
    tokens = start.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([tokens], lr=rate)
    notes = Descent(tokens.detach(), [], [], {name: [] for name in measures or {}})
    for step in range(steps + 1):
        value = loss(tokens)
        if step % every == 0:
            notes.steps.append(step)
            notes.loss.append(float(value.detach()))
            for name, measure in (measures or {}).items():
                notes.measures[name].append(float(measure(tokens.detach()).mean()))
        if step < steps:
            optimizer.zero_grad()
            torch.autograd.backward(value)
            optimizer.step()
    return notes
