"""Dice, Hausdorff distance and volume of each class in each person, and their means with intervals over people.

Numbers that are not defined are NaN, and NaN are left out of every mean:

* the person lacks the class, and it was not predicted: every number is NaN;
* the person lacks the class, and it was predicted: Dice is 0, distance and error of the volume are NaN;
* the person has the class, and it was not predicted: Dice is 0, the error of the volume -100 %, the distance NaN. The
  mean distance is then too good: read it with ``missed``, the share of such people among those who have the class.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from monai.metrics.utils import get_mask_edges, get_surface_distance
from nibabel.affines import voxel_sizes
from numpy.typing import NDArray
from scipy import ndimage

from toposlearn.arrays import Float64s
from toposlearn.intervals import bootstrap_ratio
from toposlearn.reproducibility import metric

Classes = Mapping[str, tuple[int, ...]]  # name -> the labels, from 1 on, that form the class; classes may overlap
Metrics = dict[str, dict[str, Any]]
PERCENTILE = 95
UNITS = {"dice": None, "hd95": "mm", "volume_error": "%", "absolute_volume_error": "%", "missed": None}
INDEX = ["seed", "person", "class"]


def score_person(predicted: NDArray[Any], truth: NDArray[Any], classes: Classes, affine: Float64s) -> pd.DataFrame:
    """One row per class, by name, from two label maps (X, Y, Z) of whole numbers on one grid; affine (4, 4) in mm.

    Columns: ``dice``; ``hd95`` in mm; ``volume_truth`` and ``volume_predicted`` in ml; ``volume_error``, predicted
    minus truth in % of the truth, and its size ``absolute_volume_error``; ``missed``, 1 where a class that the person
    has was not predicted, else 0. Voxels may be longer along one axis and oblique, not sheared. ValueError for maps
    of different shapes, maps that are not of whole numbers, and labels below 1.
    """
    _check_maps(predicted, truth, classes)
    spacing = tuple(float(size) for size in voxel_sizes(affine))
    largest = max(max(labels) for labels in classes.values())
    maps = [_native(each) for each in (predicted, truth)]
    boxes = [ndimage.find_objects(each, largest) for each in maps]
    rows = {}
    for name, labels in classes.items():
        found = [own[label - 1] for own in boxes for label in labels]
        box = _around([each for each in found if each is not None])
        masks = [np.isin(each[box], labels) for each in maps]
        rows[name] = _scores(masks[0], masks[1], spacing)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("class")


def hausdorff_95(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], spacing: tuple[float, ...]) -> float:
    """95 % of the surface of either mask (X, Y, Z) are at most this far, in mm, from the surface of the other one.

    The larger 95th percentile of the two directions, between the centers of surface voxels, as MONAI's
    `compute_hausdorff_distance`, which emits a warning about itself. The masks may be cropped to where either is.
    """
    first, second = get_mask_edges(predicted, truth, crop=False)
    ways = [get_surface_distance(*edges, spacing=spacing) for edges in ((first, second), (second, first))]
    return max(float(np.percentile(distances, PERCENTILE)) for distances in ways)


def segmentation_metrics(
    scores: pd.DataFrame, *, null: pd.DataFrame | None = None, baseline: pd.DataFrame | None = None
) -> Metrics:
    """Metric objects by ``dice/CLASS``, and by ``dice``: the mean over the classes of a person; so all of `UNITS`.

    `scores` are the tables of `score_person` of all S people under all R seeds, with ``seed`` and ``person`` before
    the class: ``pd.concat({(seed, person): table}, names=["seed", "person"])``. Intervals are over people, crossed
    with seeds, of those people in whom the number is defined, ``n``; without such people there is no metric. `null`
    (labels in random order) and `baseline` (position prior) are tables of the same kind, whose means are given beside.
    """
    references = {"null": null, "baseline": baseline}
    others = {kind: _numbers(table) for kind, table in references.items() if table is not None}
    metrics: Metrics = {}
    for name, values in _numbers(scores).items():
        facts = {kind: _mean(numbers[name]) for kind, numbers in others.items() if name in numbers}
        if not np.isnan(values).all():
            metrics[name] = _metric(values, name, {kind: mean for kind, mean in facts.items() if not np.isnan(mean)})
    return metrics


def difference_metrics(first: pd.DataFrame, second: pd.DataFrame) -> Metrics:
    """One method minus another, tables as in `segmentation_metrics`, paired by person, class and seed.

    Where the seeds differ, the mean over the seeds of the second is subtracted. A number that one of the two lacks is
    left out of both. Above zero the first has the higher number: better for Dice, worse for distances.
    ValueError where people or classes differ.
    """
    _check_scores(second)
    for name in INDEX[1:]:
        if odd := set(first.index.unique(name)) ^ set(second.index.unique(name)):
            raise ValueError(f"only one of the two methods was scored on {name} {min(odd)}: compare the same ones")
    if set(first.index.unique("seed")) == set(second.index.unique("seed")):
        other = second.reindex(first.index)
    else:
        mean = second.groupby(level=INDEX[1:]).mean()
        other = mean.reindex(first.reset_index("seed").index).set_axis(first.index)
    differences = _numbers(first - other)
    return {name: _metric(each, name, {"null": 0.0}) for name, each in differences.items() if not np.isnan(each).all()}


def _check_maps(predicted: NDArray[Any], truth: NDArray[Any], classes: Classes) -> None:
    for name, each in (("predicted", predicted), ("truth", truth)):
        if each.dtype.kind not in "iub":
            raise ValueError(f"{name} holds {each.dtype}, but labels are whole numbers: round it, or take the argmax")
    if predicted.shape != truth.shape or truth.ndim != 3:
        shapes = f"predicted is {predicted.shape} and truth {truth.shape}"
        raise ValueError(f"{shapes}: both must be (X, Y, Z) of one grid; resample the prediction to that of the truth")
    if odd := [name for name, labels in classes.items() if not labels or min(labels) < 1]:
        raise ValueError(f"class {odd[0]} must consist of labels from 1 on, got {classes[odd[0]]}: 0 is background")
    if not classes:
        raise ValueError("classes names no class: give at least one name with its labels")


def _native(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels in a type that `find_objects` accepts: no bool, the byte order of this machine."""
    return labels.astype(np.uint8 if labels.dtype.kind == "b" else labels.dtype.newbyteorder("="), copy=False)


def _around(boxes: list[tuple[slice, ...]]) -> tuple[slice, ...]:
    """The smallest box around all boxes; an empty one around none."""
    if not boxes:
        return (slice(0),) * 3
    along = list(zip(*boxes, strict=True))
    return tuple(slice(min(each.start for each in parts), max(each.stop for each in parts)) for parts in along)


def _scores(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], spacing: tuple[float, ...]) -> dict[str, float]:
    """A row of `score_person`, from masks cropped to where either is."""
    found, there, both = (int(mask.sum()) for mask in (predicted, truth, predicted & truth))
    known = found + there > 0
    ml = math.prod(spacing) / 1000 if known else math.nan
    error = 100 * (found - there) / there if there else math.nan
    return {
        "dice": 2 * both / (found + there) if known else math.nan,
        "hd95": hausdorff_95(predicted, truth, spacing) if found and there else math.nan,
        "volume_truth": there * ml,
        "volume_predicted": found * ml,
        "volume_error": error,
        "absolute_volume_error": abs(error),
        "missed": float(not found) if there else math.nan,
    }


def _numbers(scores: pd.DataFrame) -> dict[str, Float64s]:
    """Numbers (R, S) by ``dice/CLASS``, and by ``dice`` their mean over the classes for which they are known."""
    _check_scores(scores)
    tables = {"": scores.groupby(level=INDEX[:2]).mean()}
    for name in scores.index.unique("class"):
        tables[f"/{name}"] = scores[scores.index.get_level_values("class") == name].droplevel("class")
    return {
        f"{measure}{ending}": table[measure].unstack("person").to_numpy(dtype=float)
        for ending, table in tables.items()
        for measure in UNITS
    }


def _check_scores(scores: pd.DataFrame) -> None:
    if list(scores.index.names) != INDEX:
        raise ValueError(
            f"scores must have the index {', '.join(INDEX)}, got {', '.join(map(str, scores.index.names))}"
        )
    expected = math.prod(len(scores.index.unique(name)) for name in INDEX)
    if len(scores) != expected or scores.index.has_duplicates:
        rows = f"{len(scores)} rows instead of {expected}"
        raise ValueError(f"scores has {rows}: every person must be scored once under every seed, on all classes")


def _mean(values: Float64s) -> float:
    """The mean of numbers that are known; NaN where none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def _metric(values: Float64s, name: str, facts: Mapping[str, float]) -> dict[str, Any]:
    """Metric object of the mean of known numbers (R, S), over the people of whom any is known."""
    values = values[:, ~np.isnan(values).all(axis=0)]
    known = ~np.isnan(values)
    low = high = None
    if values.shape[1] > 1:
        with np.errstate(invalid="ignore"):  # draws of people and seeds of whom nothing is known are left out
            low, high = bootstrap_ratio(np.where(known, values, 0.0), known.astype(float))
    unit = UNITS[name.partition("/")[0]]
    return metric(_mean(values), low=low, high=high, unit=unit, n=values.shape[1], **facts)
