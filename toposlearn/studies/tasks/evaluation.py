"""Downstream evaluation of many weights files: tasks, readers, missing modalities, baselines, controls; resumable.

What was measured of a weights file is kept in ``OUT/raw`` and measured once. The result file compares variants with
their baselines: means with intervals over people and seeds, paired differences, nulls.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from toposlearn.arrays import Float64s
from toposlearn.config import TacoConfig
from toposlearn.data import PosedSubjects
from toposlearn.downstream.finetune import FinetuneConfig, finetune
from toposlearn.downstream.missing import encode_modalities
from toposlearn.downstream.segmentation import structure_classes
from toposlearn.downstream.tasks import (
    DIAGNOSIS,
    STRUCTURES,
    Features,
    TaskReaders,
    fit_readers,
    measure_confounders,
    measure_tasks,
    oracle_dice,
    position_features,
    tasks_of,
)
from toposlearn.models import Taco, load_weights
from toposlearn.reproducibility import atomic_path, set_seed, write_result
from toposlearn.studies.tasks.bench import Bench, find_checkpoints, gather
from toposlearn.studies.tasks.summary import summarize

RESULT = "results.json"
FINETUNED = ("reconstruction", "intra", "full")  # and untrained networks
SHUFFLES = 3  # random orders of the truth, for the null


def features_of(model: Taco, subjects: PosedSubjects) -> Features:
    """Tokens of the finest level."""
    stride = min(model.config.token_strides)
    return Features(encode_modalities(model, subjects, stride), subjects, subjects.modalities, stride)


def measure_network(model: Taco, bench: Bench, *, tuned: bool, seed: int = 0) -> dict[str, Float64s]:
    """Raw numbers (S,) of one network by name ``GROUP/TASK/READER/MEASURE[/SUBSET]``."""
    train = features_of(model, bench.train)
    linear, nearest = fit_readers(train), fit_readers(train, "knn")
    raw: dict[str, Float64s] = {}
    for group, subjects in bench.tests.items():
        test = features_of(model, subjects)
        raw |= _named(measure_tasks(linear, test), group, "linear")
        raw |= _named(measure_tasks(nearest, test, each_subset=False), group, "knn")
    if tuned and STRUCTURES in tasks_of(bench.train):
        raw |= _measure_tuned(model, bench, seed)
    return raw


def transfer_table(train: Features, test: Features) -> Float64s:
    """Mean Dice of structures (M, M): a linear reader fitted on one modality (row), read on another (column)."""
    rows = []
    for fitted in train.modalities:
        readers = fit_readers(_only(train, fitted), only=(STRUCTURES,))
        read = [measure_tasks(readers, _only(test, modality)) for modality in test.modalities]
        rows.append([raw[f"{STRUCTURES}/dice"].mean() for raw in read])
    return np.array(rows)


def _only(features: Features, modality: str) -> Features:
    return replace(features, tokens=features.fused((modality,))[:, None], modalities=(modality,))


def _measure_tuned(model: Taco, bench: Bench, seed: int) -> dict[str, Float64s]:
    classes = structure_classes(bench.train)
    tuned = finetune(model, bench.few, classes, FinetuneConfig(seed=seed))
    readers = TaskReaders(classes, tuned, None, 0.0, None)
    raw: dict[str, Float64s] = {}
    for group, subjects in bench.tests.items():
        raw |= _named(measure_tasks(readers, features_of(tuned.model, subjects)), group, "finetuned")
    return raw


def _named(raw: Mapping[str, Float64s], group: str, reader: str) -> dict[str, Float64s]:
    """``structures/dice/T1w`` as ``GROUP/structures/READER/dice/T1w``."""
    parts = {name: name.split("/", 1) for name in raw}
    return {f"{group}/{task}/{reader}/{rest}": raw[name] for name, (task, rest) in parts.items()}


def measure_baselines(bench: Bench, stride: int) -> dict[str, dict[str, Float64s]]:
    """Variant -> raw numbers: position votes, the ceiling of tokens so large, and what explains a diagnosis without."""
    found: dict[str, dict[str, Float64s]] = {}
    for name, centered in (("position", False), ("centered", True)):
        readers = fit_readers(position_features(bench.train, stride, centered=centered), "knn")
        found[name] = {}
        for group, subjects in bench.tests.items():
            raw = measure_tasks(readers, position_features(subjects, stride, centered=centered), each_subset=False)
            found[name] |= {key: value for key, value in _named(raw, group, "knn").items() if DIAGNOSIS not in key}
    for group, subjects in bench.tests.items():
        if STRUCTURES in tasks_of(subjects):
            found.setdefault("oracle", {})[f"{group}/{STRUCTURES}/linear/dice"] = oracle_dice(subjects, stride)
        if DIAGNOSIS in tasks_of(subjects) and DIAGNOSIS in tasks_of(bench.train):
            for name, score in measure_confounders(bench.train, subjects).items():
                found.setdefault(name, {})[f"{group}/{DIAGNOSIS}/linear/score"] = score
    return found


def measure_shuffled(model: Taco, bench: Bench) -> dict[str, Float64s]:
    """Raw numbers (SHUFFLES, S) of readers fitted to the truth in random order: chance, with this very network."""
    train = features_of(model, bench.train)
    tests = {group: features_of(model, subjects) for group, subjects in bench.tests.items()}
    runs = []
    for seed in range(SHUFFLES):
        readers = fit_readers(train, shuffle=seed)
        measured = [
            _named(measure_tasks(readers, test, each_subset=False), group, "linear") for group, test in tests.items()
        ]
        runs.append({name: value for one in measured for name, value in one.items()})
    return stack(runs)


def stack(runs: Sequence[Mapping[str, Float64s]]) -> dict[str, Float64s]:
    """Runs of raw numbers (S,) as (R, S)."""
    return {name: np.stack([run[name] for run in runs]) for name in runs[0]}


def evaluate(
    checkpoints: str | Path,
    data: str | Path,
    out: str | Path,
    *,
    tests: Sequence[str | Path] = (),
    progress: bool = True,
) -> Path:
    """Evaluate every weights file of a folder; a run that was stopped is continued when given again.

    Args:
        checkpoints: folder of runs (``VARIANT-seedN``), or of weights files (``VARIANT.safetensors``).
        data: folder whose training people the readers are fitted to.
        out: folder of ``results.json`` and ``raw/``.
        tests: folders of people never trained on; the held-out part of `data` unless given.
        progress: show a progress bar.

    Returns:
        The result file.
    """
    started, out = time.perf_counter(), Path(out)
    files = find_checkpoints(checkpoints)
    config = load_weights(next(iter(files.values()))[0])[1]
    bench = gather(config, data, tests)
    seeds = range(max(len(paths) for paths in files.values()))
    (out / "raw").mkdir(parents=True, exist_ok=True)
    jobs = _jobs(config, files, bench, seeds)
    fresh, stamp = True, bench.stamp()
    raw: dict[str, dict[str, dict[str, Float64s]]] = {}
    for (variant, run), (origin, job) in tqdm(jobs.items(), desc="evaluating", unit="run", disable=not progress):
        kept = out / "raw" / f"{variant}-{run}.safetensors"
        values = _kept(kept, origin, stamp)
        fresh &= values is None
        raw.setdefault(variant, {})[run] = values if values is not None else _keep(kept, job(), origin, stamp)
    stacked = {variant: stack([runs[run] for run in sorted(runs)]) for variant, runs in raw.items()}
    stacked["shuffled"] = {name: value[0] for name, value in stacked["shuffled"].items()}  # already several orders
    baselines = measure_baselines(bench, min(config.model.token_strides))
    stacked |= {name: stack([baseline]) for name, baseline in baselines.items()}
    return write_result(
        out / RESULT,
        source=f"toposlearn evaluate --checkpoints {checkpoints} --data {data}"
        + "".join(f" --test {folder}" for folder in tests),
        metrics=summarize(stacked, bench.tests),
        config=config.to_dict(),
        seeds=list(seeds),
        seconds=time.perf_counter() - started if fresh else None,  # of a continued run only the last part is known
    )


Job = Callable[[], dict[str, Float64s]]


def _jobs(
    config: TacoConfig, files: Mapping[str, Sequence[Path]], bench: Bench, seeds: Sequence[int]
) -> dict[tuple[str, str], tuple[str, Job]]:
    """Everything to be measured: (variant, run) -> (where it comes from, how to measure it)."""
    jobs: dict[tuple[str, str], tuple[str, Job]] = {}
    for seed in seeds:
        jobs["untrained", f"seed{seed}"] = (
            repr(config.model),
            functools.partial(_measure_untrained, config, bench, seed),
        )
        for variant, paths in files.items():
            if seed < len(paths):
                job = functools.partial(_measure_trained, paths[seed], bench, seed, tuned=variant in FINETUNED)
                jobs[variant, f"seed{seed}"] = _origin(paths[seed]), job
    best = files.get("full", next(iter(files.values())))[0]
    jobs["shuffled", "seed0"] = _origin(best), lambda: measure_shuffled(load_weights(best)[0], bench)
    return jobs


def _measure_untrained(config: TacoConfig, bench: Bench, seed: int) -> dict[str, Float64s]:
    set_seed(seed)
    return measure_network(Taco(config.model).eval(), bench, tuned=True, seed=seed)


def _measure_trained(path: Path, bench: Bench, seed: int, *, tuned: bool) -> dict[str, Float64s]:
    return measure_network(load_weights(path)[0], bench, tuned=tuned, seed=seed)


def _origin(path: Path) -> str:
    return f"{path.stat().st_size} {path.stat().st_mtime_ns}"


def _kept(path: Path, origin: str, stamp: str) -> dict[str, Float64s] | None:
    """Numbers kept from an earlier run on the same weights and people, or None."""
    if not path.exists():
        return None
    with safe_open(path, framework="np") as file:
        same = (file.metadata() or {}) == {"origin": origin, "people": stamp}
    return dict(load_file(path)) if same else None


def _keep(path: Path, raw: dict[str, Float64s], origin: str, stamp: str) -> dict[str, Float64s]:
    with atomic_path(path) as partial:
        save_file(
            {name: np.ascontiguousarray(value) for name, value in raw.items()},
            partial,
            {"origin": origin, "people": stamp},
        )
    return raw
