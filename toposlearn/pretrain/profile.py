"""The topology profile of a representation: every measure of topology beside its null, one number per subject.

Names are ``MEASURE/OF``: between two modalities of the ``same_person``, between a subject and the ``next_person``, or
of the ``first_modality`` or ``second_modality`` alone. S people, N tokens, F features, K neighbors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from toposlearn import topology
from toposlearn.arrays import Float64s
from toposlearn.data.posed import PosedSubjects
from toposlearn.intervals import mean_metric
from toposlearn.models.taco import Taco
from toposlearn.pretrain.scorecard import K, encode, foreground_only, permuted
from toposlearn.topology.correspondence import keep_mutual, matches_both_ways

WITHIN_MM = 24.0  # distance up to which a match counts as right: one token of the lab preset's coarse level
SEED = 0  # of the nulls
Better = Literal["higher", "lower", "neither"]

# Which direction is better, and the unit. A direction needs its null at the worse end. Random features have the highest
# rank and the smallest mean cosine of all, so these two measure spread, not quality; together they show a collapse:
# tokens of different places become alike, the cosine approaches 1 and the rank falls. The matched fraction and the
# position in the features are not quality either.
MEASURES: dict[str, tuple[Better, str]] = {
    "neighbor_overlap": ("higher", "share"),
    "trustworthiness": ("higher", "0 to 1"),
    "continuity": ("higher", "0 to 1"),
    "rank_correlation": ("higher", "Spearman's rho"),
    "kernel_alignment": ("higher", "linear CKA"),
    "matched_fraction": ("neither", "share"),
    "match_precision": ("higher", f"share within {WITHIN_MM:g} mm"),
    "match_error": ("lower", "mm"),
    "effective_rank": ("neither", "directions"),
    "collapse": ("neither", "mean cosine"),
    "position_r2": ("neither", "R²"),
}


@dataclass(frozen=True, eq=False)
class Measure:
    """One number per subject (S,), NaN where undefined, and its null on the same data."""

    values: Float64s
    null: Float64s
    better: Better
    unit: str


Profile = Mapping[str, Measure]


def network_profiles(
    model: Taco, subjects: PosedSubjects, *, strides: Sequence[int] | None = None
) -> dict[int, Profile]:
    """Stride -> `topology_profile`, first two modalities; `strides` (default: all) must be levels of the network."""
    levels = model.config.token_strides if strides is None else tuple(strides)
    if not set(levels) <= set(model.config.token_strides):
        raise ValueError(f"strides must be among the network's {model.config.token_strides}, got {levels}")
    tokens_a, tokens_b = (encode(model, subjects, modality) for modality in subjects.modalities[:2])
    profiles = {}
    for stride in levels:
        where = subjects.token_positions(stride), subjects.token_places(stride), subjects.token_mask(stride)
        profiles[stride] = topology_profile(tokens_a[stride], tokens_b[stride], *where, across=subjects.known)
    return profiles


def topology_profile(
    tokens_a: Tensor, tokens_b: Tensor, positions: Tensor, places: Tensor, mask: Tensor, *, across: bool = True
) -> Profile:
    """All measures of two modalities of the same people, and of the first of a subject and the second of the next.

    Tokens of two people are paired where each is the other's nearest in template space. Matches are mutual nearest
    neighbors. The nulls: of what is kept between two sets of tokens, the second set in random order; of the matched
    fraction, independent random features; of precision and error, random matches; of rank and collapse, random
    features; of R², positions in random order. Tokens are (S, N, F), their `positions` (S, N, 3) or (N, 3) in mm in the
    volume, their true `places` (S, N, 3) in mm, and the foreground `mask` (S, N). With `across=False` places of two
    people cannot be compared, and the next subject is left out. Fewer than two people raise ValueError.
    """
    if len(mask) < 2:
        raise ValueError("tokens of one person only: a profile needs at least two people")
    positions = positions.expand_as(places)
    tokens_a, tokens_b, positions, places, mask = foreground_only(mask, tokens_a, tokens_b, positions, places)
    here, there = _Side(tokens_a, places, mask), _Side(tokens_b, places, mask)
    own = torch.arange(mask.shape[1]).expand_as(mask).masked_fill(~mask, -1)
    pairs = _compare(here, there, own, "same_person")
    if across:
        other = _Side(*(part.roll(1, 0) for part in there))
        shared = keep_mutual(*matches_both_ways(places, other.places, mask, other.mask, "euclidean"))
        pairs |= _compare(here, other, shared, "next_person")
    for of, tokens in (("first_modality", tokens_a), ("second_modality", tokens_b)):
        pairs |= _describe(tokens, positions, mask, of)
    return {
        name: Measure(values.double().numpy(), null.double().numpy(), *MEASURES[measure])
        for measure in MEASURES
        for name, (values, null) in pairs.items()
        if name.split("/")[0] == measure
    }


class _Side(NamedTuple):
    """Tokens (S, N, F) of one modality, their true places (S, N, 3), and the foreground (S, N)."""

    tokens: Tensor
    places: Tensor
    mask: Tensor


def _compare(a: _Side, b: _Side, truth: Tensor, of: str) -> dict[str, tuple[Tensor, Tensor]]:
    """Measures of the true pairs (S, N), and of the matches made without the truth."""
    known = truth >= 0
    paired = b.tokens.gather(1, truth.clamp_min(0)[..., None].expand_as(b.tokens))
    matches = topology.mutual_matches(a.tokens, b.tokens, a.mask, b.mask)
    unrelated = topology.mutual_matches(_noise(a.tokens), _noise(b.tokens, SEED + 1), a.mask, b.mask)
    drawn = topology.random_matches(a.mask, b.mask, torch.Generator().manual_seed(SEED))
    values = _kept(a.tokens, paired, known) | _matched(matches, a, b)
    null = _kept(a.tokens, permuted(paired, known, SEED), known) | _matched(drawn, a, b)
    null["matched_fraction"] = topology.matched_fraction(unrelated, a.mask)  # random matches leave no token out
    return {f"{name}/{of}": (value, null[name]) for name, value in values.items()}


def _matched(matches: Tensor, a: _Side, b: _Side) -> dict[str, Tensor]:
    return {
        "matched_fraction": topology.matched_fraction(matches, a.mask),
        "match_precision": topology.match_precision(matches, a.places, b.places, WITHIN_MM),
        "match_error": topology.match_error(matches, a.places, b.places),
    }


def _kept(tokens_a: Tensor, tokens_b: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """How much of the order of the first tokens (S, N, F) the second keep."""
    return {
        "neighbor_overlap": topology.neighbor_overlap(tokens_a, tokens_b, K, mask),
        "trustworthiness": topology.trustworthiness(tokens_b, tokens_a, K, mask),
        "continuity": topology.continuity(tokens_b, tokens_a, K, mask),
        "rank_correlation": topology.rank_correlation(tokens_b, tokens_a, mask),
        "kernel_alignment": topology.kernel_alignment(tokens_b, tokens_a, mask),
    }


def _describe(tokens: Tensor, positions: Tensor, mask: Tensor, of: str) -> dict[str, tuple[Tensor, Tensor]]:
    """Measures of one set of tokens (S, N, F)."""
    noise, positions_or_null = _noise(tokens), (positions, permuted(positions, mask, SEED))
    r2, r2_null = (topology.position_r2(tokens, each, mask) for each in positions_or_null)
    return {
        f"effective_rank/{of}": (topology.effective_rank(tokens, mask), topology.effective_rank(noise, mask)),
        f"collapse/{of}": (topology.collapse(tokens, mask), topology.collapse(noise, mask)),
        f"position_r2/{of}": (r2, r2_null),
    }


def _noise(tokens: Tensor, seed: int = SEED) -> Tensor:
    """Independent random features of the same shape."""
    return torch.randn(tokens.shape, generator=torch.Generator().manual_seed(seed))


def profile_metrics(profile: Profile) -> dict[str, dict[str, Any]]:
    """Metric objects of a profile, over the people for whom each measure is defined; absent where there are none."""
    metrics = {}
    for name, measure in profile.items():
        values, null = (each[np.isfinite(each)] for each in (measure.values, measure.null))
        if len(values):
            chance = float(null.mean()) if len(null) else None
            metrics[name] = mean_metric(values[None], unit=measure.unit, null=chance)
    return metrics
