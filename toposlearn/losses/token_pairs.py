"""The tokens that the losses compare: two modalities of B subjects at the same places, foreground first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from toposlearn.config import TacoConfig
from toposlearn.losses.kernels import check_enough
from toposlearn.topology.distances import Mask, at_index, full_mask
from toposlearn.topology.neighbors import nearest_neighbors
from toposlearn.topology.tokens import grid_positions, scrambled_tokens


class ModalityOutput(Protocol):
    """What the losses read of a network's output for one modality. A level is named by its stride in voxels."""

    tokens: Mapping[int, Tensor]  # stride -> (B, N, F)
    masks: Mapping[int, Tensor | None]  # stride -> (B, N) bool, foreground tokens
    reconstruction: Tensor  # (B, 1, D, H, W)
    volume: Tensor  # (B, 1, D, H, W), the target of the reconstruction


class TokenPairs(NamedTuple):
    """Tokens of B subjects at N places in two modalities, and what is known of these places."""

    tokens_a: Tensor  # (B, N, F)
    tokens_b: Tensor  # (B, N, F), at the same places, except for subjects that are not registered
    mask: Mask = None  # (B, N) bool, tokens that count in both, or in a for subjects that are not registered
    positions: Tensor | None = None  # (B, N, 3), mm on the grid of a, for the spatial prior and the listwise form
    places: Tensor | None = None  # (B, N, 3), true mm in a template common to all, for the oracle
    mask_b: Mask = None  # (B, N) bool, tokens that count in b; None: the same as `mask`
    registered: Tensor | None = None  # (B,) bool; None: all subjects are
    graph_a: Tensor | None = None  # (B, N, K) long, neighbors in a
    graph_b: Tensor | None = None  # (B, N, K) long, neighbors in b

    @property
    def masks(self) -> tuple[Tensor, Tensor]:
        """Tokens (B, N) that count in a, and in b."""
        mask_a = full_mask(self.mask, self.tokens_a)
        return mask_a, mask_a if self.mask_b is None else self.mask_b

    @property
    def mask_within(self) -> Tensor:
        """Tokens (B, N) that count within a subject: those of registered subjects."""
        return self.masks[0] if self.registered is None else self.masks[0] & self.registered[:, None]

    def swapped(self) -> TokenPairs:
        """The other direction."""
        a, b, (mask_a, mask_b) = self.tokens_a, self.tokens_b, self.masks
        other = self._replace(tokens_a=b, tokens_b=a, mask=mask_b, mask_b=mask_a)
        return other._replace(graph_a=self.graph_b, graph_b=self.graph_a)


def token_pairs(
    output_a: ModalityOutput,
    output_b: ModalityOutput,
    stride: int,
    config: TacoConfig,
    places: Tensor | None = None,
    registered: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> TokenPairs:
    """The tokens of one level that are compared, with the graphs that both alignment terms share.

    ``config.volume`` is the grid of the positions; ``places`` and ``registered`` are as in `TokenPairs`.
    """
    loss, volume = config.loss, config.volume
    tokens = [output.tokens[stride] for output in (output_a, output_b)]
    if loss.scrambled:
        tokens = [scrambled_tokens(each) for each in tokens]
    of_a = of_b = None
    if loss.foreground and not loss.scrambled:  # a scrambled token has no place
        of_a, of_b = output_a.masks.get(stride), output_b.masks.get(stride)
    mask, both = _common_mask(of_a, of_b, registered)
    positions = None
    if loss.max_distance is not None or loss.form == "listwise":
        grid = grid_positions(volume.shape, stride, volume.spacing)
        positions = grid.to(tokens[0].device).expand(len(tokens[0]), -1, -1)
    (a, b, positions, places, both), mask = select_tokens(
        [*tokens, positions, places, both], mask, loss.max_tokens, generator
    )
    assert a is not None
    assert b is not None
    check_enough(a.shape[1], loss.k)
    mask_a, mask_b = (mask, mask) if both is None else both.unbind(-1)
    pairs = TokenPairs(a, b, mask_a, positions, places, mask_b, registered)
    if loss.form == "listwise" and loss.weight_inter == 0:
        return pairs  # no term reads a graph of features
    graph_a, graph_b = (nearest_neighbors(each, loss.k, own, loss.metric) for each, own in ((a, mask_a), (b, mask_b)))
    return pairs._replace(graph_a=graph_a, graph_b=graph_b)


def _common_mask(mask_a: Mask, mask_b: Mask, registered: Tensor | None) -> tuple[Mask, Tensor | None]:
    """Tokens (B, N) to select first, and those that count in each modality (B, N, 2) where subjects can differ."""
    if mask_a is None or mask_b is None:
        return mask_a if mask_b is None else mask_b, None
    if registered is None:
        return mask_a & mask_b, None
    own = torch.stack([mask_a, mask_b], dim=-1)
    both = torch.where(registered[:, None, None], own.all(-1, keepdim=True), own)  # others: each has its foreground
    return both.any(-1), both


def select_tokens(
    values: Sequence[Tensor | None], mask: Mask, count: int, generator: torch.Generator | None = None
) -> tuple[list[Tensor | None], Mask]:
    """Keep M = min(count, N) tokens, the same places of all values (B, N, F) and of the mask (B, N).

    More foreground than that is thinned at random; air fills up where there is less. The number is fixed so that shapes
    do not depend on the data and no step waits for the device.
    """
    b, n, device = next((*each.shape[:2], each.device) for each in values if each is not None)
    if count >= n:
        return list(values), mask
    source = device if generator is None else generator.device
    priority = torch.rand(b, n, generator=generator, device=source).to(device)
    if mask is not None:
        priority = priority + mask
    index = priority.topk(count, dim=1).indices.sort(dim=1).values
    kept = [None if each is None else at_index(each, index) for each in values]
    return kept, None if mask is None else mask.gather(1, index)
