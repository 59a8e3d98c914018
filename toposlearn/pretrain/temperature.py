"""The temperature of a network's readout below a token, chosen on people whom it was trained on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from toposlearn.config import TacoConfig
from toposlearn.data import Cache, PointSource, PosedSubjects, apply_pose, draw_poses, pose_subjects
from toposlearn.data.pairs import step_generator
from toposlearn.data.pose import voxel_coordinates
from toposlearn.data.posed import measurable
from toposlearn.intervals import across_subjects
from toposlearn.models import Readout, Taco
from toposlearn.pretrain.between_people import comparable, modality_pairs
from toposlearn.pretrain.point_errors import Level, soft_guess, truth_of
from toposlearn.pretrain.scorecard import encode
from toposlearn.topology import choose_temperature

PEOPLE = 8  # at most
STREAM = 78  # separates the random numbers of these poses from others


def readout_chooser(train: Cache, config: TacoConfig, points: PointSource) -> Callable[[Taco], Readout]:
    """How the readout of a trained network is chosen on `train`: between people where places that correspond are known.

    Elsewhere it is chosen within a person, between two poses. ValueError as `pose_subjects`, before any training.
    """
    few = measurable(train, PEOPLE)
    if not len(few):
        return lambda _: Readout()
    chosen = f"lowest error between {{}}, {len(few)} of the people trained on"
    between = comparable({"posed": pose_subjects(few, config, points=points)})
    if between:
        return partial(_choose, config, list(between.values()), chosen.format("different people"))
    upright = pose_subjects(few, config, posed=False)
    twice = [_posed_twice(upright.take([number]), config, number) for number in range(len(few))]
    return partial(_choose, config, twice, chosen.format("two poses of a person"))


def _posed_twice(one: PosedSubjects, config: TacoConfig, number: int) -> PosedSubjects:
    """One upright person as two, in two poses; the template is this person, upright."""
    poses = draw_poses(2, config.augment, step_generator(config.train.seed, number, STREAM))
    places = voxel_coordinates(one.foreground.shape[2:], one.spacing)
    turned = partial(apply_pose, poses=poses, spacing=one.spacing)
    return PosedSubjects(
        one.names * 2,
        one.modalities,
        one.spacing,
        volumes=turned(one.volumes.expand(2, -1, -1, -1, -1)),
        foreground=turned(one.foreground.expand(2, -1, -1, -1, -1).float(), nearest=True).bool(),
        to_template=turned(places.expand(2, -1, -1, -1, -1), border=True),
    )


@torch.no_grad()
def _choose(config: TacoConfig, groups: list[PosedSubjects], chosen: str, model: Taco) -> Readout:
    """The temperature of lowest error at the finest tokens, mean over groups of two or more people and modalities."""
    stride = min(config.model.token_strides)
    guesses = []
    for subjects in groups:
        level, truth = Level.of(subjects, stride), truth_of(subjects, stride)
        for first, second in modality_pairs(subjects.modalities):
            tokens = encode(model, subjects, first)[stride], encode(model, subjects, second)[stride]
            guesses.append((truth, partial(soft_guess, *tokens, level)))

    def error(temperature: float) -> float:
        return float(np.mean([across_subjects(truth.errors(guess(temperature))) for truth, guess in guesses]))

    return Readout(choose_temperature(error), chosen)
