"""The total loss of TACO: reconstruction + intra-instance + inter-instance, as a module that holds the settings.

It reads what a model returns by name and knows no model. A term of weight 0 is not computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from toposlearn.config import LossConfig, TacoConfig
from toposlearn.losses.inter import SubjectIds, inter_instance_loss, match_pairs, ordered_pairs
from toposlearn.losses.intra import intra_instance_loss
from toposlearn.losses.reconstruction import reconstruction_loss
from toposlearn.losses.selection import select_tokens
from toposlearn.losses.triplets import check_enough
from toposlearn.topology.correspondence import gate_matches, invert_matches
from toposlearn.topology.neighbors import nearest_neighbors


class TacoOutput(Protocol):
    """What the loss reads of a model's output for one modality. A level is named by its stride in voxels."""

    @property
    def tokens(self) -> Mapping[int, Tensor]:
        """Stride -> (B, N, F)."""

    @property
    def masks(self) -> Mapping[int, Tensor | None]:
        """Stride -> (B, N) bool, foreground tokens, or None."""

    @property
    def reconstruction(self) -> Tensor:
        """(B, 1, D, H, W)."""

    @property
    def volume(self) -> Tensor:
        """(B, 1, D, H, W), what the reconstruction is held against."""


class TacoTerms(NamedTuple):
    """Scalars. The three terms are unweighted, and zero when they were not computed."""

    total: Tensor
    reconstruction: Tensor
    intra: Tensor
    inter: Tensor


class _Level(NamedTuple):
    """One token level: both modalities' tokens (B, N, F), their common mask (B, N), both graphs (B, N, K)."""

    tokens: tuple[Tensor, Tensor]
    mask: Tensor | None
    graphs: tuple[Tensor | None, Tensor | None]

    def swapped(self) -> _Level:
        """The other direction."""
        return _Level(self.tokens[::-1], self.mask, self.graphs[::-1])


class TacoLoss(nn.Module):
    """L = w_rec L_rec + w_intra L_intra + w_inter L_inter.

    Each alignment term is the mean over both directions and over the token levels. ``loss.released`` sums the two
    directions, as the released code does, so its weight of 10 is 20 here.
    """

    def __init__(self, config: TacoConfig) -> None:
        super().__init__()
        self.config: LossConfig = config.loss

    def forward(
        self,
        output_a: TacoOutput,
        output_b: TacoOutput,
        subject_ids: SubjectIds | None = None,
        step: int | None = None,
        generator: torch.Generator | None = None,
    ) -> TacoTerms:
        """Compare the outputs for two modalities of the same B subjects.

        Args:
            output_a: first modality.
            output_b: second modality.
            subject_ids: one per subject; only pairs of different people enter the inter term. Absent: all differ.
            step: optimizer step; before ``loss.inter_start`` the inter term is off. Absent: it is on.
            generator: source of randomness of the negatives.

        Returns:
            The weighted total and its three terms.

        Raises:
            ValueError: a level in ``loss.token_levels`` that the model does not give.
        """
        config = self.config
        use_intra = config.weight_intra > 0
        use_inter = config.weight_inter > 0 and (step is None or step >= config.inter_start)
        reconstruction = intra = inter = torch.zeros((), device=output_b.volume.device)
        if config.weight_reconstruction > 0:
            reconstruction = torch.stack([_reconstruction(output) for output in (output_a, output_b)]).mean()
        levels = self._levels(output_a, output_b, generator) if use_intra or use_inter else []
        if use_intra:
            intra = torch.stack([self._intra(level, generator) for level in levels]).mean()
        if use_inter:
            inter = torch.stack([self._inter(level, subject_ids, generator) for level in levels]).mean()
        weighted = config.weight_reconstruction * reconstruction + config.weight_intra * intra
        return TacoTerms(weighted + config.weight_inter * inter, reconstruction, intra, inter)

    def _levels(self, output_a: TacoOutput, output_b: TacoOutput, generator: torch.Generator | None) -> list[_Level]:
        """The configured levels. Both terms share a graph, which costs more than the rest of them together."""
        strides = self.config.token_levels or tuple(output_a.tokens)
        missing = sorted(set(strides) - set(output_a.tokens))
        if missing:
            raise ValueError(f"loss.token_levels {missing} are not among the model's levels {tuple(output_a.tokens)}")
        levels = []
        for stride in strides:
            common = _common(output_a.masks.get(stride), output_b.masks.get(stride))
            *tokens, mask = select_tokens(
                output_a.tokens[stride], output_b.tokens[stride], common, self.config.max_tokens, generator
            )
            check_enough(tokens[0].shape[1], self.config.k)
            graphs = self._graph(tokens[0], mask), self._graph(tokens[1], mask)
            levels.append(_Level((tokens[0], tokens[1]), mask, graphs))
        return levels

    def _graph(self, tokens: Tensor, mask: Tensor | None) -> Tensor | None:
        """The graph both terms can use; with another metric the inter term, always cosine, needs its own."""
        return nearest_neighbors(tokens, self.config.k, mask) if self.config.metric == "cosine" else None

    def _intra(self, level: _Level, generator: torch.Generator | None) -> Tensor:
        """Both directions of one level."""
        config = self.config
        directions = [
            intra_instance_loss(
                *way.tokens,
                k=config.k,
                margin=config.margin_intra,
                mask=way.mask,
                form=config.form,
                metric=config.metric,
                generator=generator,
                neighbors=way.graphs[0],
            )
            for way in (level, level.swapped())
        ]
        return self._combine(directions)

    def _inter(self, level: _Level, subject_ids: SubjectIds | None, generator: torch.Generator | None) -> Tensor:
        """Both directions of one level. The matches of the second are those of the first, read backwards."""
        config = self.config
        forward = match_pairs(*level.tokens, level.mask, level.mask)
        backward = torch.empty_like(forward)
        backward[_reverse_pairs(len(level.tokens[0]), forward.device)] = invert_matches(forward, forward.shape[1])
        directions = [
            inter_instance_loss(
                *way.tokens,
                subject_ids=subject_ids,
                k=config.k,
                margin=config.margin_inter,
                mask_a=way.mask,
                mask_b=way.mask,
                matches=self._gated(matches, way),
                generator=generator,
                neighbors=way.graphs[0],
            )
            for way, matches in ((level, forward), (level.swapped(), backward))
        ]
        return self._combine(directions)

    def _gated(self, matches: Tensor, level: _Level) -> Tensor:
        """Matches (P, N) that pass the configured gates."""
        if self.config.min_similarity is None and self.config.ratio is None:
            return matches
        p, q = ordered_pairs(len(level.tokens[0]), matches.device)
        mask = None if level.mask is None else level.mask[q]
        gates = self.config.min_similarity, self.config.ratio
        return gate_matches(matches, level.tokens[0][p], level.tokens[1][q], *gates, mask_b=mask)

    def _combine(self, directions: list[Tensor]) -> Tensor:
        total = torch.stack(directions).sum()
        return total if self.config.released else total / len(directions)


def _reconstruction(output: TacoOutput) -> Tensor:
    return reconstruction_loss(output.reconstruction, output.volume)


def _common(mask_a: Tensor | None, mask_b: Tensor | None) -> Tensor | None:
    """Tokens (B, N) that count in both modalities of a person."""
    if mask_a is None or mask_b is None:
        return mask_a if mask_b is None else mask_b
    return mask_a & mask_b


def _reverse_pairs(b: int, device: torch.device) -> Tensor:
    """For each ordered pair (p, q), the place (P,) of (q, p) in the list."""
    p, q = ordered_pairs(b, device)
    return q * (b - 1) + p - (p > q).long()
