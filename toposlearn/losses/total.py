"""The total loss of TACO: reconstruction + intra-instance + inter-instance, as a module that holds the settings.

It reads what a model returns by name and knows no model. A term of weight 0 is not computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from toposlearn.config import LossConfig, TacoConfig, VolumeConfig
from toposlearn.losses.inter import SubjectIds, inter_instance_loss
from toposlearn.losses.intra import intra_instance_loss
from toposlearn.losses.matching import People, match_subjects
from toposlearn.losses.reconstruction import reconstruction_loss
from toposlearn.losses.selection import select_tokens
from toposlearn.losses.triplets import check_enough
from toposlearn.topology.neighbors import nearest_neighbors
from toposlearn.topology.tokens import grid_positions, scrambled_tokens


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
    """One token level: what is known of the people there, and both graphs (B, N, K)."""

    subjects: People
    graphs: tuple[Tensor, Tensor]

    def swapped(self) -> _Level:
        """The other direction."""
        return _Level(self.subjects.swapped(), self.graphs[::-1])


class TacoLoss(nn.Module):
    """L = w_rec L_rec + w_intra L_intra + w_inter L_inter.

    Each alignment term is the mean over both directions and over the token levels. With ``loss.released`` it does what
    the released code does: see `toposlearn.config.RELEASED`. Directions are then summed, so its weight of 10 is 20
    here; without ``loss.token_levels`` only the deepest level is used.
    """

    def __init__(self, config: TacoConfig) -> None:
        super().__init__()
        self.config: LossConfig = config.loss
        self.volume: VolumeConfig = config.volume

    def forward(
        self,
        output_a: TacoOutput,
        output_b: TacoOutput,
        subject_ids: SubjectIds | None = None,
        step: int | None = None,
        generator: torch.Generator | None = None,
        places: Mapping[int, Tensor] | None = None,
        registered: Tensor | None = None,
    ) -> TacoTerms:
        """Compare the outputs for two modalities of the same B subjects.

        Args:
            output_a: first modality.
            output_b: second modality.
            subject_ids: one per subject; only pairs of different people enter the inter term. Absent: all differ.
            step: optimizer step; before ``loss.inter_start`` the inter term is off. Absent: it is on.
            generator: source of randomness of the negatives.
            places: stride -> (B, N, 3), true template mm of the tokens; read by the oracle matcher only.
            registered: (B,) bool, subjects whose two modalities lie at the same place: the others are left out of the
                intra term, and in the inter term each of their modalities has a foreground of its own. Absent: all.

        Returns:
            The weighted total and its three terms.

        Raises:
            ValueError: a level in ``loss.token_levels`` that the model does not give, or an oracle without the truth.
        """
        config = self.config
        use_intra = config.weight_intra > 0
        use_inter = config.weight_inter > 0 and (step is None or step >= config.inter_start)
        reconstruction = intra = inter = torch.zeros((), device=output_b.volume.device)
        if config.weight_reconstruction > 0:
            reconstruction = torch.stack([_reconstruction(output) for output in (output_a, output_b)]).mean()
        use = use_intra or use_inter
        levels = self._levels(output_a, output_b, places or {}, registered, generator) if use else []
        if use_intra:
            intra = torch.stack([self._intra(level, generator) for level in levels]).mean()
        if use_inter:
            inter = torch.stack([self._inter(level, subject_ids, generator) for level in levels]).mean()
        weighted = config.weight_reconstruction * reconstruction + config.weight_intra * intra
        return TacoTerms(weighted + config.weight_inter * inter, reconstruction, intra, inter)

    def _levels(
        self,
        output_a: TacoOutput,
        output_b: TacoOutput,
        places: Mapping[int, Tensor],
        registered: Tensor | None,
        generator: torch.Generator | None,
    ) -> list[_Level]:
        """The configured levels. Both terms share a graph."""
        available = tuple(output_a.tokens)
        strides = self.config.token_levels or ((max(available),) if self.config.released else available)
        missing = sorted(set(strides) - set(available))
        if missing:
            raise ValueError(f"loss.token_levels {missing} are not among the model's levels {available}")
        levels = []
        for stride in strides:
            subjects = self._subjects(output_a, output_b, stride, places.get(stride), registered, generator)
            check_enough(subjects.tokens_a.shape[1], self.config.k)
            a, b = (
                nearest_neighbors(tokens, self.config.k, mask, self.config.metric)
                for tokens, mask in zip((subjects.tokens_a, subjects.tokens_b), subjects.masks, strict=True)
            )
            levels.append(_Level(subjects, (a, b)))
        return levels

    def _subjects(
        self,
        output_a: TacoOutput,
        output_b: TacoOutput,
        stride: int,
        places: Tensor | None,
        registered: Tensor | None,
        generator: torch.Generator | None,
    ) -> People:
        """The tokens that are compared: foreground, at most so many, and what the matcher needs to know of them."""
        config = self.config
        tokens = [output.tokens[stride] for output in (output_a, output_b)]
        if config.scrambled:
            tokens = [scrambled_tokens(each) for each in tokens]
        placed = config.foreground and not config.scrambled  # a scrambled token lies nowhere
        of_a, of_b = (output_a.masks.get(stride), output_b.masks.get(stride)) if placed else (None, None)
        mask, both = _common(of_a, of_b), None
        if registered is not None and of_a is not None and of_b is not None:
            own = torch.stack([of_a, of_b], dim=-1)
            both = torch.where(registered[:, None, None], own.all(-1, keepdim=True), own)  # (B, N, 2)
            mask = both.any(-1)
        positions = None
        if config.max_distance is not None:
            grid = grid_positions(self.volume.shape, stride, self.volume.spacing)
            positions = grid.to(tokens[0].device).expand(len(tokens[0]), -1, -1)
        (a, b, positions, places, both), mask = select_tokens(
            [*tokens, positions, places, both], mask, config.max_tokens, generator
        )
        assert a is not None
        assert b is not None
        mask, mask_b = (mask, None) if both is None else both.unbind(-1)
        return People(a, b, mask, positions, places, mask_b, registered)

    def _intra(self, level: _Level, generator: torch.Generator | None) -> Tensor:
        """Both directions of one level."""
        config = self.config
        directions = [
            intra_instance_loss(
                way.subjects.tokens_a,
                way.subjects.tokens_b,
                k=config.k,
                margin=config.margin_intra,
                mask=_of_registered(way.subjects),
                negatives="semi_hard" if config.negatives == "semi_hard" else None,
                form=config.form,
                metric=config.metric,
                generator=generator,
                neighbors=way.graphs[0],
            )
            for way in (level, level.swapped())
        ]
        return self._combine(directions)

    def _inter(self, level: _Level, subject_ids: SubjectIds | None, generator: torch.Generator | None) -> Tensor:
        """Both directions of one level."""
        config = self.config
        both = match_subjects(level.subjects, config, generator)
        directions = [
            inter_instance_loss(
                way.subjects.tokens_a,
                way.subjects.tokens_b,
                subject_ids=subject_ids,
                k=config.k,
                margin=config.margin_inter,
                mask_a=way.subjects.masks[0],
                mask_b=way.subjects.masks[1],
                matches=matches,
                negatives=None if config.negatives == "uniform" else config.negatives,
                metric=config.metric,
                generator=generator,
                neighbors=way.graphs[0],
            )
            for way, matches in zip((level, level.swapped()), both, strict=True)
        ]
        return self._combine(directions)

    def _combine(self, directions: list[Tensor]) -> Tensor:
        total = torch.stack(directions).sum()
        return total if self.config.directions == "sum" else total / len(directions)


def _reconstruction(output: TacoOutput) -> Tensor:
    return reconstruction_loss(output.reconstruction, output.volume)


def _common(mask_a: Tensor | None, mask_b: Tensor | None) -> Tensor | None:
    """Tokens (B, N) that count in both modalities of a person."""
    if mask_a is None or mask_b is None:
        return mask_a if mask_b is None else mask_b
    return mask_a & mask_b


def _of_registered(subjects: People) -> Tensor | None:
    """Tokens (B, N) that count within a person: none of those whose modalities do not lie at the same place."""
    if subjects.registered is None:
        return subjects.mask
    everywhere = torch.ones(subjects.tokens_a.shape[:2], dtype=torch.bool, device=subjects.tokens_a.device)
    return (everywhere if subjects.mask is None else subjects.mask) & subjects.registered[:, None]
