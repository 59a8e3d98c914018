"""Errors of correspondence between people and within a person, of networks and of what needs no network.

Raw numbers are named ``stride4/T1w-T2w/READING``: of pairs of people (S, S), or of people (S,) where both images are of
one person, in two poses. Names of readings are those of `toposlearn.pretrain.point_errors`, ``same_person_`` in front
for the latter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.data import PosedSubjects
from toposlearn.intervals import across_subjects, mean_metric
from toposlearn.models import Readout, Taco
from toposlearn.pretrain import encode
from toposlearn.pretrain.kept import Raw
from toposlearn.pretrain.point_errors import CONTINUOUS, FITTED, TOKEN, Level, network_errors, rivals, truth_of
from toposlearn.pretrain.scorecard import neighborhood_values
from toposlearn.studies.pairing.people import MODALITIES

WITHIN = {
    TOKEN: "same_person_error",
    CONTINUOUS: "same_person_continuous_error",
    FITTED: "same_person_fitted_error",
}
PAIRS = (("T1w", "T2w"), ("T1w", "T1w"))
CONTROLS = ("position", "centered", "floor", "random")
OVERLAP, OVERLAP_NULL = "overlap", "overlap_null"


def measure_network(
    model: Taco, _: Readout, people: PosedSubjects, choose: Callable[[Taco], Readout]
) -> dict[str, Float64s]:
    """Raw numbers of one network on `posed_twice` people; its readout is the one it chooses."""
    readout, half = choose(model), len(people.names) // 2
    tokens = {name: encode(model, people, name) for name in MODALITIES}
    raw: dict[str, Float64s] = {}
    for stride in model.config.token_strides:
        for a, b in PAIRS:
            ends = tokens[a][stride], tokens[b][stride]
            found = _between_and_within(partial(_network_errors, people, stride, *ends, readout), half)
            raw |= {f"stride{stride}/{a}-{b}/{name}": values for name, values in found.items()}
        first, second = (tokens[name][stride][:half] for name in MODALITIES)
        kept = neighborhood_values(first, second, people.token_mask(stride)[:half])
        raw |= {f"stride{stride}/{name}": kept[name] for name in (OVERLAP, OVERLAP_NULL)}
    return raw


def _network_errors(
    people: PosedSubjects, stride: int, tokens_a: Tensor, tokens_b: Tensor, readout: Readout, some: Sequence[int]
) -> Mapping[str, Float64s]:
    """Reading -> errors between some of the people; tokens (2S, N, F) are those of all."""
    part = people.take(some)
    known = Level.of(part, stride), truth_of(part, stride), readout
    return network_errors(tokens_a[list(some)], tokens_b[list(some)], *known)


def measure_controls(people: PosedSubjects, strides: Sequence[int]) -> dict[str, dict[str, Float64s]]:
    """The same raw numbers of each of `CONTROLS`, which are alike for all modalities."""
    raw: dict[str, dict[str, Float64s]] = {name: {} for name in CONTROLS}
    for stride in strides:
        found = _between_and_within(partial(_control_errors, people, stride), len(people.names) // 2)
        for name, values in found.items():
            control, reading = name.split("/")
            raw[control] |= {f"stride{stride}/{a}-{b}/{reading}": values for a, b in PAIRS}
    return raw


def _control_errors(people: PosedSubjects, stride: int, some: Sequence[int]) -> Mapping[str, Float64s]:
    """``CONTROL/READING`` -> errors between some of the people."""
    part = people.take(some)
    known = rivals(Level.of(part, stride), truth_of(part, stride), {})
    return {f"{name}/{reading}": each for name in CONTROLS for reading, each in known[name].items()}


def _between_and_within(errors: Callable[[Sequence[int]], Mapping[str, Float64s]], half: int) -> dict[str, Float64s]:
    """Errors between the first `half` of people, and of each of them in one pose and the other."""
    between = errors(range(half))
    own = [errors((person, half + person)) for person in range(half)]
    within = {}
    for name in between:
        place, slash, reading = name.rpartition("/")
        within[place + slash + WITHIN[reading]] = np.array([each[name][0, 1] for each in own])
    return {**between, **within}


def network_metrics(raw: Raw, known: Mapping[str, Raw], key: str) -> dict[str, dict[str, Any]]:
    """Metric objects by ``KEY/stride4/T1w-T2w/READING``; raw numbers stacked over seeds, `known` those of controls."""
    metrics = {}
    for name, values in raw.items():
        place, _, reading = name.rpartition("/")
        if reading == OVERLAP:
            null = float(raw[f"{place}/{OVERLAP_NULL}"].mean())
            metrics[f"{key}/{name}"] = mean_metric(values, null=null)
        elif reading != OVERLAP_NULL:
            null = _mean(known["random"][f"{place}/{TOKEN if values.ndim == 3 else WITHIN[TOKEN]}"])
            position = _mean(known["position"][name])
            metrics[f"{key}/{name}"] = mean_metric(values, unit="mm", null=null, baseline=position)
    return metrics


def control_metrics(known: Mapping[str, Raw]) -> dict[str, dict[str, Any]]:
    """Metric objects of controls, as those of networks: ``position/stride4/T1w-T2w/READING``."""
    return {
        f"{control}/{name}": mean_metric(values[None], unit="mm")
        for control, raw in known.items()
        for name, values in raw.items()
    }


def difference_metrics(raw: Raw, other: Raw, key: str) -> dict[str, dict[str, Any]]:
    """One network minus another, paired by person and seed, as in `network_metrics`: below zero the first is better."""
    units = {name: None if name.endswith(OVERLAP) else "mm" for name in raw if not name.endswith(OVERLAP_NULL)}
    return {f"{key}/{name}": mean_metric(raw[name] - other[name], unit=unit, null=0.0) for name, unit in units.items()}


def _mean(errors: Float64s) -> float:
    return across_subjects(errors) if errors.ndim == 2 else float(errors.mean())
