"""Metrics of one task: each start, each reference, and each start minus the others, paired by person and seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from toposlearn.downstream.person_metrics import (
    classification_differences,
    classification_metrics,
    regression_differences,
    regression_metrics,
)
from toposlearn.downstream.segmentation_metrics import INDEX, UNITS, difference_metrics, segmentation_metrics
from toposlearn.downstream.settings import CLASSIFICATION, SEGMENTATION

Metrics = dict[str, dict[str, Any]]
NUMBERS = [*UNITS, "volume_truth", "volume_predicted"]
PAIRS = (  # compared
    *((start, "scratch") for start in ("full", "intra", "reconstruction", "frozen")),
    *(("full", other) for other in ("reconstruction", "intra")),
)
NOT_CLASSES = {"group", "present", "method", "seed", "person", "truth", "predicted", "median"}


def task_metrics(scores: pd.DataFrame, kind: str) -> Metrics:
    """Metric objects by ``[shots4/]METHOD/MEASURE``, and by ``[shots4/]full-scratch/MEASURE`` for differences.

    `scores` have columns ``group``, ``method``, ``seed``, ``person``, and those of `judge`.
    """
    metrics: Metrics = {}
    for group, part in scores.groupby("group", sort=False):
        methods = {str(name): own for name, own in part.groupby("method", sort=False)}
        found = _segmentation(methods) if kind == SEGMENTATION else _people(methods, kind)
        place = f"{group!s}/" if group else ""
        metrics |= {f"{place}{name}": value for name, value in found.items()}
    return metrics


def _segmentation(methods: Mapping[str, pd.DataFrame]) -> Metrics:
    tables = {name: own.set_index(INDEX)[NUMBERS] for name, own in methods.items()}
    metrics = {
        f"{name}/{key}": one for name, table in tables.items() for key, one in segmentation_metrics(table).items()
    }
    for first, second in _known(tables):
        changes = difference_metrics(tables[first], tables[second])
        metrics |= {f"{first}-{second}/{key}": one for key, one in changes.items()}
    return metrics


def _people(methods: Mapping[str, pd.DataFrame], kind: str) -> Metrics:
    any_table = next(iter(methods.values()))
    order = any_table[any_table["seed"] == any_table["seed"].min()].set_index("person")
    people, truth = order.index, order["truth"].to_numpy()
    classes = [name for name in any_table.columns if name not in NOT_CLASSES]
    columns = classes if kind == CLASSIFICATION else ["predicted"]
    arrays = {
        name: np.stack(
            [own.set_index("person").loc[people, columns].to_numpy(float) for _, own in table.groupby("seed")]
        )
        for name, table in methods.items()
    }
    metrics: Metrics = {}
    for name, values in arrays.items():
        if kind == CLASSIFICATION:
            found = classification_metrics(values, truth.astype(int), classes)
        else:
            found = regression_metrics(values[..., 0], truth, medians=order["median"].to_numpy())
        metrics |= {f"{name}/{key}": one for key, one in found.items()}
    for first, second in _known(arrays):
        if kind == CLASSIFICATION:
            found = classification_differences(arrays[first], arrays[second], truth.astype(int))
        else:
            found = regression_differences(arrays[first][..., 0], arrays[second][..., 0], truth)
        metrics |= {f"{first}-{second}/{key}": one for key, one in found.items()}
    return metrics


def _known(methods: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [pair for pair in PAIRS if set(pair) <= set(methods)]
