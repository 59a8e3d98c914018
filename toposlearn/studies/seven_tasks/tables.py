"""Tables of ``tasks.json``: starts, what needs no network, and differences, by task and number of labeled people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toposlearn.downstream.run_scores import CEILING, PRIOR
from toposlearn.downstream.settings import CLASSIFICATION, REGRESSION, SEGMENTATION
from toposlearn.studies.seven_tasks.metrics import PAIRS
from toposlearn.studies.seven_tasks.tasks import TASKS
from toposlearn.tables import interval_cell, markdown_table

MEASURES = {SEGMENTATION: ("dice", "Dice", 3), CLASSIFICATION: ("auc", "AUC", 3), REGRESSION: ("mae", "mean error", 1)}
STARTS = {
    "scratch": "from scratch",
    "reconstruction": "reconstruction",
    "intra": "+ intra",
    "full": "full",
    "frozen": "full, frozen",
}
REFERENCES = {
    PRIOR: "position prior",
    CEILING: "ceiling",
    "age-sex-site": "age, sex, site",
    "brain-size": "size",
    "histogram": "brightness",
    "volumes": "true volumes",
}


def tasks_section(result: Mapping[str, Any]) -> str:
    """All tables in Markdown, with 95 % intervals over people and seeds."""
    metrics = result["metrics"]
    names = [name for name in TASKS if any(key.startswith(f"{name}/") for key in metrics)]
    differences = {f"{a}-{b}": f"{STARTS[a]} − {STARTS[b]}" for a, b in PAIRS}
    asked = {
        "Every task and start": (STARTS, ""),
        "What needs no network": (REFERENCES, ""),
        "Differences": (differences, "+"),
    }
    parts = [f"**{title}**\n\n{_table(metrics, names, *columns)}" for title, columns in asked.items()]
    return "\n\n".join(parts) + "\n"


def _table(metrics: Mapping[str, Any], names: list[str], methods: Mapping[str, str], sign: str = "") -> str:
    """One row per task and number of labeled people, one column per method that any task has."""
    rows = {}
    for name in names:
        measure, words, digits = MEASURES[TASKS[name].task.kind]
        for group in [f"shots{count}" for count in TASKS[name].shots] or [""]:
            place = "/".join(filter(None, (name, group)))
            title = f"{TASKS[name].title}{f', {group[5:]} labeled' if group else ''} ({words})"
            rows[title] = {
                method: interval_cell(metrics.get(f"{place}/{method}/{measure}"), digits, sign) for method in methods
            }
    used = [method for method in methods if any(row[method] != "–" for row in rows.values())]
    header = ["task", *(methods[method] for method in used)]
    return markdown_table(header, [[title, *(row[method] for method in used)] for title, row in rows.items()])
