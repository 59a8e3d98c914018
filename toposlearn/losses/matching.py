"""Matches between the tokens of two people: the matchers and gates that `LossConfig` names, in both directions."""

from functools import partial

import torch
from torch import Tensor

from toposlearn.config import LossConfig
from toposlearn.losses.token_pairs import TokenPairs
from toposlearn.topology.correspondence import (
    Pairs,
    gate_matches,
    keep_mutual,
    matches_both_ways,
    ordered_pairs,
    random_matches,
    reverse_pairs,
)
from toposlearn.topology.tokens import common_frame
from toposlearn.topology.transport import sinkhorn_both_ways


@torch.no_grad()
def match_subjects(
    subjects: TokenPairs, config: LossConfig, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Matches of every ordered pair of subjects, as `ordered_pairs` lists them, after the gates; -1: none.

    They are of p's ``tokens_a`` in q's ``tokens_b`` (P, N), and of p's ``tokens_b`` in q's ``tokens_a`` (P, N). The
    oracle needs places, a spatial prior positions; the generator is that of the random matcher.
    """
    count, device = len(subjects.tokens_a), subjects.tokens_a.device
    pairs = ordered_pairs(count, device)
    there, back = _both_ways(subjects, config, pairs, generator)
    back = back[reverse_pairs(count, device)]  # from q to p is another ordered pair
    return _gated(there, subjects, config, pairs), _gated(back, subjects.swapped(), config, pairs)


def _both_ways(
    subjects: TokenPairs, config: LossConfig, pairs: Pairs, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """From p's a to q's b (P, N), and from q's b to p's a (P, N)."""
    (p, q), (mask_a, mask_b) = pairs, subjects.masks
    a, b = subjects.tokens_a, subjects.tokens_b
    if config.matcher == "random":
        mask_p, mask_q = mask_a[p], mask_b[q]
        return random_matches(mask_p, mask_q, generator), random_matches(mask_q, mask_p, generator)
    if config.matcher == "oracle":
        if subjects.places is None:
            raise ValueError("loss.matcher 'oracle' needs the true places of tokens: this data set has no truth")
        there, back = matches_both_ways(subjects.places, subjects.places, mask_a, mask_b, "euclidean", pairs)
    elif config.matcher == "sinkhorn":
        temperature, dustbin = config.temperature, config.dustbin
        there, back = sinkhorn_both_ways(a[p], b[q], mask_a[p], mask_b[q], temperature=temperature, dustbin=dustbin)
    else:
        there, back = matches_both_ways(a, b, mask_a, mask_b, config.metric, pairs)
    return (there, back) if config.matcher == "nearest" else (keep_mutual(there, back), keep_mutual(back, there))


def _gated(matches: Tensor, subjects: TokenPairs, config: LossConfig, pairs: Pairs) -> Tensor:
    """Matches (P, N) that pass the gates that are set."""
    if (config.min_similarity, config.ratio, config.max_distance) == (None, None, None):
        return matches
    (p, q), (mask_a, mask_b) = pairs, subjects.masks
    a, b = subjects.tokens_a[p], subjects.tokens_b[q]
    gated = partial(gate_matches, matches, a, b, config.min_similarity, config.ratio, mask_b[q])
    if config.max_distance is None:
        return gated()
    if subjects.positions is None:
        raise ValueError("loss.max_distance needs the positions of tokens")
    frame_a, frame_b = (common_frame(subjects.positions, mask) for mask in (mask_a, mask_b))
    return gated(max_distance=config.max_distance, positions_a=frame_a[p], positions_b=frame_b[q])
