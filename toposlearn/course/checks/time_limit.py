"""A time limit for a call, in any thread and on every system: a second thread raises an exception in the first."""

from __future__ import annotations

import _thread
import ctypes
import threading
import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")
AGAIN = 0.5  # seconds until the exception is raised again, should a bare ``except:`` have caught it


class TimeUp(BaseException):
    """The time is over. It is no ``Exception``, so that the ``except Exception:`` of a called function lets it pass."""


def call_within(seconds: float, call: Callable[[], Answer]) -> Answer:
    """The result of ``call()``, or TimeUp when it takes longer than `seconds`.

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
