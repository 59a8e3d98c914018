"""Shortcuts as tables in Markdown, with what is easy, what is unexplained, and which properties go together."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from toposlearn.studies.shortcuts.shortcuts import (
    ACCIDENT,
    AT_CHANCE,
    FEW,
    LEVEL,
    PAIRS,
    PEOPLE,
    ROWS,
    SHORTCUT,
    SITES,
    UNEXPLAINED,
)

EASY = 0.9  # AUC from which a label that a shortcut is meant to tell is called easy
MARKS = {AT_CHANCE: "", SHORTCUT: " *", ACCIDENT: " ?", UNEXPLAINED: " !!", FEW: ""}
LEGEND = (
    "AUC [95 % interval over people]; `-`: the same in everybody. No mark: not above the 95 % range of its null, the "
    "label in random order. `*`: above, with a stated reason. `?`: above, but not too high for the best of so many "
    "numbers. `!!`: unexplained. Below one half is no knowledge: where sites, sexes or ages are balanced, leaving "
    "people out unbalances the others the other way; with sites left out this does not happen to what tells the site."
)
Row = Mapping[Hashable, Any]


def shortcuts_report(folder: str | Path) -> str:
    """Every table of a result folder of ``toposlearn shortcuts``; what is unexplained comes last and is loud."""
    rows = pd.read_csv(Path(folder) / ROWS, keep_default_na=False, na_values={"value": [""]}).to_dict("records")
    parts = []
    for split in (PEOPLE, SITES):
        part = [row for row in rows if row["split"] == split]
        if part:
            parts += [f"**Who is told without a representation? {split.capitalize()}**", shortcuts_table(part)]
    parts += [LEGEND, told_lines(rows), "**Which properties go together?**"]
    parts += [association_table(pd.read_csv(Path(folder) / PAIRS).to_dict("records")), *loud_lines(rows)]
    return "\n\n".join(filter(None, parts)) + "\n"


def shortcuts_table(rows: Sequence[Row]) -> str:
    """A row a label, a column a shortcut.

    Args:
        rows: of ``shortcuts.csv``, one split.
    """
    shortcuts = list(dict.fromkeys(row["shortcut"] for row in rows))
    lines = [f"| label (with, without) | {' | '.join(shortcuts)} |", "|---|" + "---|" * len(shortcuts)]
    for group in _by_label(rows):
        cells = {row["shortcut"]: _cell(row) + MARKS[row["verdict"]] for row in group}
        counts = f"{group[0]['positive']}, {group[0]['people'] - group[0]['positive']}"
        cells_in_order = " | ".join(cells.get(name, "-") for name in shortcuts)
        lines.append(f"| {group[0]['label']} ({counts}) | {cells_in_order} |")
    return "\n".join(lines)


def _by_label(rows: Sequence[Row]) -> list[list[Row]]:
    names = dict.fromkeys(row["label"] for row in rows)
    return [[row for row in rows if row["label"] == name] for name in names]


def _cell(row: Row) -> str:
    if row["verdict"] == FEW:
        return FEW
    return f"{row['value']:.2f} [{float(row['low']):.2f}, {float(row['high']):.2f}]"


def told_lines(rows: Sequence[Row]) -> str:
    """By what, and why, each label is told without a representation, in either split; easy ones are called easy."""
    lines, nothing = [], []
    for group in _by_label([row for row in rows if row["split"] in (PEOPLE, SITES) and row["verdict"] != FEW]):
        told = sorted((row for row in group if row["verdict"] == SHORTCUT), key=lambda row: float(row["value"]))
        best = {row["shortcut"]: row["value"] for row in told}  # the higher of the two splits
        if told:
            easy = ", an easy task" if max(best.values()) >= EASY else ""
            names = "; ".join(f"{name} ({value:.2f})" for name, value in sorted(best.items()))
            why = "; ".join(sorted({row["reason"] for row in told}))
            lines.append(f"* {group[0]['label']}{easy}: told by {names}. Why: {why}.")
        elif not any(row["verdict"] == UNEXPLAINED for row in group):
            nothing.append(group[0]["label"])
    return "\n".join([*lines, *([f"* told by nothing here: {', '.join(nothing)}."] if nothing else [])])


def association_table(pairs: Sequence[Row]) -> str:
    """A row a pair of properties."""
    lines = ["| properties | measure | strength | p | |", "|---|---|---|---|---|"]
    for row in pairs:
        found = "independent" if row["p"] > LEVEL else ACCIDENT if row["p"] * len(pairs) > LEVEL else "**dependent**"
        names = f"{row['first']}, {row['second']}"
        lines.append(f"| {names} | {row['measure']} | {row['strength']:.2f} | {row['p']:.3f} | {found} |")
    return "\n".join(lines)


def loud_lines(rows: Sequence[Row]) -> list[str]:
    """A line for every shortcut to a label that has no stated reason, with the first split in which it shows."""
    first: dict[tuple[str, str], Row] = {}
    for row in rows:
        if row["verdict"] == UNEXPLAINED:
            first.setdefault((row["label"], row["shortcut"]), row)
    return [
        f"!! UNEXPLAINED: {label} is told by {shortcut} ({row['split']}): AUC {_cell(row)}, p = {float(row['p']):.1g}. "
        "Find out what the two have in common before anything is learned from this label."
        for (label, shortcut), row in first.items()
    ]
