"""From raw numbers per subject to metrics and tables: means and AUC with intervals, subsets, paired differences.

Names are ``GROUP/VARIANT/TASK/READER/MEASURE[/SUBSET]``. ``mean-of-subsets`` is the mean over every non-empty subset of
the modalities; ``kept`` is its ratio to the value with all modalities.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from toposlearn.arrays import Float64s
from toposlearn.config import ROW_NAMES
from toposlearn.data import PosedSubjects
from toposlearn.downstream import classification
from toposlearn.downstream.tasks import DIAGNOSIS, tasks_of
from toposlearn.intervals import bootstrap_ratio, mean_metric
from toposlearn.reproducibility import metric
from toposlearn.tables import interval_table, labeled_table

MEAN, KEPT = "mean-of-subsets", "kept"
_WORDS = yaml.safe_load(Path(__file__).with_name("summary.yaml").read_text(encoding="utf-8"))
LABELS: dict[str, str] = ROW_NAMES | _WORDS["rows"]
SECTIONS: dict[str, dict[str, str]] = _WORDS["sections"]
SEGMENTATION, CLASSIFICATION, MISSING = SECTIONS.values()

Metrics = dict[str, dict[str, Any]]
Raw = Mapping[str, Float64s]  # name -> (R, S)
Labels = Mapping[str, NDArray[np.int64]]  # group -> diagnosis (S,)


def summarize(raw: Mapping[str, Raw], tests: Mapping[str, PosedSubjects]) -> Metrics:
    """Metric objects of every variant, and of full minus every other; `tests` are group -> its people."""
    diagnosed = {group: subjects for group, subjects in tests.items() if DIAGNOSIS in tasks_of(subjects)}
    labels = {group: classification.diagnoses(subjects) for group, subjects in diagnosed.items()}
    metrics: Metrics = {}
    for variant, values in raw.items():
        metrics |= _variant_metrics(variant, with_subset_means(values), labels, raw)
    if "full" in raw:
        full = with_subset_means(raw["full"])
        for other in sorted(raw.keys() - {"full", "shuffled"}):
            metrics |= _differences(f"full-{other}", full, with_subset_means(raw[other]), labels)
    return metrics


def with_subset_means(raw: Raw) -> dict[str, Float64s]:
    """The raw numbers and their mean over subsets: Dice (R, S); scores (R, K, S), whose AUC are averaged later."""
    result = dict(raw)
    for name in [name for name in raw if name.count("/") == 3]:
        parts = [value for other, value in sorted(raw.items()) if other == name or other.startswith(f"{name}/")]
        if len(parts) > 1:
            stacked = np.stack(parts, axis=1)
            result[f"{name}/{MEAN}"] = stacked if name.endswith("/score") else stacked.mean(axis=1)
    return result


def _variant_metrics(variant: str, values: Raw, labels: Labels, raw: Mapping[str, Raw]) -> Metrics:
    metrics: Metrics = {}
    for name, value in values.items():
        group, _, rest = name.partition("/")
        full_name = f"{group}/{variant}/{rest}"
        if "/score" in name:
            metrics |= _auc_metric(full_name, value, labels[group])
            continue
        known = _known(value)
        if known.shape[1] < 2:  # no interval over one person
            continue
        references = {"null": raw.get("shuffled", {}), "baseline": raw.get("untrained", {})}
        facts = {kind: float(_known(other[name]).mean()) for kind, other in references.items() if name in other}
        metrics[full_name] = mean_metric(known, **facts)
        if name.endswith(f"/{MEAN}"):
            whole = _known(values[name.removesuffix(f"/{MEAN}")])
            low, high = bootstrap_ratio(known, whole)
            kept = metric(float(known.mean() / whole.mean()), low=low, high=high, n=known.shape[1])
            metrics[full_name.replace(MEAN, KEPT)] = kept
    return metrics


def _known(value: Float64s) -> Float64s:
    """(R, S) without the subjects for whom the number is not defined."""
    return value[:, ~np.isnan(value).any(axis=0)]


def _auc_metric(
    name: str, scores: Float64s, labels: NDArray[np.int64], minus: Float64s | None = None, null: float = 0.5
) -> Metrics:
    """AUC, or the difference of two, where each class has enough people; else no metric."""
    if int(np.bincount(labels, minlength=2).min()) < classification.FEWEST_FOR_AUC:
        return {}
    value = classification.mean_auc(scores, labels)
    if minus is not None:
        value -= classification.mean_auc(minus, labels)
    low, high = classification.bootstrap_auc(scores, labels, minus=minus)
    return {name.replace("/score", "/auc"): metric(value, low=low, high=high, n=len(labels), null=null)}


def _differences(variant: str, full: Raw, other: Raw, labels: Labels) -> Metrics:
    """Full minus the other on names that both have, the same people, paired by seed: above zero full is better."""
    metrics: Metrics = {}
    for name in [name for name in other if name in full and (name.count("/") == 3 or name.endswith(f"/{MEAN}"))]:
        group, _, rest = name.partition("/")
        first, second, full_name = full[name], other[name], f"{group}/{variant}/{rest}"
        if "/score" in name:
            metrics |= _auc_metric(full_name, first, labels[group], second, null=0.0)
            continue
        paired = second if len(second) == len(first) else second.mean(axis=0, keepdims=True)
        difference = _known(first - paired)
        if difference.shape[1] > 1:
            metrics[full_name] = mean_metric(difference, null=0.0)
    return metrics


def evaluation_tables(path: str | Path) -> str:
    """Every table of a result file of ``toposlearn evaluate``, group by group, in Markdown."""
    metrics = json.loads(Path(path).read_text(encoding="utf-8"))["metrics"]
    parts = [
        f"**{title}, people {group}**\n\n{table}"
        for group in sorted({name.split("/")[0] for name in metrics})
        for title, columns in SECTIONS.items()
        if (table := task_table(metrics, group, columns))
    ]
    return "\n\n".join(parts) + "\n"


def task_table(metrics: Mapping[str, Mapping[str, Any]], group: str, columns: Mapping[str, str]) -> str:
    """Each variant or baseline in `columns` (heading -> ``TASK/READER/MEASURE``), with 95 % intervals; or empty."""
    keys = {heading: f"{group}/NAME/{name}" for heading, name in columns.items()}
    table = interval_table(metrics, LABELS, keys, digits=2).dropna(axis="columns", how="all")
    return "" if table.empty else labeled_table("read from", table, LABELS)
