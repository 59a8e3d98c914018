"""Who corresponds to whom between two people: the matchers and gates that `LossConfig` names.

A matcher answers for one pair of people at a time and in both directions: which token of q's modality b is each token
of p's modality a, and which token of p's a is each token of q's b.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from toposlearn.config import LossConfig
from toposlearn.losses.inter import ordered_pairs
from toposlearn.topology.correspondence import (
    gate_matches,
    invert_matches,
    keep_mutual,
    matches_both_ways,
    random_matches,
)
from toposlearn.topology.distances import Metric
from toposlearn.topology.tokens import common_frame
from toposlearn.topology.transport import sinkhorn_matches


class People(NamedTuple):
    """Tokens of B people at N places in two modalities, and what is known of these places.

    Attributes:
        tokens_a: (B, N, F).
        tokens_b: (B, N, F), at the same places, but for people who are not registered.
        mask: (B, N) bool, tokens that count in both, or in a for people who are not registered; or None.
        positions: (B, N, 3), mm on the grid, for the spatial prior; or None.
        places: (B, N, 3), true mm in a template common to all, for the oracle; or None.
        mask_b: (B, N) bool, tokens that count in b; None: the same as `mask`.
        registered: (B,) bool, or None: everybody is.
    """

    tokens_a: Tensor
    tokens_b: Tensor
    mask: Tensor | None = None
    positions: Tensor | None = None
    places: Tensor | None = None
    mask_b: Tensor | None = None
    registered: Tensor | None = None

    @property
    def masks(self) -> tuple[Tensor | None, Tensor | None]:
        """Tokens that count in a, and in b."""
        return self.mask, self.mask if self.mask_b is None else self.mask_b

    def swapped(self) -> People:
        """The other direction."""
        mask_a, mask_b = self.masks
        return self._replace(tokens_a=self.tokens_b, tokens_b=self.tokens_a, mask=mask_b, mask_b=mask_a)


@torch.no_grad()
def match_subjects(
    subjects: People, config: LossConfig, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Matches of every ordered pair of people, as `ordered_pairs` lists them, after the gates.

    Args:
        subjects: the tokens.
        config: ``matcher`` and its settings, the ``metric`` of nearest and mutual, and the gates ``min_similarity``,
            ``ratio`` and ``max_distance``.
        generator: source of randomness of the random matcher.

    Returns:
        p's ``tokens_a`` in q's ``tokens_b`` (P, N), and p's ``tokens_b`` in q's ``tokens_a`` (P, N); -1: none.

    Raises:
        ValueError: the oracle without places, or a spatial prior without positions.
    """
    p, q = ordered_pairs(len(subjects.tokens_a), subjects.tokens_a.device)
    there, back = _both_ways(subjects, config, p, q, generator)
    turned = torch.empty_like(back)
    turned[reverse_pairs(len(subjects.tokens_a), back.device)] = back  # from q to p is another ordered pair
    return _gated(there, subjects, config, p, q), _gated(turned, subjects.swapped(), config, p, q)


def _both_ways(
    subjects: People, config: LossConfig, p: Tensor, q: Tensor, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """From p's a to q's b (P, N), and from q's b to p's a (P, N)."""
    a, b = subjects.tokens_a.detach(), subjects.tokens_b.detach()
    if config.matcher == "oracle":
        if subjects.places is None:
            raise ValueError("loss.matcher 'oracle' needs the true places of tokens: this data set has no truth")
        a = b = subjects.places
    if config.matcher in ("nearest", "mutual", "oracle"):
        metric: Metric = "euclidean" if config.matcher == "oracle" else config.metric
        there, back = matches_both_ways(a, b, *subjects.masks, metric, (p, q))
        return (there, back) if config.matcher == "nearest" else (keep_mutual(there, back), keep_mutual(back, there))
    of_a, of_b = subjects.masks
    mask_a, mask_b = (None if of_a is None else of_a[p]), (None if of_b is None else of_b[q])
    if config.matcher == "random":
        everyone = torch.ones(len(p), a.shape[1], dtype=torch.bool, device=a.device)
        mask_a, mask_b = (everyone if mask is None else mask for mask in (mask_a, mask_b))
        return random_matches(mask_a, mask_b, generator), random_matches(mask_b, mask_a, generator)
    matches = sinkhorn_matches(a[p], b[q], mask_a, mask_b, temperature=config.temperature, dustbin=config.dustbin)
    return matches, invert_matches(matches, b.shape[1])


def _gated(matches: Tensor, subjects: People, config: LossConfig, p: Tensor, q: Tensor) -> Tensor:
    """Matches (P, N) that pass the gates that are set."""
    gates = config.min_similarity, config.ratio
    if gates == (None, None) and config.max_distance is None:
        return matches
    prior: dict[str, Tensor | float] = {}
    if config.max_distance is not None:
        if subjects.positions is None:
            raise ValueError("loss.max_distance needs the positions of tokens")
        everyone = torch.ones(subjects.positions.shape[:2], dtype=torch.bool, device=matches.device)
        of_a, of_b = (common_frame(subjects.positions, everyone if mask is None else mask) for mask in subjects.masks)
        prior = {"max_distance": config.max_distance, "positions_a": of_a[p], "positions_b": of_b[q]}
    mask_b = subjects.masks[1]
    mask = None if mask_b is None else mask_b[q]
    return gate_matches(matches, subjects.tokens_a[p], subjects.tokens_b[q], *gates, mask_b=mask, **prior)  # type: ignore[arg-type]


def reverse_pairs(b: int, device: torch.device | None = None) -> Tensor:
    """For each ordered pair (p, q), the place (P,) of (q, p) in the list."""
    p, q = ordered_pairs(b, device)
    return q * (b - 1) + p - (p > q).long()
