"""Hints as text files: usual mistakes in an exercise, and usual causes of an exception."""

from __future__ import annotations

import builtins
import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("hints")


@cache
def read_hints(name: str, mark: str = "##") -> list[tuple[str, str]]:
    """The entries of ``hints/NAME.txt``: a hint behind a mark, and the line below it."""
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    return re.findall(rf"^{re.escape(mark)} (.+)\n(.+)$", text, re.MULTILINE)


def usual_cause(error: BaseException) -> str | None:
    """The usual cause of an exception in an answer, or None for an exception without an entry."""
    for cause, line in read_hints("exceptions"):
        kind, _, pattern = line.partition(" ")
        match = re.search(pattern, str(error))
        if match and isinstance(error, getattr(builtins, kind)):
            return cause.format(*match.groups())
    return None
