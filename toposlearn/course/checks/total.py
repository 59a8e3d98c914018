"""Check of the exercise on the total loss, and its usual mistakes. A term is a pair: one per modality or direction."""

from __future__ import annotations

import torch
from torch import Tensor

from toposlearn.course.checks.judge import Check, Inputs
from toposlearn.course.draw import uniform

Pair = tuple[Tensor, Tensor]


def _terms(values: Tensor, weight: float) -> Inputs:
    """Three pairs of scalars and the weight."""
    one = [value.clone().requires_grad_() for value in values]
    return (one[0], one[1]), (one[2], one[3]), (one[4], one[5]), weight


def _mean(pair: Pair) -> Tensor:
    return torch.stack(pair).mean()


def _total(reconstruction: Pair, intra: Pair, inter: Pair, weight: float) -> Tensor:
    return _mean(reconstruction) + weight * (_mean(intra) + _mean(inter))


check_total_loss = Check(
    "total",
    right=lambda reconstruction, intra, inter, weight: _total(reconstruction, intra, inter, weight),
    cases=lambda: {"": _terms(torch.tensor([1.54, 0.29, 2.18, 0.57, 1.08, 1.4]), 10.0)},
    draw=lambda rng: _terms(0.1 + uniform(rng, 6), float(rng.uniform(2, 20))),
    mistakes={
        "the two directions are summed, as in the released code: take their mean (its weight of 10 is 20 here).": (
            lambda rec, intra, inter, w: 2 * _total(rec, intra, inter, w)
        ),
        "the directions of the alignment terms are summed: take their mean, as for reconstruction.": (
            lambda rec, intra, inter, w: _mean(rec) + 2 * w * (_mean(intra) + _mean(inter))
        ),
        "the two modalities of reconstruction are summed: take their mean.": lambda rec, intra, inter, w: (
            _total(rec, intra, inter, w) + _mean(rec)
        ),
        "intra and inter are averaged: only the two directions of each are, the two terms are added.": (
            lambda rec, intra, inter, w: _mean(rec) + w * (_mean(intra) + _mean(inter)) / 2
        ),
        "the weight is missing.": lambda rec, intra, inter, w: _total(rec, intra, inter, 1),
        "the weight multiplies the reconstruction too: it belongs to the two alignment terms.": (
            lambda rec, intra, inter, w: w * _total(rec, intra, inter, 1)
        ),
        "the weight is on the reconstruction: it belongs to the two alignment terms.": lambda rec, intra, inter, w: (
            w * _mean(rec) + _mean(intra) + _mean(inter)
        ),
        "the alignment terms are divided by the weight: multiply.": lambda rec, intra, inter, w: _total(
            rec, intra, inter, 1 / w
        ),
        "the weight is on one alignment term only: both carry it (intra is without).": lambda rec, intra, inter, w: (
            _mean(rec) + _mean(intra) + w * _mean(inter)
        ),
        "the weight is on one alignment term only: both carry it (inter is without).": lambda rec, intra, inter, w: (
            _mean(rec) + w * _mean(intra) + _mean(inter)
        ),
        "the weight is added: it multiplies the alignment terms.": lambda rec, intra, inter, w: (
            _total(rec, intra, inter, 1) + w
        ),
        "only one direction is used: take the mean of both.": lambda rec, intra, inter, w: (
            rec[0] + w * (intra[0] + inter[0])
        ),
        "only the second direction is used: take the mean of both.": lambda rec, intra, inter, w: (
            rec[1] + w * (intra[1] + inter[1])
        ),
        "the reconstruction is missing.": lambda rec, intra, inter, w: w * (_mean(intra) + _mean(inter)),
        "the inter term is missing.": lambda rec, intra, inter, w: _mean(rec) + w * _mean(intra),
        "the intra term is missing.": lambda rec, intra, inter, w: _mean(rec) + w * _mean(inter),
        "the terms are multiplied: add intra and inter.": lambda rec, intra, inter, w: (
            _mean(rec) + w * _mean(intra) * _mean(inter)
        ),
        "the inter term is subtracted: both alignment terms are added.": lambda rec, intra, inter, w: (
            _mean(rec) + w * (_mean(intra) - _mean(inter))
        ),
        "there are two values still: take the mean of the two directions.": lambda rec, intra, inter, w: (
            torch.stack(rec) + w * (torch.stack(intra) + torch.stack(inter))
        ),
        "the mean is taken over all three terms: add them.": lambda rec, intra, inter, w: (
            _total(rec, intra, inter, w) / 3
        ),
    },
    meaning="A mean over directions, a weight on the alignment terms.",
)
