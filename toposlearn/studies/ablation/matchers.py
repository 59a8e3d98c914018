"""The word "partial", tested: pre-training with every matcher, several seeds, judged by every measure of topology.

Matches between people are trusted all (nearest), where both agree (mutual), where they pass gates, where transport
finds room for them (sinkhorn), where the truth says so (oracle), or nowhere (random). With reconstruction and the
inter-instance term alone the matcher is all that can teach correspondence; with all terms it can only add to the intra
term. Runs that an ablation has made in the same folder are used as they are.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from toposlearn.arrays import Float64s
from toposlearn.config import MATCHERS, TacoConfig
from toposlearn.data import PosedSubjects
from toposlearn.intervals import across_subjects, bootstrap_subjects
from toposlearn.models import Taco
from toposlearn.pretrain.profile import MEASURES, WITHIN_MM, network_profiles
from toposlearn.reproducibility import metric, write_result
from toposlearn.studies.ablation.ablation import any_begun, train_all
from toposlearn.studies.ablation.comparison import (
    MEASURED,
    Judges,
    gather_judges,
    measure,
    measure_all,
    variant_metrics,
)

MUTUAL = "inter"  # the inter term with its usual matcher goes by this name
INTER = tuple(MUTUAL if name == "mutual" else f"{MUTUAL}-{name}" for name in MATCHERS)
FULL = ("full", "full-oracle")
REFERENCES = ("reconstruction", "intra", "scrambled")  # the last is full with tokens that are no places
STUDIED = (*REFERENCES, *INTER, *FULL)
RESULTS, PROFILE = "matchers.json", "profile.safetensors"
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
    fresh = not any_begun(variants, seeds, out)
    weights = train_all(config, variants, seeds, data, out, progress)
    judges = gather_judges(config, data, held_out)
    measured = measure_all(config, weights, seeds, partial(measure, judges=judges), MEASURED, progress)
    profiled = partial(raw_profile, subjects=judges.subjects[FAMILY])
    profiles = measure_all(config, weights, seeds, profiled, PROFILE, progress)
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


def raw_profile(model: Taco, subjects: PosedSubjects) -> dict[str, Float64s]:
    """Values and nulls per person (S,), by names ``stride8/match_error/next_person`` and, of nulls, with ``/null``."""
    raw: dict[str, Float64s] = {}
    for stride, profile in network_profiles(model, subjects).items():
        for name, one in profile.items():
            raw[f"stride{stride}/{name}"] = one.values
            raw[f"stride{stride}/{name}/null"] = one.null
    return raw


def _metrics(
    measured: Mapping[str, Mapping[str, Float64s]], profiles: Mapping[str, Mapping[str, Float64s]], judges: Judges
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


def _metric(values: Float64s, null: Float64s, name: str) -> dict[str, Any]:
    """Mean over people and seeds (R, S) with interval and null; people without a value in some seed are left out."""
    kept = np.isfinite(values).all(0)
    low, high = bootstrap_subjects(values[:, kept])
    unit = MEASURES[name.split("/")[1]][1].format(within_mm=WITHIN_MM)
    chance = float(np.nanmean(null))
    return metric(float(values[:, kept].mean()), low=low, high=high, unit=unit, n=int(kept.sum()), null=chance)


def _differences(
    measured: Mapping[str, Mapping[str, Float64s]],
    profiles: Mapping[str, Mapping[str, Float64s]],
    variant: str,
    usual: str,
) -> dict[str, dict[str, Any]]:
    """What another matcher changes: errors across people and probes on every family, signs of collapse on the first."""
    found = {}
    for name, values in measured[variant].items():
        family, stride, kind = name.split("/")
        if kind == "errors" or kind.startswith("probe"):
            difference = values - measured[usual][name]
            mean = across_subjects(difference) if kind == "errors" else float(difference.mean())
            label = "across_people_error" if kind == "errors" else kind
            found[f"{family}/{variant}-{usual}/{stride}/{label}"] = _change(difference, mean)
    for name, values in profiles[variant].items():
        if name.partition("/")[2] in COMPARED:
            difference = values - profiles[usual][name]
            found[f"{FAMILY}/{variant}-{usual}/{name}"] = _change(difference, float(difference.mean()))
    return found


def _change(difference: Float64s, mean: float) -> dict[str, Any]:
    low, high = bootstrap_subjects(difference)
    return metric(mean, low=low, high=high, n=difference.shape[-1], null=0.0)
