"""One token in two people and two modalities: its neighbors, its match, the true place, what position alone would say.

Everything here is computed for a single token; the drawing is in `toposlearn.explorer.figure`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from toposlearn.anatomy import structure_of
from toposlearn.explore.neighborhoods import token_at
from toposlearn.explorer.scene import Scene
from toposlearn.topology import centered_positions, pairwise_distance
from toposlearn.topology.distances import Metric

Position = Literal["grid", "centered"]
LESION_SHARE = 0.5  # of a token's voxels, to say that it lies in a lesion


@dataclass(frozen=True)
class View:
    """What is compared: a network's tokens of person a in modality a with those of person b in modality b.

    Attributes:
        position: what "position alone" is: the same place of the grid, or the same place after both heads'
            foregrounds are brought to mean 0 and spread 1.
    """

    network: str
    subject_a: int
    subject_b: int
    modality_a: str
    modality_b: str
    k: int = 5
    position: Position = "grid"


@dataclass(frozen=True, eq=False)
class Answer:
    """What is known about one token of person a; indices of tokens.

    Attributes:
        token: the token, always of the foreground.
        moved: whether another token was asked for, outside the foreground.
        neighbors_a: its K nearest in modality a, nearest first.
        neighbors_b: its K nearest in modality b, in the same person.
        found: person b's most similar token.
        position: person b's token where position alone would look.
        truth: person b's token nearest to the true place, None where the truth is unknown.
        similarity: (N,), cosine of each of b's tokens to the token.
        errors: mm (in template space) of ``found``, ``position`` and ``truth``; empty where the truth is unknown.
        wrong_side: whether the match lies in the other half of the brain; None where that is unknown or means nothing.
    """

    token: int
    moved: bool
    neighbors_a: tuple[int, ...]
    neighbors_b: tuple[int, ...]
    found: int
    position: int
    truth: int | None
    similarity: Tensor
    errors: Mapping[str, float]
    wrong_side: bool | None

    @property
    def shared(self) -> frozenset[int]:
        """Neighbors in both modalities."""
        return frozenset(self.neighbors_a) & frozenset(self.neighbors_b)

    @property
    def center_b(self) -> int:
        """The token through which person b is cut: the true place, or the match where the truth is unknown."""
        return self.found if self.truth is None else self.truth


def first_view(scene: Scene, network: str | None = None) -> View:
    """The view to begin with: the most trained network, the first two people, the first two modalities."""
    names, count = scene.subjects.modalities, len(scene.subjects.subjects)
    return View(network or scene.networks[-1], 0, min(1, count - 1), names[0], names[min(1, len(names) - 1)])


def check_view(scene: Scene, view: View) -> None:
    """Raise ValueError for a view that the scene cannot show."""
    subjects = len(scene.subjects.subjects)
    if view.network not in scene.networks:
        raise ValueError(f"network must be one of {', '.join(scene.networks)}, got {view.network!r}")
    for name, subject in (("person_a", view.subject_a), ("person_b", view.subject_b)):
        if not 0 <= subject < subjects:
            raise ValueError(f"{name} must be between 0 and {subjects - 1}, got {subject}")
    for name, modality in (("modality_a", view.modality_a), ("modality_b", view.modality_b)):
        if modality not in scene.subjects.modalities:
            raise ValueError(f"{name} must be one of {', '.join(scene.subjects.modalities)}, got {modality!r}")
    counted = int(scene.mask[view.subject_a].sum())
    if not 1 <= view.k < counted:
        raise ValueError(f"k must be between 1 and {counted - 1}, the other tokens of the head, got {view.k}")


def token_near(scene: Scene, point: Sequence[float]) -> int:
    """The token at a point (right, front, up) in mm; a point beyond the volume is taken to its edge."""
    edge = [size * scene.subjects.spacing / 2 - 1e-3 for size in scene.shape]
    inside = [min(max(value, -end), end) for value, end in zip(point, edge, strict=True)]
    return token_at(inside, scene.shape, scene.stride, scene.subjects.spacing)


def foreground_token(scene: Scene, subject: int, token: int) -> int:
    """The token itself where it counts, else the nearest of the person's foreground."""
    away = (scene.positions - scene.positions[token]).norm(dim=1)
    return int(away.masked_fill(~scene.mask[subject], torch.inf).argmin())


def answer(scene: Scene, view: View, token: int) -> Answer:
    """Neighbors and match of a token of person a; of the nearest foreground token where it is none.

    Raises:
        ValueError: a view or a token that the scene does not have.
    """
    check_view(scene, view)
    if not 0 <= token < len(scene.positions):
        raise ValueError(f"token must be between 0 and {len(scene.positions) - 1}, got {token}")
    a, b = view.subject_a, view.subject_b
    asked, token = token, foreground_token(scene, a, token)
    tokens = scene.tokens[view.network]
    mask_b, query = scene.mask[b], tokens[view.modality_a][a, token]
    similarity = 1 - _distances(query, tokens[view.modality_b][b], "cosine")
    found = int(similarity.masked_fill(~mask_b, -torch.inf).argmax())
    places = _positions(scene, view)
    position = _nearest(places[0][token], places[1], mask_b)
    known = true_places(scene, a, b)
    truth, errors = None, {}
    if known is not None:
        truth = _nearest(known[0][token], known[1], mask_b)
        ends = {"found": found, "position": position, "truth": truth}
        errors = {name: float((known[1][index] - known[0][token]).norm()) for name, index in ends.items()}
    return Answer(
        token=token,
        moved=token != asked,
        neighbors_a=_neighbors(tokens[view.modality_a][a], token, view.k, scene.mask[a]),
        neighbors_b=_neighbors(tokens[view.modality_b][a], token, view.k, scene.mask[a]),
        found=found,
        position=position,
        truth=truth,
        similarity=similarity,
        errors=errors,
        wrong_side=_wrong_side(scene, view, token, found),
    )


def true_places(scene: Scene, a: int, b: int) -> tuple[Tensor, Tensor] | None:
    """Coordinates (N, 3) in mm of the tokens of two people in which the same anatomy has the same value, or None.

    Without a map to the template they are known within one person only, whose modalities are registered.
    """
    if scene.template is not None:
        return scene.template[a], scene.template[b]
    return (scene.positions, scene.positions) if a == b else None


def _positions(scene: Scene, view: View) -> tuple[Tensor, Tensor]:
    """Where "position alone" sees the tokens (N, 3) of both people."""
    if view.position == "grid":
        return scene.positions, scene.positions
    subjects = [view.subject_a, view.subject_b]
    first, second = centered_positions(scene.positions.expand(2, -1, -1), scene.mask[subjects])
    return first, second


def _distances(query: Tensor, tokens: Tensor, metric: Metric) -> Tensor:
    """Distances (N,) of one vector (F,) to tokens (N, F)."""
    return pairwise_distance(query[None, None], tokens[None], metric)[0, 0]


def _nearest(query: Tensor, places: Tensor, mask: Tensor) -> int:
    return int(_distances(query, places, "euclidean").masked_fill(~mask, torch.inf).argmin())


def _neighbors(tokens: Tensor, token: int, k: int, mask: Tensor) -> tuple[int, ...]:
    """One row of `toposlearn.topology.nearest_neighbors`, without the others."""
    away = _distances(tokens[token], tokens, "cosine").masked_fill(~mask, torch.inf)
    away[token] = torch.inf
    return tuple(away.argsort(stable=True)[:k].tolist())


def _wrong_side(scene: Scene, view: View, token: int, found: int) -> bool | None:
    if scene.template is None:
        return None
    here, there = float(scene.template[view.subject_a, token, 0]), float(scene.template[view.subject_b, found, 0])
    return None if min(abs(here), abs(there)) < scene.token_size / 2 else here * there < 0


def at_border(scene: Scene, subject: int) -> Tensor:
    """(N,) bool: foreground tokens with background, or the end of the volume, among the 26 around them."""
    grid = scene.mask[subject].float().reshape(1, 1, *(size // scene.stride for size in scene.shape))
    filled = torch.nn.functional.avg_pool3d(grid, 3, stride=1, padding=1).flatten()
    return scene.mask[subject] & (filled < 1 - 1e-4)


def structure_name(scene: Scene, subject: int, token: int) -> str:
    """Where a token lies: its most frequent structure, and whether in a lesion; empty where nothing is known."""
    parts = []
    if scene.labels is not None:
        label = int(scene.labels[subject, token])
        parts.append(name_of(label) if label else "mostly background")
    if scene.lesion is not None and float(scene.lesion[subject, token]) >= LESION_SHARE:
        parts.append("in a lesion")
    return ", ".join(parts)


def name_of(label: int) -> str:
    """A structure's name with its side; the number where it is somebody else's."""
    try:
        return structure_of(label).full_name.replace("-", " ")
    except ValueError:
        return f"structure {label}"


def describe(scene: Scene, view: View, found: Answer) -> list[str]:
    """The answer in words: who is compared, the errors, the neighbors, where the tokens lie."""
    names = scene.subjects.subjects
    sentences = [
        f"{names[view.subject_a]} {view.modality_a} to {names[view.subject_b]} {view.modality_b}, "
        f"{view.network} network",
        _match_in_words(view, found),
        _neighbors_in_words(view, found),
    ]
    sentences += _places_in_words(scene, view, found)
    if found.moved:
        sentences.append("no tissue at that point, so the nearest token is shown")
    return sentences


def _match_in_words(view: View, found: Answer) -> str:
    if not found.errors:
        return f"match at similarity {found.similarity[found.found]:.2f}; true place unknown, so no error in mm"
    rival = "grid position" if view.position == "grid" else "centered position"
    text = f"match {found.errors['found']:.0f} mm off, {rival} {found.errors['position']:.0f} mm"
    return f"{text}, best token there is {found.errors['truth']:.0f} mm"


def _neighbors_in_words(view: View, found: Answer) -> str:
    if view.modality_a == view.modality_b:
        return f"{view.k} neighbors"
    return f"{len(found.shared)} of {view.k} neighbors are the same in {view.modality_a} and {view.modality_b}"


def _places_in_words(scene: Scene, view: View, found: Answer) -> list[str]:
    ends = {"token": (view.subject_a, found.token), "match": (view.subject_b, found.found)}
    parts = []
    for end, (subject, token) in ends.items():
        words = [
            structure_name(scene, subject, token),
            "at the border of the head" * bool(at_border(scene, subject)[token]),
        ]
        if known := [word for word in words if word]:
            parts.append(f"{end}: {', '.join(known)}")
    if found.wrong_side is not None:
        parts.append(f"{'wrong' if found.wrong_side else 'same'} side of the brain")
    return ["; ".join(parts)] if parts else []
