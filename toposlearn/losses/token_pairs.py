"""The tokens that the losses compare: two modalities of B subjects at the same places, foreground first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from toposlearn.config import LossConfig, VolumeConfig
from toposlearn.losses.kernels import check_enough
from toposlearn.topology.distances import all_if_none, at_index
from toposlearn.topology.neighbors import nearest_neighbors
from toposlearn.topology.tokens import grid_positions, scrambled_tokens


class ModalityOutput(Protocol):
    """What the losses read of a network's output for one modality. A level is named by its stride in voxels."""

    tokens: Mapping[int, Tensor]  # stride -> (B, N, F)
    masks: Mapping[int, Tensor | None]  # stride -> (B, N) bool, foreground tokens
    reconstruction: Tensor  # (B, 1, D, H, W)
    volume: Tensor  # (B, 1, D, H, W), the target of the reconstruction


class TokenPairs(NamedTuple):
    """Tokens of B subjects at N places in two modalities, and what is known of these places.

    Attributes:
        tokens_a: (B, N, F).
        tokens_b: (B, N, F), at the same places, except for subjects that are not registered.
        mask: (B, N) bool, tokens that count in both, or in a for subjects that are not registered; or None.
        positions: (B, N, 3), mm on the grid, for the spatial prior; or None.
        places: (B, N, 3), true mm in a template common to all, for the oracle; or None.
        mask_b: (B, N) bool, tokens that count in b; None: the same as `mask`.
        registered: (B,) bool; None: all subjects are.
        graph_a: (B, N, K) long, neighbors in a; or None.
        graph_b: (B, N, K) long, neighbors in b; or None.
    """

    tokens_a: Tensor
    tokens_b: Tensor
    mask: Tensor | None = None
    positions: Tensor | None = None
    places: Tensor | None = None
    mask_b: Tensor | None = None
    registered: Tensor | None = None
    graph_a: Tensor | None = None
    graph_b: Tensor | None = None

    @property
    def masks(self) -> tuple[Tensor | None, Tensor | None]:
        """Tokens that count in a, and in b."""
        return self.mask, self.mask if self.mask_b is None else self.mask_b

    @property
    def mask_within(self) -> Tensor | None:
        """Tokens (B, N) that count within a subject: those of registered subjects."""
        if self.registered is None:
            return self.mask
        return all_if_none(self.mask, self.tokens_a) & self.registered[:, None]

    def swapped(self) -> TokenPairs:
        """The other direction."""
        (mask_a, mask_b), graphs = self.masks, (self.graph_b, self.graph_a)
        return TokenPairs(
            self.tokens_b, self.tokens_a, mask_b, self.positions, self.places, mask_a, self.registered, *graphs
        )


def token_pairs(
    output_a: ModalityOutput,
    output_b: ModalityOutput,
    stride: int,
    config: LossConfig,
    volume: VolumeConfig,
    places: Tensor | None = None,
    registered: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> TokenPairs:
    """The tokens of one level that are compared, with the graphs that both alignment terms share.

    ``volume`` is the grid of the spatial prior; ``places`` (B, N, 3) and ``registered`` (B,) are as in `TokenPairs`.
    """
    tokens = [output.tokens[stride] for output in (output_a, output_b)]
    if config.scrambled:
        tokens = [scrambled_tokens(each) for each in tokens]
    of_a = of_b = None
    if config.foreground and not config.scrambled:  # a scrambled token has no place
        of_a, of_b = output_a.masks.get(stride), output_b.masks.get(stride)
    mask, both = _common_mask(of_a, of_b, registered)
    positions = None
    if config.max_distance is not None:
        grid = grid_positions(volume.shape, stride, volume.spacing)
        positions = grid.to(tokens[0].device).expand(len(tokens[0]), -1, -1)
    (a, b, positions, places, both), mask = select_tokens(
        [*tokens, positions, places, both], mask, config.max_tokens, generator
    )
    assert a is not None
    assert b is not None
    check_enough(a.shape[1], config.k)
    mask_a, mask_b = (mask, mask) if both is None else both.unbind(-1)
    graphs = [nearest_neighbors(each, config.k, own, config.metric) for each, own in ((a, mask_a), (b, mask_b))]
    return TokenPairs(a, b, mask_a, positions, places, None if both is None else mask_b, registered, *graphs)


def _common_mask(
    mask_a: Tensor | None, mask_b: Tensor | None, registered: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """Tokens (B, N) to select first, and those that count in each modality (B, N, 2) where subjects can differ.

    In a registered subject a token counts that is foreground in both modalities; in another, each modality has a
    foreground of its own.
    """
    if mask_a is None or mask_b is None:
        return mask_a if mask_b is None else mask_b, None
    if registered is None:
        return mask_a & mask_b, None
    own = torch.stack([mask_a, mask_b], dim=-1)
    both = torch.where(registered[:, None, None], own.all(-1, keepdim=True), own)
    return both.any(-1), both


def select_tokens(
    values: Sequence[Tensor | None], mask: Tensor | None, count: int, generator: torch.Generator | None = None
) -> tuple[list[Tensor | None], Tensor | None]:
    """Keep M = min(count, N) tokens, the same places of all values (B, N, F), of which the first is not None.

    More foreground, mask (B, N), than that is thinned at random; air fills up where there is less. The number is fixed
    so that shapes do not depend on the data and no step waits for the device.

    Returns:
        Values (B, M, F), and the mask (B, M).
    """
    first = values[0]
    assert first is not None
    b, n, _ = first.shape
    if count >= n:
        return list(values), mask
    source = first.device if generator is None else generator.device
    priority = torch.rand(b, n, generator=generator, device=source).to(first.device)
    if mask is not None:
        priority = priority + mask
    index = priority.topk(count, dim=1).indices.sort(dim=1).values
    kept = [None if each is None else at_index(each, index) for each in values]
    return kept, None if mask is None else mask.gather(1, index)
