"""How well tokens correspond, in millimeters, on people never trained on: errors, controls, and what they mean.

One matrix says it all: entry (p, q) is the mean distance, in template mm, between where p's tokens truly are in q and
where q's most similar token lies. The diagonal is the same person in two modalities, the rest is two people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.data.posed import PosedSubjects
from toposlearn.intervals import across_subjects, bootstrap_subjects, same_person
from toposlearn.models.taco import Taco
from toposlearn.reproducibility import metric
from toposlearn.topology import (
    centered_positions,
    match_error,
    matched_fraction,
    mutual_matches,
    nearest_matches,
    neighbor_overlap,
)
from toposlearn.topology.distances import Metric


@torch.no_grad()
def encode(model: Taco, subjects: PosedSubjects, modality: str, batch: int = 4) -> dict[int, Tensor]:
    """Tokens of every person in one modality: stride -> (S, N, F), on the CPU."""
    device = next(model.parameters()).device
    volumes = torch.split(subjects.volumes[:, subjects.modalities.index(modality), None], batch)
    model.eval()
    outputs = [model(part.to(device), reconstruct=False).tokens for part in volumes]
    return {stride: torch.cat([tokens[stride].float().cpu() for tokens in outputs]) for stride in outputs[0]}


def error_matrix(
    tokens_a: Tensor,
    tokens_b: Tensor,
    template: Tensor,
    mask: Tensor,
    kind: Metric = "cosine",
    *,
    across: bool = True,
) -> Float64s:
    """Mean error (S, S) in template mm of the best match of each foreground token of p (row) in q (column).

    Args:
        tokens_a: (S, N, F), first modality.
        tokens_b: (S, N, F), second modality.
        template: (S, N, 3), template mm of each token.
        mask: (S, N) bool, foreground tokens.
        kind: distance between tokens.
        across: False where places of two people cannot be compared: NaN off the diagonal.
    """
    tokens_a, tokens_b, template, mask = foreground_only(mask, tokens_a, tokens_b, template)
    if not across:
        own = match_error(nearest_matches(tokens_a, tokens_b, mask, mask, metric=kind), template, template)
        return np.where(np.eye(len(own), dtype=bool), own.double().numpy(), np.nan)
    rows = []
    for p in range(len(tokens_a)):
        query = [part[p].expand_as(part) for part in (tokens_a, template, mask)]
        matches = nearest_matches(query[0], tokens_b, query[2], mask, metric=kind)
        rows.append(match_error(matches, query[1], template))
    return torch.stack(rows).double().numpy()


def foreground_only(mask: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
    """Values (S, N, F) of the foreground tokens, padded to the largest head, and the mask (S, M) of what is no padding.

    Two thirds of the tokens are air: distances between all tokens would cost ten times as much.
    """
    largest = int(mask.sum(dim=1).max())
    index = mask.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :largest]
    picked = [part.gather(1, index[..., None].expand(-1, -1, part.shape[-1])) for part in values]
    return (*picked, mask.gather(1, index))


@dataclass(frozen=True, eq=False)
class Controls:
    """Error matrices (S, S) that need no network, on the same people and tokens."""

    position: Float64s  # nearest grid position
    centered: Float64s  # nearest position after centering and scaling each head
    floor: Float64s  # the best token there is
    random: Float64s  # independent random features
    permuted: Float64s  # perfect features, the second modality's tokens in random order


def controls(subjects: PosedSubjects, stride: int, seed: int = 0) -> Controls:
    """The baselines, the ceiling and the null for one token level; NaN between people where no truth is known."""
    template, mask = subjects.token_places(stride), subjects.token_mask(stride)
    errors = partial(error_matrix, template=template, mask=mask, across=subjects.known)
    place = subjects.token_positions(stride).expand_as(template)
    centered = centered_positions(place, mask)
    noise = torch.randn(2, *template.shape[:2], 48, generator=torch.Generator().manual_seed(seed))
    return Controls(
        position=errors(place, place, kind="euclidean"),
        centered=errors(centered, centered, kind="euclidean"),
        floor=errors(template, template, kind="euclidean"),
        random=errors(noise[0], noise[1]),
        permuted=errors(template, permuted(template, mask, seed), kind="euclidean"),
    )


def relative_error(errors: Float64s, reference: Controls) -> float:
    """(error - floor) / (position - floor) across people: 0 is the best token there is, 1 is grid position."""
    floor = across_subjects(reference.floor[None])
    return (across_subjects(errors) - floor) / (across_subjects(reference.position[None]) - floor)


def mean_errors(errors: Float64s, *, interval: bool = False) -> dict[str, float]:
    """``same person`` and, where it is known, ``other person`` of an error matrix (R, S, S), with its interval."""
    result = {"same person": float(same_person(errors).mean())}
    if np.isnan(across_subjects(errors)):
        return result
    result["other person"] = across_subjects(errors)
    return result | (dict(zip(("low", "high"), bootstrap_subjects(errors), strict=True)) if interval else {})


def correspondence_metrics(errors: Float64s, reference: Controls, prefix: str) -> dict[str, dict[str, Any]]:
    """Metric objects of error matrices (R, S, S) over R seeds, with intervals, null and baseline.

    Where no truth between people is known, the same person's error only.
    """
    low, high = bootstrap_subjects(same_person(errors))
    own = {
        "null": float(same_person(reference.random[None]).mean()),
        "baseline": float(same_person(reference.position[None]).mean()),
    }
    other = {"null": across_subjects(reference.random[None]), "baseline": across_subjects(reference.position[None])}
    subjects = errors.shape[-1]
    result = {
        f"{prefix}/same_person_error": metric(
            float(same_person(errors).mean()), low=low, high=high, unit="mm", n=subjects, **own
        )
    }
    if np.isnan(across_subjects(errors)):
        return result
    low, high = bootstrap_subjects(errors)
    result[f"{prefix}/across_people_error"] = metric(
        across_subjects(errors), low=low, high=high, unit="mm", n=subjects, **other
    )
    result[f"{prefix}/across_people_relative"] = metric(relative_error(errors, reference), n=subjects, baseline=1.0)
    return result


def neighborhood_values(tokens_a: Tensor, tokens_b: Tensor, mask: Tensor, k: int = 5) -> dict[str, Float64s]:
    """One number per person (S,): neighbor overlap of two modalities, its null, and matches with the next person.

    ``overlap``: share of a token's K neighbors in one modality that are its neighbors in the other; ``overlap_null``:
    the same after the second modality's tokens are put in random order; ``matched``: share of tokens with a mutual
    match in the next person, about 0.5 for unrelated features.
    """
    following = tokens_b.roll(1, 0), mask.roll(1, 0)
    matches = mutual_matches(tokens_a, following[0], mask, following[1])
    values = {
        "overlap": neighbor_overlap(tokens_a, tokens_b, k, mask),
        "overlap_null": neighbor_overlap(tokens_a, permuted(tokens_b, mask), k, mask),
        "matched": matched_fraction(matches, mask),
    }
    return {name: value.double().numpy() for name, value in values.items()}


def permuted(tokens: Tensor, mask: Tensor, seed: int = 0) -> Tensor:
    """Each person's foreground tokens (S, N, F) in random order: the null of every measure of place."""
    generator = torch.Generator().manual_seed(seed)
    shuffled = tokens.clone()
    for subject, counted in enumerate(mask):
        index = counted.nonzero()[:, 0]
        shuffled[subject, index] = tokens[subject, index[torch.randperm(len(index), generator=generator)]]
    return shuffled


def _per_subject(values: Float64s, null: float) -> dict[str, Any]:
    low, high = bootstrap_subjects(values[None])
    return metric(float(values.mean()), low=low, high=high, n=len(values), null=null)


def scorecard(
    model: Taco,
    subjects: PosedSubjects,
    *,
    modalities: tuple[str, str] | None = None,
    reference: Mapping[int, Controls] | None = None,
) -> dict[str, dict[str, Any]]:
    """All correspondence and neighborhood metrics of a model, for each of its token levels.

    Args:
        model: the network.
        subjects: posed people never trained on. Without a map to the template nothing is said across people.
        modalities: from which to which; None takes the first two.
        reference: stride -> `controls`, when already computed.
    """
    first, second = modalities or (subjects.modalities[0], subjects.modalities[1])
    tokens_a, tokens_b = encode(model, subjects, first), encode(model, subjects, second)
    result: dict[str, dict[str, Any]] = {}
    for stride in tokens_a:
        places, mask = subjects.token_places(stride), subjects.token_mask(stride)
        known = reference[stride] if reference else controls(subjects, stride)
        errors = error_matrix(tokens_a[stride], tokens_b[stride], places, mask, across=subjects.known)[None]
        prefix = f"stride{stride}"
        result |= correspondence_metrics(np.asarray(errors), known, prefix)
        values = neighborhood_values(tokens_a[stride], tokens_b[stride], mask)
        result[f"{prefix}/overlap"] = _per_subject(values["overlap"], float(values["overlap_null"].mean()))
        result[f"{prefix}/matched"] = _per_subject(values["matched"], 0.5)
    return result
