"""How far off matches are, networks beside controls: between two people, and in one head moved by a known motion.

A head and the same head moved: the truth is then known for every data set, in mm of the volume before the move. What is
coded by grid position stays where it was; what is coded by anatomy moves along.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.data import PosedSubjects, apply_pose
from toposlearn.explore.curves import CONTROLS
from toposlearn.models import Taco
from toposlearn.pretrain import controls, encode, error_matrix
from toposlearn.topology import correspondence_error, floor_error, match_error, nearest_matches, random_matches

LABELS = {name: CONTROLS[name][0] for name in ("position", "centered", "floor", "random")}


def known_motion(shift: float = 0.0, degrees: float = 0.0) -> Tensor:
    """A pose (1, 3, 4): heads turned about the axis that points up, then moved `shift` mm to the right.

    Like every pose it maps places after the move to places before, mm from the volume's center.
    """
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    back = torch.tensor([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    return torch.cat([back, -back @ torch.tensor([[shift], [0.0], [0.0]])], dim=1)[None]


def places_before(places: Tensor, motion: Tensor) -> Tensor:
    """Where places (..., 3) of the moved volume were before the motion (1, 3, 4), mm."""
    return places @ motion[0, :, :3].T + motion[0, :, 3]


def move_subjects(subjects: PosedSubjects, motion: Tensor) -> PosedSubjects:
    """Everybody moved by one motion (1, 3, 4): images, foreground, and the map to the template; labels are dropped."""
    poses = motion.expand(len(subjects.subjects), -1, -1)

    def moved(part: Tensor, **how: bool) -> Tensor:
        return apply_pose(part.float(), poses, subjects.spacing, **how)

    return dataclasses.replace(
        subjects,
        volumes=moved(subjects.volumes),
        foreground=moved(subjects.foreground, nearest=True) > 0.5,
        to_template=None if subjects.to_template is None else moved(subjects.to_template, border=True),
        labels=None,
        lesion=None,
    )


def errors_after_move(
    networks: Mapping[str, Taco], subjects: PosedSubjects, motion: Tensor, *, pair: tuple[str, str], stride: int
) -> dict[str, Tensor]:
    """How far off the best match is when the second volume shows the same head moved: name -> (S,), mm.

    Only tokens that are head before and after the move are asked for, so that grid position, which knows nothing of the
    move, errs by exactly the shift.

    Args:
        networks: name -> network.
        subjects: as they lie in the first volume.
        motion: (1, 3, 4), of the second volume.
        pair: modality of the first and of the second volume.
        stride: token level in voxels.

    Returns:
        The networks, and ``position``, ``floor`` and ``random`` (see `LABELS`).
    """
    moved = move_subjects(subjects, motion)
    here = subjects.token_positions(stride).expand(len(subjects.subjects), -1, -1)
    before, target = places_before(here, motion), moved.token_mask(stride)
    asked = subjects.token_mask(stride) & target
    errors = {
        name: correspondence_error(
            encode(network, subjects, pair[0])[stride],
            encode(network, moved, pair[1])[stride],
            here,
            before,
            asked,
            target,
        )
        for name, network in networks.items()
    }
    stay = nearest_matches(here, here, asked, target, metric="euclidean")
    drawn = random_matches(asked, target, torch.Generator().manual_seed(0))
    return errors | {
        "position": match_error(stay, here, before),
        "floor": floor_error(here, before, asked, target),
        "random": match_error(drawn, here, before),
    }


def errors_between_people(
    networks: Mapping[str, Taco], subjects: PosedSubjects, *, pair: tuple[str, str], stride: int
) -> dict[str, Float64s]:
    """Errors (S, S) of the best match of every pair of people, template mm: networks, and all controls of `LABELS`.

    Args:
        networks: name -> network.
        subjects: with a map to the template.
        pair: modality of the first and of the second person.
        stride: token level in voxels.
    """
    template, mask = subjects.token_template(stride), subjects.token_mask(stride)
    known = controls(subjects, stride)
    errors: dict[str, Float64s] = {}
    for name, network in networks.items():
        tokens_a, tokens_b = (encode(network, subjects, modality)[stride] for modality in pair)
        errors[name] = error_matrix(tokens_a, tokens_b, template, mask)
    return errors | {name: getattr(known, name) for name in LABELS}
