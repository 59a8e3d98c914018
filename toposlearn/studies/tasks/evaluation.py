"""Downstream evaluation of many weights files: tasks, readers, missing modalities, baselines, controls; resumable.

The raw numbers of a weights file are kept in ``OUT/raw`` and measured once. The result file compares variants with
their baselines: means with intervals over people and seeds, paired differences, nulls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from toposlearn.arrays import Float64s
from toposlearn.config import TacoConfig
from toposlearn.data import PosedSubjects
from toposlearn.downstream import segmentation
from toposlearn.downstream.finetune import FinetuneConfig, finetune
from toposlearn.downstream.missing import encode_modalities
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

FINETUNED = ("reconstruction", "intra", "full")  # and untrained networks
SHUFFLES = 3  # random orders of the truth, for the null
Raw = dict[str, Float64s]


def evaluate(
    checkpoints: str | Path,
    data: str | Path,
    out: str | Path,
    *,
    tests: Sequence[str | Path] = (),
    progress: bool = True,
) -> Path:
    """Evaluate every weights file of a folder; a stopped run is continued when the command is given again.

    Args:
        checkpoints: folder of runs (``VARIANT-seedN``), or of weights files (``VARIANT.safetensors``).
        data: folder whose training people the readers are fitted to.
        out: folder of ``results.json`` and ``raw/``.
        tests: folders of held-out people (default: the held-out part of `data`).
        progress: show a progress bar.

    Returns:
        The result file.
    """
    began, out = time.perf_counter(), Path(out)
    files = find_checkpoints(checkpoints)
    config = load_weights(next(iter(files.values()))[0])[1]
    bench = gather(config, data, tests)
    seeds = range(max(len(paths) for paths in files.values()))
    (out / "raw").mkdir(parents=True, exist_ok=True)
    fresh, stamp = True, bench.stamp()
    raw: dict[str, dict[str, Raw]] = {}
    for job in tqdm(_jobs(config, files, bench, seeds), desc="evaluating", unit="run", disable=not progress):
        kept, facts = out / "raw" / f"{job.variant}-{job.run}.safetensors", {"origin": job.origin, "people": stamp}
        values = _read_kept(kept, facts)
        fresh &= values is None
        raw.setdefault(job.variant, {})[job.run] = values if values is not None else _keep(kept, job.measure(), facts)
    stacked = {variant: _stack([runs[run] for run in sorted(runs)]) for variant, runs in raw.items()}
    stacked["shuffled"] = {name: value[0] for name, value in stacked["shuffled"].items()}  # already several orders
    baselines = measure_baselines(bench, min(config.model.token_strides))
    stacked |= {name: _stack([baseline]) for name, baseline in baselines.items()}
    return write_result(
        out / "results.json",
        source=f"toposlearn evaluate --checkpoints {checkpoints} --data {data}"
        + "".join(f" --test {folder}" for folder in tests),
        metrics=summarize(stacked, bench.tests),
        config=config.to_dict(),
        seeds=list(seeds),
        seconds=time.perf_counter() - began if fresh else None,  # of a continued run only the last part is known
    )


@dataclass(frozen=True)
class _Job:
    """One measurement: variant and run, the origin of the network, and how to measure it."""

    variant: str
    run: str
    origin: str
    measure: Callable[[], Raw]


def _jobs(config: TacoConfig, files: Mapping[str, Sequence[Path]], bench: Bench, seeds: Sequence[int]) -> list[_Job]:
    jobs = []
    for seed in seeds:
        untrained = partial(_untrained, config, seed)
        jobs.append(_Job("untrained", f"seed{seed}", repr(config.model), partial(_measure, untrained, bench, seed)))
        for variant, paths in files.items():
            if seed < len(paths):
                measure = partial(_measure, partial(_trained, paths[seed]), bench, seed, tuned=variant in FINETUNED)
                jobs.append(_Job(variant, f"seed{seed}", _origin(paths[seed]), measure))
    best = files.get("full", next(iter(files.values())))[0]
    jobs.append(_Job("shuffled", "seed0", _origin(best), lambda: measure_shuffled(_trained(best), bench)))
    return jobs


def _untrained(config: TacoConfig, seed: int) -> Taco:
    set_seed(seed)
    return Taco(config.model).eval()


def _trained(path: Path) -> Taco:
    return load_weights(path)[0]


def _measure(network: Callable[[], Taco], bench: Bench, seed: int, tuned: bool = True) -> Raw:
    return measure_network(network(), bench, tuned=tuned, seed=seed)


def _origin(path: Path) -> str:
    return f"{path.stat().st_size} {path.stat().st_mtime_ns}"


def _read_kept(path: Path, facts: Mapping[str, str]) -> Raw | None:
    """Numbers kept from an earlier run on the same weights and people, or None."""
    if not path.exists():
        return None
    with safe_open(path, framework="np") as file:
        same = (file.metadata() or {}) == facts
    return dict(load_file(path)) if same else None


def _keep(path: Path, raw: Raw, facts: dict[str, str]) -> Raw:
    with atomic_path(path) as partial_file:
        save_file({name: np.ascontiguousarray(value) for name, value in raw.items()}, partial_file, facts)
    return raw


def _stack(runs: Sequence[Raw]) -> Raw:
    """Runs of raw numbers (S,) as (R, S)."""
    return {name: np.stack([run[name] for run in runs]) for name in runs[0]}


def features_of(model: Taco, subjects: PosedSubjects) -> Features:
    """Tokens of the finest level."""
    stride = min(model.config.token_strides)
    return Features(encode_modalities(model, subjects, stride), subjects, subjects.modalities, stride)


def measure_network(model: Taco, bench: Bench, *, tuned: bool, seed: int = 0) -> Raw:
    """Raw numbers (S,) of one network by name ``GROUP/TASK/READER/MEASURE[/SUBSET]``."""
    train = features_of(model, bench.train)
    linear, nearest = fit_readers(train), fit_readers(train, "knn")
    raw: Raw = {}
    for group, subjects in bench.tests.items():
        test = features_of(model, subjects)
        raw |= _named(measure_tasks(linear, test), group, "linear")
        raw |= _named(measure_tasks(nearest, test, each_subset=False), group, "knn")
    if tuned and STRUCTURES in tasks_of(bench.train):
        classes = segmentation.structure_classes(bench.train)
        tuned_reader = finetune(model, bench.few, classes, FinetuneConfig(seed=seed))
        fitted = TaskReaders(classes, tuned_reader)
        for group, subjects in bench.tests.items():
            raw |= _named(measure_tasks(fitted, features_of(tuned_reader.model, subjects)), group, "finetuned")
    return raw


def _named(raw: Raw, group: str, reader: str) -> Raw:
    """``structures/dice/T1w`` as ``GROUP/structures/READER/dice/T1w``."""
    return {f"{group}/{name.replace('/', f'/{reader}/', 1)}": value for name, value in raw.items()}


def transfer_table(train: Features, test: Features) -> Float64s:
    """Mean Dice of structures (M, M): a linear reader fitted on one modality (row), read on another (column)."""

    def only(features: Features, modality: str) -> Features:
        return replace(features, tokens=features.fused((modality,))[:, None], modalities=(modality,))

    rows = []
    for fitted in train.modalities:
        reader = fit_readers(only(train, fitted), only=(STRUCTURES,))
        read = [measure_tasks(reader, only(test, modality)) for modality in test.modalities]
        rows.append([raw[f"{STRUCTURES}/dice"].mean() for raw in read])
    return np.array(rows)


def measure_baselines(bench: Bench, stride: int) -> dict[str, Raw]:
    """Variant -> raw numbers: position votes, the ceiling of this token size, and the confounders of the diagnosis."""
    raw: dict[str, Raw] = {}
    for name, centered in (("position", False), ("centered", True)):
        nearest = fit_readers(position_features(bench.train, stride, centered=centered), "knn")
        raw[name] = {}
        for group, subjects in bench.tests.items():
            votes = measure_tasks(nearest, position_features(subjects, stride, centered=centered), each_subset=False)
            raw[name] |= {key: value for key, value in _named(votes, group, "knn").items() if DIAGNOSIS not in key}
    for group, subjects in bench.tests.items():
        if STRUCTURES in tasks_of(subjects):
            raw.setdefault("oracle", {})[f"{group}/{STRUCTURES}/linear/dice"] = oracle_dice(subjects, stride)
        if DIAGNOSIS in tasks_of(subjects) and DIAGNOSIS in tasks_of(bench.train):
            for name, score in measure_confounders(bench.train, subjects).items():
                raw.setdefault(name, {})[f"{group}/{DIAGNOSIS}/linear/score"] = score
    return raw


def measure_shuffled(model: Taco, bench: Bench) -> Raw:
    """Raw numbers (SHUFFLES, S) of readers fitted to the truth in random order: chance, with this network."""
    train = features_of(model, bench.train)
    tests = {group: features_of(model, subjects) for group, subjects in bench.tests.items()}
    runs: list[Raw] = []
    for seed in range(SHUFFLES):
        reader = fit_readers(train, shuffle=seed)
        raw: Raw = {}
        for group, test in tests.items():
            raw |= _named(measure_tasks(reader, test, each_subset=False), group, "linear")
        runs.append(raw)
    return _stack(runs)
