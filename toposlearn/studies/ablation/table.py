"""The comparison as a table in Markdown, written from the result file so that no number is copied by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toposlearn.config import ROW_NAMES

PROBES = ("probe_T1w_T1w", "probe_T1w_T2w", "probe_T2w_T2w")


def result_section(result: Mapping[str, Any]) -> str:
    """All tables of a comparison, with what they were measured on and by which command.

    Args:
        result: content of ``results.json``.
    """
    metrics = result["metrics"]
    families = [family for family in ("A", "B") if any(name.startswith(f"{family}/") for name in metrics)]
    parts = []
    for family in families:
        subjects = metrics[f"{family}/full/stride8/across_people_error"]["n"]
        parts += [f"**Anatomy {family}** ({subjects} held-out people)", comparison_table(metrics, family)]
    for stride in sorted(result["config"]["model"]["token_strides"], reverse=True):
        parts += [f"**Two people, /{stride}: what each part is worth**", difference_table(metrics, stride)]
    seeds, versions = ", ".join(map(str, result["seeds"])), result["versions"]
    parts.append(
        f"Seeds {seeds}; {result['config']['train']['steps']} steps; mean and 95 % interval (bootstrap over people, "
        f"crossed with seeds), mm in template space. torch {versions['torch']}, {result['device']}. "
        f"Made by `{result['source']}`."
    )
    return "\n\n".join(parts) + "\n"


def comparison_table(metrics: Mapping[str, Mapping[str, Any]], family: str = "A") -> str:
    """One row per variant and control of an anatomy family; errors in template mm with 95 % intervals.

    Args:
        metrics: of ``results.json``.
        family: ``A`` (the anatomy trained on) or ``B``.
    """
    strides = sorted(
        {int(name.split("/")[2][6:]) for name in metrics if name.startswith(f"{family}/full/")}, reverse=True
    )
    head = [f"{kind}, /{stride}" for stride in strides for kind in ("same person", "two people")]
    lines = [
        "| trained with | " + " | ".join(head) + " | probe Dice T1 / T1→T2 / T2 |",
        "|---|" + "---|" * (len(head) + 1),
    ]
    for variant, label in ROW_NAMES.items():
        if f"{family}/{variant}/stride{strides[0]}/across_people_error" not in metrics:
            continue
        cells = []
        for stride in strides:
            for kind in ("same_person_error", "across_people_error"):
                cells.append(result_cell(metrics[f"{family}/{variant}/stride{stride}/{kind}"]))
        lines.append(f"| {label} | {' | '.join(cells)} | {_probes(metrics, family, variant, strides[-1])} |")
    return "\n".join(lines)


def difference_table(
    metrics: Mapping[str, Mapping[str, Any]], stride: int, families: tuple[str, ...] = ("A", "B")
) -> str:
    """Full minus each other row, across people, paired: below zero full is better; with 0 inside nothing is decided."""
    lines = [
        "| full minus | " + " | ".join(f"anatomy {family}" for family in families) + " |",
        "|---|" + "---|" * len(families),
    ]
    for other, label in ROW_NAMES.items():
        cells = [metrics.get(f"{family}/full-{other}/stride{stride}/across_people_error") for family in families]
        if any(cells):
            lines.append(f"| {label} | " + " | ".join(map(difference_cell, cells)) + " |")
    return "\n".join(lines)


def result_cell(value: Mapping[str, Any] | None, digits: int = 1, sign: str = "") -> str:
    """Value and interval of a metric; a dash where there is none."""
    if value is None:
        return "–"
    form = f"{sign}.{digits}f"
    return f"{value['value']:{form}} [{value['low']:{form}}, {value['high']:{form}}]"


def difference_cell(value: Mapping[str, Any] | None, digits: int = 1) -> str:
    """The same with a sign."""
    return result_cell(value, digits, "+")


def _probes(metrics: Mapping[str, Mapping[str, Any]], family: str, variant: str, stride: int) -> str:
    values = [metrics.get(f"{family}/{variant}/stride{stride}/{name}") for name in PROBES]
    return " / ".join("–" if value is None else f"{value['value']:.2f}".lstrip("0") for value in values)
