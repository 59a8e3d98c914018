"""A call of a learner's function: with copies of the inputs, a time limit, and exceptions in one line."""

from __future__ import annotations

import inspect
import linecache
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from toposlearn.course.checks.hints import usual_cause
from toposlearn.course.checks.time_limit import TimeUp, call_within

SECONDS = 10.0  # per call; a right answer takes milliseconds, on a busy machine up to a second


class Reply(NamedTuple):
    """The answer of a function, and the leaves of autograd that its inputs were copied from."""

    answer: Any
    leaves: list[Tensor]


def ask(fn: Callable[..., Any], inputs: Sequence[object], names: Sequence[str]) -> Reply:
    """The answer of a learner's function to copies of the inputs.

    Args:
        fn: the function.
        inputs: its arguments: tensors, arrays, numbers, or tuples of them.
        names: how messages name the arguments.

    Raises:
        AssertionError: the function stops with an exception, exceeds the time limit, or changes an input in place.
    """
    if not callable(fn):
        raise AssertionError(f"this is {type(fn).__name__}, no function: did another cell use its name for something?")
    leaves: list[Tensor] = []
    given = [copy(value, leaves) for value in inputs]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the check says what is wrong
            answer = call_within(SECONDS, lambda: fn(*given))
    except TimeUp as stopped:
        raise AssertionError(
            f"your function was still running after {SECONDS:g} s{_line(fn, stopped.__traceback__)} and was stopped; "
            "usual cause: a `while` whose condition stays true, or a loop over a list that grows in the loop."
        ) from None
    except Exception as error:
        cause = usual_cause(error)
        message = f"your function stopped with {_first_line(error)}{_line(fn, error.__traceback__)}"
        ending = f"; usual cause: {cause}." if cause else "."
        raise AssertionError(message + ending) from (None if cause else error)
    _refuse_changed(given, inputs, names)
    return Reply(answer, leaves)


def copy(value: Any, leaves: list[Tensor]) -> Any:
    """A copy of an argument that shares no memory; where it takes a gradient, its new leaf is added to `leaves`."""
    match value:
        case Tensor() if value.requires_grad:
            leaves.append(value.detach().clone().requires_grad_())
            return leaves[-1].clone()  # no leaf itself, so that a change in place is found and is no exception
        case Tensor():
            return value.clone()
        case np.ndarray():
            return value.copy()
        case tuple():
            return tuple(copy(item, leaves) for item in value)
    return value


def arrays_in(value: object) -> Iterator[Any]:
    """The tensors and arrays of an argument."""
    if isinstance(value, tuple):
        for item in value:
            yield from arrays_in(item)
    elif isinstance(value, Tensor | np.ndarray):
        yield value


def _refuse_changed(given: Sequence[object], inputs: Sequence[object], names: Sequence[str]) -> None:
    for name, now, before in zip(names, given, inputs, strict=True):
        if not all(map(_alike, arrays_in(now), arrays_in(before))):
            raise AssertionError(
                f"you changed your input `{name}` in place, which the caller still needs: calculate a new value (hint: "
                f"no `{name} += …`, no `{name}[…] = …`, no method that ends in `_`; else begin with a copy)."
            )


def _alike(now: Any, before: Any) -> bool:
    if now.shape != before.shape or now.dtype != before.dtype:
        return False
    return torch.equal(now, before) if isinstance(now, Tensor) else bool(np.array_equal(now, before))


def _line(fn: Callable[..., Any], traceback: TracebackType | None) -> str:
    """Where in the learner's cell the function was, as `` (line 3: `...`)``; empty when that is not known."""
    code = getattr(inspect.unwrap(fn), "__code__", None)
    place = ""
    while code and traceback:
        if traceback.tb_frame.f_code.co_filename == code.co_filename:
            text = linecache.getline(code.co_filename, traceback.tb_lineno).strip()
            place = f" (line {traceback.tb_lineno}: `{text}`)" if text else f" (line {traceback.tb_lineno})"
        traceback = traceback.tb_next
    return place


def _first_line(error: Exception) -> str:
    message = next(iter(str(error).strip().splitlines()), "")
    return textwrap.shorten(f"{type(error).__name__}: {message}".rstrip(": "), 160, placeholder=" …")
