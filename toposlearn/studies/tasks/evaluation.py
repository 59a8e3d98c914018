"""Downstream evaluation of many weights files: tasks, readers, missing modalities, baselines, controls; resumable.

The raw numbers of a weights file are kept in ``OUT/raw`` and measured once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from toposlearn.arrays import Float64s
from toposlearn.config import TacoConfig
from toposlearn.data.source import Data, Source
from toposlearn.downstream import tasks
from toposlearn.downstream.finetune import FinetuneConfig, finetune
from toposlearn.downstream.segmentation import structure_classes
from toposlearn.models import Taco, load_weights
from toposlearn.reproducibility import atomic_path, set_seed, write_result
from toposlearn.studies.tasks.bench import Bench, find_checkpoints, gather
from toposlearn.studies.tasks.summary import summarize

FINETUNED = ("reconstruction", "intra", "full")  # and untrained networks
SHUFFLES = 3  # random orders of the truth, for the null
Raw = dict[str, Float64s]


def evaluate(
    checkpoints: str | Path,
    data: Data,
    out: str | Path,
    *,
    tests: Sequence[Data] = (),
    allow_seen: bool = False,
    progress: bool = True,
) -> Path:
    """Evaluate every weights file of a folder, and return the result file ``OUT/results.json``.

    `checkpoints` is a folder of runs (``VARIANT-seedN``), or of weights files (``VARIANT.safetensors``). Readers are
    fitted to the training people of `data`, and evaluated on the people of the folders `tests` (default: the held-out
    part of `data`); people on whom some of the weights were trained are refused unless `allow_seen`. A stopped
    evaluation is continued when the command is given again.
    """
    began, out = time.perf_counter(), Path(out)
    files = find_checkpoints(checkpoints)
    config = load_weights(next(iter(files.values()))[0])[1]
    weights = [path for paths in files.values() for path in paths]
    bench = gather(config, data, tests, weights=weights, allow_seen=allow_seen)
    seeds = range(max(len(paths) for paths in files.values()))
    (out / "raw").mkdir(parents=True, exist_ok=True)
    fresh, stamp = True, bench.stamp()
    raw: dict[str, dict[str, Raw]] = {}
    jobs = list(_jobs(config, files, bench, seeds))
    for variant, run, origin, measure in tqdm(jobs, desc="evaluating", unit="run", disable=not progress):
        facts = {"origin": origin, "people": stamp}
        values, measured = _measured_once(out / "raw" / f"{variant}-{run}.safetensors", facts, measure)
        fresh &= measured
        raw.setdefault(variant, {})[run] = values
    stacked = {variant: _stack([runs[run] for run in sorted(runs)]) for variant, runs in raw.items()}
    stacked["shuffled"] = {name: value[0] for name, value in stacked["shuffled"].items()}  # already several orders
    baselines = measure_baselines(bench, min(config.model.token_strides))
    stacked |= {name: _stack([baseline]) for name, baseline in baselines.items()}
    return write_result(
        out / "results.json",
        source=f"toposlearn evaluate --checkpoints {checkpoints} --data {' --test '.join(map(_place, (data, *tests)))}",
        metrics=summarize(stacked, bench.tests),
        config=config.to_dict() | dict(bench.remarks),
        seeds=list(seeds),
        seconds=time.perf_counter() - began if fresh else None,  # of a continued run only the last part is known
    )


def _place(data: Data) -> str:
    return " ".join(map(str, Source.of(data).folders))


def _jobs(
    config: TacoConfig, files: Mapping[str, Sequence[Path]], bench: Bench, seeds: Sequence[int]
) -> Iterator[tuple[str, str, str, Callable[[], Raw]]]:
    """Each measurement: variant, run, origin of the network, and the function that measures."""
    for seed in seeds:
        yield "untrained", f"seed{seed}", repr(config.model), partial(_measure_untrained, config, bench, seed)
        for variant, paths in files.items():
            if seed < len(paths):
                measure = partial(_measure_trained, paths[seed], bench, seed, variant in FINETUNED)
                yield variant, f"seed{seed}", _origin(paths[seed]), measure
    best = files.get("full", next(iter(files.values())))[0]
    yield "shuffled", "seed0", _origin(best), lambda: measure_shuffled(load_weights(best)[0], bench)


def _measure_untrained(config: TacoConfig, bench: Bench, seed: int) -> Raw:
    set_seed(seed)
    return measure_network(Taco(config.model).eval(), bench, tuned=True, seed=seed)


def _measure_trained(path: Path, bench: Bench, seed: int, tuned: bool) -> Raw:
    return measure_network(load_weights(path)[0], bench, tuned=tuned, seed=seed)


def _origin(path: Path) -> str:
    return f"{path.stat().st_size} {path.stat().st_mtime_ns}"


def _measured_once(path: Path, facts: dict[str, str], measure: Callable[[], Raw]) -> tuple[Raw, bool]:
    """Numbers kept from an earlier run on the same weights and people, or measured and kept now, and whether now."""
    if path.exists():
        with safe_open(path, framework="np") as file:
            same = (file.metadata() or {}) == facts
        if same:
            return dict(load_file(path)), False
    raw = measure()
    with atomic_path(path) as partial_file:
        save_file({name: np.ascontiguousarray(value) for name, value in raw.items()}, partial_file, facts)
    return raw, True


def _stack(runs: Sequence[Raw]) -> Raw:
    """Runs of raw numbers (S,) as (R, S)."""
    return {name: np.stack([run[name] for run in runs]) for name in runs[0]}


def measure_network(model: Taco, bench: Bench, *, tuned: bool, seed: int = 0) -> Raw:
    """Raw numbers (S,) of one network by name ``GROUP/TASK/READER/MEASURE[/SUBSET]``."""
    train = tasks.features_of(model, bench.train)
    linear, nearest = tasks.fit_readers(train), tasks.fit_readers(train, "knn")
    raw: Raw = {}
    for group, subjects in bench.tests.items():
        test = tasks.features_of(model, subjects)
        raw |= _named(tasks.measure_tasks(linear, test), group, "linear")
        raw |= _named(tasks.measure_tasks(nearest, test, each_subset=False), group, "knn")
    if tuned and tasks.STRUCTURES in tasks.tasks_of(bench.train):
        classes = structure_classes(bench.train)
        tuned_reader = finetune(model, bench.few, classes, FinetuneConfig(seed=seed))
        fitted = tasks.TaskReaders(classes, tuned_reader)
        for group, subjects in bench.tests.items():
            test = tasks.features_of(tuned_reader.model, subjects)
            raw |= _named(tasks.measure_tasks(fitted, test), group, "finetuned")
    return raw


def _named(raw: Raw, group: str, reader: str) -> Raw:
    """``structures/dice/T1w`` as ``GROUP/structures/READER/dice/T1w``."""
    return {f"{group}/{name.replace('/', f'/{reader}/', 1)}": value for name, value in raw.items()}


def measure_baselines(bench: Bench, stride: int) -> dict[str, Raw]:
    """Variant -> raw numbers: position votes, the ceiling of this token size, and the confounders of the diagnosis."""
    raw: dict[str, Raw] = {}
    for name, centered in (("position", False), ("centered", True)):
        places = partial(tasks.position_features, stride=stride, centered=centered)
        nearest = replace(tasks.fit_readers(places(bench.train), "knn"), diagnosis=None)
        raw[name] = {}
        for group, subjects in bench.tests.items():
            raw[name] |= _named(tasks.measure_tasks(nearest, places(subjects), each_subset=False), group, "knn")
    for group, subjects in bench.tests.items():
        if tasks.STRUCTURES in tasks.tasks_of(subjects):
            ceiling = tasks.oracle_dice(subjects, stride)
            raw.setdefault("oracle", {})[f"{group}/{tasks.STRUCTURES}/linear/dice"] = ceiling
        if tasks.DIAGNOSIS in tasks.tasks_of(subjects) and tasks.DIAGNOSIS in tasks.tasks_of(bench.train):
            for name, score in tasks.measure_confounders(bench.train, subjects).items():
                raw.setdefault(name, {})[f"{group}/{tasks.DIAGNOSIS}/linear/score"] = score
    return raw


def measure_shuffled(model: Taco, bench: Bench) -> Raw:
    """Raw numbers (SHUFFLES, S) of readers fitted to the truth in random order: chance, with this network."""
    train = tasks.features_of(model, bench.train)
    tests = {group: tasks.features_of(model, subjects) for group, subjects in bench.tests.items()}
    runs: list[Raw] = []
    for seed in range(SHUFFLES):
        reader = tasks.fit_readers(train, shuffle=seed)
        raw: Raw = {}
        for group, test in tests.items():
            raw |= _named(tasks.measure_tasks(reader, test, each_subset=False), group, "linear")
        runs.append(raw)
    return _stack(runs)
