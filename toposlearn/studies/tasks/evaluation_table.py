"""What the tasks say, as tables in Markdown, written from the result file so that no number is copied by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toposlearn.config import ROW_NAMES
from toposlearn.studies.tasks.summary import KEPT, MEAN

Metrics = Mapping[str, Mapping[str, Any]]
BASELINES = {
    "oracle": "*ceiling: true shares of each token*",
    "shuffled": "*null: truth in random order*",
    "age-sex-site": "*age, sex and site*",
    "brain-size": "*brain size*",
    "histogram": "*histogram of intensities*",
    "volumes": "*true volumes of structures*",
}
NAMES = {**ROW_NAMES, **BASELINES}
SEGMENTATION = {
    "structures, linear": "structures/linear/dice",
    "structures, nearest neighbors": "structures/knn/dice",
    "structures, fine-tuned": "structures/finetuned/dice",
    "lesion, linear": "lesion/linear/dice",
}
CLASSIFICATION = {"diagnosis, linear": "diagnosis/linear/auc", "diagnosis, nearest neighbors": "diagnosis/knn/auc"}
MISSING = {
    "all modalities": "structures/linear/dice",
    "mean of all subsets": f"structures/linear/dice/{MEAN}",
    "share that is kept": f"structures/linear/dice/{KEPT}",
    "fine-tuned, mean of all subsets": f"structures/finetuned/dice/{MEAN}",
}
SECTIONS = {
    "Segmentation (Dice)": SEGMENTATION,
    "Classification (AUC)": CLASSIFICATION,
    "Missing modalities (Dice)": MISSING,
}


def evaluation_tables(path: str | Path) -> str:
    """Every table of a result file of ``toposlearn evaluate``, group by group."""
    metrics: Metrics = json.loads(Path(path).read_text(encoding="utf-8"))["metrics"]
    parts = []
    for group in sorted({name.split("/")[0] for name in metrics}):
        for title, columns in SECTIONS.items():
            table = task_table(metrics, group, columns)
            if table:
                parts.append(f"**{title}, people {group}**\n\n{table}")
    return "\n\n".join(parts) + "\n"


def task_table(metrics: Metrics, group: str, columns: Mapping[str, str]) -> str:
    """A row a variant or baseline, a column a number, with 95 % intervals; empty when nothing was measured.

    Args:
        metrics: of ``results.json``.
        group: of people.
        columns: heading -> ``TASK/READER/MEASURE[/SUBSET]``.
    """
    found = {
        label: [metrics.get(f"{group}/{variant}/{name}") for name in columns.values()]
        for variant, label in NAMES.items()
    }
    rows = {label: cells for label, cells in found.items() if any(cells)}
    used = [place for place in range(len(columns)) if any(cells[place] for cells in rows.values())]
    if not rows:
        return ""
    heads = [heading for place, heading in enumerate(columns) if place in used]
    lines = [f"| read from | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
    lines += [f"| {label} | {' | '.join(_cell(cells[place]) for place in used)} |" for label, cells in rows.items()]
    return "\n".join(lines)


def difference_rows(metrics: Metrics, group: str, columns: Mapping[str, str], others: Sequence[str]) -> str:
    """Full minus each other variant, paired: above zero full is better; with 0 inside nothing is decided."""
    lines = [f"| full minus | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    for other in others:
        cells = [metrics.get(f"{group}/full-{other}/{name}") for name in columns.values()]
        if any(cells):
            lines.append(f"| {NAMES[other]} | {' | '.join(_cell(cell, sign=True) for cell in cells)} |")
    return "\n".join(lines)


def _cell(value: Mapping[str, Any] | None, sign: bool = False) -> str:
    if value is None:
        return "–"
    form = "+.2f" if sign else ".2f"
    return f"{value['value']:{form}} [{value['low']:{form}}, {value['high']:{form}}]"
