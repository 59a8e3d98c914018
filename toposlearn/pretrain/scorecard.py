"""Errors of correspondence on held-out people, their controls, and metrics.

Entry (p, q) of an error matrix is the mean distance (mm) between the true place in q of p's tokens and the place of q's
most similar token: one subject in two modalities on the diagonal, two people elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toposlearn import topology
from toposlearn.arrays import Float64s
from toposlearn.data.posed import PosedSubjects
from toposlearn.intervals import across_subjects, bootstrap_subjects, mean_metric, same_person
from toposlearn.models.taco import Taco
from toposlearn.reproducibility import metric
from toposlearn.topology.distances import Metric

BATCH = 4  # volumes encoded at once
K = 5  # neighbors of a token


@torch.no_grad()
def encode(model: Taco, subjects: PosedSubjects, modality: str) -> dict[int, Tensor]:
    """Tokens of every subject in one modality: stride -> (S, N, F), on the CPU."""
    device = next(model.parameters()).device
    volumes = torch.split(subjects.volumes[:, subjects.modalities.index(modality), None], BATCH)
    model.eval()
    outputs = [model(part.to(device), reconstruct=False).tokens for part in volumes]
    return {stride: torch.cat([tokens[stride].float().cpu() for tokens in outputs]) for stride in outputs[0]}


def error_matrix(
    tokens_a: Tensor, tokens_b: Tensor, template: Tensor, mask: Tensor, kind: Metric = "cosine", *, across: bool = True
) -> Float64s:
    """Mean error (S, S) in template mm of the best match of each foreground token of p (row) in q (column).

    Tokens are (S, N, F), places `template` (S, N, 3), `mask` (S, N). Unless `across`, NaN is off the diagonal.
    """
    tokens_a, tokens_b, template, mask = foreground_only(mask, tokens_a, tokens_b, template)
    if not across:
        matches = topology.nearest_matches(tokens_a, tokens_b, mask, mask, metric=kind)
        own = topology.match_error(matches, template, template)
        return np.where(np.eye(len(own), dtype=bool), own.double().numpy(), np.nan)
    rows = []
    for p in range(len(tokens_a)):
        query, place, counted = (part[p].expand_as(part) for part in (tokens_a, template, mask))
        matches = topology.nearest_matches(query, tokens_b, counted, mask, metric=kind)
        rows.append(topology.match_error(matches, place, template))
    return torch.stack(rows).double().numpy()


def foreground_only(mask: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
    """Foreground tokens (S, M, F), padded to the largest head, and their mask (S, M): two thirds of all are air."""
    largest = int(mask.sum(dim=1).max())
    index = mask.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :largest]
    picked = [part.gather(1, index[..., None].expand(-1, -1, part.shape[-1])) for part in values]
    return (*picked, mask.gather(1, index))


def permuted(tokens: Tensor, mask: Tensor, seed: int = 0) -> Tensor:
    """Foreground tokens (S, N, F) of each subject in random order: the null of every measure of place."""
    generator = torch.Generator().manual_seed(seed)
    shuffled = tokens.clone()
    for subject, counted in enumerate(mask):
        index = counted.nonzero()[:, 0]
        shuffled[subject, index] = tokens[subject, index[torch.randperm(len(index), generator=generator)]]
    return shuffled


@dataclass(frozen=True, eq=False)
class Controls:
    """Error matrices (S, S) that need no network, on the same people and tokens."""

    position: Float64s  # nearest grid position
    centered: Float64s  # nearest position after centering and scaling each head
    floor: Float64s  # the best possible token
    random: Float64s  # independent random features
    permuted: Float64s  # perfect features, the second modality's tokens in random order


def controls(subjects: PosedSubjects, stride: int) -> Controls:
    """The baselines, the floor and the nulls of one token level; NaN between people without a known truth."""
    template, mask = subjects.token_places(stride), subjects.token_mask(stride)
    errors = partial(error_matrix, template=template, mask=mask, across=subjects.known)
    place = subjects.token_positions(stride).expand_as(template)
    centered = topology.centered_positions(place, mask)
    noise = torch.randn(2, *template.shape[:2], 48, generator=torch.Generator().manual_seed(0))
    return Controls(
        position=errors(place, place, kind="euclidean"),
        centered=errors(centered, centered, kind="euclidean"),
        floor=errors(template, template, kind="euclidean"),
        random=errors(noise[0], noise[1]),
        permuted=errors(template, permuted(template, mask), kind="euclidean"),
    )


def relative_error(errors: Float64s, reference: Controls) -> float:
    """(error - floor) / (position - floor) across people: 0 is the best possible token, 1 is grid position."""
    floor = across_subjects(reference.floor)
    return (across_subjects(errors) - floor) / (across_subjects(reference.position) - floor)


def mean_errors(errors: Float64s, *, interval: bool = False) -> dict[str, float]:
    """``same person`` and, where it is known, ``other person`` of an error matrix (R, S, S), with its interval."""
    result = {"same person": float(same_person(errors).mean())}
    if not _known_across(errors):
        return result
    result["other person"] = across_subjects(errors)
    return result | (dict(zip(("low", "high"), bootstrap_subjects(errors), strict=True)) if interval else {})


def error_metrics(errors: Float64s, prefix: str, reference: Controls | None = None) -> dict[str, dict[str, Any]]:
    """Metric objects of error matrices (R, S, S) over R seeds, by name ``PREFIX/same_person_error``.

    Where it is known also ``across_people_error``. The reference gives null, baseline and ``across_people_relative``.
    """
    kinds = {"null": reference.random, "baseline": reference.position} if reference else {}
    own = {kind: float(same_person(matrix).mean()) for kind, matrix in kinds.items()}
    result = {f"{prefix}/same_person_error": mean_metric(same_person(errors), unit="mm", **own)}
    if not _known_across(errors):
        return result
    other = {kind: across_subjects(matrix) for kind, matrix in kinds.items()}
    result[f"{prefix}/across_people_error"] = mean_metric(errors, unit="mm", **other)
    if reference:
        relative = metric(relative_error(errors, reference), n=errors.shape[-1], baseline=1.0)
        result[f"{prefix}/across_people_relative"] = relative
    return result


def _known_across(errors: Float64s) -> bool:
    """Whether errors (R, S, S) between two people are known: there are two, and their true places."""
    return errors.shape[-1] > 1 and not np.isnan(across_subjects(errors))


def neighborhood_values(tokens_a: Tensor, tokens_b: Tensor, mask: Tensor) -> dict[str, Float64s]:
    """Per subject (S,): ``overlap`` of tokens' `K` neighbors in two modalities, and its null (tokens in random order).

    ``matched``: share of tokens with a mutual match in the next subject, about 0.5 for unrelated features.
    """
    matches = topology.mutual_matches(tokens_a, tokens_b.roll(1, 0), mask, mask.roll(1, 0))
    values = {
        "overlap": topology.neighbor_overlap(tokens_a, tokens_b, K, mask),
        "overlap_null": topology.neighbor_overlap(tokens_a, permuted(tokens_b, mask), K, mask),
        "matched": topology.matched_fraction(matches, mask),
    }
    return {name: value.double().numpy() for name, value in values.items()}


def scorecard(
    model: Taco, subjects: PosedSubjects, *, reference: Mapping[int, Controls] | None = None
) -> dict[str, dict[str, Any]]:
    """All metrics of each token level; subjects are read in their first two modalities, with one there is none.

    Of one person, or without a map to the template, none is across people; `reference` are `controls` by stride, when
    already computed.
    """
    if len(subjects.modalities) < 2:
        return {}
    tokens_a, tokens_b = (encode(model, subjects, modality) for modality in subjects.modalities[:2])
    result: dict[str, dict[str, Any]] = {}
    for stride in tokens_a:
        places, mask = subjects.token_places(stride), subjects.token_mask(stride)
        known = reference[stride] if reference else controls(subjects, stride)
        errors = error_matrix(tokens_a[stride], tokens_b[stride], places, mask, across=subjects.known)
        prefix = f"stride{stride}"
        result |= error_metrics(errors[None], prefix, known)
        values = neighborhood_values(tokens_a[stride], tokens_b[stride], mask)
        null = float(values["overlap_null"].mean())
        result[f"{prefix}/overlap"] = mean_metric(values["overlap"][None], null=null)
        if len(mask) > 1:  # of one person the next is the same
            result[f"{prefix}/matched"] = mean_metric(values["matched"][None], null=0.5)
    return result
