"""What random features cost: the mean of the hinge, unless the matches were chosen by the features themselves."""

import math

import pytest
import torch

from toposlearn.losses import inter_instance_loss, intra_instance_loss, ordered_pairs
from toposlearn.topology import mutual_matches

B, N, F, MARGIN, DRAWS = 4, 160, 96, 0.2, 8


def expected(margin):
    """E[max(0, X - Y + m)] for distances of independent random directions, whose difference is nearly normal."""
    spread = math.sqrt(2 / F)
    z = margin / spread
    return margin * (1 + math.erf(z / math.sqrt(2))) / 2 + spread * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def mean_cost(loss):
    torch.manual_seed(0)
    return sum(float(loss(*torch.randn(4, B, N, F))) for _ in range(DRAWS)) / DRAWS


@pytest.mark.parametrize("margin", [0.05, 0.2])
def test_the_intra_term_costs_more_than_the_margin_by_the_mean_of_the_hinge(margin):
    cost = mean_cost(lambda a, b, *_: intra_instance_loss(a, b, margin=margin))
    assert cost == pytest.approx(expected(margin), abs=0.003)
    assert cost > margin


def test_the_inter_term_costs_the_same_where_matches_are_independent_of_the_tokens():
    p, q = ordered_pairs(B)
    cost = mean_cost(lambda a, b, c, d: inter_instance_loss(a, b, margin=MARGIN, matches=mutual_matches(c[p], d[q])))
    assert cost == pytest.approx(expected(MARGIN), abs=0.003)
    assert cost > MARGIN


def test_mutual_matches_of_the_tokens_themselves_cost_less_than_the_margin():
    cost = mean_cost(lambda a, b, *_: inter_instance_loss(a, b, margin=MARGIN))
    assert MARGIN - 0.02 < cost < MARGIN - 0.005
