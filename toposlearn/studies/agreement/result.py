"""The result file of `toposlearn topology`: numbers about the group, without the name of a person."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd

from toposlearn.relations.agreement import AXES, BASAL_GANGLIA, PAIR, fraction_interval, sign_agreement
from toposlearn.reproducibility import metric, write_result
from toposlearn.studies.agreement.people import NEIGHBORS
from toposlearn.studies.agreement.study import PERMUTATIONS, Study

# Measure -> name and unit, as in notebook 02.
AGREEMENTS = {"relations": ("consistency score", "share"), "neighbors": ("neighbor agreement", "Jaccard")}


def write_topology_result(study: Study, file: Path, *, command: str, table: str, source: str, seconds: float) -> Path:
    """Write the result.

    `command` names no file of a person; `table` is the table of labels, or ``points``; `source` says who the people
    are, and under which licence their images are.
    """
    metrics = _claims(study) | _kept(study) | _signs(study) | _agreement(study)
    facts = {"people": len(study.subjects), "structures": len(study.shared), "table": table, "source": source}
    config = facts | {"neighbors": NEIGHBORS, "permutations": PERMUTATIONS}
    return write_result(file, source=command, metrics=metrics, config=config, seeds=[0], seconds=seconds)


def _claims(study: Study) -> dict[str, dict[str, Any]]:
    """In what fraction of people the thalamus is medial to the basal ganglia, on each side and on both.

    The null is one half: independent sides would both hold in a quarter, but the two sides of a person are not.
    """
    rows = study.within_sides
    rows = rows[(rows["relation"] == "medial") & (rows["structure_a"] == "thalamus") & (rows["side_a"] != "midline")]
    metrics = {}
    for name in BASAL_GANGLIA:
        margins = rows[rows["structure_b"] == name].pivot(index="person", columns="side_a", values="margin").dropna()
        if not {"left", "right"} <= set(margins.columns):
            continue
        for words, sides in {"left": ["left"], "right": ["right"], "both sides": ["left", "right"]}.items():
            metrics[f"thalamus medial to {name}, {words}"] = _fraction(margins[sides])
    return metrics


def _fraction(margins: pd.DataFrame) -> dict[str, Any]:
    """The fraction of people all of whose margins (people, sides) are positive, and the range of the margins in mm."""
    count, people = int((margins > 0).all(axis=1).sum()), len(margins)
    low, high = fraction_interval(count, people)
    held = metric(count / people, low=low, high=high, unit="fraction of people", n=people, null=0.5)
    ends = {"margin_min": float(margins.to_numpy().min()), "margin_max": float(margins.to_numpy().max())}
    return held | {"count": count} | ends


def _kept(study: Study) -> dict[str, dict[str, Any]]:
    """Of the relations that all people have, within a side, the share with the same answer in all of them.

    It depends on the number of people and has no interval: people drawn again are fewer different ones.
    """
    people = len(study.subjects)
    table = study.consistency[study.consistency["relation"].isin(AXES) & (study.consistency["people"] == people)]
    once = [row[:2] < row[2:] for row in table[PAIR[:4]].itertuples(index=False, name=None)]
    holds = table.loc[once, "holds"]
    if people < 2 or holds.empty:
        return {}
    kept = metric(float(holds.isin([0, people]).mean()), unit="share of relations", n=people, null=2 * 0.5**people)
    return {"relations kept by all people": kept | {"relations": len(holds)}}


def _signs(study: Study) -> dict[str, dict[str, Any]]:
    subjects = list(study.subjects.values())
    if len(subjects) < 2 or len(study.shared) < 2:
        return {}
    metrics = {}
    for way, row in sign_agreement(subjects).set_index("measure").iterrows():
        value, low, high = map(float, row)
        name = f"{way} relations, share of the majority"
        metrics[name] = metric(value, low=low, high=high, unit="share of people", n=len(subjects))
    return metrics


def _agreement(study: Study) -> dict[str, dict[str, Any]]:
    if study.agreement is None:
        return {}
    rows = study.agreement.set_index("measure")
    metrics = {}
    for measure, (name, unit) in AGREEMENTS.items():
        value, low, high, null = map(float, rows.loc[measure, ["value", "low", "high", "null"]])
        interval = {} if math.isnan(low) else {"low": low, "high": high}
        metrics[name] = metric(value, **interval, unit=unit, n=len(study.subjects), null=null)
    return metrics
