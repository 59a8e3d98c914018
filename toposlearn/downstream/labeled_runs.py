"""From a folder of labeled people to scores: a fine-tuning for every fold and number of labeled people."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from toposlearn.config import TacoConfig, VolumeConfig
from toposlearn.data import Cache, Manifest, config_for, prepare, read_manifest
from toposlearn.data.gate.assessment import report_problems
from toposlearn.data.source import Data
from toposlearn.downstream.examples import Examples
from toposlearn.downstream.finetuning import check_run, finetune_once
from toposlearn.downstream.judging import judge, judge_prior, subsets
from toposlearn.downstream.network_file import NETWORK
from toposlearn.downstream.person_metrics import classification_metrics, regression_metrics
from toposlearn.downstream.segmentation_metrics import segmentation_metrics
from toposlearn.downstream.settings import (
    CLASSIFICATION,
    MISSING,
    SEGMENTATION,
    SIZES,
    FinetuneConfig,
    TaskConfig,
)
from toposlearn.downstream.sides import Sides, draw_sides
from toposlearn.downstream.targets import Target, labeled, target_of
from toposlearn.models import load_weights
from toposlearn.pretrain import run_folder
from toposlearn.reproducibility import atomic_path, check_writable, write_result

SCORES, RESULT = "scores.csv", "results.json"
ALL = "all"  # modalities that are there
PRIOR = "position prior"


def finetune_config(
    base: TacoConfig, task: TaskConfig, *, spacing: float | None = None, **changes: Any
) -> FinetuneConfig:
    """The settings of a task for a network of pre-training: its grid, or a finer one that covers the same place."""
    volume, deepest = base.volume, base.model.stage_strides[-1]
    if spacing is not None and spacing != volume.spacing:
        sides = [deepest * math.ceil(side * volume.spacing / spacing / deepest) for side in volume.shape]
        volume = VolumeConfig((sides[0], sides[1], sides[2]), spacing, volume.modalities)
    patch = tuple(min(own, side) for own, side in zip(base.volume.shape, volume.shape, strict=True))
    parts = {"preset": base.preset, "task": task, "volume": volume, "patch": patch, "model": base.model}
    return FinetuneConfig(**{**parts, **SIZES.get(base.preset, {}), **changes})


def finetune(
    config: FinetuneConfig,
    data: Data,
    out: str | Path,
    *,
    weights: str | Path | None = None,
    table: str | Path | None = None,
    folds: int = 0,
    shots: Sequence[int] = (),
    each_subset: bool = False,
    resume: bool = False,
    allow_seen: bool = False,
    cache: str | Path | None = None,
    progress: bool = True,
) -> Path:
    """Fine-tune on labeled people, judge people who were not trained on, and return ``OUT/results.json``.

    `weights` are those of pre-training (None, or `config.from_scratch`: random ones). `table` names labels. With
    `folds` everyone is judged once; with `shots` there is a run for each of these numbers of labeled people; then runs
    lie in folders of their own, such as ``OUT/shots4-fold0``. `each_subset` judges every subset of the modalities too.
    `resume` continues where an interrupted call stopped. Errors are of one line: see `labeled`, `target_of`,
    `draw_sides` and `finetune_once`.
    """
    began, out = time.perf_counter(), Path(out)
    check_writable(out)
    manifest, source = labeled(read_manifest(data, config.volume.modalities), config.task)
    people = prepare(manifest, config.volume, folder=cache, unpaired=True, progress=progress)
    known = None if weights is None or not Path(weights).is_file() else weights
    drawn = draw_sides(people.manifest, weights=known, folds=folds, shots=shots, allow_seen=allow_seen)
    scores: dict[str, list[pd.DataFrame]] = {}
    target = None
    for sides in drawn:
        folder = out / sides.label
        chosen = replace((Sides.load(folder) if resume else None) or sides, group=sides.group, fold=sides.fold)
        train, validation, judged = (people.of(_those(people.manifest, part)) for part in _parts(chosen))
        target = target_of(train, config.task, source, table, everyone=people.manifest)
        _report_unknown(target, judged)
        if not (folder / NETWORK).exists() or not resume:
            begun = resume and run_folder.has_checkpoint(folder)
            encoder = None if weights is None or config.from_scratch else load_weights(weights)[0]
            parts = Examples(train, target, config), Examples(validation, target, config)
            finetune_once(config, encoder, *parts, chosen, folder, resume=begun, progress=progress)
        else:
            check_run(config, folder, resume)
        scores.setdefault(sides.group, []).append(_judged(folder, train, judged, target, each_subset, config))
    assert target is not None
    tables = {group: pd.concat(parts) for group, parts in scores.items()}
    return write_result(
        out / RESULT,
        source="toposlearn finetune",
        metrics=_metrics(tables, target),
        config={**config.to_dict(), "missing means": MISSING[config.missing], "weights": str(weights or "none")},
        seeds=[config.seed],
        seconds=time.perf_counter() - began,
    )


def _parts(sides: Sides) -> tuple[tuple[str, ...], ...]:
    return sides.train, sides.validation, sides.judged


def _those(manifest: Manifest, names: Sequence[str]) -> Manifest:
    """People by name; ValueError where one of a resumed run is gone."""
    here = {record.name for record in manifest.records}
    if lost := [name for name in names if name not in here]:
        remedy = "restore their files, or start a new run in another --out"
        raise ValueError(f"{manifest.root} no longer has {', '.join(lost[:5])} of this run: {remedy}")
    return manifest.select(names)


def _report_unknown(target: Target, judged: Cache) -> None:
    """Report labels and classes of judged people that no one trained on has."""
    if target.kind != SEGMENTATION:
        return
    others = set[int]()
    for index in range(len(judged)):
        labels = judged.take(index, (0,), ("labels",)).labels
        assert labels is not None
        others |= set(labels.unique().tolist()) - set(target.values)
    if others:
        listed = ", ".join(map(str, sorted(others)[:10]))
        report_problems([f"note: labels of judged people that no one trained on has are not judged: {listed}"])


def _judged(
    folder: Path, train: Cache, judged: Cache, target: Target, each_subset: bool, config: FinetuneConfig
) -> pd.DataFrame:
    """The scores of a run, kept in its folder, by method and modalities: ``network``, and the position prior."""
    path = folder / SCORES
    index = ["method", "present", "person", *(["class"] if target.kind == SEGMENTATION else [])]
    if path.exists() and path.stat().st_mtime >= (folder / NETWORK).stat().st_mtime:
        table = pd.read_csv(path, index_col=index)
        if set(table.index.unique("present")) >= ({"+".join(each) for each in _some(config, each_subset)} | {ALL}):
            return table
    tables = {("network", ALL): judge(folder / NETWORK, judged)}
    for present in _some(config, each_subset):
        tables["network", "+".join(present)] = judge(folder / NETWORK, judged, present)
    if target.kind == SEGMENTATION:
        tables[PRIOR, ALL] = judge_prior(train, judged, target)
    scored = pd.concat(tables, names=["method", "present"])
    with atomic_path(path) as partial:
        scored.to_csv(partial, float_format="%.6g")
    return scored


def _some(config: FinetuneConfig, each_subset: bool) -> tuple[tuple[str, ...], ...]:
    """The subsets of the modalities that are judged beside all that are there."""
    return subsets(config.volume.modalities)[1:] if each_subset else ()


def _metrics(tables: Mapping[str, pd.DataFrame], target: Target) -> dict[str, dict[str, Any]]:
    """Metric objects by ``[SHOTS/]METHOD[/MODALITIES]/MEASURE``."""
    metrics: dict[str, dict[str, Any]] = {}
    for group, table in tables.items():
        for (method, present), part in table.groupby(level=["method", "present"], sort=False):
            own = part.droplevel(["method", "present"])
            place = "/".join([group] * bool(group) + [method] + [present] * (present != ALL))
            metrics |= {f"{place}/{name}": each for name, each in _task_metrics(own, target).items()}
    return metrics


def _task_metrics(scores: pd.DataFrame, target: Target) -> dict[str, dict[str, Any]]:
    if target.kind == SEGMENTATION:
        return segmentation_metrics(pd.concat({0: scores}, names=["seed"]))
    if target.kind == CLASSIFICATION:
        probabilities = scores[list(target.names)].to_numpy(float)[None]
        return classification_metrics(probabilities, scores["truth"].to_numpy().astype(int), target.names)
    predicted, truth, median = (scores[name].to_numpy(float) for name in ("predicted", "truth", "median"))
    return regression_metrics(predicted[None], truth, medians=median)


def base_config(weights: str | Path | None, preset_name: str, data: Data, modalities: Sequence[str] = ()) -> TacoConfig:
    """Settings of the pre-trained network, or of a preset, with the modalities that most people in `data` have."""
    from toposlearn.config import preset

    base = preset(preset_name) if weights is None else load_weights(weights)[1]
    if modalities:
        return base.replace(volume={"modalities": tuple(modalities)})
    return config_for(base, read_manifest(data, base.volume.modalities), minimum=1)
