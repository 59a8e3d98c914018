"""From a cohort to results: train variants of the loss with several seeds, measure and compare them, ship weights.

`run_ablation` compares the terms of the loss, `run_matchers` the ways to match tokens of two people. With
reconstruction and the inter-instance term alone, only the matcher can teach correspondence; with all terms it can only
add to the intra term. Complete runs are kept and interrupted ones continued, also from one command to the other.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from toposlearn.config import MATCHERS, VARIANTS, TacoConfig, with_variant
from toposlearn.data import Split
from toposlearn.data.split import refuse_seen
from toposlearn.models import load_readout, load_weights, save_weights
from toposlearn.pretrain.between_people import Comparison
from toposlearn.pretrain.kept import measure_all, train_once
from toposlearn.pretrain.run_folder import CARD, HISTORY, SCORES, WEIGHTS
from toposlearn.reproducibility import write_result
from toposlearn.studies.ablation import measure, people
from toposlearn.studies.ablation.people import RealGroups, RealPeople

SHIPPED = ("reconstruction", "intra", "full")
RESULTS, MATCHER_RESULTS = "results.json", "matchers.json"
MEASURED, PROFILE = "measured.safetensors", "profile.safetensors"  # raw numbers, beside the weights
INTER = tuple("inter" if name == "mutual" else f"inter-{name}" for name in MATCHERS)
STUDIED = ("reconstruction", "intra", "scrambled", *INTER, "full", "full-oracle")  # scrambled: full, tokens no places


def run_ablation(
    config: TacoConfig,
    data: str | Path,
    out: str | Path,
    *,
    held_out: str | Path | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    variants: Sequence[str] = VARIANTS,
    real: RealPeople | None = None,
    registration: bool = True,
    shipped: str | Path | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Train, measure and compare variants of the loss (`toposlearn.config.with_variant`), and return the metrics.

    `data` is a BIDS folder with ground truth, split into training and held-out people, and `held_out` one of held-out
    people from another label map; `real` are people of a data set of one's own. Rivals are measured on all of them, by
    `registration` too. `out` gets the runs (``VARIANT-seedN``) and ``results.json``; `shipped` gets the weights of the
    first seed, in 16 bits, with history, scorecard and card.
    """
    began, out = time.perf_counter(), Path(out)
    others = None if real is None else RealGroups.of(real, config, registration)
    fresh, weights = _train_all(config, variants, seeds, data, out, progress)
    first = next(iter(weights.values()))[0]
    groups = measure.held_out_groups(config, data, held_out, weights=first, registration=registration)
    measured = partial(measure.measure_network, held_out=groups)
    raw = measure_all(config, weights, seeds, measured, MEASURED, progress)
    pairs = [("full", other) for other in raw if other != "full"] if "full" in raw else []
    metrics = _between(config, weights, seeds, groups.comparisons, others, pairs, progress)
    metrics |= measure.variant_metrics(raw, groups) | measure.full_minus_others(raw, groups)
    seconds = time.perf_counter() - began if fresh else None  # of a continued run only the last part is known
    facts = _facts(config, seeds, seconds, others)
    write_result(out / RESULTS, source="toposlearn ablation", metrics=metrics, **facts)
    if shipped is not None:
        ship(weights, out / RESULTS, Path(shipped))
    return metrics


def run_matchers(
    config: TacoConfig,
    data: str | Path,
    out: str | Path,
    *,
    held_out: str | Path | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    variants: Sequence[str] = STUDIED,
    real: RealPeople | None = None,
    registration: bool = True,
    shipped: str | Path | None = None,
    progress: bool = True,
) -> Path:
    """Train, measure and compare the matchers as `run_ablation` does; return ``matchers.json``, copied to `shipped`."""
    began, out = time.perf_counter(), Path(out)
    others = None if real is None else RealGroups.of(real, config, registration)
    fresh, weights = _train_all(config, variants, seeds, data, out, progress)
    first = next(iter(weights.values()))[0]
    groups = measure.held_out_groups(config, data, held_out, weights=first, registration=registration)
    measured = partial(measure.measure_network, held_out=groups)
    raw = measure_all(config, weights, seeds, measured, MEASURED, progress)
    profiled = partial(measure.measure_profile, subjects=groups.groups[measure.PROFILED])
    profiles = measure_all(config, weights, seeds, profiled, PROFILE, progress)
    pairs = [(name, mutual) for name in raw if (mutual := name.partition("-")[0]) != name and mutual in raw]
    metrics = _between(config, weights, seeds, groups.comparisons, others, pairs, progress)
    metrics |= measure.variant_metrics(raw, groups) | measure.profile_metrics(profiles)
    for variant, mutual in pairs:
        metrics |= measure.matcher_minus_mutual(raw, profiles, variant, mutual)
    seconds = time.perf_counter() - began if fresh else None
    facts = _facts(config, seeds, seconds, others)
    path = write_result(out / MATCHER_RESULTS, source="toposlearn matchers", metrics=metrics, **facts)
    if shipped is not None:
        Path(shipped).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, Path(shipped) / MATCHER_RESULTS)
    return path


def _facts(config: TacoConfig, seeds: Sequence[int], seconds: float | None, real: RealGroups | None) -> dict[str, Any]:
    """What a result file says beside its metrics."""
    of_real = {} if real is None else {"real people": dict(real.facts)}
    return {"config": config.to_dict() | of_real, "seeds": list(seeds), "seconds": seconds}


def _between(
    config: TacoConfig,
    weights: Mapping[str, Sequence[Path]],
    seeds: Sequence[int],
    simulated: Mapping[str, Comparison],
    real: RealGroups | None,
    pairs: Iterable[tuple[str, str]],
    progress: bool,
) -> measure.Metrics:
    """Errors between simulated and real people, with those of rivals, and one variant minus another for each pair."""
    groups = dict(simulated)
    if real is not None:
        files = [file for each in weights.values() for file in each]
        refuse_seen(files, real.prepared.manifest, real.prepared.fingerprints())
        groups |= real.groups
    measured = partial(people.measure_comparisons, groups=groups)
    raw = measure_all(config, weights, seeds, measured, people.kept_as(groups), progress)
    return people.comparison_metrics(raw, groups, pairs)


def _train_all(
    config: TacoConfig, variants: Sequence[str], seeds: Sequence[int], data: str | Path, out: Path, progress: bool
) -> tuple[bool, dict[str, list[Path]]]:
    """Whether no run existed before, and the weights of every variant, one file per seed."""
    runs = [(variant, seed) for variant in variants for seed in seeds]
    settings = [with_variant(config.replace(train={"seed": seed}), variant) for variant, seed in runs]  # checks names
    folders = [out / f"{variant}-seed{seed}" for variant, seed in runs]
    fresh = not any(folder.exists() for folder in folders)
    weights: dict[str, list[Path]] = {variant: [] for variant in variants}
    for (variant, _), setting, folder in zip(runs, settings, folders, strict=True):
        weights[variant].append(train_once(setting, data, folder, progress=progress))
    return fresh, weights


def ship(weights: Mapping[str, Sequence[Path]], results: Path, folder: Path) -> None:
    """Copy the files of the notebooks: weights in 16 bits, history, scorecard and card of the first seed; results."""
    folder.mkdir(parents=True, exist_ok=True)
    for variant in [name for name in SHIPPED if name in weights]:
        run = weights[variant][0].parent
        model, config = load_weights(run / WEIGHTS)
        known = Split.load(run / WEIGHTS)
        split = known.to_dict() if known else None
        readout = load_readout(run / WEIGHTS)
        save_weights(folder / f"{variant}.safetensors", model, config, half=True, split=split, readout=readout)
        for name in (HISTORY, SCORES, CARD):
            if (run / name).exists():
                shutil.copyfile(run / name, folder / f"{variant}.{name}")
    shutil.copyfile(results, folder / RESULTS)
