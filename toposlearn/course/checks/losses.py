"""Checks of the exercises on losses: hinge, weights of places, partial ranking, total. N anchors, K neighbors."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toposlearn.course.checks.check import Check, Inputs

Pair = tuple[Tensor, Tensor]  # one value per modality or direction


def triplet_hinge(d_positive: Tensor, d_negative: Tensor, margin: float) -> Tensor:
    """The loss of each triplet; all arguments but the margin are tensors of one shape."""
    return torch.relu(d_positive - d_negative + margin)


def _learned(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, requires_grad=True)


def _any_distances(rng: np.random.Generator, shape: NDArray[np.int64], margin: float) -> Pair:
    """Distances of triplets of which none lies at the kink of the hinge."""
    gap = rng.choice([-1, 1], shape) * rng.uniform(0.05, 1, shape)  # of the positive, the margin added
    positive = torch.from_numpy(rng.random(shape)).float()
    negative = positive + margin - torch.from_numpy(gap).float()
    return positive.requires_grad_(), negative.requires_grad_()


def _any_triplets(rng: np.random.Generator) -> Inputs:
    shape, margin = rng.integers(2, 6, size=rng.integers(1, 4)), float(rng.uniform(0.05, 0.6))
    return *_any_distances(rng, shape, margin), margin


FOUR = (_learned([0.1, 0.9, 0.4, 0.5]), _learned([0.8, 0.2, 0.5, 0.5]), 0.25)
check_triplet_hinge = Check(triplet_hinge, {"": FOUR}, _any_triplets)


def place_weights(places: Tensor, radius: float) -> Tensor:
    """Weights (B, N, N): softmax over j of -|x_i - x_j|^2 / (2 radius^2), of places (B, N, 3) in mm."""
    return (-_squared(places) / (2 * radius**2)).softmax(dim=-1)


def _squared(places: Tensor) -> Tensor:
    return (places[:, :, None] - places[:, None]).square().sum(-1)


def _any_places(rng: np.random.Generator) -> Inputs:
    shape = *rng.integers((1, 5), (4, 9)), 3
    return torch.from_numpy(rng.normal(size=shape) * 1.5).float(), float(rng.uniform(1.1, 2))


# So close that no weight vanishes, and any two mistakes differ.
CLOSE = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0))
check_place_weights = Check(place_weights, {"": (CLOSE, 1.5)}, _any_places, near=1e-4)


def partial_ranking(d_positive: Tensor, d_negative: Tensor, valid: Tensor, margin: float) -> Tensor:
    """Mean over the anchors of the mean over their valid triplets; all arguments but the margin are (N, K)."""
    return _mean_of_means(triplet_hinge(d_positive, d_negative, margin), valid)


def _mean_of_means(values: Tensor, valid: Tensor, axis: int = 1) -> Tensor:
    means = _anchor_means(values, valid, axis)
    return means.sum() / max(len(means), 1)


def _anchor_means(values: Tensor, valid: Tensor, axis: int = 1) -> Tensor:
    """Mean over the valid entries of each row of (N, K), of the rows that have any."""
    count = valid.sum(axis)
    return (values * valid).sum(axis)[count > 0] / count[count > 0]


def _four_anchors(valid: Sequence[int]) -> Inputs:
    """Three triplets of each anchor, of which the first ones are valid."""
    positive = _learned([[0.13, 0.71, 0.42], [0.94, 0.31, 0.25], [0.66, 0.50, 0.87], [0.28, 0.09, 0.11]])
    negative = _learned([[0.92, 0.47, 0.63], [0.35, 0.78, 0.40], [0.20, 0.90, 0.33], [0.81, 0.43, 0.96]])
    return positive, negative, torch.arange(3) < torch.tensor(valid)[:, None], 0.4


def _any_partly_valid(rng: np.random.Generator) -> Inputs:
    """At least one triplet is valid."""
    shape, margin = rng.integers((3, 2), (8, 6)), float(rng.uniform(0.1, 0.6))
    distances = _any_distances(rng, shape, margin)
    valid = torch.from_numpy(rng.random(shape) < rng.uniform(0.2, 0.8))
    valid[0, 0] = True
    return *distances, valid, margin


NO_TRIPLET = {"nothing is valid": _four_anchors([0, 0, 0, 0])}
check_partial_ranking = Check(partial_ranking, {"": _four_anchors([3, 1, 0, 2])}, _any_partly_valid, NO_TRIPLET)


def total_loss(reconstruction: Pair, intra: Pair, inter: Pair, weight: float) -> Tensor:
    """Mean reconstruction + weight * (mean intra + mean inter); each term is a pair of scalar tensors."""
    return _mean(reconstruction) + weight * (_mean(intra) + _mean(inter))


def _mean(pair: Pair) -> Tensor:
    return torch.stack(pair).mean()


def _terms(values: Sequence[float], weight: float) -> Inputs:
    """Three pairs of scalars and the weight."""
    one = [_learned(value) for value in values]
    return (one[0], one[1]), (one[2], one[3]), (one[4], one[5]), weight


def _any_terms(rng: np.random.Generator) -> Inputs:
    return _terms((0.1 + rng.random(6)).tolist(), float(rng.uniform(2, 20)))


check_total_loss = Check(total_loss, {"": _terms([1.54, 0.29, 2.18, 0.57, 1.08, 1.4], 10.0)}, _any_terms)
