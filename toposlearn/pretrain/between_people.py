"""Errors between people whose corresponding places are known: of networks and of their rivals, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.data import Cache, PosedSubjects
from toposlearn.data.gate.assessment import report_problems
from toposlearn.data.places import write_error
from toposlearn.intervals import across_subjects, mean_metric
from toposlearn.models import Taco
from toposlearn.pretrain.point_errors import TOKEN, Errors, Level, network_errors, rivals, truth_of
from toposlearn.pretrain.scorecard import encode
from toposlearn.registration import Kind, register_people

KINDS: tuple[Kind, ...] = get_args(Kind)
RIVALS = ("position", "centered", *KINDS)
UNTRAINED = "untrained"


@dataclass(frozen=True, eq=False)
class Comparison:
    """S people in one pose, each in one modality compared with all in another, and the errors of rivals."""

    subjects: PosedSubjects
    modalities: tuple[str, str]
    rivals: Mapping[int, Mapping[str, Errors]]  # stride -> name

    @classmethod
    def of(
        cls,
        subjects: PosedSubjects,
        modalities: tuple[str, str],
        strides: Sequence[int],
        *,
        registration: bool = True,
        cache: Path | None = None,
    ) -> Comparison:
        """Measure the rivals; with `registration` also rigid and affine ones, kept in the folder `cache`."""
        first, second = (subjects.volumes[:, subjects.modalities.index(name)] for name in modalities)
        heads = subjects.foreground[:, 0]
        registered: dict[str, Tensor] = {
            kind: register_people(first, second, heads, subjects.spacing, kind, cache=cache).maps
            for kind in (KINDS if registration else ())
        }
        levels = {stride: Level.of(subjects, stride) for stride in strides}
        errors = {stride: rivals(level, truth_of(subjects, stride), registered) for stride, level in levels.items()}
        return cls(subjects, modalities, errors)

    def measure(self, model: Taco, temperature: float) -> dict[int, dict[str, Float64s]]:
        """Stride -> the errors of a network in every reading."""
        first, second = self.modalities
        tokens_a = encode(model, self.subjects, first)
        tokens_b = tokens_a if first == second else encode(model, self.subjects, second)
        result = {}
        for stride, tokens in tokens_a.items():
            level, truth = Level.of(self.subjects, stride), truth_of(self.subjects, stride)
            result[stride] = network_errors(tokens, tokens_b[stride], level, truth, temperature)
        return result


def modality_pairs(modalities: Sequence[str]) -> list[tuple[str, str]]:
    """The first modality with itself and, where there is one, with the second."""
    return [(modalities[0], each) for each in modalities[:2]]


def comparable(poses: Mapping[str, PosedSubjects]) -> dict[str, PosedSubjects]:
    """The same people in several poses, without those who share no point with others; empty where no two are left."""
    one = next(iter(poses.values()))
    if len(one.names) < 2 or (one.points is None and not one.known):
        return {}
    if one.known:
        return dict(poses)
    points = [each.points for each in poses.values() if each.points is not None]
    known = torch.stack([each.isfinite().all(-1) for each in points]).all(0).float()  # (S, L)
    kept = list(range(len(known)))
    while kept and not (shared := known[kept] @ known[kept].mT > 0).all():
        kept.pop(int(shared.sum(1).argmin()))
    if left_out := [name for number, name in enumerate(one.names) if number not in kept]:
        reason = "they share no structure or landmark with the others"
        report_problems([f"{len(left_out)} people are left out of errors between people, {reason}: {left_out[0]}"])
    return {name: each.take(kept) for name, each in poses.items()} if len(kept) > 1 else {}


def registration_cache(people: Cache) -> Path | None:
    """The folder beside prepared people in which registrations are kept; None where it cannot be written."""
    folder = people.folder.parent / "registrations"
    return None if write_error(folder) else folder


def between_metrics(key: str, networks: Mapping[str, Errors], known: Mapping[str, Errors]) -> dict[str, dict[str, Any]]:
    """Metric objects of networks (R, S, S) and rivals (S, S) by ``KEY/READING``, in which NAME is replaced.

    Each trained network also has NETWORK-RIVAL, the paired difference: below zero the network is better.
    """
    metrics = {
        f"{key.replace('NAME', name)}/{reading}": mean_metric(matrix[None], unit="mm")
        for name, errors in known.items()
        for reading, matrix in errors.items()
    }
    null = across_subjects(known["random"][TOKEN])
    for name, errors in networks.items():
        for reading, matrices in errors.items():
            position = across_subjects(known["position"][reading])
            own = mean_metric(matrices, unit="mm", null=null, baseline=position)
            metrics[f"{key.replace('NAME', name)}/{reading}"] = own
            for rival in (each for each in RIVALS if each in known and name != UNTRAINED):
                difference = mean_metric(matrices - known[rival][reading], unit="mm", null=0.0)
                metrics[f"{key.replace('NAME', f'{name}-{rival}')}/{reading}"] = difference
    return metrics
