"""Tables in Markdown, and their cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> str:
    """A Markdown table; `align` has one letter per column, ``l`` or ``r``, and is all left when empty.

    A row with another number of cells than the header raises ValueError.
    """
    rules = ["---:" if letter == "r" else "---" for letter in align.ljust(len(header), "l")]
    lines = [header, rules, *rows]
    if any(len(line) != len(header) for line in lines):
        raise ValueError(f"each row must have {len(header)} cells: {', '.join(header)}")
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def interval_cell(value: Mapping[str, Any] | None, digits: int = 1, sign: str = "") -> str:
    """Value and interval of a metric object; a dash where there is none."""
    if value is None:
        return "–"
    form = f"{sign}.{digits}f"
    return f"{value['value']:{form}} [{value['low']:{form}}, {value['high']:{form}}]"
