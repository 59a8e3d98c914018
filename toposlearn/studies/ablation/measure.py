"""Measurements of every variant on posed held-out people, with controls; metrics and paired differences.

Raw numbers have axes (S,) or (S, S), stacked over R seeds. Differences are paired: the same people, seed by seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from toposlearn.arrays import Float64s
from toposlearn.config import TacoConfig
from toposlearn.data import PosedSubjects, pose_subjects, prepare, read_manifest, split_subjects
from toposlearn.data.split import refuse_seen
from toposlearn.downstream import fit_probe, probe_dice
from toposlearn.intervals import mean_metric
from toposlearn.models import Readout, Taco
from toposlearn.pretrain.between_people import UNTRAINED, Comparison, registration_cache
from toposlearn.pretrain.kept import Raw
from toposlearn.pretrain.profile import MEASURES, network_profiles
from toposlearn.pretrain.scorecard import Controls, controls, encode, error_matrix, error_metrics, neighborhood_values

PROBE_SUBJECTS = 16
PROBE_POSE_SEED = 1  # probes are fitted on training people in other poses
MODALITIES = ("T1w", "T2w")
CONTROLS = ("position", "centered", "floor", "random", "permuted")
COMPARED = ("matched_fraction/next_person", "effective_rank/first_modality", "collapse/first_modality")
PROFILED = "A"  # profiles are made on the anatomy trained on; errors and probes on both

Metrics = dict[str, dict[str, Any]]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """People to measure on, and to fit probes on; the same for every run."""

    groups: Mapping[str, PosedSubjects]  # anatomy A or B -> posed held-out people
    probe_subjects: PosedSubjects
    controls: Mapping[tuple[str, int], Controls]  # (anatomy, stride)
    comparisons: Mapping[str, Comparison] = field(default_factory=dict)  # anatomy


def held_out_groups(
    config: TacoConfig,
    data: str | Path,
    other: str | Path | None = None,
    *,
    weights: Path | None = None,
    registration: bool = True,
) -> HeldOut:
    """People of `data` held out of `weights` (anatomy A), and all people of the folder `other` (anatomy B).

    Their rivals are measured here, with `registration` also those by registration.
    """
    train, test = split_subjects(read_manifest(data), test_fraction=config.train.test_fraction, weights=weights)
    caches = {"A": prepare(test, config.volume)}
    if other is not None:
        caches["B"] = prepare(read_manifest(other), config.volume)
        refuse_seen([weights] if weights else [], caches["B"].manifest, caches["B"].fingerprints())
    groups = {name: pose_subjects(cache, config) for name, cache in caches.items()}
    few = train.select([record.name for record in train.records[:PROBE_SUBJECTS]])
    probe_subjects = pose_subjects(prepare(few, config.volume), config, seed=PROBE_POSE_SEED)
    levels = [(name, stride) for name in groups for stride in config.model.token_strides]
    reference = {(name, stride): controls(groups[name], stride) for name, stride in levels}
    compared = {
        name: Comparison.of(
            people,
            MODALITIES,
            config.model.token_strides,
            registration=registration,
            cache=registration_cache(caches[name]),
        )
        for name, people in groups.items()
        if len(people.names) > 1
    }
    return HeldOut(groups, probe_subjects, reference, compared)


def measure_network(model: Taco, _: Readout, held_out: HeldOut) -> dict[str, Float64s]:
    """Raw numbers of one model, per subject or pair of subjects, by name ``A/stride8/errors``.

    ``errors`` (S, S) mm, rows in T1w and columns in T2w; ``overlap`` and ``matched`` (S,); ``probe_T1w_T2w`` (S,):
    Dice of a probe fitted on T1w and read on T2w, at the finest level.
    """
    finest, fitted = min(model.config.token_strides), held_out.probe_subjects
    truth = fitted.token_labels(finest), fitted.token_mask(finest)
    probes = {name: fit_probe(encode(model, fitted, name)[finest], *truth) for name in MODALITIES}
    raw: dict[str, Float64s] = {}
    for name, subjects in held_out.groups.items():
        tokens = {modality: encode(model, subjects, modality) for modality in MODALITIES}
        for stride in model.config.token_strides:
            first, second = (tokens[modality][stride] for modality in MODALITIES)
            template, mask = subjects.token_template(stride), subjects.token_mask(stride)
            prefix = f"{name}/stride{stride}"
            raw[f"{prefix}/errors"] = error_matrix(first, second, template, mask)
            raw |= {f"{prefix}/{key}": value for key, value in neighborhood_values(first, second, mask).items()}
        truth = subjects.token_labels(finest), subjects.token_mask(finest)
        for modality, probe in probes.items():
            for read in MODALITIES:
                dice = probe_dice(probe, tokens[read][finest], *truth)
                raw[f"{name}/stride{finest}/probe_{modality}_{read}"] = dice
    return raw


def measure_profile(model: Taco, _: Readout, subjects: PosedSubjects) -> dict[str, Float64s]:
    """Topology profile per subject (S,) by name ``stride8/match_error/next_person``; its nulls end in ``/null``."""
    raw: dict[str, Float64s] = {}
    for stride, profile in network_profiles(model, subjects).items():
        for name, one in profile.items():
            raw[f"stride{stride}/{name}"] = one.values
            raw[f"stride{stride}/{name}/null"] = one.null
    return raw


def variant_metrics(raw: Mapping[str, Raw], held_out: HeldOut) -> Metrics:
    """Metric objects of each variant (raw numbers stacked over seeds) and control: ``A/full/stride8/overlap``."""
    metrics: Metrics = {}
    for (name, stride), reference in held_out.controls.items():
        key = f"{name}/stride{stride}"
        for control in CONTROLS:
            metrics |= error_metrics(getattr(reference, control)[None], f"{name}/{control}/stride{stride}")
        for variant, values in raw.items():
            prefix = f"{name}/{variant}/stride{stride}"
            metrics |= error_metrics(values[f"{key}/errors"], prefix, reference)
            nulls = {"overlap": float(values[f"{key}/overlap_null"].mean()), "matched": 0.5}
            for full_name, value in values.items():
                level, _, kind = full_name.rpartition("/")
                if level == key and kind not in ("errors", "overlap_null"):
                    baseline = float(raw[UNTRAINED][full_name].mean())
                    metrics[f"{prefix}/{kind}"] = mean_metric(value, null=nulls.get(kind), baseline=baseline)
    return metrics


def full_minus_others(raw: Mapping[str, Raw], held_out: HeldOut) -> Metrics:
    """Full minus every other variant and position baseline, across people; below zero the error of full is smaller."""
    metrics: Metrics = {}
    for (name, stride), reference in held_out.controls.items() if "full" in raw else ():
        key = f"{name}/stride{stride}/errors"
        others = {variant: values[key] for variant, values in raw.items() if variant != "full"}
        others |= {control: getattr(reference, control)[None] for control in ("position", "centered")}
        for other, errors in others.items():
            difference = mean_metric(raw["full"][key] - errors, unit="mm", null=0.0)
            metrics[f"{name}/full-{other}/stride{stride}/across_people_error"] = difference
    return metrics


def profile_metrics(profiles: Mapping[str, Raw]) -> Metrics:
    """Metric objects of each variant's profile; subjects without a value in some seed are left out."""
    metrics: Metrics = {}
    for variant, raw in profiles.items():
        for name in [name for name in raw if not name.endswith("/null")]:
            kept = np.isfinite(raw[name]).all(0)
            unit, null = MEASURES[name.split("/")[1]][1], float(np.nanmean(raw[f"{name}/null"]))
            metrics[f"{PROFILED}/{variant}/{name}"] = mean_metric(raw[name][:, kept], unit=unit, null=null)
    return metrics


def matcher_minus_mutual(raw: Mapping[str, Raw], profiles: Mapping[str, Raw], variant: str, mutual: str) -> Metrics:
    """Change by another matcher: errors across people and probes of every anatomy, signs of collapse of one."""
    metrics: Metrics = {}
    for name, values in raw[variant].items():
        anatomy, stride, kind = name.split("/")
        if kind == "errors" or kind.startswith("probe"):
            label = "across_people_error" if kind == "errors" else kind
            difference = mean_metric(values - raw[mutual][name], null=0.0)
            metrics[f"{anatomy}/{variant}-{mutual}/{stride}/{label}"] = difference
    for name, values in profiles[variant].items():
        if name.partition("/")[2] in COMPARED:
            difference = mean_metric(values - profiles[mutual][name], null=0.0)
            metrics[f"{PROFILED}/{variant}-{mutual}/{name}"] = difference
    return metrics
