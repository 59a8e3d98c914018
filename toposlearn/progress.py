"""Progress of long work: a bar in a terminal, elsewhere a line now and then, so that logs stay readable."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
SECONDS = 10.0  # between two lines


def progress(items: Iterable[T], *, description: str, unit: str, total: int) -> Iterator[T]:
    """The items, with progress on stderr: ``people: 12 of 30, 00:21``. Work shorter than `SECONDS` prints no line."""
    if sys.stderr.isatty():
        yield from tqdm(items, desc=description, unit=unit, total=total)
        return
    start = printed = time.monotonic()
    for count, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - printed >= SECONDS:
            took = tqdm.format_interval(now - start)
            print(f"{description}: {count} of {total} in {took}", file=sys.stderr, flush=True)
            printed = now
