"""Errors of matches, networks beside controls: between two people, and in one head moved by a known motion.

Of a head and the same head moved, the truth is known for every data set, in mm of the volume before the move. A token
that codes grid position stays where it was; one that codes anatomy moves along.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.data import PosedSubjects, apply_pose, pose_points
from toposlearn.explore.neighborhoods import (
    MATCH,
    POSITION,
    TRUTH,
    Match,
    draw_block,
    find_match,
    name_blocks,
    similarity_overlay,
)
from toposlearn.explore.slices import Panel, plot_panels
from toposlearn.models import Taco
from toposlearn.pretrain import controls, encode, error_matrix
from toposlearn.topology import correspondence_error, floor_error, match_error, nearest_matches, random_matches


def known_motion(shift: float = 0.0, degrees: float = 0.0) -> Tensor:
    """A pose (1, 3, 4): heads are turned about the upward axis, then moved `shift` mm to the right."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    back = torch.tensor([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    return torch.cat([back, -back @ torch.tensor([[shift], [0.0], [0.0]])], dim=1)[None]


def places_before(places: Tensor, motion: Tensor) -> Tensor:
    """Where places (..., 3) of the moved volume were before the motion (1, 3, 4), mm."""
    return places @ motion[0, :, :3].T + motion[0, :, 3]


def move_subjects(subjects: PosedSubjects, motion: Tensor) -> PosedSubjects:
    """Move all people by one motion (1, 3, 4): images, foreground, points and map to the template, without labels."""
    poses = motion.expand(len(subjects.volumes), -1, -1)

    def moved(part: Tensor, **how: bool) -> Tensor:
        return apply_pose(part.float(), poses, subjects.spacing, **how)

    return dataclasses.replace(
        subjects,
        volumes=moved(subjects.volumes),
        foreground=moved(subjects.foreground, nearest=True) > 0.5,
        to_template=None if subjects.to_template is None else moved(subjects.to_template, border=True),
        labels=None,
        lesion=None,
        points=None
        if subjects.points is None
        else pose_points(subjects.points, poses, subjects.foreground.shape[2:], subjects.spacing),
    )


def errors_after_move(
    networks: Mapping[str, Taco], subjects: PosedSubjects, motion: Tensor, *, pair: tuple[str, str], stride: int
) -> dict[str, Tensor]:
    """Error of the best match when the second volume shows the same head moved: name -> (S,), mm.

    Only tokens that are head before and after the move are matched, so that grid position, which has no information
    on the move, has an error of exactly the shift. `subjects` are as they lie in the first volume, `pair` the
    modalities of the first and of the second volume. The controls are ``position``, ``floor`` and ``random``.
    """
    moved = move_subjects(subjects, motion)
    here = subjects.token_positions(stride).expand(len(subjects.volumes), -1, -1)
    before, target = places_before(here, motion), moved.token_mask(stride)
    asked = subjects.token_mask(stride) & target
    errors = {}
    for name, network in networks.items():
        tokens = encode(network, subjects, pair[0])[stride], encode(network, moved, pair[1])[stride]
        errors[name] = correspondence_error(*tokens, here, before, asked, target)
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
    """Errors (S, S) of the best match of all pairs of people, template mm: networks and controls, two modalities."""
    template, mask = subjects.token_template(stride), subjects.token_mask(stride)
    known = controls(subjects, stride)
    errors: dict[str, Float64s] = {}
    for name, network in networks.items():
        tokens_a, tokens_b = (encode(network, subjects, modality)[stride] for modality in pair)
        errors[name] = error_matrix(tokens_a, tokens_b, template, mask)
    return errors | {name: getattr(known, name) for name in ("position", "centered", "floor", "random")}


@dataclass(frozen=True, eq=False)
class TokenView:
    """The second volume before or after a move, and where each network finds one token of the first volume in it."""

    title: str
    image: Tensor  # (D, H, W)
    mask: Tensor  # (N,) bool
    matches: Mapping[str, Match]


def follow_token(
    networks: Mapping[str, Taco],
    subjects: PosedSubjects,
    token: int,
    motion: Tensor,
    *,
    pair: tuple[str, str],
    stride: int,
) -> tuple[TokenView, TokenView]:
    """Match one token of the first person in the second modality, before and after the motion (1, 3, 4)."""
    one, here = subjects.take([0]), subjects.token_positions(stride)
    sources = {name: encode(network, one, pair[0])[stride][0] for name, network in networks.items()}
    views = []
    for title, pose in (("before the move", known_motion()), ("after the move", motion)):
        moved, truth = move_subjects(one, pose), (here, places_before(here, pose))
        mask, matches = moved.token_mask(stride)[0], {}
        for name, network in networks.items():
            tokens = sources[name], encode(network, moved, pair[1])[stride][0]
            matches[name] = find_match(token, tokens, (here, here), mask, truth)
        image = moved.volumes[0, moved.modalities.index(pair[1])]
        views.append(TokenView(f"{pair[1]} {title}", image, mask, matches))
    return views[0], views[1]


def plot_followed(views: tuple[TokenView, TokenView], *, stride: int, spacing: float, positions: Tensor) -> Figure:
    """Before the move above, after it below, one column per network: bright is similar to the token in question."""
    shown = [(view, name, match) for view in views for name, match in view.matches.items()]
    at, panels = float(positions[shown[0][2].anchor, 2]), []
    for view, name, match in shown:
        heat = similarity_overlay(match.similarity, stride, tuple(view.image.shape), view.mask)
        panels.append(Panel(view.image, "axial", at, spacing, heat, f"{name}: {match.errors['found']:.0f} mm off"))
    figure = plot_panels(panels, len(views[0].matches), f"above: {views[0].title} · below: {views[1].title}")
    broken: dict[str, Any] = {"ls": (0, (3, 1.5)), "lw": 1.4}  # drawn last, and the box below shows through
    for ax, panel, (_, _, match) in zip(figure.axes, panels, shown, strict=True):
        for index, color in ((match.position, POSITION), (match.truth, TRUTH), (match.found, MATCH)):
            style = broken if color == MATCH else {"ls": "-", "lw": 2.4}
            draw_block(ax, panel, positions[index].numpy(), stride * spacing / 2, color, **style)
    name_blocks(figure, {"its true place": TRUTH, "most similar": MATCH, "same position": POSITION}, dashed="")
    return figure
