"""From raw numbers of people to metrics: means and AUC with intervals, over subsets of modalities, paired differences.

Names are ``GROUP/VARIANT/TASK/READER/MEASURE[/SUBSET]``. ``mean-of-subsets`` is the mean over every non-empty subset of
the modalities; ``kept`` is its ratio to what all modalities together give.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toposlearn.arrays import Float64s
from toposlearn.data import PosedSubjects
from toposlearn.downstream import classification
from toposlearn.downstream.tasks import DIAGNOSIS, tasks_of
from toposlearn.intervals import bootstrap_ratio, bootstrap_subjects
from toposlearn.reproducibility import metric

MEAN, KEPT = "mean-of-subsets", "kept"
Metrics = dict[str, dict[str, Any]]
Raw = Mapping[str, Float64s]  # name -> (R, S)


def summarize(raw: Mapping[str, Raw], tests: Mapping[str, PosedSubjects]) -> Metrics:
    """Metric objects of every variant, and of full minus every other.

    Args:
        raw: variant -> ``GROUP/TASK/READER/MEASURE[/SUBSET]`` -> (R, S).
        tests: group -> its people.
    """
    labels = {
        group: classification.diagnoses(subjects)
        for group, subjects in tests.items()
        if DIAGNOSIS in tasks_of(subjects)
    }
    metrics: Metrics = {}
    for variant, values in raw.items():
        metrics |= _metrics_of(variant, with_subset_means(values), labels, raw)
    if "full" in raw:
        full = with_subset_means(raw["full"])
        for other in sorted(raw.keys() - {"full", "shuffled"}):
            metrics |= _differences(f"full-{other}", full, with_subset_means(raw[other]), labels)
    return metrics


def with_subset_means(raw: Raw) -> dict[str, Float64s]:
    """Adds the mean over subsets: of Dice (R, S); of scores all of them, (R, K, S), whose AUC are averaged."""
    found = dict(raw)
    for name in [name for name in raw if name.count("/") == 3]:
        parts = [value for other, value in sorted(raw.items()) if other == name or other.startswith(f"{name}/")]
        if len(parts) > 1:
            stacked = np.stack(parts, axis=1)
            found[f"{name}/{MEAN}"] = stacked if name.endswith("/score") else stacked.mean(axis=1)
    return found


def _place(name: str, variant: str) -> tuple[str, str]:
    """The group, and the name with the variant in it."""
    group, rest = name.split("/", 1)
    return group, f"{group}/{variant}/{rest}"


def _metrics_of(variant: str, values: Raw, labels: Mapping[str, NDArray[np.int64]], raw: Mapping[str, Raw]) -> Metrics:
    found: Metrics = {}
    for name, value in values.items():
        group, full_name = _place(name, variant)
        if "/score" in name:
            found |= _auc_metrics(full_name, value, labels[group])
            continue
        known = _known(value)
        if known.shape[1] < 2:  # no interval over one person
            continue
        low, high = bootstrap_subjects(known)
        null, baseline = (_mean(raw, other, name) for other in ("shuffled", "untrained"))
        found[full_name] = metric(
            float(known.mean()), low=low, high=high, n=known.shape[1], null=null, baseline=baseline
        )
        if name.endswith(f"/{MEAN}"):
            found[full_name.replace(MEAN, KEPT)] = _kept_share(known, _known(values[name.removesuffix(f"/{MEAN}")]))
    return found


def _known(value: Float64s) -> Float64s:
    """(R, S) without the people for whom the number is not defined."""
    return value[:, ~np.isnan(value).any(axis=0)]


def _mean(raw: Mapping[str, Raw], variant: str, name: str) -> float | None:
    if variant not in raw or name not in raw[variant]:
        return None
    return float(_known(raw[variant][name]).mean())


def _kept_share(some: Float64s, all_present: Float64s) -> dict[str, Any]:
    low, high = bootstrap_ratio(some, all_present)
    return metric(float(some.mean() / all_present.mean()), low=low, high=high, n=some.shape[1])


def _auc_metrics(name: str, scores: Float64s, labels: NDArray[np.int64]) -> Metrics:
    """AUC where each class has people enough, and none where not."""
    try:
        value = classification.mean_auc(scores, labels)
    except ValueError:
        return {}
    low, high = classification.bootstrap_auc(scores, labels)
    return {name.replace("/score", "/auc"): metric(value, low=low, high=high, n=len(labels), null=0.5)}


def _differences(name: str, full: Raw, other: Raw, labels: Mapping[str, NDArray[np.int64]]) -> Metrics:
    """Full minus the other, the same people, seed by seed where both have as many: above zero full is better."""
    found: Metrics = {}
    for key, first, second in _shared(full, other):
        group, full_name = _place(key, name)
        if "/score" in key:
            if int(np.bincount(labels[group]).min()) < classification.FEWEST_FOR_AUC:
                continue
            low, high = classification.bootstrap_auc(first, labels[group], minus=second)
            value = classification.mean_auc(first, labels[group]) - classification.mean_auc(second, labels[group])
            full_name, subjects = full_name.replace("/score", "/auc"), len(labels[group])
        else:
            paired = second if len(second) == len(first) else second.mean(axis=0, keepdims=True)
            difference = _known(first - paired)
            if difference.shape[1] < 2:
                continue
            (low, high), value, subjects = bootstrap_subjects(difference), float(difference.mean()), difference.shape[1]
        found[full_name] = metric(value, low=low, high=high, n=subjects, null=0.0)
    return found


def _shared(full: Raw, other: Raw) -> Iterator[tuple[str, Float64s, Float64s]]:
    """Only equal names meet: a position vote meets full's nearest neighbors, a confounder its linear reader."""
    for key, value in other.items():
        if key in full and key.count("/") in (3, 4) and (key.count("/") == 3 or key.endswith(MEAN)):
            yield key, full[key], value
