"""Tables in Markdown, and their cells."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd


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
    """Value and interval of a metric object; the value alone of too few people, and a dash where there is none."""
    if value is None:
        return "–"
    form = f"{sign}.{digits}f"
    interval = f" [{value['low']:{form}}, {value['high']:{form}}]" if "low" in value else ""
    return f"{value['value']:{form}}{interval}"


def interval_table(
    metrics: Mapping[str, Mapping[str, Any]],
    names: Iterable[str],
    columns: Mapping[str, str],
    digits: int = 1,
    sign: str = "",
) -> pd.DataFrame:
    """One row per name for which anything was measured: value and interval, or None.

    `columns` are headings and keys of metrics, in which ``NAME`` stands for the name of the row.
    """
    rows = {name: [metrics.get(key.replace("NAME", name)) for key in columns.values()] for name in names}
    cells = {
        name: [value and interval_cell(value, digits, sign) for value in row] for name, row in rows.items() if any(row)
    }
    return pd.DataFrame.from_dict(cells, orient="index", columns=list(columns))


def labeled_table(title: str, table: pd.DataFrame, labels: Mapping[str, str]) -> str:
    """Markdown of cells of text, `title` above the labels of the rows; a dash where a cell is None."""
    return markdown_table([title, *table], table.rename(labels).fillna("–").reset_index().to_numpy().tolist())
