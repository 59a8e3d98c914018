"""A network's readout below a token: temperature and reach, chosen on people whom it was trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from toposlearn.config import TacoConfig
from toposlearn.data import Cache, PointSource, PosedSubjects, apply_pose, draw_poses, pose_subjects
from toposlearn.data.pairs import step_generator
from toposlearn.data.pose import voxel_coordinates
from toposlearn.data.posed import measurable
from toposlearn.data.prepared import Prepared
from toposlearn.intervals import across_subjects
from toposlearn.models import Readout, Taco
from toposlearn.pretrain.between_people import comparable, modality_pairs
from toposlearn.pretrain.point_errors import Guess, Level, fitted_guess, soft_guess, truth_of
from toposlearn.pretrain.scorecard import encode
from toposlearn.topology.readout import REACHES, TEMPERATURES, choose

PEOPLE = 8  # at most
STREAM = 78  # separates the random numbers of these poses from others


def readout_chooser(train: Cache, config: TacoConfig, points: PointSource) -> Callable[[Taco], Readout]:
    """How the readout of a trained network is chosen on `train`: between people where places that correspond are known.

    Elsewhere it is chosen within a person, between two poses. ValueError as `find_points`, before any training.
    """
    few = measurable(train, PEOPLE)
    if len(few) > 1:
        posed = comparable({"posed": pose_subjects(few, config, points=points)})
        for people in posed.values():
            return partial(_choose, config, [people], f"between different people, {len(people.names)}")
    twice = [_posed_twice(train[number], config, number) for number in range(min(PEOPLE, len(train)))]
    return partial(_choose, config, twice, f"between two poses of a person, {len(twice)}")


def _posed_twice(one: Prepared, config: TacoConfig, number: int) -> PosedSubjects:
    """One person as two, in two poses and the images that lie at the same place; the template is the person upright."""
    rows = [row for row, volume in enumerate(one.volumes) if volume.any()]
    rows = rows[:2] if one.registered else rows[:1]
    poses = draw_poses(2, config.augment, step_generator(config.train.seed, number, STREAM))

    def turned(tensor: Tensor, **how: bool) -> Tensor:
        return apply_pose(tensor.expand(2, -1, -1, -1, -1), poses, config.volume.spacing, **how)

    return PosedSubjects(
        (one.subject,) * 2,
        tuple(config.volume.modalities[row] for row in rows),
        config.volume.spacing,
        volumes=turned(one.volumes[rows]),
        foreground=turned(one.foreground_of(rows[0])[None].float(), nearest=True).bool(),
        to_template=turned(voxel_coordinates(config.volume.shape, config.volume.spacing), border=True),
    )


@torch.no_grad()
def _choose(config: TacoConfig, groups: list[PosedSubjects], where: str, model: Taco) -> Readout:
    """Temperature, then reach, of lowest error at the finest tokens, mean over groups of people and modalities."""
    stride = min(config.model.token_strides)
    known = []
    for subjects in groups:
        level, truth = Level.of(subjects, stride), truth_of(subjects, stride)
        for first, second in modality_pairs(subjects.modalities):
            tokens = encode(model, subjects, first)[stride], encode(model, subjects, second)[stride]
            known.append((truth, (*tokens, level)))

    def error(guess: Callable[..., Guess], how: float | Readout) -> float:
        return float(np.mean([across_subjects(truth.errors(guess(*tokens, how))) for truth, tokens in known]))

    best = Readout(choose(partial(error, soft_guess), TEMPERATURES), f"lowest error {where} of the people trained on")
    return replace(best, reach=choose(lambda reach: error(fitted_guess, replace(best, reach=reach)), REACHES))
