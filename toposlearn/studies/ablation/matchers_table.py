"""What each way of matching two people teaches, as tables in Markdown, written from the result file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toposlearn.studies.ablation.table import difference_cell, result_cell

Metrics = Mapping[str, Mapping[str, Any]]
ROWS = {
    "untrained": "nothing (untrained)",
    "reconstruction": "reconstruction only",
    "intra": "+ intra",
    "full": "+ intra + inter: mutual",
    "full-oracle": "+ intra + inter: *oracle*",
    "scrambled": "+ intra + inter on scrambled tokens",
    "inter-nearest": "+ inter: all nearest",
    "inter": "+ inter: mutual",
    "inter-gated": "+ inter: mutual + gates",
    "inter-sinkhorn": "+ inter: sinkhorn",
    "inter-oracle": "+ inter: *oracle*",
    "inter-random": "+ inter: *random*",
}
COLUMNS = {
    "error of the best match, mm": "across_people_error",
    "error of mutual matches, mm": "match_error/next_person",
    "right within 24 mm": "match_precision/next_person",
    "matched fraction": "matched_fraction/next_person",
    "effective rank": "effective_rank/first_modality",
    "mean cosine": "collapse/first_modality",
}
PROBE = "probe_T1w_T1w"


def matchers_section(result: Mapping[str, Any], family: str = "A") -> str:
    """A table for each token level, and what each matcher changes against mutual nearest neighbors.

    Args:
        result: content of ``matchers.json``.
        family: of the people measured.
    """
    metrics = result["metrics"]
    strides = sorted(result["config"]["model"]["token_strides"], reverse=True)
    parts = []
    for stride in strides:
        millimeters = stride * result["config"]["volume"]["spacing"]
        parts += [f"**Two people, tokens of {millimeters:g} mm**", _level(metrics, family, stride)]
    parts += ["**Another matcher minus mutual nearest neighbors**", _changes(metrics, strides)]
    return "\n\n".join(parts) + "\n"


def _level(metrics: Metrics, family: str, stride: int) -> str:
    """One row a network; the last its null, where one null serves for all."""
    lines = ["| trained with | " + " | ".join(COLUMNS) + " |", "|---|" + "---|" * len(COLUMNS)]
    for variant, label in ROWS.items():
        cells = [metrics.get(f"{family}/{variant}/stride{stride}/{name}") for name in COLUMNS.values()]
        if any(cells):
            lines.append(f"| {label} | " + " | ".join(result_cell(cell, digits=2) for cell in cells) + " |")
    nulls = [metrics.get(f"{family}/untrained/stride{stride}/{name}", {}).get("null") for name in COLUMNS.values()]
    shown = " | ".join("–" if null is None else f"{null:.3g}" for null in nulls)
    return "\n".join([*lines, f"| *null* | {shown} |"])


def _changes(metrics: Metrics, strides: list[int]) -> str:
    heads = [f"error, {family}, /{stride}, mm" for stride in strides for family in ("A", "B")]
    names = [f"{{}}/stride{stride}/across_people_error" for stride in strides for _ in ("A", "B")]
    families = ["A", "B"] * len(strides)
    finest = min(strides)
    heads += [f"probe Dice, A, /{finest}"] + [f"effective rank, A, /{stride}" for stride in strides]
    names += [f"{{}}/stride{finest}/{PROBE}"] + [
        f"{{}}/stride{stride}/effective_rank/first_modality" for stride in strides
    ]
    families += ["A"] * (1 + len(strides))
    lines = ["| matcher | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for variant, label in ROWS.items():
        usual, dash, _ = variant.partition("-")
        cells = [
            metrics.get(f"{family}/{name.format(f'{variant}-{usual}')}")
            for family, name in zip(families, names, strict=True)
        ]
        if dash and any(cells):
            lines.append(f"| {label} | " + " | ".join(difference_cell(cell, digits=2) for cell in cells) + " |")
    return "\n".join(lines)
