"""From a folder of labeled people to scores: a fine-tuning for every fold and number of labeled people."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from toposlearn.anatomy import structure_names
from toposlearn.config import TacoConfig, preset
from toposlearn.data import config_for, prepare, read_manifest
from toposlearn.data.source import Data
from toposlearn.data.split import SPLIT, remarks, seen_by
from toposlearn.downstream.examples import Examples
from toposlearn.downstream.finetuning import finetune_once
from toposlearn.downstream.network_file import NETWORK
from toposlearn.downstream.run_scores import SCORES, metrics_of, run_scores
from toposlearn.downstream.settings import CLASSIFICATION, MISSING, SEGMENTATION, FinetuneConfig, TaskConfig
from toposlearn.downstream.sides import JUDGED, draw_sides, load_sides, save_sides
from toposlearn.downstream.targets import Names, cell, labeled, targets_of
from toposlearn.downstream.tasks import subsets
from toposlearn.models import load_weights
from toposlearn.models.weights import HUB_FILE
from toposlearn.pretrain.run_folder import CONFIG, has_checkpoint
from toposlearn.reproducibility import check_writable, write_json, write_result

RESULT = "results.json"


def base_config(
    weights: str | Path | None, preset_name: str | None, data: Data, modalities: Sequence[str] = ()
) -> TacoConfig:
    """Settings of the pre-trained network, or of a preset, with the modalities that most people in `data` have."""
    if weights is not None and preset_name:
        raise ValueError(f"--preset {preset_name} is not read with --weights, which have a size: leave one of them out")
    base = preset(preset_name or "lab") if weights is None else load_weights(weights)[1]
    if modalities:
        return base.replace(volume={"modalities": tuple(modalities)})
    return config_for(base, read_manifest(data, base.volume.modalities), minimum=1)


def finetune(
    config: FinetuneConfig,
    data: Data,
    out: str | Path,
    *,
    weights: str | Path | None = None,
    table: str | Path | None = None,
    folds: int = 0,
    shots: Sequence[int] = (),
    judged: float = JUDGED,
    references: bool = True,
    each_subset: bool = False,
    resume: bool = False,
    allow_seen: bool = False,
    cache: str | Path | None = None,
    progress: bool = True,
) -> Path:
    """Fine-tune on labeled people, judge people who were not trained on, and return ``OUT/results.json``.

    `weights` are those of pre-training, needed unless `config.from_scratch`. `table` names labels, as `structure_names`
    reads it. A share of the people, `judged`, is judged, or with `folds` everyone once; with `shots` there is a run for
    each of these numbers of labeled people. Several runs lie in folders of their own, such as ``OUT/shots4-fold0``.
    `each_subset` judges every subset of the modalities too, and `references` the position prior and the ceiling.
    Writes ``config.json`` and ``split.json``, and of each run the network, its history and scores.
    `resume` continues where a call with the same arguments was interrupted. What is wrong with the people or labels
    raises ValueError, in one line, before anything is trained: see `labeled`, `draw_sides` and `targets_of`.
    """
    began, out = time.perf_counter(), Path(out)
    file, names = _checked(config, weights), _names(config.task, table)
    _check_run(config, out, resume)
    manifest, source = labeled(read_manifest(data, config.volume.modalities), config.task)
    people = prepare(manifest, config.volume, folder=cache, unpaired=True, progress=progress)
    call = {"weights": file and _digest(file), "folds": folds, "shots": list(shots), "judged": judged}
    seen = seen_by([file], people.manifest, people.fingerprints()) if file else []
    if resume:
        runs = load_sides(out, people.manifest, call)
    else:
        classified = people.manifest.records if config.task.kind == CLASSIFICATION else ()
        classes = {record.name: cell(record, source) for record in classified}
        known = () if allow_seen else seen
        runs = draw_sides(people.manifest, seen=known, classes=classes, folds=folds, shots=shots, judged=judged)
    targets = targets_of(people, [(sides.train, sides.judged) for sides in runs], config.task, source, names)
    write_json(out / CONFIG, config.to_dict())
    save_sides(out, runs, call)
    some = subsets(config.volume.modalities)[1:] if each_subset else ()
    scores: dict[str, list[pd.DataFrame]] = {}
    for sides, target in zip(runs, targets, strict=True):
        train, validation, others = (people.of(manifest.select(side)) for side in sides.people)
        folder = out / sides.label
        if not (folder / NETWORK).exists():
            (folder / SCORES).unlink(missing_ok=True)
            encoder = load_weights(file)[0] if file and not config.from_scratch else None
            learned = Examples(train, target, config), Examples(validation, target, config)
            finetune_once(config, encoder, *learned, folder, label=sides.label, progress=progress)
        scores.setdefault(sides.group, []).append(
            run_scores(folder, train, others, target, some, references=references)
        )
    judged_seen = [name for name in seen if any(name in sides.judged for sides in runs)]
    facts = {"missing means": MISSING[config.missing], "weights": str(file or "none")}
    return write_result(
        out / RESULT,
        source="toposlearn finetune",
        metrics=metrics_of({group: pd.concat(parts) for group, parts in scores.items()}, targets[0]),
        config={**config.to_dict(), **facts, **remarks([file] if file else [], judged_seen)},
        seeds=[config.seed],
        seconds=time.perf_counter() - began,
    )


def _checked(config: FinetuneConfig, weights: str | Path | None) -> Path | None:
    """The file of the weights; ValueError where none are given, or where they are of another network."""
    if weights is None:
        if not config.from_scratch:
            raise ValueError("no weights are given to start from: give them, or set from_scratch")
        return None
    if load_weights(weights)[1].model != config.model:
        raise ValueError(f"{weights} is of another network than config.model: take the settings of base_config")
    return Path(weights) / HUB_FILE if Path(weights).is_dir() else Path(weights)


def _names(task: TaskConfig, table: str | Path | None) -> Names:
    """Label -> structure, from a table."""
    if table is not None and task.kind != SEGMENTATION:
        raise ValueError(f"--names {table} names labels, which {task.kind} does not read: leave it out")
    return {} if table is None else structure_names(table)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _check_run(config: FinetuneConfig, out: Path, resume: bool) -> None:
    """Raise unless `out` can take this run, or holds the one to resume; nothing is written."""
    check_writable(out)
    known = (out / SPLIT).exists()
    if not resume and (known or has_checkpoint(out)):
        raise ValueError(f"{out} already holds a run: continue it with --resume, or choose another --out")
    if resume and not known:
        raise FileNotFoundError(f"no run in {out}: run without --resume to start from the beginning")
    try:
        stored = json.loads((out / CONFIG).read_bytes()) if resume else {}
    except (FileNotFoundError, ValueError):
        stored = {}  # lost or cut off, as by a full disk: it is written again
    now = json.loads(json.dumps(config.to_dict()))
    if other := [name for name, value in now.items() if stored.get(name, value) != value and name != "workers"]:
        raise ValueError(f"{out} holds a run with other settings ({', '.join(other)}): resume it with the same ones")
