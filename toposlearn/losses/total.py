"""The total loss of TACO: reconstruction + intra-instance + inter-instance, as a module that holds the settings.

It reads what a model returns by name and imports no model. A term of weight 0 is not computed.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from toposlearn.config import TacoConfig
from toposlearn.losses.inter import SubjectIds, inter_instance_loss
from toposlearn.losses.intra import intra_instance_loss
from toposlearn.losses.kernels import Negatives
from toposlearn.losses.listwise import listwise_loss, neighborhoods
from toposlearn.losses.matching import match_subjects
from toposlearn.losses.reconstruction import reconstruction_loss
from toposlearn.losses.token_pairs import ModalityOutput, TokenPairs, token_pairs


class TacoTerms(NamedTuple):
    """Scalars. The three terms are unweighted, and zero when they were not computed."""

    total: Tensor
    reconstruction: Tensor
    intra: Tensor
    inter: Tensor


class TacoLoss(nn.Module):
    """L = w_rec L_rec + w_intra L_intra + w_inter L_inter.

    Each alignment term is the mean over both directions and over the token levels. With ``loss.released`` it does what
    the released code does: see `toposlearn.settings.RELEASED`. Directions are then summed, so its weight of 10 is 20
    here; without ``loss.token_levels`` only the deepest level is used.
    """

    def __init__(self, config: TacoConfig) -> None:
        super().__init__()
        self.config = config

    def forward(
        self,
        output_a: ModalityOutput,
        output_b: ModalityOutput,
        subject_ids: SubjectIds | None = None,
        step: int | None = None,
        generator: torch.Generator | None = None,
        places: Mapping[int, Tensor] | None = None,
        registered: Tensor | None = None,
    ) -> TacoTerms:
        """Compare the outputs for two modalities of the same B subjects; ValueError for a level that these lack.

        Args:
            output_a: first modality.
            output_b: second modality.
            subject_ids: one per subject; only pairs of different people enter the inter term. Absent: all differ.
            step: optimizer step; before ``loss.inter_start`` the inter term is off. Absent: it is on.
            generator: source of randomness of the negatives.
            places: stride -> (B, N, 3), true template mm of the tokens; read by the oracle matcher only.
            registered: (B,) bool, subjects whose two modalities lie at the same place: the others are left out of the
                intra term, and in the inter term each of their modalities has a foreground of its own. Absent: all.
        """
        config = self.config.loss
        use_intra = config.weight_intra > 0
        use_inter = config.weight_inter > 0 and (step is None or step >= config.inter_start)
        reconstruction = intra = inter = torch.zeros((), device=output_b.volume.device)
        if config.weight_reconstruction > 0:
            both = [reconstruction_loss(each.reconstruction, each.volume) for each in (output_a, output_b)]
            reconstruction = torch.stack(both).mean()
        levels = [
            token_pairs(output_a, output_b, s, self.config, (places or {}).get(s), registered, generator)
            for s in (self._strides(output_a.tokens) if use_intra or use_inter else ())
        ]
        if use_intra:
            intra = torch.stack([self._intra(level, generator) for level in levels]).mean()
        if use_inter:
            inter = torch.stack([self._inter(level, subject_ids, generator) for level in levels]).mean()
        weighted = config.weight_reconstruction * reconstruction + config.weight_intra * intra
        return TacoTerms(weighted + config.weight_inter * inter, reconstruction, intra, inter)

    def _strides(self, tokens: Mapping[int, Tensor]) -> Sequence[int]:
        """The levels to compare."""
        config = self.config.loss
        strides = config.token_levels or ((max(tokens),) if config.released else tuple(tokens))
        if missing := sorted(set(strides) - set(tokens)):
            raise ValueError(f"loss.token_levels {missing} are not among the model's levels {tuple(tokens)}")
        return strides

    def _intra(self, level: TokenPairs, generator: torch.Generator | None) -> Tensor:
        """Both directions of one level."""
        c = self.config.loss
        if c.form == "listwise":
            assert level.positions is not None
            wanted = neighborhoods(level.positions, c.radius, level.mask_within)
            lists = partial(listwise_loss, wanted=wanted, temperature=c.softness, metric=c.metric)
            ways = (level, level.swapped())
            return self._combine([lists(way.tokens_a, way.tokens_b, mask=way.mask_within) for way in ways])
        how: Negatives = "semi_hard" if c.negatives == "semi_hard" else "uniform"
        term = partial(intra_instance_loss, k=c.k, margin=c.margin_intra, negatives=how, form=c.form, metric=c.metric)
        directions = [
            term(way.tokens_a, way.tokens_b, mask=way.mask_within, neighbors=way.graph_a, generator=generator)
            for way in (level, level.swapped())
        ]
        return self._combine(directions)

    def _inter(self, level: TokenPairs, subject_ids: SubjectIds | None, generator: torch.Generator | None) -> Tensor:
        """Both directions of one level."""
        c = self.config.loss
        term = partial(inter_instance_loss, k=c.k, margin=c.margin_inter, negatives=c.negatives, metric=c.metric)
        term = partial(term, subject_ids=subject_ids, generator=generator)
        directions = []
        for way, matches in zip((level, level.swapped()), match_subjects(level, c, generator), strict=True):
            known = partial(term, matches=matches, neighbors=way.graph_a)
            directions.append(known(way.tokens_a, way.tokens_b, mask_a=way.masks[0], mask_b=way.masks[1]))
        return self._combine(directions)

    def _combine(self, directions: list[Tensor]) -> Tensor:
        total = torch.stack(directions).sum()
        return total if self.config.loss.directions == "sum" else total / len(directions)
