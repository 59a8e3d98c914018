"""Errors of places between people, of networks and of their rivals, at named points and over the whole head.

A `Guess` says where points of one person lie in all people; entry (p, q) of an error matrix is the mean distance (mm)
between the guess for p's points in q and their true places. There are three ways to read a guess. At tokens it knows
the token that holds the point and answers with the center of a token, as the best match of a network does. A continuous
guess knows the point and answers with any place. A fitted one is what the continuous guesses at the tokens around the
point agree on; for a map such as a registration that is the map itself. From point to token, the continuous place is
moved to the nearest token.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.data.posed import PosedSubjects
from toposlearn.models import Readout
from toposlearn.pretrain.scorecard import error_matrix, foreground_only
from toposlearn.topology import at_points, best_place, fit_weights, nearest_matches, soft_argmax
from toposlearn.topology.tokens import middle_and_spread

TOKEN, CONTINUOUS, FITTED = "across_people_error", "continuous_error", "fitted_error"  # readings
POINT_TO_TOKEN = "point_to_token_error"
Errors = Mapping[str, Float64s]  # reading -> error matrix (S, S)
Guess = Callable[[int, Tensor], Tensor]  # number of a person p, points (P, 3) mm in p -> places (S, P, 3) mm in all


@dataclass(frozen=True, eq=False)
class Level:
    """Where the tokens of S people are, at one stride; heads are padded to M tokens, the largest."""

    grid: tuple[int, ...]  # tokens along each axis
    step: float  # mm between tokens
    inside: Tensor  # (S, N) bool, tokens of the head
    positions: Tensor  # (S, M, 3) mm, of the tokens of the head only
    mask: Tensor  # (S, M) bool

    @classmethod
    def of(cls, subjects: PosedSubjects, stride: int) -> "Level":
        """The tokens of posed people."""
        inside = subjects.token_mask(stride)
        every = subjects.token_positions(stride).expand(*inside.shape, 3)
        grid = tuple(size // stride for size in subjects.foreground.shape[2:])
        return cls(grid, stride * subjects.spacing, inside, *foreground_only(inside, every))

    def holding(self, p: int, points: Tensor) -> Tensor:
        """Index (P,) among the M tokens of person p of the one that holds each point (P, 3), or is nearest to it."""
        one = slice(p, p + 1)
        return nearest_matches(points[None], self.positions[one], None, self.mask[one], "euclidean")[0]

    def snapped(self, places: Tensor) -> Tensor:
        """Places (S, P, 3) moved to the center of the nearest token of the head."""
        return best_place(places, self.positions, self.positions, self.mask, "euclidean")


def token_guess(tokens_a: Tensor, tokens_b: Tensor, level: Level) -> Guess:
    """The center of the token of q in b most similar to the token of p in a that holds the point; (S, N, F) both."""
    a, b, _ = foreground_only(level.inside, tokens_a, tokens_b)

    def guess(p: int, points: Tensor) -> Tensor:
        query = a[p, level.holding(p, points)]
        return best_place(query.expand(len(b), -1, -1), b, level.positions, level.mask)

    return guess


def soft_guess(tokens_a: Tensor, tokens_b: Tensor, level: Level, temperature: float) -> Guess:
    """The `soft_argmax` in b of the features that a has at the point, read between its tokens; (S, N, F) both."""
    b, _ = foreground_only(level.inside, tokens_b)
    maps = tokens_a.mT.reshape(len(tokens_a), -1, *level.grid)  # (S, F, d, h, w)

    def guess(p: int, points: Tensor) -> Tensor:
        query = at_points(maps[p : p + 1], points[None], level.step)
        return soft_argmax(query.expand(len(b), -1, -1), b, level.positions, level.mask, temperature)

    return guess


def fitted_guess(tokens_a: Tensor, tokens_b: Tensor, level: Level, readout: Readout) -> Guess:
    """What the expected places in b of all tokens around the point in a agree on (`fit_weights`); (S, N, F) both."""
    a, b, _ = foreground_only(level.inside, tokens_a, tokens_b)

    def guess(p: int, points: Tensor) -> Tensor:
        own = level.mask[p]
        query = a[p, own].expand(len(b), -1, -1)
        found = soft_argmax(query, b, level.positions, level.mask, readout.temperature)  # (S, M, 3)
        return fit_weights(points, level.positions[p, own], readout.reach) @ found

    return guess


def map_guess(maps: Tensor, level: Level | None = None) -> Guess:
    """Maps (S, S, 3, 4) from mm in p to mm in q, as of a registration; with a level read at its tokens."""

    def guess(p: int, points: Tensor) -> Tensor:
        if level is not None:
            points = level.positions[p, level.holding(p, points)]
        places = points @ maps[p, :, :, :3].mT + maps[p, :, None, :, 3]
        return places if level is None else level.snapped(places)

    return guess


class Truth(Protocol):
    """What is known about corresponding places of people."""

    def errors(self, guess: Guess) -> Float64s:
        """The error matrix (S, S) of a guess, mm."""

    def best(self, tokens_a: Tensor, tokens_b: Tensor, level: Level) -> Float64s:
        """The error matrix (S, S) of the most similar token, tokens (S, N, F), mm."""

    def floor(self, level: Level) -> Float64s:
        """The error matrix (S, S) of the best token there is, mm."""


@dataclass(frozen=True, eq=False)
class PointTruth:
    """Named points (S, L, 3) of people, mm on their grids, NaN where a person lacks one."""

    points: Tensor

    def errors(self, guess: Guess) -> Float64s:
        """The error matrix (S, S) over the points that both have; NaN where they share none."""
        known, rows = self.points.isfinite().all(-1), []
        places = self.points.nan_to_num()
        for p, own in enumerate(known):
            shared = own & known  # (S, L)
            miss = (guess(p, places[p]) - places).norm(dim=-1)
            rows.append(miss.masked_fill(~shared, 0).sum(1) / shared.sum(1))
        return torch.stack(rows).double().numpy()

    def best(self, tokens_a: Tensor, tokens_b: Tensor, level: Level) -> Float64s:
        """The error matrix (S, S) of `token_guess`."""
        return self.errors(token_guess(tokens_a, tokens_b, level))

    def floor(self, level: Level) -> Float64s:
        """The error matrix (S, S) of the token nearest to each true place."""
        return self.errors(lambda p, _: level.snapped(self.points))


@dataclass(frozen=True, eq=False)
class DenseTruth:
    """The map of people to a template, at all tokens of one stride; errors are in template mm."""

    subjects: PosedSubjects
    stride: int

    def errors(self, guess: Guess) -> Float64s:
        """The error matrix (S, S) over the tokens of p's head; a place in q is one in the template by q's map."""
        positions, template = self.subjects.token_positions(self.stride), self.subjects.token_template(self.stride)
        rows = []
        for p, inside in enumerate(self.subjects.token_mask(self.stride)):
            found = at_points(self.subjects.places, guess(p, positions[inside]), self.subjects.spacing)
            rows.append((found - template[p, inside]).norm(dim=-1).mean(1))
        return torch.stack(rows).double().numpy()

    def best(self, tokens_a: Tensor, tokens_b: Tensor, level: Level) -> Float64s:
        """The error matrix (S, S) of the match of each token."""
        return error_matrix(tokens_a, tokens_b, self.subjects.token_template(self.stride), level.inside)

    def floor(self, level: Level) -> Float64s:
        """The error matrix (S, S) of the token nearest in the template."""
        template = self.subjects.token_template(self.stride)
        return error_matrix(template, template, template, level.inside, "euclidean")


def truth_of(subjects: PosedSubjects, stride: int) -> Truth:
    """The map to a template where it is known, else the points; ValueError where people have neither."""
    if subjects.known:
        return DenseTruth(subjects, stride)
    if subjects.points is None:
        raise ValueError("no places that correspond are known in these people: give label maps and their --labels")
    return PointTruth(subjects.points)


def network_errors(
    tokens_a: Tensor, tokens_b: Tensor, level: Level, truth: Truth, readout: Readout
) -> dict[str, Float64s]:
    """The errors of a network in every reading; tokens (S, N, F) of all people in two modalities."""
    best = {TOKEN: truth.best(tokens_a, tokens_b, level)}
    soft = soft_guess(tokens_a, tokens_b, level, readout.temperature)
    fitted = fitted_guess(tokens_a, tokens_b, level, readout)
    return best | _below_a_token(soft, level, truth) | {FITTED: truth.errors(fitted)}


def rivals(level: Level, truth: Truth, registered: Mapping[str, Tensor]) -> dict[str, dict[str, Float64s]]:
    """Errors that need no network, by name: position, centered position, registrations, the best token, random ones.

    `registered` are maps (S, S, 3, 4) by kind.
    """
    maps = {"position": torch.eye(3, 4).expand(*2 * (len(level.mask),), 3, 4), "centered": centered_maps(level)}
    maps |= registered
    noise = torch.randn(2, *level.inside.shape, 48, generator=torch.Generator().manual_seed(0))
    errors = {}
    for name, each in maps.items():
        below = _below_a_token(map_guess(each), level, truth)
        errors[name] = {TOKEN: truth.errors(map_guess(each, level)), **below, FITTED: below[CONTINUOUS]}
    return errors | {"floor": {TOKEN: truth.floor(level)}, "random": {TOKEN: truth.best(noise[0], noise[1], level)}}


def _below_a_token(guess: Guess, level: Level, truth: Truth) -> dict[str, Float64s]:
    """The errors of a continuous guess, and of the token nearest to it, unless all points are centers of tokens."""
    errors = {CONTINUOUS: truth.errors(guess)}
    if isinstance(truth, PointTruth):
        errors[POINT_TO_TOKEN] = truth.errors(lambda p, points: level.snapped(guess(p, points)))
    return errors


def centered_maps(level: Level) -> Tensor:
    """Maps (S, S, 3, 4) that make mean and spread of two heads' tokens equal along each axis."""
    middle, spread = (part[:, 0] for part in middle_and_spread(level.positions, level.mask))  # (S, 3)
    scale = spread[None] / spread[:, None]  # (p, q, 3)
    return torch.cat([torch.diag_embed(scale), (middle[None] - scale * middle[:, None])[..., None]], dim=-1)
