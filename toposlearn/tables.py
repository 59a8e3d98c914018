"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> str:
    """A Markdown table.

    Args:
        header: names of the columns.
        rows: cells of each row, one per column.
        align: one letter per column, ``l`` or ``r``; all left when empty.

    Raises:
        ValueError: a row with another number of cells than the header.
    """
    rules = ["---:" if letter == "r" else "---" for letter in align.ljust(len(header), "l")]
    lines = [header, rules, *rows]
    if any(len(line) != len(header) for line in lines):
        raise ValueError(f"each row must have {len(header)} cells: {', '.join(header)}")
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
