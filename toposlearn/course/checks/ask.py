"""A call of a learner's function: with copies of the inputs, a time limit, and exceptions with their usual causes."""

import _thread
import builtins
import ctypes
import inspect
import linecache
import re
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

SECONDS = 10.0  # per call; a right answer takes milliseconds, on a busy machine up to a second
HINTS = Path(__file__).with_name("hints")  # usual mistakes in an exercise, usual causes of an exception
AGAIN = 0.5  # seconds until a stop is raised again, should a bare ``except:`` have caught it
Answer = TypeVar("Answer")


class Reply(NamedTuple):
    """The answer of a function, and for each argument the leaves of autograd that it was copied from."""

    answer: Any
    leaves: dict[str, list[Tensor]]


def ask(fn: Callable[..., Any], inputs: Sequence[object], names: Sequence[str]) -> Reply:
    """The answer of a learner's function to copies of the inputs: tensors, arrays, numbers, or tuples of them.

    AssertionError: the function stops with an exception, exceeds the time limit, or changes an input in place; the
    message names the argument by `names`.
    """
    if not callable(fn):
        raise AssertionError(refusal("no function", kind=type(fn).__name__))
    leaves: dict[str, list[Tensor]] = {name: [] for name in names}
    given = [copy(value, leaves[name]) for name, value in zip(names, inputs, strict=True)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the check says what is wrong
            answer = call_within(SECONDS, lambda: fn(*given))
    except TimeUp as stopped:
        where = _line(fn, stopped.__traceback__)
        raise AssertionError(refusal("still running", seconds=SECONDS, line=where)) from None
    except Exception as error:
        cause = usual_cause(error)
        message = f"your function stopped with {_first_line(error)}{_line(fn, error.__traceback__)}"
        ending = f"; usual cause: {cause}." if cause else "."
        raise AssertionError(message + ending) from (None if cause else error)
    changed = next((name for name, *both in zip(names, given, inputs, strict=True) if not _same(*both)), None)
    if changed:
        raise AssertionError(refusal("changed in place", name=changed))
    return Reply(answer, leaves)


def copy(value: Any, leaves: list[Tensor]) -> Any:
    """A copy of an argument that shares no memory; where it takes a gradient, its new leaf is added to `leaves`."""
    if isinstance(value, tuple):
        return tuple(copy(item, leaves) for item in value)
    if not (isinstance(value, Tensor) and value.requires_grad):
        return deepcopy(value)
    leaves.append(value.detach().clone().requires_grad_())
    return leaves[-1].clone()  # no leaf itself, so that a change in place is found and is no exception


def _same(now: Any, before: Any) -> bool:
    if isinstance(before, tuple):
        return all(map(_same, now, before))
    now, before = torch.as_tensor(now), torch.as_tensor(before)
    return now.dtype == before.dtype and torch.equal(now, before)


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


@cache
def read_hints(name: str, mark: str = "##") -> list[tuple[str, str]]:
    """The entries of ``hints/NAME.txt``: a hint behind a mark, and the line below it."""
    text = (HINTS / f"{name}.txt").read_text(encoding="utf-8")
    return re.findall(rf"^{re.escape(mark)} (.+)\n(.+)$", text, re.MULTILINE)


def refusal(name: str, /, **facts: object) -> str:
    """The message of this name in ``hints/refusals.txt``, with the facts filled in."""
    return dict(read_hints("refusals"))[name].format(**facts)


def usual_cause(error: BaseException) -> str | None:
    """The usual cause of an exception in an answer, or None for an exception without an entry."""
    for cause, line in read_hints("exceptions"):
        kind, _, pattern = line.partition(" ")
        match = re.search(pattern, str(error))
        if match and isinstance(error, getattr(builtins, kind)):
            return cause.format(*match.groups())
    return None


class TimeUp(BaseException):
    """The time is over. It is no ``Exception``, so that the ``except Exception:`` of a called function lets it pass."""


def call_within(seconds: float, call: Callable[[], Answer]) -> Answer:
    """The result of ``call()``, or TimeUp when it takes longer than `seconds`: a second thread raises it in this one.

    The exception arrives between two steps of Python: an endless loop is stopped, one single call into a library that
    never returns (``time.sleep(1e9)``) is not. It never arrives after this function: the locks are those of the
    interpreter, each step of which is taken whole or not at all.
    """
    caller, running, watching = threading.get_ident(), threading.Lock(), threading.Lock()
    running.acquire()
    watching.acquire()

    def watch() -> None:
        wait = seconds
        while not running.acquire(timeout=wait):
            _raise_in(caller, TimeUp)
            wait = AGAIN
        watching.release()

    def stop() -> None:
        if running.locked():
            running.release()
        while watching.locked():
            time.sleep(1e-4)
        _raise_in(caller, None)

    try:
        _thread.start_new_thread(watch, ())
        try:
            return call()
        finally:
            stop()
    except TimeUp:
        stop()  # it may have interrupted the first
        raise


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Raise an exception in a thread at its next step; None withdraws one that has not arrived yet."""
    wanted = ctypes.py_object(kind) if kind else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), wanted)
