"""Comparison of an answer with the right one: its type, shape and values, the kind of its numbers, its gradient."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toposlearn.course.checks.ask import Reply, read_hints, refusal


def read(got: Any, right: Any) -> Tensor:
    """An answer as a tensor without gradient; AssertionError where its type is not that of the right answer."""
    if got is None:
        raise AssertionError(refusal("nothing"))
    if isinstance(got, tuple) and hasattr(got, "indices"):
        raise AssertionError(refusal("values and indices"))
    values = _numbers(got, right)
    if values is not None:
        return values
    kind, wanted = type(got).__name__, "a tensor" if isinstance(right, Tensor) else "an array"
    if isinstance(right, Tensor) or kind not in ("list", "ndarray"):
        kind = dict(read_hints("types")).get(kind, kind)
    numbers = f"{wanted} of {_values(as_tensor(right))}, shape {tuple(np.shape(right))}"
    raise AssertionError(f"expected {numbers if np.ndim(right) else 'one number'}, got {kind}.")


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
    wanted = "bool" if right.dtype == torch.bool else "number" if right.is_floating_point() else "index"
    return refusal(f"not of type {wanted}", kind=str(got.dtype).removeprefix("torch."))


def difference(got: Tensor, right: Tensor, near: float) -> str:
    """How an answer differs from the right one, when no mistake is known that explains it."""
    shape, values = tuple(got.shape), _values(right)
    if got.shape != right.shape and right.ndim == 0:
        return refusal("many for one", count=got.numel(), shape=shape)
    if got.dtype == torch.bool and right.dtype != torch.bool:
        return refusal("true or false", values=values)
    if got.is_floating_point() and not right.is_floating_point() and bool((got != got.round()).any()):
        return refusal("fractions", got=_first(got), values=values)
    if got.shape != right.shape:
        return refusal("another shape", right_shape=tuple(right.shape), shape=shape)
    if not got.double().isfinite().all() and right.double().isfinite().all():
        return refusal("not finite", got=_first(got[~got.isfinite()]))
    if right.ndim == 0:
        return refusal("another number", right=_first(right), got=_first(got))
    wrong = ~torch.isclose(got.double(), right.double(), atol=near, rtol=1e-5)
    place, first, seen = wrong.nonzero()[0].tolist(), _first(right[wrong][:1]), _first(got[wrong][:1])
    return refusal("other values", wrong=int(wrong.sum()), count=right.numel(), place=place, right=first, got=seen)


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
            return refusal("gradient cut", name=name)
        if not got.isfinite().all():
            return refusal("gradient not finite", name=name)
        if not torch.allclose(got, wanted, atol=1e-5):
            return refusal("gradient wrong", name=name)
    return None


def _gradients(reply: Reply) -> Sequence[Tensor | None]:
    leaves = [leaf for each in reply.leaves.values() for leaf in each]
    if not (isinstance(reply.answer, Tensor) and reply.answer.requires_grad):
        return [None] * len(leaves)
    return torch.autograd.grad(reply.answer.sum(), leaves, allow_unused=True)
