"""Fine-tune every start for every task, judge all, and compare: paired by person and seed.

The scores of each start and seed are kept in ``OUT/scores`` and made once; a stopped call is continued.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from toposlearn.data import Cache, prepare, read_manifest
from toposlearn.data.split import SPLIT
from toposlearn.downstream.baselines import confounder_features, confounder_reader
from toposlearn.downstream.judging import judge_ceiling, judge_prior
from toposlearn.downstream.labeled_runs import base_config, finetune
from toposlearn.downstream.network_file import NETWORK, load_network
from toposlearn.downstream.run_scores import CEILING, NETWORKS, PRIOR, SCORES
from toposlearn.downstream.settings import CLASSIFICATION, SEGMENTATION, FinetuneConfig, finetune_config
from toposlearn.downstream.sides import Sides, load_sides
from toposlearn.downstream.targets import cell, labeled
from toposlearn.pretrain.run_folder import CONFIG
from toposlearn.reproducibility import atomic_path, check_writable, write_json, write_result
from toposlearn.studies.seven_tasks.metrics import task_metrics
from toposlearn.studies.seven_tasks.tasks import Task, chosen_tasks

STARTS = {  # name -> weights file in the folder of checkpoints, and settings
    "scratch": ("full", {"from_scratch": True}),
    "reconstruction": ("reconstruction", {}),
    "intra": ("intra", {}),
    "full": ("full", {}),
    "frozen": ("full", {"freeze": True}),
}
REFERENCES = "references"  # what needs no network
RESULT, FOLDER = "tasks.json", "tasks"  # in the folder of shipped results; scores of each task


def run_tasks(
    data: str | Path,
    checkpoints: str | Path,
    out: str | Path,
    *,
    tasks: Sequence[str] = (),
    starts: Sequence[str] = tuple(STARTS),
    seeds: Sequence[int] = (0, 1, 2),
    steps: int | None = None,
    shipped: str | Path | None = None,
    progress: bool = True,
) -> Path:
    """Run `tasks` (default: all) and return ``OUT/tasks.json``; result and scores are copied to `shipped`.

    `data` holds the folders of all tasks, `checkpoints` the weights files of one pre-training seed; `seeds` are of
    fine-tuning. ValueError: unknown task or start. FileNotFoundError: a folder that is missing, with the command that
    makes it. An `out` with scores of other `steps` or `checkpoints` is refused.
    """
    began, out, data = time.perf_counter(), Path(out), Path(data)
    if unknown := [name for name in starts if name not in STARTS]:
        raise ValueError(f"unknown start {', '.join(unknown)}: choose among {', '.join(STARTS)}")
    chosen = chosen_tasks(tasks)
    for task in chosen:
        if not (data / task.data).exists():
            raise FileNotFoundError(f"{data / task.data} does not exist: make it with '{task.make}'")
    check_writable(out)
    _check_settings(out, {"steps": steps, "checkpoints": str(checkpoints)})
    jobs = [(task, start, seed) for seed in seeds for task in chosen for start in starts]
    for task, start, seed in tqdm(jobs, desc="tasks", unit="run", disable=not progress):
        _tuned_once(task, start, seed, data / task.data, Path(checkpoints), out, steps)
    for task in chosen:
        _references_once(task, starts[0], seeds[0], data / task.data, out)
    metrics: dict[str, Any] = {}
    for task in chosen:
        scores = read_scores(out / "scores", task)
        scores = scores[scores["method"].isin(starts) & scores["seed"].isin(seeds) | ~scores["method"].isin(STARTS)]
        metrics |= {f"{task.name}/{name}": value for name, value in task_metrics(scores, task.task.kind).items()}
    path = write_result(
        out / RESULT,
        source=f"toposlearn tasks --seeds {len(seeds)}",
        metrics=metrics,
        config={"steps": steps, "checkpoints": str(checkpoints), "tasks": [task.name for task in chosen]},
        seeds=list(seeds),
        seconds=time.perf_counter() - began,
    )
    if shipped is not None:
        shutil.copytree(out / "scores", Path(shipped) / FOLDER, dirs_exist_ok=True)
        shutil.copyfile(path, Path(shipped) / RESULT)
    return path


def _check_settings(out: Path, settings: Mapping[str, Any]) -> None:
    """Keep what decides the scores in `out`; ValueError where others are kept there, made with other settings."""
    path = out / CONFIG
    if path.exists() and (known := json.loads(path.read_bytes())) != settings:
        other = ", ".join(f"--{name} {known.get(name)}" for name in settings if known.get(name) != settings[name])
        raise ValueError(f"{out} holds scores that were made with {other}: give the same, or choose another --out")
    write_json(path, settings)


def settings_of(
    task: Task, start: str, seed: int, folder: Path, checkpoints: Path, steps: int | None
) -> tuple[FinetuneConfig, Path]:
    """Settings of a run, and the weights it starts from."""
    name, changes = STARTS[start]
    weights = checkpoints / f"{name}.safetensors"
    base = base_config(weights, None, folder, task.modalities)
    more = {} if steps is None else {"steps": steps}
    return finetune_config(base, task.task, seed=seed, **changes, **more), weights


def _tuned_once(
    task: Task, start: str, seed: int, folder: Path, checkpoints: Path, out: Path, steps: int | None
) -> None:
    """The scores of one start and seed in ``OUT/scores/TASK/START-seedN.csv.gz``."""
    path = out / "scores" / task.name / f"{start}-seed{seed}.csv.gz"
    if path.exists():
        return
    config, weights = settings_of(task, start, seed, folder, checkpoints, steps)
    run = out / "runs" / task.name / f"{start}-seed{seed}"
    finetune(
        config,
        folder,
        run,
        weights=weights,
        table=task.names,
        folds=task.folds,
        shots=task.shots,
        judged=task.judged,
        references=False,
        resume=(run / SPLIT).exists(),
        cache=out / "prepared" / task.name,
        progress=False,
    )
    _write(path, pd.concat(list(_scores_of(run)), ignore_index=True))


def _scores_of(run: Path) -> Iterator[pd.DataFrame]:
    """The scores of all folds and numbers of labeled people of a run, with their ``group``."""
    for file in sorted(run.rglob(SCORES)):
        label = file.parent.relative_to(run).as_posix()
        table = pd.read_csv(file, dtype={"person": str}, keep_default_na=False, na_values=[""])
        group = label.split("-")[0] if label.startswith("shots") else ""
        yield table[table["method"] == NETWORKS].drop(columns="method").assign(group=group)


def _references_once(task: Task, start: str, seed: int, folder: Path, out: Path) -> None:
    """The scores of what needs no network, on the people of a run: ``OUT/scores/TASK/references.csv.gz``."""
    path, run = out / "scores" / task.name / f"{REFERENCES}.csv.gz", out / "runs" / task.name / f"{start}-seed{seed}"
    if path.exists():
        return
    config = load_network(next(run.rglob(NETWORK)))[1]
    manifest, source = labeled(read_manifest(folder, config.volume.modalities), task.task)
    people = prepare(manifest, config.volume, folder=out / "prepared" / task.name, unpaired=True, progress=False)
    runs = load_sides(run, people.manifest, {})
    if task.task.kind == SEGMENTATION:
        tables = [table for sides in runs for table in _without_network(people, sides, run)]
    else:
        tables = list(_confounders(people, runs, task.task.kind, source))
    _write(path, pd.concat([table.assign(seed=0) for table in tables], ignore_index=True))


def _without_network(people: Cache, sides: Sides, run: Path) -> Iterator[pd.DataFrame]:
    """The position prior and the ceiling of a run."""
    target = load_network(run / sides.label / NETWORK)[2]
    train, judged = (people.of(people.manifest.select(names)) for names in (sides.train, sides.judged))
    for method, scores in ((PRIOR, judge_prior(train, judged, target)), (CEILING, judge_ceiling(judged, target))):
        yield scores.reset_index().assign(method=method, group=sides.group)


def _confounders(people: Cache, runs: Sequence[Sides], kind: str, column: str) -> Iterator[pd.DataFrame]:
    """What age, sex, site, size, brightness and true volumes predict, fitted to the labeled people of each run."""
    rows = {record.name: row for row, record in enumerate(people.manifest.records)}
    answers = np.array([cell(record, column) for record in people.manifest.records])
    values = answers if kind == CLASSIFICATION else answers.astype(float)
    classes = sorted(set(answers))
    for name, features in confounder_features((people[row] for row in range(len(people))), column).items():
        for sides in runs:
            learned = [rows[each] for each in (*sides.train, *sides.validation)]
            asked = [rows[each] for each in sides.judged]
            reader = confounder_reader(kind).fit(features[learned], values[learned])
            table = pd.DataFrame({"person": sides.judged, "group": sides.group, "method": name})
            if kind == CLASSIFICATION:
                chances = pd.DataFrame(reader.predict_proba(features[asked]), columns=reader.classes_)
                table = table.join(chances.reindex(columns=classes, fill_value=0.0))
                yield table.assign(truth=[classes.index(answer) for answer in answers[asked]])
            else:
                median = float(np.median(values[learned]))
                yield table.assign(predicted=reader.predict(features[asked]), truth=values[asked], median=median)


def _write(path: Path, table: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as partial:
        table.to_csv(partial, index=False, float_format="%.5g", compression={"method": "gzip", "mtime": 0})


def read_scores(folder: Path, task: Task) -> pd.DataFrame:
    """The scores of a task with columns ``method`` and ``seed``; those of what needs no network have seed 0."""
    tables = []
    for file in sorted((folder / task.name).glob("*.csv.gz")):
        table = pd.read_csv(file, dtype={"person": str, "group": str}, keep_default_na=False, na_values=[""])
        table["group"] = table["group"].fillna("")
        start, _, seed = file.name.removesuffix(".csv.gz").partition("-seed")
        tables.append(table if start == REFERENCES else table.assign(method=start, seed=int(seed)))
    return pd.concat(tables, ignore_index=True)
