"""Compare an answer with the right one: its type, shape and values, and the kind of its numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

INDICES = (torch.int64, torch.int32)
HINTS = {
    "list": " (hint: `torch.stack`, `torch.tensor`)",
    "ndarray": " (hint: `torch.from_numpy`)",
    "generator": " (`return`, not `yield`)",
    "function": ": call it, with brackets",
    "builtin_function_or_method": ": call it, with brackets",
}


def read(got: Any, right: Any) -> Tensor:
    """An answer as a tensor without gradient; AssertionError where its type is not that of the right one."""
    if got is None:
        raise AssertionError("your function returns nothing (hint: `return`, which is not `print`).")
    if isinstance(got, tuple) and hasattr(got, "indices"):
        raise AssertionError("you return values *and* indices: give what is asked for (hint: `.indices`).")
    if isinstance(right, Tensor):
        seen = got.detach() if isinstance(got, Tensor) else _number(got) if right.ndim == 0 else None
    else:
        seen = _array(got)
    if seen is None:
        raise AssertionError(f"expected {_expected(right)}, got {type(got).__name__}{_type_hint(got, right)}.")
    return seen


def _type_hint(got: Any, right: Any) -> str:
    kind = type(got).__name__
    return HINTS.get(kind, "") if isinstance(right, Tensor) or kind not in ("list", "ndarray") else ""


def _number(got: Any) -> Tensor | None:
    """A number of Python or NumPy as a tensor."""
    return torch.tensor(got) if isinstance(got, int | float | np.number | np.bool_) else None


def _array(got: Any) -> Tensor | None:
    """Whatever NumPy reads as numbers, or as true and false."""
    seen = got.detach().numpy() if isinstance(got, Tensor) else got
    try:
        seen = np.asarray(seen)
    except ValueError:  # lists of several lengths
        return None
    return torch.from_numpy(np.atleast_1d(seen).copy()).reshape(seen.shape) if seen.dtype.kind in "biuf" else None


def _expected(right: Any) -> str:
    if np.ndim(right) == 0:
        return "one number"
    container = "a tensor" if isinstance(right, Tensor) else "an array"
    return f"{container} of {_values(as_tensor(right))}, shape {tuple(right.shape)}"


def _values(right: Tensor) -> str:
    if right.dtype == torch.bool:
        return "true and false"
    return "numbers" if right.is_floating_point() else "indices"


def as_tensor(value: Any) -> Tensor:
    """A right answer, tensor or not, as a tensor without gradient."""
    return value.detach() if isinstance(value, Tensor) else torch.from_numpy(np.array(value))


def same(got: Tensor, right: Any, near: float) -> bool:
    """Whether an answer has the values of the right one, and numbers of its kind."""
    return same_values(got, right, near) and _same_kind(got, as_tensor(right))


def same_values(got: Tensor, wanted: Any, near: float) -> bool:
    """Whether an answer has the shape and, up to `near`, the values of another; NaN is NaN, and true is 1."""
    wanted = as_tensor(wanted)
    close = got.shape == wanted.shape and torch.isclose(
        got.double(), wanted.double(), atol=near, rtol=1e-5, equal_nan=True
    )
    return bool(torch.as_tensor(close).all())


def _same_kind(got: Tensor, right: Tensor) -> bool:
    if right.dtype == torch.bool:
        return got.dtype == torch.bool
    return got.dtype != torch.bool if right.is_floating_point() else got.dtype in INDICES


def wrong_kind(got: Tensor, right: Any, near: float) -> str | None:
    """What is wrong with the kind of the numbers, where the values are right."""
    right = as_tensor(right)
    if not same_values(got, right, near) or _same_kind(got, right):
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


def difference(got: Tensor, right: Any, near: float) -> str:
    """How an answer differs from the right one, when no mistake is known that explains it."""
    right = as_tensor(right)
    if got.shape != right.shape and right.ndim == 0:
        return f"expected one number, got {got.numel()} of them, shape {tuple(got.shape)}."
    if got.dtype == torch.bool and right.dtype != torch.bool:
        return f"this is true or false, where {_values(right)} are asked for."
    if got.is_floating_point() and not right.is_floating_point() and _fractions(got):
        return f"these are numbers such as {_first(got)}: give {_values(right)} (hint: `.indices`, `argmin`)."
    if got.shape != right.shape:
        return f"expected the shape {tuple(right.shape)}, got {tuple(got.shape)}."
    if not got.double().isfinite().all() and right.double().isfinite().all():
        odd = _first(got[~got.isfinite()])
        return f"there is {odd} in your answer: a division by 0, or an exponent of the wrong sign?"
    wrong = ~torch.isclose(got.double(), right.double(), atol=near, rtol=1e-5)
    if right.ndim == 0:
        return f"expected {_first(right)}, got {_first(got)}."
    place = wrong.nonzero()[0].tolist()
    return (
        f"{int(wrong.sum())} of {right.numel()} values differ from the right ones. The first is at {place}: expected "
        f"{_first(right[wrong][:1])}, got {_first(got[wrong][:1])}."
    )


def _fractions(values: Tensor) -> bool:
    return bool((values != values.round()).any())


def _first(values: Tensor) -> str:
    if values.dtype == torch.bool:
        return ", ".join(str(value) for value in values.flatten()[:4].tolist())
    return ", ".join(f"{value:.4g}" for value in values.double().flatten()[:4].tolist())
