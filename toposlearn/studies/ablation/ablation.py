"""One command from a cohort to the table of results: train every variant with several seeds, measure, ship weights.

Runs that are complete are kept and interrupted ones continued, so the command may be stopped and given again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from toposlearn.config import VARIANTS, TacoConfig, with_variant
from toposlearn.models import load_weights, save_weights
from toposlearn.pretrain import pretrain
from toposlearn.pretrain.run_folder import CARD, HISTORY, SCORES, WEIGHTS
from toposlearn.reproducibility import write_result
from toposlearn.studies.ablation.comparison import MEASURED, compare, gather_judges, measure, measure_all

SHIPPED = ("reconstruction", "intra", "full")
RESULTS = "results.json"


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
    """Train, measure and compare.

    Args:
        config: settings that all runs share.
        data: BIDS folder with ground truth: people are split into training and held-out.
        out: folder of the runs (``VARIANT-seedN``) and of ``results.json``.
        held_out: BIDS folder of people from another label map, never trained on.
        seeds: pre-training seeds.
        variants: which terms of the loss; see `toposlearn.config.VARIANTS`.
        shipped: where to copy the weights of the first seed, in 16 bits, with history, scorecard and card.
        progress: show progress bars.

    Returns:
        The metrics that were written.
    """
    started, out = time.perf_counter(), Path(out)
    for variant in variants:
        with_variant(config, variant)  # an unknown name ends it before hours of training
    fresh = not any_begun(variants, seeds, out)
    weights = train_all(config, variants, seeds, data, out, progress)
    judges = gather_judges(config, data, held_out)
    measured = measure_all(config, weights, seeds, partial(measure, judges=judges), MEASURED, progress)
    metrics = compare(measured, judges)
    write_result(
        out / RESULTS,
        source="toposlearn ablation",
        metrics=metrics,
        config=config.to_dict(),
        seeds=list(seeds),
        seconds=time.perf_counter() - started if fresh else None,  # of a continued run only the last part is known
    )
    if shipped is not None:
        ship(weights, out / RESULTS, Path(shipped))
    return metrics


def _name(variant: str, seed: int) -> str:
    return f"{variant}-seed{seed}"


def any_begun(variants: Sequence[str], seeds: Sequence[int], out: Path) -> bool:
    """Whether a run is there already, complete or not: the time of all is then not known."""
    return any((out / _name(variant, seed)).exists() for variant in variants for seed in seeds)


def train_all(
    config: TacoConfig, variants: Sequence[str], seeds: Sequence[int], data: str | Path, out: Path, progress: bool
) -> dict[str, list[Path]]:
    """The weights of every variant, one file a seed, trained only as far as they are not there yet."""
    return {variant: [_train(config, variant, seed, data, out, progress) for seed in seeds] for variant in variants}


def _train(config: TacoConfig, variant: str, seed: int, data: str | Path, out: Path, progress: bool) -> Path:
    """The weights of one run, trained only as far as they are not there yet."""
    run = out / _name(variant, seed)
    if (run / WEIGHTS).exists():
        return run / WEIGHTS
    settings = with_variant(config.replace(train={"seed": seed}), variant)
    begun = (run / "checkpoint.pt").exists()
    if run.exists() and not begun:
        shutil.rmtree(run)  # stopped before its first checkpoint
    return pretrain(settings, data, run, resume=begun, progress=progress)


def ship(weights: Mapping[str, Sequence[Path]], results: Path, folder: Path) -> None:
    """Copy what the notebooks need: weights in 16 bits, history, scorecard and card of the first seed; the results."""
    folder.mkdir(parents=True, exist_ok=True)
    for variant in SHIPPED:
        if variant not in weights:
            continue
        run = weights[variant][0].parent
        model, config = load_weights(run / WEIGHTS)
        save_weights(folder / f"{variant}.safetensors", model, config, half=True)
        for name in (HISTORY, SCORES, CARD):
            if (run / name).exists():
                shutil.copyfile(run / name, folder / f"{variant}.{name}")
    shutil.copyfile(results, folder / RESULTS)
