"""One token in two people and two modalities: its neighbors, its match, the true place, and position alone.

Everything here is computed for a single token; `toposlearn.explorer.figure` draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from toposlearn.anatomy import structure_of
from toposlearn.explore.neighborhoods import Match, find_match, token_at
from toposlearn.explorer.scene import Scene
from toposlearn.topology import centered_positions, pairwise_distance

LESION_SHARE = 0.5  # of a token's voxels, for a token to count as in a lesion


@dataclass(frozen=True)
class View:
    """A comparison: a network's tokens of person a in modality a with those of person b in modality b.

    Position alone is the same place of the grid, or the same place after both heads' foregrounds are ``centered``
    (mean 0, spread 1).
    """

    network: str
    subject_a: int
    subject_b: int
    modality_a: str
    modality_b: str
    k: int = 5  # neighbors
    position: Literal["grid", "centered"] = "grid"


@dataclass(frozen=True, eq=False)
class Answer:
    """What is known about one token of person a; indices of tokens."""

    token: int  # always of the foreground
    moved: bool  # True where another token was asked for, outside the foreground
    neighbors_a: tuple[int, ...]  # K nearest in modality a, nearest first
    neighbors_b: tuple[int, ...]  # K nearest in modality b, in the same person
    match: Match  # in person b
    wrong_side: bool | None  # whether the match lies in the other half of the brain; None: unknown, or at the midline

    @property
    def shared(self) -> frozenset[int]:
        """Neighbors in both modalities."""
        return frozenset(self.neighbors_a) & frozenset(self.neighbors_b)

    @property
    def center_b(self) -> int:
        """The token through which person b is cut: the true place, or the match where the truth is unknown."""
        return self.match.found if self.match.truth is None else self.match.truth


def first_view(scene: Scene) -> View:
    """The view to begin with: the most trained network, the first two people, the first two modalities."""
    names, count = scene.subjects.modalities, len(scene.subjects.names)
    return View(scene.networks[-1], 0, min(1, count - 1), names[0], names[min(1, len(names) - 1)])


def answer(scene: Scene, view: View, token: int) -> Answer:
    """Neighbors and match of a token of person a; a token of the background is replaced by the nearest other."""
    _check(scene, view, token)
    a, b, asked = view.subject_a, view.subject_b, token
    away = (scene.positions - scene.positions[token]).norm(dim=1)
    token = int(away.masked_fill(~scene.mask[a], torch.inf).argmin())
    first, second = (scene.tokens[view.network][modality] for modality in (view.modality_a, view.modality_b))
    match = find_match(token, (first[a], second[b]), _positions(scene, view), scene.mask[b], true_places(scene, a, b))
    return Answer(
        token=token,
        moved=token != asked,
        neighbors_a=_neighbors(first[a], token, view.k, scene.mask[a]),
        neighbors_b=_neighbors(second[a], token, view.k, scene.mask[a]),
        match=match,
        wrong_side=_wrong_side(scene, view, match),
    )


def _check(scene: Scene, view: View, token: int) -> None:
    if view.network not in scene.networks:
        raise ValueError(f"network must be one of {', '.join(scene.networks)}, got {view.network!r}")
    last = len(scene.subjects.names) - 1
    for name, subject in (("subject_a", view.subject_a), ("subject_b", view.subject_b)):
        if not 0 <= subject <= last:
            raise ValueError(f"{name} must be between 0 and {last}, got {subject}")
    for name, modality in (("modality_a", view.modality_a), ("modality_b", view.modality_b)):
        if modality not in scene.subjects.modalities:
            raise ValueError(f"{name} must be one of {', '.join(scene.subjects.modalities)}, got {modality!r}")
    others = int(scene.mask[view.subject_a].sum()) - 1
    if not 1 <= view.k <= others:
        raise ValueError(f"k must be between 1 and {others}, the other tokens of the head, got {view.k}")
    if not 0 <= token < len(scene.positions):
        raise ValueError(f"token must be between 0 and {len(scene.positions) - 1}, got {token}")


def true_places(scene: Scene, a: int, b: int) -> tuple[Tensor, Tensor] | None:
    """Coordinates (N, 3) in mm of the tokens of two people in which the same anatomy has the same value, or None.

    Without a map to the template they are known within one person only, whose modalities are registered.
    """
    if scene.template is not None:
        return scene.template[a], scene.template[b]
    return (scene.positions, scene.positions) if a == b else None


def _positions(scene: Scene, view: View) -> tuple[Tensor, Tensor]:
    """Positions (N, 3) of the tokens of both people, as `View.position` defines them."""
    if view.position == "grid":
        return scene.positions, scene.positions
    mask = scene.mask[[view.subject_a, view.subject_b]]
    first, second = centered_positions(scene.positions.expand(2, -1, -1), mask)
    return first, second


def _neighbors(tokens: Tensor, token: int, k: int, mask: Tensor) -> tuple[int, ...]:
    """One row of `toposlearn.topology.nearest_neighbors`, without computing the others."""
    away = pairwise_distance(tokens[None, token, None], tokens[None])[0, 0].masked_fill(~mask, torch.inf)
    away[token] = torch.inf
    return tuple(away.argsort(stable=True)[:k].tolist())


def _wrong_side(scene: Scene, view: View, match: Match) -> bool | None:
    if scene.template is None:
        return None
    here, there = scene.template[view.subject_a, match.anchor], scene.template[view.subject_b, match.found]
    wrong = float(wrong_sides(here[None], there[None], scene.token_size / 2))
    return None if wrong != wrong else bool(wrong)


def wrong_sides(here: Tensor, there: Tensor, margin: float) -> Tensor:
    """1.0 where template points (N, 3) lie in different halves of the brain, else 0.0; NaN within `margin` mm of x = 0.

    A match in the other half is nearer to the mirror image of the true place than to the true place.
    """
    wrong = (here[:, 0] * there[:, 0] < 0).float()
    return wrong.masked_fill(torch.minimum(here[:, 0].abs(), there[:, 0].abs()) < margin, torch.nan)


def token_near(scene: Scene, point: Sequence[float]) -> int:
    """The token at a point (right, front, up) in mm; a point beyond the volume is moved to its edge."""
    edge = [size * scene.subjects.spacing / 2 - 1e-3 for size in scene.shape]
    inside = [min(max(value, -end), end) for value, end in zip(point, edge, strict=True)]
    return token_at(inside, scene.shape, scene.stride, scene.subjects.spacing)


def at_border(scene: Scene, subject: int) -> Tensor:
    """(N,) bool: foreground tokens with background, or the end of the volume, among the 26 around them."""
    grid = scene.mask[subject].float().reshape(1, 1, *(size // scene.stride for size in scene.shape))
    filled = torch.nn.functional.avg_pool3d(grid, 3, stride=1, padding=1).flatten()
    return scene.mask[subject] & (filled < 1 - 1e-4)


def name_of(label: int) -> str:
    """A structure's name with its side; the number where the label is not one of ours."""
    try:
        return structure_of(label).full_name.replace("-", " ")
    except ValueError:
        return f"structure {label}"


def structure_name(scene: Scene, subject: int, token: int) -> str:
    """A token's most frequent structure, and whether it lies in a lesion; empty where nothing is known."""
    parts = []
    if scene.labels is not None:
        label = int(scene.labels[subject, token])
        parts.append(name_of(label) if label else "mostly background")
    if scene.lesion is not None and float(scene.lesion[subject, token]) >= LESION_SHARE:
        parts.append("in a lesion")
    return ", ".join(parts)


def describe(scene: Scene, view: View, reply: Answer) -> list[str]:
    """The answer in words: the comparison, the errors, the neighbors, where the tokens lie."""
    names, match, errors = scene.subjects.names, reply.match, reply.match.errors
    people = f"{names[view.subject_a]} {view.modality_a} to {names[view.subject_b]} {view.modality_b}"
    accuracy = f"match at similarity {match.similarity[match.found]:.2f}; true place unknown, so no error in mm"
    if errors:
        accuracy = f"match {errors['found']:.0f} mm off, {view.position} position {errors['position']:.0f} mm"
        accuracy += f", best token there is {errors['truth']:.0f} mm"
    neighbors = f"{view.k} neighbors"
    if view.modality_a != view.modality_b:
        neighbors = f"{len(reply.shared)} of {neighbors} are the same in {view.modality_a} and {view.modality_b}"
    lines = [f"{people}, {view.network} network", accuracy, neighbors]
    if places := _places_in_words(scene, view, reply):
        lines.append(places)
    if reply.moved:
        lines.append("no tissue at that point, so the nearest token is shown")
    return lines


def _places_in_words(scene: Scene, view: View, reply: Answer) -> str:
    parts = []
    ends = (("token", view.subject_a, reply.token), ("match", view.subject_b, reply.match.found))
    for end, subject, token in ends:
        border = "at the border of the head" if at_border(scene, subject)[token] else ""
        if words := [word for word in (structure_name(scene, subject, token), border) if word]:
            parts.append(f"{end}: {', '.join(words)}")
    if reply.wrong_side is not None:
        parts.append(f"{'wrong' if reply.wrong_side else 'same'} side of the brain")
    return "; ".join(parts)
