"""Shortcuts as tables in Markdown: easy labels, unexplained shortcuts, and which properties go together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Template

from toposlearn.studies.shortcuts import measure
from toposlearn.tables import markdown_table

EASY = 0.9  # AUC from which a label that a shortcut is meant to predict is called easy
MARKS = {measure.SHORTCUT: " *", measure.ACCIDENT: " ?", measure.UNEXPLAINED: " !!"}


def shortcuts_report(folder: Path) -> str:
    """Every table of a result folder of `toposlearn shortcuts`; unexplained shortcuts come last."""
    rows = pd.read_csv(folder / measure.ROWS, keep_default_na=False, na_values={"value": [""]})
    rows["cell"] = [_cell(*row) for row in zip(rows["value"], rows["low"], rows["high"], strict=True)]
    splits = {split: rows[rows["split"] == split] for split in (measure.PEOPLE, measure.SITES)}
    explained, unpredicted = _explained(pd.concat(splits.values()))
    unexplained = rows[rows["verdict"] == measure.UNEXPLAINED].drop_duplicates(["label", "shortcut"])
    template = Template(Path(__file__).with_name("report.md.j2").read_text(encoding="utf-8"), trim_blocks=True)
    report: str = template.render(
        tables={split: shortcuts_table(part) for split, part in splits.items() if len(part)},
        explained=explained,
        unpredicted=unpredicted,
        association=association_table(pd.read_csv(folder / measure.PAIRS)),
        unexplained=unexplained.astype({"p": float}).to_dict("records"),
    )
    return report + "\n"


def _cell(value: float, low: str, high: str) -> str:
    return measure.FEW if pd.isna(value) else f"{value:.2f} [{float(low):.2f}, {float(high):.2f}]"


def shortcuts_table(rows: pd.DataFrame) -> str:
    """One row per label, one column per shortcut, for rows of ``shortcuts.csv`` of one split with their ``cell``."""
    marks = rows["verdict"].map(MARKS).fillna("")
    negative = rows["people"] - rows["positive"]
    heads = rows["label"] + " (" + rows["positive"].astype(str) + ", " + negative.astype(str) + ")"
    cells = pd.DataFrame({"label (with, without)": heads, "shortcut": rows["shortcut"], "cell": rows["cell"] + marks})
    table = cells.pivot(index="label (with, without)", columns="shortcut", values="cell").fillna("-")
    table = table.reindex(index=heads.unique(), columns=rows["shortcut"].unique())
    return markdown_table([str(table.index.name), *table], table.reset_index().to_numpy().tolist())


def _explained(rows: pd.DataFrame) -> tuple[list[dict[str, object]], list[str]]:
    """Labels that shortcuts predict, with their names and reasons; and labels that no shortcut predicts."""
    explained, unpredicted = [], []
    for label, group in rows[rows["value"].notna()].groupby("label", sort=False):
        shortcuts = group[group["verdict"] == measure.SHORTCUT]
        if len(shortcuts):
            best = shortcuts.groupby("shortcut")["value"].max()  # the higher of the two splits
            names = "; ".join(f"{name} ({value:.2f})" for name, value in best.items())
            reasons = "; ".join(sorted(shortcuts["reason"].unique()))
            explained.append(
                {"name": label, "easy": best.max() >= EASY, "shortcuts": names, "reasons": reasons},
            )
        elif measure.UNEXPLAINED not in set(group["verdict"]):
            unpredicted.append(str(label))
    return explained, unpredicted


def association_table(pairs: pd.DataFrame) -> str:
    """One row per pair of properties, for the rows of ``association.csv``."""
    chance = [pairs["p"] > measure.LEVEL, pairs["p"] * len(pairs) > measure.LEVEL]
    status = np.select(chance, ["independent", measure.ACCIDENT], "**dependent**")
    names = pairs["first"] + ", " + pairs["second"]
    strength, p = pairs["strength"].map("{:.2f}".format), pairs["p"].map("{:.3f}".format)
    rows = zip(names, pairs["measure"], strength, p, status, strict=True)
    return markdown_table(("properties", "measure", "strength", "p", ""), list(rows))
