"""Judge an answer to an exercise: right, or a usual mistake with its own hint, or how it differs."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def judge(what: str, got: object, right: Tensor, mistakes: Mapping[str, Tensor], meaning: str) -> str:
    """One line when right; else AssertionError, with the hint of the mistake that gives just this answer."""
    if got is None:
        raise AssertionError(f"{what}: your function returns nothing (hint: `return`).")
    if not isinstance(got, Tensor):
        if isinstance(got, tuple) and hasattr(got, "indices"):
            raise AssertionError(f"{what}: you return values *and* indices: give what is asked for (hint: `.indices`).")
        if not isinstance(got, int | float):
            raise AssertionError(f"{what}: expected a tensor, got {type(got).__name__}.")
        got = torch.tensor(got)
    if same(got, right):
        return f"Right. {meaning}".strip()
    for hint, wrong in mistakes.items():
        if same(got, wrong):
            raise AssertionError(f"{what}: {hint}")
    if got.is_floating_point() and not right.is_floating_point():
        raise AssertionError(f"{what}: these are numbers such as {_first(got)}; give indices (hint: `.indices`).")
    if got.shape != right.shape:
        raise AssertionError(f"{what}: expected the shape {tuple(right.shape)}, got {tuple(got.shape)}.")
    wrong_entries = int((~torch.isclose(got.double(), right.double(), atol=1e-5)).sum())
    raise AssertionError(
        f"{what}: {wrong_entries} of {right.numel()} values differ from the right ones. First expected: "
        f"{_first(right)}, first seen: {_first(got)}."
    )


def same(got: Tensor, wanted: Tensor) -> bool:
    """Whether an answer has the shape and, to five digits, the values of another; true is not 1."""
    if got.shape != wanted.shape or (got.dtype == torch.bool) != (wanted.dtype == torch.bool):
        return False
    return torch.allclose(got.detach().double(), wanted.detach().double(), atol=1e-5, equal_nan=True)


def _first(values: Tensor) -> str:
    return ", ".join(f"{value:.4g}" for value in values.detach().double().flatten()[:4].tolist())
