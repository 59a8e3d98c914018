"""From a cohort to results: train variants of the loss with several seeds, measure and compare them, ship weights.

`run_ablation` compares the terms of the loss, `run_matchers` the ways to match tokens of two people. With
reconstruction and the inter-instance term alone, only the matcher can teach correspondence; with all terms it can only
add to the intra term. Complete runs are kept and interrupted ones continued, also from one command to the other.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from toposlearn.config import MATCHERS, VARIANTS, TacoConfig, with_variant
from toposlearn.data import Split
from toposlearn.models import load_readout, load_weights, save_weights
from toposlearn.pretrain import pretrain
from toposlearn.pretrain.run_folder import CARD, HISTORY, SCORES, WEIGHTS, has_checkpoint
from toposlearn.reproducibility import write_result
from toposlearn.studies.ablation import measure

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
    shipped: str | Path | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Train, measure and compare variants of the loss (`toposlearn.config.with_variant`), and return the metrics.

    `data` is a BIDS folder with ground truth, split into training and held-out people, and `held_out` one of held-out
    people from another label map. `out` gets the runs (``VARIANT-seedN``) and ``results.json``; `shipped` gets the
    weights of the first seed, in 16 bits, with history, scorecard and card.
    """
    began, out = time.perf_counter(), Path(out)
    fresh, weights = _train_all(config, variants, seeds, data, out, progress)
    groups = measure.held_out_groups(config, data, held_out, weights=next(iter(weights.values()))[0])
    measured = partial(measure.measure_network, held_out=groups)
    raw = measure.measure_all(config, weights, seeds, measured, MEASURED, progress)
    metrics = measure.variant_metrics(raw, groups) | measure.full_minus_others(raw, groups)
    seconds = time.perf_counter() - began if fresh else None  # of a continued run only the last part is known
    facts: dict[str, Any] = {"config": config.to_dict(), "seeds": list(seeds), "seconds": seconds}
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
    shipped: str | Path | None = None,
    progress: bool = True,
) -> Path:
    """Train, measure and compare the matchers as `run_ablation` does; return ``matchers.json``, copied to `shipped`."""
    began, out = time.perf_counter(), Path(out)
    fresh, weights = _train_all(config, variants, seeds, data, out, progress)
    groups = measure.held_out_groups(config, data, held_out, weights=next(iter(weights.values()))[0])
    measured = partial(measure.measure_network, held_out=groups)
    raw = measure.measure_all(config, weights, seeds, measured, MEASURED, progress)
    profiled = partial(measure.measure_profile, subjects=groups.groups[measure.PROFILED])
    profiles = measure.measure_all(config, weights, seeds, profiled, PROFILE, progress)
    metrics = measure.variant_metrics(raw, groups) | measure.profile_metrics(profiles)
    for variant in raw:
        mutual = variant.partition("-")[0]
        if variant != mutual and mutual in raw:
            metrics |= measure.matcher_minus_mutual(raw, profiles, variant, mutual)
    seconds = time.perf_counter() - began if fresh else None
    facts: dict[str, Any] = {"config": config.to_dict(), "seeds": list(seeds), "seconds": seconds}
    path = write_result(out / MATCHER_RESULTS, source="toposlearn matchers", metrics=metrics, **facts)
    if shipped is not None:
        Path(shipped).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, Path(shipped) / MATCHER_RESULTS)
    return path


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
        if not (folder / WEIGHTS).exists():
            begun = has_checkpoint(folder)
            if folder.exists() and not begun:
                shutil.rmtree(folder)  # stopped before its first checkpoint
            pretrain(setting, data, folder, resume=begun, progress=progress)
        weights[variant].append(folder / WEIGHTS)
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
