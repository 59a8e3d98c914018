"""One token in two people and two modalities: its neighbors, its match, the true place, and position alone.

The truth is known everywhere with a map to a template, else at structures and landmarks that are asked for by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from toposlearn.anatomy.vocabulary import BY_LABEL
from toposlearn.explore.neighborhoods import Match, find_match, token_at
from toposlearn.explorer.scene import Scene
from toposlearn.pretrain.point_errors import Level, centered_maps, map_guess, soft_guess
from toposlearn.pretrain.scorecard import foreground_only
from toposlearn.topology import at_points, nearest_matches, pairwise_distance

LESION_SHARE = 0.5  # of a token's voxels, for a token to count as in a lesion


@dataclass(frozen=True)
class View:
    """A comparison: a network's tokens of person a in modality a with those of person b in modality b."""

    network: str
    subject_a: int
    subject_b: int
    modality_a: str
    modality_b: str
    k: int = 5  # neighbors
    position: Literal["grid", "centered"] = "grid"  # alone: on the grid, or after both heads have mean 0 and spread 1


@dataclass(frozen=True, eq=False)
class Answer:
    """What is known about one token of person a; indices of tokens."""

    token: int  # always of the foreground
    moved: bool  # True where another token was asked for, outside the foreground
    neighbors_a: tuple[int, ...]  # K nearest in modality a, nearest first
    neighbors_b: tuple[int, ...]  # K nearest in modality b, in the same person
    match: Match  # in person b
    wrong_side: bool | None  # whether the match lies in the other half of the brain; None: unknown, or at the midline
    name: str  # of the structure or landmark that was asked for, or empty
    place: Tensor  # (3,) mm in person a: the center of the token, or of the structure
    soft: Tensor  # (3,) mm in person b: the match below a token
    soft_error: float | None  # mm; None where the truth is not known
    shown: Tensor  # (3,) mm in person b: the true place or, where it is not known, the match

    @property
    def shared(self) -> frozenset[int]:
        """Neighbors in both modalities."""
        return frozenset(self.neighbors_a) & frozenset(self.neighbors_b)


@dataclass(frozen=True)
class Choice:
    """A token of person a of a view, and why it was chosen."""

    view: View
    token: int
    why: str


def first_view(scene: Scene) -> View:
    """The view to begin with: the most trained network, the first two people, the first two modalities."""
    names, count = scene.subjects.modalities, len(scene.subjects.names)
    return View(scene.networks[-1], 0, min(1, count - 1), names[0], names[min(1, len(names) - 1)])


def answer(scene: Scene, view: View, where: int | str) -> Answer:
    """Neighbors and match of a token of person a, or of the one at a structure or landmark of `Scene.points`.

    A token of the background is replaced by the nearest other.
    """
    _check(scene, view, where)
    a, b, name = view.subject_a, view.subject_b, where if isinstance(where, str) else ""
    place = scene.points[where][a] if isinstance(where, str) else scene.positions[where]
    away = (scene.positions - place).norm(dim=1)
    token = int(away.masked_fill(~scene.mask[a], torch.inf).argmin())
    moved = not name and token != where
    place = place if name else scene.positions[token]
    first, second = (scene.tokens[view.network][modality] for modality in (view.modality_a, view.modality_b))
    level, positions = level_of(scene, a, b), scene.positions
    if view.position == "centered":
        positions = map_guess(centered_maps(level))(0, positions)[1]
    places, pair = true_places(scene, a, b, name), (first[a], second[b])
    match = find_match(token, pair, (positions, scene.positions), scene.mask[b], places)
    wrong = None
    if scene.template is not None:
        here, there = scene.template[a, [token]], scene.template[b, [match.found]]
        side = wrong_sides(here, there, scene.token_size / 2)
        wrong = None if side.isnan() else bool(side)
    neighbors_a, neighbors_b = (_neighbors(tokens[a], token, view.k, scene.mask[a]) for tokens in (first, second))
    temperature = scene.readouts[view.network].temperature
    soft = soft_guess(first[[a, b]], second[[a, b]], level, temperature)(0, place[None])[1, 0]
    reached = soft
    if scene.template is not None:
        reached = at_points(scene.subjects.places[[b]], soft[None, None], scene.subjects.spacing)[0, 0]
    soft_error = None if places is None else float((reached - places[0][token]).norm())
    shown = scene.points[name][b] if name else scene.positions[match.shown]
    return Answer(token, moved, neighbors_a, neighbors_b, match, wrong, name, place, soft, soft_error, shown)


def level_of(scene: Scene, a: int, b: int) -> Level:
    """The tokens of two people of a scene."""
    inside = scene.mask[[a, b]]
    grid = tuple(size // scene.stride for size in scene.shape)
    return Level(grid, scene.token_size, inside, *foreground_only(inside, scene.positions.expand(2, -1, -1)))


def _check(scene: Scene, view: View, where: int | str) -> None:
    choices = {"network": scene.networks} | dict.fromkeys(("modality_a", "modality_b"), scene.subjects.modalities)
    for name, known in choices.items():
        if (value := getattr(view, name)) not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    people, tokens = len(scene.subjects.names), len(scene.positions)
    numbers = {"subject_a": (view.subject_a, people), "subject_b": (view.subject_b, people)}
    if isinstance(where, int):
        numbers["token"] = where, tokens
    elif where not in scene.points:
        raise ValueError(f"{where!r} is none of the structures and landmarks of these people: choose from scene.points")
    for name, (number, count) in numbers.items():
        if not 0 <= number < count:
            raise ValueError(f"{name} must be between 0 and {count - 1}, got {number}")
    others = int(scene.mask[view.subject_a].sum()) - 1
    if not 1 <= view.k <= others:
        raise ValueError(f"k must be between 1 and {others}, the other tokens of the head, got {view.k}")


def true_places(scene: Scene, a: int, b: int, name: str = "") -> tuple[Tensor, Tensor] | None:
    """Coordinates (N, 3) in mm of the tokens of two people, equal for the same anatomy; None where they are unknown.

    Those of a structure or landmark are mm in person b, where all tokens of a have its true place.
    """
    if name:
        return scene.points[name][b].expand_as(scene.positions), scene.positions
    if scene.template is not None:
        return scene.template[a], scene.template[b]
    return (scene.positions, scene.positions) if a == b else None  # a person's modalities are registered


def _neighbors(tokens: Tensor, token: int, k: int, mask: Tensor) -> tuple[int, ...]:
    """One row of `toposlearn.topology.nearest_neighbors`, without computing the others."""
    away = pairwise_distance(tokens[None, token, None], tokens[None])[0, 0].masked_fill(~mask, torch.inf)
    away[token] = torch.inf
    return tuple(away.argsort(stable=True)[:k].tolist())


def wrong_sides(here: Tensor, there: Tensor, margin: float) -> Tensor:
    """1.0 where template points (N, 3) lie in different halves of the brain, else 0.0; NaN within `margin` of x = 0."""
    wrong = (here[:, 0] * there[:, 0] < 0).float()
    return wrong.masked_fill(torch.minimum(here[:, 0].abs(), there[:, 0].abs()) < margin, torch.nan)


def choose_token(scene: Scene, view: View, which: Literal["best", "worst", "lesion"]) -> Choice:
    """The token of person a with the smallest or largest error, or one in a lesion of any person in the scene.

    Unknown errors are replaced by dissimilarities of the match, and an unknown lesion by the worst token.
    """
    if which == "lesion":
        return _in_a_lesion(scene, view)
    tokens, a, b = scene.tokens[view.network], view.subject_a, view.subject_b
    first, second = tokens[view.modality_a][[a]], tokens[view.modality_b][[b]]
    matches = nearest_matches(first, second, mask_b=scene.mask[[b]])[0]
    if (places := true_places(scene, a, b)) is not None:
        cost, unit = (places[1][matches] - places[0]).norm(dim=1), "error (mm)"
    else:
        cost = pairwise_distance(first, second)[0].gather(1, matches[:, None])[:, 0]
        unit = "cosine distance to the match"
    sign, edge = (1, "smallest") if which == "best" else (-1, "largest")
    token = int((sign * cost).masked_fill(~scene.mask[a], torch.inf).argmin())
    return Choice(view, token, f"the {edge} {unit} of {int(scene.mask[a].sum())} tokens: {cost[token]:.3g}")


def _in_a_lesion(scene: Scene, view: View) -> Choice:
    share = None if scene.lesion is None else scene.lesion.masked_fill(~scene.mask, 0)
    if share is None or float(share.max()) < LESION_SHARE:
        worst = choose_token(scene, view, "worst")
        return replace(worst, why=f"no lesion is known in these people, so {worst.why}")
    counts = (share >= LESION_SHARE).sum(dim=1)
    subject = int(counts.argmax())
    other = view.subject_b if view.subject_b != subject else view.subject_a
    full = (share[subject] >= share[subject].max() - 1e-6).nonzero()[:, 0]
    middle = scene.positions[full].mean(dim=0)  # the token in the middle of those that lie wholly inside
    token = int(full[(scene.positions[full] - middle).norm(dim=1).argmin()])
    why = f"{scene.subjects.names[subject]} has the largest lesion here: {int(counts[subject])} tokens"
    return Choice(replace(view, subject_a=subject, subject_b=other), token, why)


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
    return BY_LABEL[label].full_name.replace("-", " ") if label in BY_LABEL else f"structure {label}"


def structure_name(scene: Scene, subject: int, token: int) -> str:
    """A token's most frequent structure, and whether it lies in a lesion; empty where nothing is known."""
    parts = []
    if scene.labels is not None:
        label = int(scene.labels[subject, token])
        parts.append(name_of(label) if label else "mostly background")
    if scene.lesion is not None and float(scene.lesion[subject, token]) >= LESION_SHARE:
        parts.append("in a lesion")
    return ", ".join(parts)


def in_words(name: str) -> str:
    """A point with its side last, so that a sorted list has both sides beside each other."""
    side, _, rest = name.replace("-", " ").partition(" ")
    return f"{rest}, {side}" if side in ("left", "right") and rest else f"{side} {rest}".strip()


def count_in_words(scene: Scene) -> str:
    """The number of structures and of landmarks of a scene."""
    structures = set(scene.subjects.point_names[: len(scene.subjects.point_names) - scene.subjects.landmarks])
    counts = {"structure": len(scene.points.keys() & structures), "landmark": len(scene.points.keys() - structures)}
    return " and ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in counts.items() if count)


def describe(scene: Scene, view: View, reply: Answer) -> list[str]:
    """The answer in words: the comparison, the errors, the neighbors, where the tokens lie."""
    names, match, errors = scene.subjects.names, reply.match, reply.match.errors
    people = f"{names[view.subject_a]} {view.modality_a} to {names[view.subject_b]} {view.modality_b}"
    accuracy = f"match at similarity {match.similarity[match.found]:.2f}; true place unknown, so no error in mm"
    if errors:
        accuracy = f"{in_words(reply.name)}: " * bool(reply.name) + f"match {errors['found']:.0f} mm off"
        accuracy += f", below a token {reply.soft_error:.0f} mm, {view.position} position {errors['position']:.0f} mm"
        accuracy += f", best token there is {errors['truth']:.0f} mm"
    elif scene.points:
        accuracy = f"true places are known at {count_in_words(scene)} only: choose one to see errors in mm"
    neighbors = f"{view.k} neighbors"
    if view.modality_a != view.modality_b:
        neighbors = f"{len(reply.shared)} of {neighbors} are the same in {view.modality_a} and {view.modality_b}"
    places = []
    for end, subject, token in (("token", view.subject_a, reply.token), ("match", view.subject_b, match.found)):
        border = "at the border of the head" if at_border(scene, subject)[token] else ""
        if words := [word for word in (structure_name(scene, subject, token), border) if word]:
            places.append(f"{end}: {', '.join(words)}")
    if reply.wrong_side is not None:
        places.append(f"{'wrong' if reply.wrong_side else 'same'} side of the brain")
    lines = [f"{people}, {view.network} network", accuracy, neighbors]
    if places:
        lines.append("; ".join(places))
    if reply.moved:
        lines.append("no tissue at that point, so the nearest token is shown")
    return lines
