"""The topology profile of a representation: every measure of topology beside its null, one number per person.

It does not judge: a measure says something only as far as it stands away from its null, on the same people and tokens.
Names are ``MEASURE/OF``: of the two modalities of ``same_person``, of a person and the ``next_person``, or of the
``first_modality`` or ``second_modality`` alone. S people, N tokens, F features, K neighbors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.data.posed import PosedSubjects
from toposlearn.intervals import bootstrap_subjects
from toposlearn.models.taco import Taco
from toposlearn.pretrain.scorecard import encode, foreground_only, permuted
from toposlearn.reproducibility import metric
from toposlearn.topology import (
    collapse,
    continuity,
    effective_rank,
    kernel_alignment,
    match_error,
    match_precision,
    matched_fraction,
    mutual_matches,
    neighbor_overlap,
    position_r2,
    random_matches,
    rank_correlation,
    trustworthiness,
)
from toposlearn.topology.correspondence import keep_mutual, matches_both_ways
from toposlearn.topology.distances import check_mask, check_tokens

WITHIN_MM = 24.0  # how near a match must be to count as right: one token of the lab preset's coarse level
Better = Literal["higher", "lower", "neither"]
Values = Mapping[str, Tensor]

# Which way is better, and the unit. A direction needs its null at the worse end. Random features have the highest rank
# and the smallest mean cosine of all, so these two measure spread, not quality; together they show a collapse: tokens
# of different places become alike, the cosine goes towards 1 and the rank falls. How much is matched, and how much is
# position, is not quality either.
MEASURES: dict[str, tuple[Better, str]] = {
    "neighbor_overlap": ("higher", "share"),
    "trustworthiness": ("higher", "0 to 1"),
    "continuity": ("higher", "0 to 1"),
    "rank_correlation": ("higher", "Spearman's rho"),
    "kernel_alignment": ("higher", "linear CKA"),
    "matched_fraction": ("neither", "share"),
    "match_precision": ("higher", "share within {within_mm:g} mm"),
    "match_error": ("lower", "mm"),
    "effective_rank": ("neither", "directions"),
    "collapse": ("neither", "mean cosine"),
    "position_r2": ("neither", "R²"),
}


@dataclass(frozen=True, eq=False)
class Measure:
    """One number per person (S,), NaN where undefined, and its null on the same data."""

    values: Float64s
    null: Float64s
    better: Better
    unit: str


Profile = Mapping[str, Measure]


def network_profiles(
    model: Taco,
    subjects: PosedSubjects,
    *,
    modalities: tuple[str, str] | None = None,
    strides: Sequence[int] | None = None,
    k: int = 5,
    within_mm: float = WITHIN_MM,
) -> dict[int, Profile]:
    """`topology_profile` of a network for each of its token levels: stride -> profile.

    Args:
        model: the network.
        subjects: posed people never trained on. Without a map to the template two people are not compared.
        modalities: from which to which; None takes the first two.
        strides: token levels to profile; None takes all. The finest takes most of the time.
        k: neighbors K.
        within_mm: how near to the truth a match counts as right, mm.

    Raises:
        ValueError: a token level that the network lacks.
    """
    levels = model.config.token_strides if strides is None else tuple(strides)
    if not set(levels) <= set(model.config.token_strides):
        raise ValueError(f"strides must be among the network's {model.config.token_strides}, got {levels}")
    first, second = modalities or (subjects.modalities[0], subjects.modalities[1])
    tokens_a, tokens_b = encode(model, subjects, first), encode(model, subjects, second)
    return {
        stride: topology_profile(
            tokens_a[stride],
            tokens_b[stride],
            subjects.token_positions(stride),
            subjects.token_places(stride),
            subjects.token_mask(stride),
            across=subjects.known,
            k=k,
            within_mm=within_mm,
        )
        for stride in levels
    }


def topology_profile(
    tokens_a: Tensor,
    tokens_b: Tensor,
    positions: Tensor,
    places: Tensor,
    mask: Tensor,
    *,
    across: bool = True,
    k: int = 5,
    within_mm: float = WITHIN_MM,
    seed: int = 0,
) -> Profile:
    """All measures of two modalities of the same people, and of each person's first and a neighbor's second.

    Tokens of two people are paired where each is the other's nearest in template space. Matches are mutual nearest
    neighbors. The null of what is kept between two sets of tokens: the second in random order. Of the fraction that is
    matched: independent random features. Of precision and error: random matches. Of rank and collapse: random features.
    Of R^2: positions in random order.

    Args:
        tokens_a: (S, N, F), first modality.
        tokens_b: (S, N, F), second modality.
        positions: (S, N, 3) or (N, 3), mm in the volume.
        places: (S, N, 3), mm, where tokens truly are, comparable between people (`PosedPeople.token_places`).
        mask: (S, N) bool, foreground tokens.
        across: False where places of two people cannot be compared: the next person is left out.
        k: neighbors K.
        within_mm: how near to the truth a match counts as right, mm.
        seed: of the nulls.

    Returns:
        Name -> measure.

    Raises:
        ValueError: shapes that do not fit, fewer than two people, or no person with more than 2 K foreground tokens.
    """
    _check_subjects(tokens_a, tokens_b, positions, places, mask)
    positions = positions.expand_as(places)
    tokens_a, tokens_b, positions, places, mask = foreground_only(mask, tokens_a, tokens_b, positions, places)
    here, there = _Side(tokens_a, places, mask), _Side(tokens_b, places, mask)
    own = torch.arange(mask.shape[1]).expand_as(mask).masked_fill(~mask, -1)
    pairs = _compare(here, there, own, "same_person", k, within_mm, seed)
    if across:
        other = there.of_next_person()
        shared = keep_mutual(*matches_both_ways(places, other.places, mask, other.mask, "euclidean"))
        pairs |= _compare(here, other, shared, "next_person", k, within_mm, seed)
    for of, tokens in (("first_modality", tokens_a), ("second_modality", tokens_b)):
        read = {"position_r2": position_r2(tokens, positions, mask)}
        chance = {"position_r2": position_r2(tokens, permuted(positions, mask, seed), mask)}
        pairs |= _beside(_spread(tokens, mask) | read, _spread(_noise(tokens, seed), mask) | chance, of)
    in_order = [name for measure in MEASURES for name in pairs if name.split("/")[0] == measure]
    return {name: _measure(name, *pairs[name], within_mm) for name in in_order}


def _check_subjects(tokens_a: Tensor, tokens_b: Tensor, positions: Tensor, places: Tensor, mask: Tensor) -> None:
    """Raise ValueError unless all describe the same S people and N tokens, S at least two."""
    check_tokens(tokens_a=tokens_a, tokens_b=tokens_b)
    check_mask("mask", mask, tokens_a)
    shape = (*mask.shape, 3)
    if tokens_b.shape != tokens_a.shape or places.shape != shape or positions.shape not in (shape, shape[1:]):
        seen = ", ".join(str(tuple(each.shape)) for each in (tokens_a, tokens_b, positions, places))
        raise ValueError(
            f"tokens must be (S, N, F), positions and places (S, N, 3) with S, N = {shape[:2]}, got {seen}"
        )
    if len(mask) < 2:
        raise ValueError("tokens of one person only: a profile needs at least two people")


@dataclass(frozen=True, eq=False)
class _Side:
    """Tokens (S, N, F) of one modality, where they are (S, N, 3), and which count (S, N)."""

    tokens: Tensor
    places: Tensor
    mask: Tensor

    def of_next_person(self) -> _Side:
        return _Side(*(part.roll(1, 0) for part in (self.tokens, self.places, self.mask)))


def _compare(
    a: _Side, b: _Side, truth: Tensor, of: str, k: int, within_mm: float, seed: int
) -> dict[str, tuple[Tensor, Tensor]]:
    """Measures of the pairs (S, N) that are the same place in truth, and of the matches found without it."""
    known = truth >= 0
    paired = b.tokens.gather(1, truth.clamp_min(0)[..., None].expand_as(b.tokens))
    found = mutual_matches(a.tokens, b.tokens, a.mask, b.mask)
    unrelated = mutual_matches(_noise(a.tokens, seed), _noise(b.tokens, seed + 1), a.mask, b.mask)
    drawn = random_matches(a.mask, b.mask, torch.Generator().manual_seed(seed))
    values = _kept(a.tokens, paired, known, k) | _found(found, a, b, within_mm)
    null = _kept(a.tokens, permuted(paired, known, seed), known, k) | _found(drawn, a, b, within_mm)
    null["matched_fraction"] = matched_fraction(unrelated, a.mask)  # random matches leave nobody out
    return _beside(values, null, of)


def _found(matches: Tensor, a: _Side, b: _Side, within_mm: float) -> dict[str, Tensor]:
    """How much is matched, and how right it is."""
    return {
        "matched_fraction": matched_fraction(matches, a.mask),
        "match_precision": match_precision(matches, a.places, b.places, within_mm),
        "match_error": match_error(matches, a.places, b.places),
    }


def _kept(tokens_a: Tensor, tokens_b: Tensor, mask: Tensor, k: int) -> dict[str, Tensor]:
    """What the second (S, N, F) keeps of the order of the first."""
    return {
        "neighbor_overlap": neighbor_overlap(tokens_a, tokens_b, k, mask),
        "trustworthiness": trustworthiness(tokens_b, tokens_a, k, mask),
        "continuity": continuity(tokens_b, tokens_a, k, mask),
        "rank_correlation": rank_correlation(tokens_b, tokens_a, mask),
        "kernel_alignment": kernel_alignment(tokens_b, tokens_a, mask),
    }


def _spread(tokens: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """How much of feature space the tokens use."""
    return {"effective_rank": effective_rank(tokens, mask), "collapse": collapse(tokens, mask)}


def _noise(tokens: Tensor, seed: int) -> Tensor:
    """Independent random features of the same shape."""
    return torch.randn(tokens.shape, generator=torch.Generator().manual_seed(seed))


def _beside(values: Values, null: Values, of: str) -> dict[str, tuple[Tensor, Tensor]]:
    return {f"{name}/{of}": (value, null[name]) for name, value in values.items()}


def _measure(name: str, values: Tensor, null: Tensor, within_mm: float) -> Measure:
    better, unit = MEASURES[name.split("/")[0]]
    return Measure(values.double().numpy(), null.double().numpy(), better, unit.format(within_mm=within_mm))


def profile_metrics(profile: Profile, prefix: str = "") -> dict[str, dict[str, Any]]:
    """Metric objects for a result: mean over people, 95 % interval by bootstrap over people, null, unit, people.

    People for whom a measure is undefined are left out of it; a measure undefined for everyone, and an interval of
    fewer than two people, are absent.

    Args:
        profile: of one network and token level.
        prefix: in front of each name, e.g. ``"A/full/stride8/"``.
    """
    defined = {name: measure for name, measure in profile.items() if np.isfinite(measure.values).any()}
    return {f"{prefix}{name}": _metric(measure) for name, measure in defined.items()}


def _metric(measure: Measure) -> dict[str, Any]:
    values, null = (each[np.isfinite(each)] for each in (measure.values, measure.null))
    low, high = bootstrap_subjects(values[None]) if len(values) > 1 else (None, None)
    chance = float(null.mean()) if len(null) else None
    return metric(float(values.mean()), low=low, high=high, unit=measure.unit, n=len(values), null=chance)
