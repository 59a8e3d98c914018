"""Posed heads for measurement: people turned and moved independently of each other, with the truth moved along.

Upright, centered heads make grid position alone a strong matcher; every comparison is made on posed heads instead.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from toposlearn.config import TacoConfig
from toposlearn.data.cache import Cache, prepare
from toposlearn.data.layouts import read_manifest
from toposlearn.data.manifest import config_for, split_subjects
from toposlearn.data.pairs import step_generator
from toposlearn.data.pose import apply_pose, draw_poses, voxel_coordinates
from toposlearn.data.prepared import Prepared
from toposlearn.data.gate.verdicts import tell
from toposlearn.topology.tokens import grid_positions, token_mask

POSE_STREAM = 77  # keeps poses for measurement apart from those of training


@dataclass(frozen=True, eq=False)
class PosedSubjects:
    """S people on the network's grid, posed.

    Attributes:
        volumes: (S, M, D, H, W).
        foreground: (S, 1, D, H, W) bool.
        to_template: (S, 3, D, H, W) template mm, or None without truth.
        labels: (S, 1, D, H, W) int16, or None.
        lesion: (S, 1, D, H, W) bool, or None.
        info: row of participants.tsv of each person; empty where there is none.
    """

    subjects: tuple[str, ...]
    modalities: tuple[str, ...]
    spacing: float
    volumes: Tensor
    foreground: Tensor
    to_template: Tensor | None
    labels: Tensor | None
    lesion: Tensor | None = None
    info: tuple[Mapping[str, str], ...] = ()

    @property
    def known(self) -> bool:
        """True when each voxel's place in a template is known: only then can places in two people be compared."""
        return self.to_template is not None

    @property
    def truth(self) -> str:
        """One line for a notebook: what is known of these people."""
        if self.known:
            return "true correspondence: known, in template mm"
        return "true correspondence: not known here; errors between two people are left out"

    @property
    def places(self) -> Tensor:
        """(S, 3, D, H, W): template mm, or without the truth mm on the grid, to be compared within a person only."""
        if self.to_template is not None:
            return self.to_template
        return voxel_coordinates(self.foreground.shape[2:], self.spacing).expand(len(self.subjects), -1, -1, -1, -1)

    def token_places(self, stride: int) -> Tensor:
        """(S, N, 3): `places` of token centers."""
        return F.avg_pool3d(self.places, stride).flatten(2).mT

    def take(self, index: Sequence[int]) -> PosedSubjects:
        """Some of the people, in this order."""

        def rows(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor[list(index)]

        return dataclasses.replace(
            self,
            subjects=tuple(self.subjects[i] for i in index),
            volumes=self.volumes[list(index)],
            foreground=self.foreground[list(index)],
            to_template=rows(self.to_template),
            labels=rows(self.labels),
            lesion=rows(self.lesion),
            info=tuple(self.info[i] for i in index) if self.info else (),
        )

    def token_mask(self, stride: int) -> Tensor:
        """(S, N) bool: tokens of which at least half the voxels are foreground."""
        return token_mask(self.foreground, stride)

    def token_positions(self, stride: int) -> Tensor:
        """(N, 3) world mm of token centers, measured from the volume's center."""
        return grid_positions(self.foreground.shape[2:], stride, self.spacing)

    def token_template(self, stride: int) -> Tensor:
        """(S, N, 3) template mm of token centers.

        Raises:
            ValueError: the data set has no map to a template.
        """
        if self.to_template is None:
            raise ValueError("this data set has no ground-truth map to a template: correspondence error is unknown")
        return self.token_places(stride)

    def token_labels(self, stride: int) -> Tensor:
        """(S, N) long: the most frequent structure label of each token's voxels.

        Raises:
            ValueError: the data set has no labels.
        """
        if self.labels is None:
            raise ValueError("this data set has no structure labels")
        blocks = self.labels[:, 0]
        for axis in (1, 2, 3):
            blocks = blocks.unfold(axis, stride, stride)
        return blocks.flatten(4).mode(dim=-1).values.flatten(1).long()


def pose_subjects(cache: Cache, config: TacoConfig, *, seed: int = 0, posed: bool = True) -> PosedSubjects:
    """Every person of a cache in one pose of their own, drawn by `seed`; upright when `posed` is False.

    Who lacks a modality, or has one that lies elsewhere, is left out: no truth is known of their places.

    Raises:
        ValueError: nobody is left.
    """
    everybody, cache = cache, cache.registered()
    if len(cache) < len(everybody):
        odd = next(record for record in everybody.manifest.records if record not in cache.manifest.records)
        reason = f"{odd.subject}: {everybody.verdict(odd)['summary']}"
        if not len(cache):
            raise ValueError(f"nobody in {cache.manifest.root} has every modality, registered, to measure on: {reason}")
        left_out = len(everybody) - len(cache)
        tell([f"{left_out} of {len(everybody)} people are left out of what is measured, such as {reason}"])
    subjects = [cache[index] for index in range(len(cache))]
    poses = [_pose(index, config, seed) for index in range(len(subjects))]
    moved = [_move(subject, pose if posed else None, config) for subject, pose in zip(subjects, poses, strict=True)]
    stacked = {name: _stack([fields[name] for fields in moved]) for name in moved[0]}
    names = tuple(subject.subject for subject in subjects)
    info = tuple(subject.info or {} for subject in subjects)
    return PosedSubjects(names, config.volume.modalities, config.volume.spacing, **stacked, info=info)  # type: ignore[arg-type]


def load_posed(root: str | Path, config: TacoConfig, subjects: int, *, seed: int = 0) -> PosedSubjects:
    """Up to `subjects` held-out people of a data folder, posed, in modalities that everyone has (`config_for`).

    Raises:
        ValueError: fewer than two held-out people, or than two modalities that everyone has, or nobody who has all.
    """
    manifest = read_manifest(root)
    config = config_for(config, manifest)
    _, held_out = split_subjects(manifest, test_fraction=config.train.test_fraction, least=2)
    names = [record.subject for record in held_out.records]
    cache = prepare(held_out.select(names[:subjects]), config.volume, progress=False)
    if len(cache.registered()) < min(subjects, len(held_out)):  # others stand in
        cache = prepare(held_out, config.volume, progress=False, report=False)
        whole = [record.subject for record in cache.registered().manifest.records]
        cache = cache.of(held_out.select(whole[:subjects]))
    return pose_subjects(cache, config, seed=seed)


def _pose(index: int, config: TacoConfig, seed: int) -> Tensor:
    return draw_poses(1, config.augment, step_generator(seed, index, POSE_STREAM))


def _move(subject: Prepared, pose: Tensor | None, config: TacoConfig) -> dict[str, Tensor | None]:
    def moved(tensor: Tensor | None, nearest: bool, border: bool) -> Tensor | None:
        if tensor is None or pose is None:
            return tensor
        return apply_pose(tensor[None].float(), pose, config.volume.spacing, nearest=nearest, border=border)[0]

    foreground = moved(subject.foreground[None], True, False)
    assert foreground is not None
    labels = None if subject.labels is None else moved(subject.labels[None], True, False)
    lesion = None if subject.lesion is None else moved(subject.lesion[None], True, False)
    return {
        "volumes": moved(subject.volumes, False, False),
        "foreground": foreground > 0.5,
        "to_template": moved(subject.to_template, False, True),
        "labels": None if labels is None else labels.to(torch.int16),
        "lesion": None if lesion is None else lesion > 0.5,
    }


def _stack(tensors: list[Tensor | None]) -> Tensor | None:
    present = [tensor for tensor in tensors if tensor is not None]
    return torch.stack(present) if len(present) == len(tensors) else None
