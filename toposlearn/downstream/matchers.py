"""The word "partial", tested: pre-training with every matcher, several seeds, judged by every measure of topology.

Matches between people are trusted all (nearest), where both agree (mutual), where they pass gates, where transport
finds room for them (sinkhorn), where the truth says so (oracle), or nowhere (random). With reconstruction and the
inter-instance term alone the matcher is all that can teach correspondence; with all terms it can only add to the intra
term. Runs that an ablation has made in the same folder are used as they are.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from toposlearn.config import MATCHERS, TacoConfig
from toposlearn.data import PosedPeople
from toposlearn.downstream.ablation import train_variant
from toposlearn.downstream.comparison import (
    UNTRAINED,
    Judges,
    gather_judges,
    measure_run,
    measure_untrained,
    stack_seeds,
    variant_metrics,
)
from toposlearn.models import Taco, load_weights
from toposlearn.pretrain.profile import MEASURES, WITHIN_MM, network_profiles
from toposlearn.reproducibility import atomic_path, metric, set_seed, write_result
from toposlearn.statistics import Floats, across_people, bootstrap_people

MUTUAL = "inter"  # the inter term with its usual matcher goes by this name
INTER = tuple(MUTUAL if name == "mutual" else f"{MUTUAL}-{name}" for name in MATCHERS)
FULL = ("full", "full-oracle")
REFERENCES = ("reconstruction", "intra", "scrambled")  # the last is full with tokens that are no places
STUDIED = (*REFERENCES, *INTER, *FULL)
RESULTS = "matchers.json"
COMPARED = ("matched_fraction/next_person", "effective_rank/first_modality", "collapse/first_modality")
FAMILY = "A"  # profiles are made on the anatomy trained on; errors and probes on both


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
    """Train what is missing, measure, compare.

    Args:
        config: settings that all runs share.
        data: BIDS folder with ground truth: people are split into training and held-out.
        out: folder of the runs (``VARIANT-seedN``) and of ``matchers.json``.
        held_out: BIDS folder of people from another label map, never trained on.
        seeds: pre-training seeds.
        variants: which networks; see `toposlearn.config.with_variant`.
        shipped: where to copy the result.
        progress: show progress bars.

    Returns:
        The result file.
    """
    started, out = time.perf_counter(), Path(out)
    fresh = not any((out / f"{variant}-seed{seed}").exists() for variant in variants for seed in seeds)
    judges = gather_judges(config, data, held_out)
    measured, profiles = (
        {UNTRAINED: measure_untrained(config, seeds, judges)},
        {UNTRAINED: _untrained(config, seeds, judges)},
    )
    for variant in tqdm(variants, desc="matchers", unit="variant", disable=not progress):
        files = [train_variant(config, variant, seed, data, out, progress) for seed in seeds]
        measured[variant] = stack_seeds([measure_run(file, judges) for file in files])
        profiles[variant] = stack_seeds([profile_run(file, judges.people[FAMILY]) for file in files])
    metrics = _metrics(measured, profiles, judges)
    for folder in (out, *([] if shipped is None else [Path(shipped)])):
        path = write_result(
            folder / RESULTS,
            source="toposlearn matchers",
            metrics=metrics,
            config=config.to_dict(),
            seeds=list(seeds),
            seconds=time.perf_counter() - started if fresh else None,  # of a continued run only the last part is known
        )
    return path


def profile_run(weights: Path, people: PosedPeople) -> dict[str, Floats]:
    """Raw topology profile of a weights file, kept beside it: measured once."""
    kept = weights.with_name("profile.safetensors")
    if kept.exists() and kept.stat().st_mtime >= weights.stat().st_mtime:
        return dict(load_file(kept))
    raw = raw_profile(load_weights(weights)[0], people)
    with atomic_path(kept) as partial:
        save_file(raw, partial)
    return raw


def raw_profile(model: Taco, people: PosedPeople) -> dict[str, Floats]:
    """Values and nulls per person (S,), by names ``stride8/match_error/next_person`` and, of nulls, with ``/null``."""
    raw: dict[str, Floats] = {}
    for stride, profile in network_profiles(model, people).items():
        for name, measure in profile.items():
            raw[f"stride{stride}/{name}"] = measure.values
            raw[f"stride{stride}/{name}/null"] = measure.null
    return raw


def _untrained(config: TacoConfig, seeds: Sequence[int], judges: Judges) -> dict[str, Floats]:
    runs = []
    for seed in seeds:
        set_seed(seed)
        runs.append(raw_profile(Taco(config.model).eval(), judges.people[FAMILY]))
    return stack_seeds(runs)


def _metrics(
    measured: Mapping[str, Mapping[str, Floats]], profiles: Mapping[str, Mapping[str, Floats]], judges: Judges
) -> dict[str, dict[str, Any]]:
    """Metric objects: each variant by itself, and each matcher minus the usual one, paired by person and seed."""
    found = variant_metrics(measured, judges)
    for variant, raw in profiles.items():
        found |= {
            f"{FAMILY}/{variant}/{name}": _metric(values, raw[f"{name}/null"], name)
            for name, values in raw.items()
            if not name.endswith("/null")
        }
    for variant in measured:
        usual = variant.partition("-")[0]
        if variant != usual and usual in measured:
            found |= _differences(measured, profiles, variant, usual)
    return found


def _metric(values: Floats, null: Floats, name: str) -> dict[str, Any]:
    """Mean over people and seeds (R, S) with interval and null; people without a value in some seed are left out."""
    kept = np.isfinite(values).all(0)
    low, high = bootstrap_people(values[:, kept])
    unit = MEASURES[name.split("/")[1]][1].format(within_mm=WITHIN_MM)
    chance = float(np.nanmean(null))
    return metric(float(values[:, kept].mean()), low=low, high=high, unit=unit, n=int(kept.sum()), null=chance)


def _differences(
    measured: Mapping[str, Mapping[str, Floats]],
    profiles: Mapping[str, Mapping[str, Floats]],
    variant: str,
    usual: str,
) -> dict[str, dict[str, Any]]:
    """What another matcher changes: errors across people and probes on every family, signs of collapse on the first."""
    found = {}
    for name, values in measured[variant].items():
        family, stride, kind = name.split("/")
        if kind == "errors" or kind.startswith("probe"):
            difference = values - measured[usual][name]
            mean = across_people(difference) if kind == "errors" else float(difference.mean())
            label = "across_people_error" if kind == "errors" else kind
            found[f"{family}/{variant}-{usual}/{stride}/{label}"] = _change(difference, mean)
    for name, values in profiles[variant].items():
        if name.partition("/")[2] in COMPARED:
            difference = values - profiles[usual][name]
            found[f"{FAMILY}/{variant}-{usual}/{name}"] = _change(difference, float(difference.mean()))
    return found


def _change(difference: Floats, mean: float) -> dict[str, Any]:
    low, high = bootstrap_people(difference)
    return metric(mean, low=low, high=high, n=difference.shape[-1], null=0.0)
