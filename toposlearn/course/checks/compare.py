"""Comparison of an answer with the right one: its type, shape and values, the kind of its numbers, its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toposlearn.course.checks.ask import Reply

HINTS = {
    "list": " (hint: `torch.stack`, `torch.tensor`)",
    "ndarray": " (hint: `torch.from_numpy`)",
    "generator": " (`return`, not `yield`)",
    "function": ": call it, with brackets",
    "builtin_function_or_method": ": call it, with brackets",
}


def read(got: Any, right: Any) -> Tensor:
    """An answer as a tensor without gradient; AssertionError where its type is not that of the right answer."""
    if got is None:
        raise AssertionError("your function returns nothing (hint: `return`, which is not `print`).")
    if isinstance(got, tuple) and hasattr(got, "indices"):
        raise AssertionError("you return values *and* indices: give what is asked for (hint: `.indices`).")
    values = _numbers(got, right)
    if values is not None:
        return values
    kind, wanted = type(got).__name__, "a tensor" if isinstance(right, Tensor) else "an array"
    hint = HINTS.get(kind, "") if isinstance(right, Tensor) or kind not in ("list", "ndarray") else ""
    numbers = f"{wanted} of {_values(as_tensor(right))}, shape {tuple(np.shape(right))}"
    raise AssertionError(f"expected {numbers if np.ndim(right) else 'one number'}, got {kind}{hint}.")


def _numbers(got: Any, right: Any) -> Tensor | None:
    """An answer as a tensor, None where it has another type than the right one."""
    if isinstance(got, Tensor):
        return got.detach()
    if isinstance(right, Tensor):
        is_number = isinstance(got, int | float | np.number | np.bool_)
        return torch.tensor(got) if is_number and right.ndim == 0 else None
    try:
        array = np.asarray(got)
    except ValueError:  # lists of several lengths
        return None
    return torch.from_numpy(np.atleast_1d(array).copy()).reshape(array.shape) if array.dtype.kind in "biuf" else None


def _values(right: Tensor) -> str:
    if right.dtype == torch.bool:
        return "true and false"
    return "numbers" if right.is_floating_point() else "indices"


def as_tensor(value: Any) -> Tensor:
    """A right answer, tensor or not, as a tensor without gradient."""
    return value.detach() if isinstance(value, Tensor) else torch.from_numpy(np.array(value))


def same_values(got: Tensor, wanted: Any, near: float) -> bool:
    """Whether an answer has the shape and, up to `near`, the values of another; NaN equals NaN, and true equals 1."""
    wanted = as_tensor(wanted)
    if got.shape != wanted.shape:
        return False
    return torch.allclose(got.double(), wanted.double(), atol=near, rtol=1e-5, equal_nan=True)


def same_kind(got: Tensor, right: Tensor) -> bool:
    """Whether both are true and false, or both numbers, or both indices."""
    if right.dtype == torch.bool:
        return got.dtype == torch.bool
    return got.dtype != torch.bool if right.is_floating_point() else got.dtype in (torch.int64, torch.int32)


def wrong_kind(got: Tensor, right: Tensor, near: float) -> str | None:
    """What is wrong with the kind of the numbers, where the values are right."""
    if not same_values(got, right, near) or same_kind(got, right):
        return None
    name = str(got.dtype).removeprefix("torch.")
    if right.dtype == torch.bool:
        return (
            f"the values are right, but they are numbers ({name}) and true and false are asked for: as an index, 0 and "
            "1 pick the first two entries (hint: a comparison with `==` is a bool already, or `.bool()`)."
        )
    if right.is_floating_point():
        return "this is true or false: a number is asked for."
    return (
        f"the values are right, but of the kind {name}, which cannot be an index: give whole numbers (hint: `.long()`)."
    )


def difference(got: Tensor, right: Tensor, near: float) -> str:
    """How an answer differs from the right one, when no mistake is known that explains it."""
    if got.shape != right.shape and right.ndim == 0:
        return f"expected one number, got {got.numel()} of them, shape {tuple(got.shape)}."
    if got.dtype == torch.bool and right.dtype != torch.bool:
        return f"this is true or false, where {_values(right)} are asked for."
    if got.is_floating_point() and not right.is_floating_point() and bool((got != got.round()).any()):
        return f"these are numbers such as {_first(got)}: give {_values(right)} (hint: `.indices`, `argmin`)."
    if got.shape != right.shape:
        return f"expected the shape {tuple(right.shape)}, got {tuple(got.shape)}."
    if not got.double().isfinite().all() and right.double().isfinite().all():
        odd = _first(got[~got.isfinite()])
        return f"there is {odd} in your answer: a division by 0, or an exponent of the wrong sign?"
    if right.ndim == 0:
        return f"expected {_first(right)}, got {_first(got)}."
    wrong = ~torch.isclose(got.double(), right.double(), atol=near, rtol=1e-5)
    return (
        f"{int(wrong.sum())} of {right.numel()} values differ from the right ones. The first is at "
        f"{wrong.nonzero()[0].tolist()}: expected {_first(right[wrong][:1])}, got {_first(got[wrong][:1])}."
    )


def _first(values: Tensor) -> str:
    first = values.flatten()[:4].tolist()
    return ", ".join(str(value) if isinstance(value, bool) else f"{value:.4g}" for value in first)


def wrong_gradient(reply: Reply, right: Reply) -> str | None:
    """What is wrong with the gradient of an answer of right value."""
    named = [(name, leaf) for name, leaves in right.leaves.items() for leaf in leaves]
    for (name, leaf), got, wanted in zip(named, _gradients(reply), _gradients(right), strict=True):
        wanted = torch.zeros_like(leaf) if wanted is None else wanted
        if got is None and not wanted.any():
            continue  # nothing is to be learned in this case
        if got is None:
            return (
                f"the value is right, but nothing can be learned from it: the gradient is cut, none reaches `{name}`. "
                "Keep tensors (hint: no `float`, `.item()`, `.detach()`, `.data`, `.tolist()` or NumPy)."
            )
        if not got.isfinite().all():
            return (
                f"the value is right, but the gradient of `{name}` is NaN: a division 0 by 0 spoils it, even where "
                "its result is left out afterwards. Do not divide by 0 (hint: `count.clamp(min=1)`, or pick first)."
            )
        if not torch.allclose(got, wanted, atol=1e-5):
            return (
                f"the value is right, but the gradient of `{name}` is not: a part of it is cut off (`.detach()`, "
                "`.data`, `.item()`)."
            )
    return None


def _gradients(reply: Reply) -> Sequence[Tensor | None]:
    leaves = [leaf for each in reply.leaves.values() for leaf in each]
    if not (isinstance(reply.answer, Tensor) and reply.answer.requires_grad):
        return [None] * len(leaves)
    return torch.autograd.grad(reply.answer.sum(), leaves, allow_unused=True)
