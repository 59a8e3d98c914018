"""Errors between people beside their rivals, of every variant: simulated people, posed, and real people in both poses.

Groups: A and B, in the first two modalities; R, real people, in the first one, and ``R-up``, the same as scanned; with
a second modality also ``R-cross`` and ``R-up-cross``. Raw numbers and metrics are named as those of `measure`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toposlearn.arrays import Float64s
from toposlearn.config import TacoConfig
from toposlearn.data import Cache, PointSource, config_for, prepare, read_manifest
from toposlearn.data.source import Data
from toposlearn.intervals import mean_metric
from toposlearn.models import Readout, Taco
from toposlearn.pretrain.between_people import (
    Comparison,
    between_metrics,
    comparable,
    in_poses,
    modality_pairs,
    people_facts,
    registration_cache,
)
from toposlearn.pretrain.point_errors import CONTINUOUS, FITTED, POINT_TO_TOKEN, TOKEN

READINGS = (TOKEN, CONTINUOUS, FITTED, POINT_TO_TOKEN)
Metrics = dict[str, dict[str, Any]]
Raw = Mapping[str, Float64s]


@dataclass(frozen=True)
class RealPeople:
    """People of a data set of one's own, with places that correspond, on whom no variant was trained."""

    data: Data
    points: PointSource
    source: str = ""  # where they are from, and their licence


@dataclass(frozen=True, eq=False)
class RealGroups:
    """Real people, ready to be measured."""

    groups: Mapping[str, Comparison]
    prepared: Cache
    facts: Mapping[str, Any]  # what a result says of them

    @classmethod
    def of(cls, real: RealPeople, config: TacoConfig, registration: bool) -> RealGroups:
        """Prepare the people and measure the rivals; ValueError where no places correspond."""
        manifest = read_manifest(real.data, config.volume.modalities)
        config = config_for(config, manifest, minimum=1)
        prepared = prepare(manifest, config.volume)
        compared = comparable(in_poses(prepared, config, real.points))
        if not compared:
            raise ValueError(f"{manifest.root}: no places are known that correspond in two people: name --labels")
        strides, cache = config.model.token_strides, registration_cache(prepared)
        groups = {
            f"R{'' if pose == 'posed' else '-up'}{'' if pair[0] == pair[1] else '-cross'}": Comparison.of(
                people, pair, strides, registration=registration, cache=cache
            )
            for pose, people in compared.items()
            for pair in modality_pairs(people.modalities)
        }
        facts = {"source": real.source, "labels": Path(real.points.table or "").name}
        return cls(groups, prepared, facts | people_facts(prepared, compared["posed"]))


def measure_comparisons(model: Taco, readout: Readout, groups: Mapping[str, Comparison]) -> dict[str, Float64s]:
    """Errors (S, S) of one model by name ``R-up/stride4/continuous_error``."""
    return {
        f"{name}/stride{stride}/{reading}": matrix
        for name, comparison in groups.items()
        for stride, errors in comparison.measure(model, readout).items()
        for reading, matrix in errors.items()
    }


def kept_as(groups: Mapping[str, Comparison]) -> str:
    """The name of a file of these numbers: another one for other people or points."""
    of = [(name, each.modalities, each.subjects.names, each.subjects.point_names) for name, each in groups.items()]
    return f"between-{hashlib.sha256(repr(of).encode()).hexdigest()[:8]}.safetensors"


def comparison_metrics(
    raw: Mapping[str, Raw], groups: Mapping[str, Comparison], pairs: Iterable[tuple[str, str]]
) -> Metrics:
    """`between_metrics` by ``R-up/full/stride4/continuous_error``, and one variant minus another for each pair.

    `raw` are errors (R, S, S) of each variant, stacked over seeds.
    """
    pairs, metrics = list(pairs), Metrics()
    for name, comparison in groups.items():
        for stride, known in comparison.rivals.items():
            key = f"{name}/stride{stride}"
            networks = {
                variant: {reading: own[f"{key}/{reading}"] for reading in READINGS if f"{key}/{reading}" in own}
                for variant, own in raw.items()
            }
            metrics |= between_metrics(f"{name}/NAME/stride{stride}", networks, known)
            for one, other in pairs:
                for reading, matrices in networks[one].items():
                    difference = mean_metric(np.asarray(matrices - networks[other][reading]), unit="mm", null=0.0)
                    metrics[f"{name}/{one}-{other}/stride{stride}/{reading}"] = difference
    return metrics
