"""The scores of a fine-tuning as a table: a row per method, number of labeled people and modalities."""

from __future__ import annotations

import json
from pathlib import Path

from toposlearn.tables import interval_cell, markdown_table

COLUMNS = {
    "dice": ("Dice", 3),
    "hd95": ("HD95 (mm)", 1),
    "absolute_volume_error": ("error of the volume (%)", 0),
    "missed": ("classes missed", 2),
    "auc": ("AUC", 3),
    "balanced_accuracy": ("balanced accuracy", 3),
    "mae": ("mean absolute error", 2),
    "r2": ("R²", 2),
}


def scores_table(result: str | Path) -> str:
    """Markdown of a ``results.json`` of fine-tuning: means over people with 95 % intervals."""
    metrics = json.loads(Path(result).read_text(encoding="utf-8"))["metrics"]
    columns = [name for name in COLUMNS if any(key.split("/")[-1] == name for key in metrics)]
    rows = dict.fromkeys(key.rpartition("/")[0] for key in metrics if key.split("/")[-1] in columns)
    digits = {name: COLUMNS[name][1] for name in columns}
    cells = [[row, *(interval_cell(metrics.get(f"{row}/{name}"), digits[name]) for name in columns)] for row in rows]
    return markdown_table(["", *(COLUMNS[name][0] for name in columns)], cells)
