"""Errors between people whose corresponding places are known: of networks and of their rivals, with intervals."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.config import TacoConfig
from toposlearn.data import Cache, PointSource, PosedSubjects, pose_points, pose_subjects
from toposlearn.data.gate.assessment import report_problems
from toposlearn.data.places import write_error
from toposlearn.data.posed import pose_of
from toposlearn.data.split import named
from toposlearn.intervals import across_subjects, mean_metric
from toposlearn.models import Readout, Taco
from toposlearn.pretrain.point_errors import TOKEN, Errors, Level, network_errors, rivals, truth_of
from toposlearn.pretrain.scorecard import encode, scorecard
from toposlearn.registration import Kind, register_people
from toposlearn.reproducibility import set_seed

KINDS: tuple[Kind, ...] = get_args(Kind)
RIVALS = ("position", "centered", *KINDS)
UNTRAINED = "untrained"
POSES = ("as_scanned", "posed")


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

    def measure(self, model: Taco, readout: Readout) -> dict[int, dict[str, Float64s]]:
        """Stride -> the errors of a network in every reading."""
        first, second = self.modalities
        tokens_a = encode(model, self.subjects, first)
        tokens_b = tokens_a if first == second else encode(model, self.subjects, second)
        result = {}
        for stride, tokens in tokens_a.items():
            level, truth = Level.of(self.subjects, stride), truth_of(self.subjects, stride)
            result[stride] = network_errors(tokens, tokens_b[stride], level, truth, readout)
        return result


def measure_people(
    networks: Mapping[str, tuple[Taco, Readout]],
    poses: Mapping[str, PosedSubjects],
    *,
    registration: bool = True,
    cache: Path | None = None,
) -> dict[str, dict[str, Any]]:
    """The `scorecard` of people in `POSES`, and `measure_between` where places in them are known to correspond.

    With several networks the names of the scorecard begin with theirs. ValueError where nothing can be measured.
    """
    metrics: dict[str, dict[str, Any]] = {}
    for name, (model, _) in networks.items():
        own = scorecard(model, poses["posed"])
        metrics |= own if len(networks) == 1 else {f"{name}/{key}": value for key, value in own.items()}
    compared = comparable(poses)
    if compared:
        return metrics | measure_between(networks, compared, registration=registration, cache=cache)
    people = poses["posed"]
    reason = "nothing is measured between people: no places are known that correspond in two of them"
    if not metrics:
        remedy = "name the table of their label maps with --labels, or two modalities with --modalities T1w,T2w"
        raise ValueError(f"{', '.join(people.modalities)} is the only modality, and {reason}: {remedy}")
    report_problems([f"note: {reason if len(people.names) > 1 else f'{people.names[0]} alone is measured'}"])
    return metrics


def measure_between(
    networks: Mapping[str, tuple[Taco, Readout]],
    poses: Mapping[str, PosedSubjects],
    *,
    registration: bool = True,
    cache: Path | None = None,
) -> dict[str, dict[str, Any]]:
    """All `between_metrics` of networks by ``stride4/POSE/T1w-T1w/NAME``; `poses` are those that `comparable` returns.

    A network with the weights of seed 0 and the architecture and readout of the first is measured as well.
    """
    first, readout = next(iter(networks.values()))
    set_seed(0)
    everyone = {**networks, UNTRAINED: (Taco(first.config).eval(), readout)}
    strides = sorted({stride for model, _ in networks.values() for stride in model.config.token_strides}, reverse=True)
    metrics: dict[str, dict[str, Any]] = {}
    for pose, subjects in poses.items():
        for pair in modality_pairs(subjects.modalities):
            comparison = Comparison.of(subjects, pair, strides, registration=registration, cache=cache)
            errors = {name: comparison.measure(model, own) for name, (model, own) in everyone.items()}
            for stride in strides:
                here = {name: each[stride] for name, each in errors.items() if stride in each}
                stacked = {name: {end: matrix[None] for end, matrix in each.items()} for name, each in here.items()}
                key = f"stride{stride}/{pose}/{'-'.join(pair)}/NAME"
                metrics |= between_metrics(key, stacked, comparison.rivals[stride])
    return metrics


def in_poses(people: Cache, config: TacoConfig, points: PointSource) -> dict[str, PosedSubjects]:
    """The same people in all `POSES`, with their points, which are read once; errors of `pose_subjects`."""
    upright = pose_subjects(people, config, posed=False, points=points)
    turned = pose_subjects(people, config, count=len(people))  # those left out were reported
    if upright.points is not None:
        poses = torch.cat([pose_of(number, config, 0) for number in range(len(turned.names))])
        moved = pose_points(upright.points, poses, config.volume.shape, upright.spacing)
        turned = replace(turned, points=moved, point_names=upright.point_names, landmarks=upright.landmarks)
    return dict(zip(POSES, (upright, turned), strict=True))


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
        report_problems([f"left out of errors between people, because {reason}: {named(left_out)}"])
    return {name: each.take(kept) for name, each in poses.items()} if len(kept) > 1 else {}


def registration_cache(people: Cache) -> Path | None:
    """The folder beside prepared people in which registrations are kept; None where it cannot be written."""
    folder = people.folder.parent / "registrations"
    return None if write_error(folder) else folder


def people_facts(prepared: Cache, people: PosedSubjects) -> dict[str, Any]:
    """Who was measured, by hashes of their images, and at how many points."""
    images = ("".join(own).encode() for own in prepared.fingerprints().values())
    points = {"structures": len(people.point_names) - people.landmarks, "landmarks": people.landmarks}
    return {"people": [hashlib.sha256(own).hexdigest()[:16] for own in images], "points": points, "pose seed": 0}


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
