"""The intra-instance loss alone: closed forms, weight of subjects, errors, a few steps of descent."""

import math

import numpy as np
import pytest
import torch
from alignment import some_negatives
from draws import generator, tokens
from scipy.special import roots_jacobi
from scipy.stats import norm

from toposlearn.losses import intra_instance_loss


def test_closed_form():
    """Four places on a circle at 0, 10, 90 and 180 degrees; K = 1: the two that are alone pay or not, by hand."""
    angle = torch.deg2rad(torch.tensor([0.0, 10.0, 90.0, 180.0]))
    a = torch.stack([angle.cos(), angle.sin()], -1)[None]
    negatives, margin = torch.tensor([[[3], [3], [0], [0]]]), 0.5

    def distance(i, j):
        return 1 - math.cos(angle[i] - angle[j])

    triplets = [(0, 1, 3), (1, 0, 3), (2, 1, 0), (3, 2, 0)]
    expected = sum(max(0.0, distance(i, j) - distance(i, n) + margin) for i, j, n in triplets) / 4
    value = intra_instance_loss(a, a, k=1, margin=margin, negatives=negatives)
    assert float(value) == pytest.approx(expected, abs=1e-6)


def cost_of_random_features(width, margin):
    """E relu(X - Y + margin) of the distances X and Y from one token to two others, all three independent and normal.

    The cosine of two directions that are independent and uniform in `width` dimensions has the density of one
    coordinate of a point on the sphere, (1 - s²)^((width - 3) / 2) on [-1, 1]. They are independent given the anchor.
    """
    cosines, weights = roots_jacobi(64, (width - 3) / 2, (width - 3) / 2)
    weights = weights / weights.sum()
    hinge = np.maximum(cosines[None, :] - cosines[:, None] + margin, 0)  # X - Y is (1 - s) - (1 - s'), s' - s
    return float(weights @ hinge @ weights)


@pytest.mark.parametrize(("width", "margin"), [(32, 0.05), (8, 0.05), (32, 0.5), (96, 0.2)])
def test_random_features_cost_what_two_independent_distances_do(width, margin):
    """Whatever the graph of a is, b is independent of it: the mean is above the margin, by Jensen's inequality."""
    expected = cost_of_random_features(width, margin)
    spread = math.sqrt(2 / width)  # about normal: m Phi(m / s) + s phi(m / s)
    assert expected == pytest.approx(margin * norm.cdf(margin / spread) + spread * norm.pdf(margin / spread), abs=0.01)
    assert expected > margin
    a, b = tokens(8, 343, width), tokens(8, 343, width, seed=1)
    assert float(intra_instance_loss(a, b, margin=margin, generator=generator())) == pytest.approx(expected, abs=0.01)


def test_subjects_weigh_the_same_whatever_their_size():
    a, b, negatives = tokens(2, 20, 4), tokens(2, 20, 4, seed=1), some_negatives(intra_instance_loss, 2, 20, 3)
    mask = torch.ones(2, 20, dtype=torch.bool)
    mask[1, 8:] = False
    ones = [slice(i, i + 1) for i in (0, 1)]
    alone = [intra_instance_loss(a[i], b[i], k=3, mask=mask[i], negatives=negatives[i]) for i in ones]
    together = intra_instance_loss(a, b, k=3, mask=mask, negatives=negatives)
    torch.testing.assert_close(together, torch.stack(alone).mean())


def test_errors_name_the_argument():
    a = tokens(2, 12, 4)
    with pytest.raises(ValueError, match="tokens_a and tokens_b must both have shape"):
        intra_instance_loss(a, tokens(2, 13, 4))
    with pytest.raises(ValueError, match="form must be 'within' or 'cross', got 'both'"):
        intra_instance_loss(a, a, form="both")
    with pytest.raises(ValueError, match=r"negatives must have shape \(2, 12, 5\)"):
        intra_instance_loss(a, a, negatives=torch.zeros(2, 12, 1, dtype=torch.long))
    with pytest.raises(ValueError, match="negatives must be 'uniform', 'semi_hard' or indices, got 'unmatched'"):
        intra_instance_loss(a, a, negatives="unmatched")
    with pytest.raises(ValueError, match="mask must be a bool tensor"):
        intra_instance_loss(a, a, mask=torch.ones(2, 12))
    with pytest.raises(ValueError, match="metric must be"):
        intra_instance_loss(a, a, metric="dot")


def test_a_few_steps_of_descent_align_the_neighborhoods():
    a, b = tokens(1, 40, 8), tokens(1, 40, 8, seed=1).requires_grad_()
    optimizer, source = torch.optim.Adam([b], lr=0.05), generator()
    losses = []
    for _ in range(40):
        loss = intra_instance_loss(a, b, margin=0.2, generator=source)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
