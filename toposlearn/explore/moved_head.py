"""Errors of places in one head, as scanned, and moved by known poses: the truth is the motion, so no labels are needed.

The errors are in mm of the moved volume, over the tokens of the head that stay in the volume.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from toposlearn.data import PosedSubjects, pose_points
from toposlearn.explore.match_errors import move_subjects
from toposlearn.explore.results import people_metric
from toposlearn.models import Readout, Taco
from toposlearn.pretrain import encode
from toposlearn.pretrain.point_errors import (
    Guess,
    Level,
    centered_maps,
    fitted_guess,
    map_guess,
    soft_guess,
    token_guess,
)
from toposlearn.registration import register

BEST, EXPECTED, AGREED = "best token", "expected place", "with neighbors"  # readings of a guess
AS_SCANNED = torch.eye(3, 4)[None]


def errors_in_poses(
    networks: Mapping[str, tuple[Taco, Readout]],
    person: PosedSubjects,
    poses: Tensor,
    *,
    pair: tuple[str, str],
    stride: int,
    registration: bool = False,
) -> dict[str, dict[str, Any]]:
    """Metrics by ``NAME/READING``: places of one person in modality `pair` [0] are looked for in `pair` [1].

    The second image is in each of `poses` (P, 3, 4); intervals are over poses. Beside the networks are ``position``,
    ``centered``, with `registration` the ``affine`` one, ``floor``, and ``random``, the mean of which is the null.
    """
    every = torch.cat([AS_SCANNED, poses])
    copies = move_subjects(person.take([0] * len(every)), every)
    level = Level.of(copies, stride)
    places = level.positions[0, level.mask[0]]  # (U, 3) mm, as scanned
    truth = pose_points(places.expand(len(every), -1, -1), every, copies.foreground.shape[2:], copies.spacing)
    guesses = _guesses(networks, copies, level, pair, stride)
    if registration:
        guesses |= _map_guesses("affine", _registered(copies, pair), level)
    found = {name: guess(0, places) for name, guess in guesses.items()}
    found[f"floor/{BEST}"] = level.snapped(truth.nan_to_num())
    errors = {name: (at - truth).norm(dim=-1)[1:].nanmean(1) for name, at in found.items()}
    null = float(errors[f"random/{BEST}"].mean())
    return {name: people_metric(values, unit="mm", null=null) for name, values in errors.items()}


def _guesses(
    networks: Mapping[str, tuple[Taco, Readout]],
    copies: PosedSubjects,
    level: Level,
    pair: tuple[str, str],
    stride: int,
) -> dict[str, Guess]:
    """Guesses by ``NAME/READING``, of networks and of what needs no registration."""
    guesses: dict[str, Guess] = {}
    for name, (network, readout) in networks.items():
        tokens = [encode(network, copies, modality)[stride] for modality in pair]
        guesses[f"{name}/{BEST}"] = token_guess(tokens[0], tokens[1], level)
        guesses[f"{name}/{EXPECTED}"] = soft_guess(tokens[0], tokens[1], level, readout.temperature)
        guesses[f"{name}/{AGREED}"] = fitted_guess(tokens[0], tokens[1], level, readout)
    noise = torch.randn(2, *level.inside.shape, 48, generator=torch.Generator().manual_seed(0))
    guesses[f"random/{BEST}"] = token_guess(noise[0], noise[1], level)
    same = AS_SCANNED.expand(1, len(level.mask), 3, 4)
    return guesses | _map_guesses("position", same, level) | _map_guesses("centered", centered_maps(level), level)


def _map_guesses(name: str, maps: Tensor, level: Level) -> dict[str, Guess]:
    """All readings of maps (1 or more, S, 3, 4) from the first person; neighbors agree on a map."""
    return {f"{name}/{BEST}": map_guess(maps, level)} | {f"{name}/{end}": map_guess(maps) for end in (EXPECTED, AGREED)}


def _registered(copies: PosedSubjects, pair: tuple[str, str]) -> Tensor:
    """The affine maps (1, S, 3, 4) from the image as scanned to every image."""
    first, second = (copies.volumes[:, copies.modalities.index(name)] for name in pair)
    heads = copies.foreground[:, 0]
    others = zip(second[1:], heads[1:], strict=True)
    maps = [register(first[0], image, (heads[0], head), copies.spacing, "affine") for image, head in others]
    return torch.stack([AS_SCANNED[0], *maps])[None]
