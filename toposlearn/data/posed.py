"""Held-out people in random poses, with the ground truth: on upright heads, position alone is a strong matcher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from toposlearn.config import TacoConfig
from toposlearn.data.gate.assessment import report_problems
from toposlearn.data.layouts import read_manifest
from toposlearn.data.manifest import config_for
from toposlearn.data.pairs import step_generator
from toposlearn.data.points import PointSource, find_points
from toposlearn.data.pose import apply_pose, draw_poses, pose_points, voxel_coordinates
from toposlearn.data.prepared import Cache, Prepared
from toposlearn.data.preparing import prepare
from toposlearn.data.source import Data
from toposlearn.data.split import split_subjects
from toposlearn.topology.tokens import grid_positions, token_mask

POSE_STREAM = 77  # separates the random numbers of these poses from those of training


@dataclass(frozen=True, eq=False)
class PosedSubjects:
    """S people on the network's grid, posed; ground truth is None where some person has none."""

    names: tuple[str, ...]
    modalities: tuple[str, ...]
    spacing: float
    volumes: Tensor  # (S, M, D, H, W)
    foreground: Tensor  # (S, 1, D, H, W) bool
    to_template: Tensor | None = None  # (S, 3, D, H, W) template mm
    labels: Tensor | None = None  # (S, 1, D, H, W) int16
    lesion: Tensor | None = None  # (S, 1, D, H, W) bool
    info: tuple[Mapping[str, str], ...] = ()  # rows of participants.tsv
    points: Tensor | None = None  # (S, L, 3) places that correspond, mm on the posed grid; NaN where one has none
    point_names: tuple[str, ...] = ()  # of the L points: structures, then landmarks
    landmarks: int = 0  # how many of these are landmarks

    @property
    def known(self) -> bool:
        """True when places in a template are known: only then can places in two people be compared."""
        return self.to_template is not None

    @property
    def truth(self) -> str:
        """One line for a notebook: where the true correspondence of these people is known."""
        counts = {"the centers of {} structure": len(self.point_names) - self.landmarks, "{} landmark": self.landmarks}
        points = [f"at {text.format(count)}{'s' * (count > 1)}" for text, count in counts.items() if count]
        known = [*["in template mm"] * self.known, *points]
        unknown = "not known here; errors between two people are left out"
        return f"true correspondence: {'known, ' + ' and '.join(known) if known else unknown}"

    @property
    def places(self) -> Tensor:
        """(S, 3, D, H, W): template mm, or without the truth mm on the grid, to be compared within a person only."""
        if self.to_template is not None:
            return self.to_template
        return voxel_coordinates(self.foreground.shape[2:], self.spacing).expand(len(self.names), -1, -1, -1, -1)

    def take(self, index: Sequence[int]) -> PosedSubjects:
        """Some of the people, in this order."""
        tensors = {name: value[list(index)] for name, value in vars(self).items() if isinstance(value, Tensor)}
        info = tuple(self.info[i] for i in index) if self.info else ()
        return replace(self, names=tuple(self.names[i] for i in index), info=info, **cast(dict[str, Any], tensors))

    def token_mask(self, stride: int) -> Tensor:
        """(S, N) bool: tokens of which at least half the voxels are foreground."""
        return token_mask(self.foreground, stride)

    def token_positions(self, stride: int) -> Tensor:
        """(N, 3) mm of token centers, measured from the volume's center."""
        return grid_positions(self.foreground.shape[2:], stride, self.spacing)

    def token_places(self, stride: int) -> Tensor:
        """(S, N, 3): `places` of token centers."""
        return F.avg_pool3d(self.places, stride).flatten(2).mT

    def token_template(self, stride: int) -> Tensor:
        """(S, N, 3) template mm of token centers; ValueError without a map to a template."""
        if self.to_template is None:
            raise ValueError("this data set has no ground-truth map to a template: correspondence error is unknown")
        return self.token_places(stride)

    def token_labels(self, stride: int) -> Tensor:
        """(S, N) long: most frequent structure label of each token's voxels; ValueError without labels."""
        if self.labels is None:
            raise ValueError("this data set has no structure labels")
        blocks = self.labels[:, 0]
        for axis in (1, 2, 3):
            blocks = blocks.unfold(axis, stride, stride)
        return blocks.flatten(4).mode(dim=-1).values.flatten(1).long()


def pose_subjects(
    cache: Cache,
    config: TacoConfig,
    *,
    seed: int = 0,
    posed: bool = True,
    count: int | None = None,
    points: PointSource | None = None,
) -> PosedSubjects:
    """The `measurable` people of a cache, in a pose drawn from `seed`, or upright; with their points where asked for.

    With `count` the first of them, else all, and those left out are reported. ValueError where no person is complete,
    and as `find_points`.
    """
    complete = measurable(cache, count)
    odd = next((record for record in cache.manifest.records if not cache.entry(record).complete), None)
    if odd is not None:
        reason = f"{odd.name}: {cache.entry(odd).summary}"
        if not len(complete):
            root = cache.manifest.root
            raise ValueError(f"no person in {root} has every modality, registered, as measurements need: {reason}")
        if count is None:
            left_out = f"{len(cache) - len(cache.registered())} of {len(cache)} people"
            report_problems([f"{left_out} are left out of the measurements, for example {reason}"])
    subjects = [complete[index] for index in range(len(complete))]
    poses = [pose_of(index, config, seed) if posed else None for index in range(len(subjects))]
    moved = [_move(*pair, config.volume.spacing) for pair in zip(subjects, poses, strict=True)]
    shared = set.intersection(*(set(tensors) for tensors in moved))
    stacked: dict[str, Any] = {name: torch.stack([tensors[name] for tensors in moved]) for name in shared}
    names = tuple(subject.subject for subject in subjects)
    info = tuple(subject.info or {} for subject in subjects)
    people = PosedSubjects(names, config.volume.modalities, config.volume.spacing, info=info, **stacked)
    if points is None or (found := find_points(complete.manifest.records, subjects, people.spacing, points)) is None:
        return people
    turned = [torch.eye(3, 4)[None] if pose is None else pose for pose in poses]
    places = pose_points(found.places, torch.cat(turned), config.volume.shape, people.spacing)
    return replace(people, points=places, point_names=found.names, landmarks=found.landmarks)


def measurable(cache: Cache, count: int | None = None) -> Cache:
    """The first `count` people whose modalities are all registered, in one session each: a person counts once."""
    first: dict[tuple[str, str], str] = {}
    for record in cache.registered().manifest.records:
        first.setdefault((record.data_set, record.subject), record.name)
    return cache.of(cache.manifest.select(list(first.values())[:count]))


def load_posed(
    data: Data,
    config: TacoConfig,
    count: int,
    *,
    seed: int = 0,
    weights: str | Path | None = None,
    points: PointSource | None = None,
) -> PosedSubjects:
    """Up to `count` held-out people, posed, in modalities that everyone has (`config_for`; with points one is enough).

    Held out are those whom `weights` were not trained on, or else those that are drawn (`split_subjects`).
    """
    manifest = read_manifest(data, config.volume.modalities)
    config = config_for(config, manifest, minimum=2 if points is None else 1)
    _, held_out = split_subjects(manifest, test_fraction=config.train.test_fraction, minimum=2, weights=weights)
    people = list(dict.fromkeys((record.data_set, record.subject) for record in held_out.records))
    chosen = [record.name for record in held_out.records if (record.data_set, record.subject) in people[:count]]
    cache = prepare(held_out.select(chosen), config.volume, progress=False)
    if len(measurable(cache)) < min(count, len(people)):  # others replace them
        cache = prepare(held_out, config.volume, progress=False, report=False)
    return pose_subjects(cache, config, seed=seed, count=count, points=points)


def pose_of(index: int, config: TacoConfig, seed: int) -> Tensor:
    """The pose (1, 3, 4) of the person of this number among those of `pose_subjects`."""
    return draw_poses(1, config.augment, step_generator(seed, index, POSE_STREAM))


def _move(subject: Prepared, pose: Tensor | None, spacing: float) -> dict[str, Tensor]:
    """The tensors of one person in a pose (1, 3, 4), by the field of `PosedSubjects`."""
    tensors = {}
    for name in ("volumes", "foreground", "to_template", "labels", "lesion"):
        if (tensor := getattr(subject, name)) is not None:
            tensor = tensor if tensor.ndim == 4 else tensor[None]  # (C, D, H, W)
            if pose is not None:
                nearest, border = not tensor.is_floating_point(), name == "to_template"
                moved = apply_pose(tensor[None].float(), pose, spacing, nearest=nearest, border=border)
                tensor = moved[0].to(tensor.dtype)
            tensors[name] = tensor
    return tensors
