"""Do the paper's two ideas help? Every variant, several seeds, on posed people never trained on, with controls.

Each number has an interval (bootstrap over people, crossed with seeds), a null and a baseline. Differences are paired:
the same people, seed by seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from toposlearn.arrays import Float64s
from toposlearn.config import TacoConfig
from toposlearn.data import PosedSubjects, pose_subjects, prepare, read_manifest, split_subjects
from toposlearn.downstream.probes import fit_probe, probe_dice
from toposlearn.intervals import across_subjects, bootstrap_subjects, same_person
from toposlearn.models import Taco, load_weights
from toposlearn.pretrain.scorecard import (
    Controls,
    controls,
    correspondence_metrics,
    encode,
    error_matrix,
    neighborhood_values,
)
from toposlearn.reproducibility import atomic_path, metric, set_seed

PROBE_PEOPLE = 16
PROBE_POSE_SEED = 1  # probes are fitted on training people in other poses
UNTRAINED = "untrained"
MODALITIES = ("T1w", "T2w")
MEASURED = "measured.safetensors"  # what `measure` found, beside the weights
CONTROLS = ("position", "centered", "floor", "random", "permuted")


@dataclass(frozen=True, eq=False)
class Judges:
    """People to measure on, and to fit probes on; the same for every run."""

    subjects: Mapping[str, PosedSubjects]  # name of the data set -> posed people never trained on
    probe_people: PosedSubjects
    controls: Mapping[tuple[str, int], Controls]  # (data set, stride)


def gather_judges(config: TacoConfig, data: str | Path, held_out: str | Path | None = None) -> Judges:
    """Held-out people of `data` (anatomy A) and everybody of `held_out` (another anatomy, B)."""
    train, test = split_subjects(read_manifest(data), test_fraction=config.train.test_fraction)
    subjects = {"A": pose_subjects(prepare(test, config.volume), config)}
    if held_out is not None:
        subjects["B"] = pose_subjects(prepare(read_manifest(held_out), config.volume), config)
    few = train.select([record.subject for record in train.records[:PROBE_PEOPLE]])
    probe_people = pose_subjects(prepare(few, config.volume), config, seed=PROBE_POSE_SEED)
    reference = {
        (name, stride): controls(group, stride)
        for name, group in subjects.items()
        for stride in config.model.token_strides
    }
    return Judges(subjects, probe_people, reference)


def measure(model: Taco, judges: Judges) -> dict[str, Float64s]:
    """Raw numbers of one model, per person or pair of people, by name ``A/stride8/errors``.

    ``errors`` (S, S) mm, rows in T1w and columns in T2w; ``overlap`` and ``matched`` (S,); ``probe_T1w_T2w`` (S,):
    Dice of a probe fitted on T1w and read on T2w, at the finest level.
    """
    finest = min(model.config.token_strides)
    probes = _probes(model, judges.probe_people, finest)
    raw: dict[str, Float64s] = {}
    for name, subjects in judges.subjects.items():
        tokens = {modality: encode(model, subjects, modality) for modality in MODALITIES}
        for stride in model.config.token_strides:
            first, second = (tokens[modality][stride] for modality in MODALITIES)
            template, mask = subjects.token_template(stride), subjects.token_mask(stride)
            prefix = f"{name}/stride{stride}"
            raw[f"{prefix}/errors"] = error_matrix(first, second, template, mask)
            raw |= {f"{prefix}/{key}": value for key, value in neighborhood_values(first, second, mask).items()}
        labels, mask = subjects.token_labels(finest), subjects.token_mask(finest)
        for fitted, probe in probes.items():
            for read in MODALITIES:
                raw[f"{name}/stride{finest}/probe_{fitted}_{read}"] = probe_dice(
                    probe, tokens[read][finest], labels, mask
                )
    return raw


def _probes(model: Taco, subjects: PosedSubjects, stride: int) -> dict[str, Any]:
    labels, mask = subjects.token_labels(stride), subjects.token_mask(stride)
    return {name: fit_probe(encode(model, subjects, name)[stride], labels, mask) for name in MODALITIES}


def stack_seeds(runs: Sequence[Mapping[str, Float64s]]) -> dict[str, Float64s]:
    """Raw numbers of several seeds, with a leading axis R."""
    return {name: np.stack([run[name] for run in runs]) for name in runs[0]}


def compare(measured: Mapping[str, Mapping[str, Float64s]], judges: Judges) -> dict[str, dict[str, Any]]:
    """Metric objects by name: ``A/full/stride8/across_people_error`` and, paired, ``A/full-intra/stride8/...``.

    Args:
        measured: variant -> raw numbers with a leading axis of seeds; one of them `UNTRAINED`.
        judges: for nulls and baselines.
    """
    metrics = variant_metrics(measured, judges)
    for (name, stride), reference in judges.controls.items():
        metrics |= _differences(measured, name, stride, reference)
    return metrics


def variant_metrics(measured: Mapping[str, Mapping[str, Float64s]], judges: Judges) -> dict[str, dict[str, Any]]:
    """The part of `compare` that looks at each variant, and each control, by itself."""
    metrics: dict[str, dict[str, Any]] = {}
    for (name, stride), reference in judges.controls.items():
        for control in CONTROLS:
            errors = getattr(reference, control)[None]
            metrics |= _control_metrics(errors, f"{name}/{control}/stride{stride}")
        for variant, raw in measured.items():
            prefix = f"{name}/{variant}/stride{stride}"
            errors = raw[f"{name}/stride{stride}/errors"]
            metrics |= correspondence_metrics(errors, reference, prefix)
            metrics |= _subject_metrics(raw, f"{name}/stride{stride}", prefix, measured[UNTRAINED])
    return metrics


def _control_metrics(errors: Float64s, prefix: str) -> dict[str, dict[str, Any]]:
    own, other = bootstrap_subjects(same_person(errors)), bootstrap_subjects(errors)
    subjects = errors.shape[-1]
    return {
        f"{prefix}/same_person_error": metric(
            float(same_person(errors).mean()), low=own[0], high=own[1], unit="mm", n=subjects
        ),
        f"{prefix}/across_people_error": metric(
            across_subjects(errors), low=other[0], high=other[1], unit="mm", n=subjects
        ),
    }


def _subject_metrics(
    raw: Mapping[str, Float64s], key: str, prefix: str, untrained: Mapping[str, Float64s]
) -> dict[str, dict[str, Any]]:
    """Everything that is one number per person: overlap, matched fraction, probe Dice."""
    found = {}
    for name, values in raw.items():
        place, _, kind = name.rpartition("/")
        if place != key or kind in ("errors", "overlap_null"):
            continue
        low, high = bootstrap_subjects(values)
        null = {"overlap": float(raw[f"{key}/overlap_null"].mean()), "matched": 0.5}.get(kind)
        found[f"{prefix}/{kind}"] = metric(
            float(values.mean()),
            low=low,
            high=high,
            n=values.shape[-1],
            null=null,
            baseline=float(untrained[name].mean()),
        )
    return found


def _differences(
    measured: Mapping[str, Mapping[str, Float64s]], name: str, stride: int, reference: Controls
) -> dict[str, dict[str, Any]]:
    """Full minus every other variant and every position baseline, across people: below zero, full is better."""
    if "full" not in measured:
        return {}
    key = f"{name}/stride{stride}/errors"
    full = measured["full"][key]
    others: dict[str, Float64s] = {variant: raw[key] for variant, raw in measured.items() if variant != "full"}
    others |= {control: getattr(reference, control)[None] for control in ("position", "centered")}
    found = {}
    for other, errors in others.items():
        difference = full - errors
        low, high = bootstrap_subjects(difference)
        found[f"{name}/full-{other}/stride{stride}/across_people_error"] = metric(
            across_subjects(difference), low=low, high=high, unit="mm", n=full.shape[-1], null=0.0
        )
    return found


def measure_all(
    config: TacoConfig,
    weights: Mapping[str, Sequence[Path]],
    seeds: Sequence[int],
    measured: Callable[[Taco], dict[str, Float64s]],
    kept_as: str,
    progress: bool = True,
) -> dict[str, dict[str, Float64s]]:
    """Raw numbers of every variant's runs, and of networks as they are before the first step, stacked over seeds.

    Args:
        config: of the untrained networks.
        weights: variant -> one weights file a seed.
        seeds: of the untrained networks.
        measured: what to measure of a network.
        kept_as: name of the file beside each weights file that keeps its numbers: measured once.
        progress: show a progress bar.
    """
    found = {UNTRAINED: stack_seeds([measured(_untrained(config, seed)) for seed in seeds])}
    for variant, files in tqdm(weights.items(), desc="measuring", unit="variant", disable=not progress):
        found[variant] = stack_seeds([_measured_once(file, measured, kept_as) for file in files])
    return found


def _untrained(config: TacoConfig, seed: int) -> Taco:
    set_seed(seed)
    return Taco(config.model).eval()


def _measured_once(weights: Path, measured: Callable[[Taco], dict[str, Float64s]], kept_as: str) -> dict[str, Float64s]:
    kept = weights.with_name(kept_as)
    if kept.exists() and kept.stat().st_mtime >= weights.stat().st_mtime:
        return dict(load_file(kept))
    raw = measured(load_weights(weights)[0])
    with atomic_path(kept) as partial:
        save_file(raw, partial)
    return raw
