from functools import partial

import pytest
import torch

from toposlearn.course.toys.tokens import descend, ideal_tokens
from toposlearn.losses import intra_instance_loss
from toposlearn.topology import matched_fraction, mutual_matches, neighbor_overlap, pairwise_distance


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_free_tokens_follow_the_graph_and_the_start_stays():
    a, start = torch.randn(1, 60, 8, generator=generator()), torch.randn(1, 60, 8, generator=generator(1))
    before = start.clone()
    loss = partial(intra_instance_loss, a, margin=0.2, generator=generator(2))
    run = descend(loss, start, {"overlap": partial(neighbor_overlap, a)}, steps=40, every=10)
    assert run.steps == [0, 10, 20, 30, 40]
    assert run.loss[-1] < 0.3 * run.loss[0]
    assert run.measures["overlap"][-1] > 3 * run.measures["overlap"][0]
    assert torch.equal(start, before)
    assert not run.tokens.requires_grad


def test_similarity_of_ideal_tokens_follows_the_distance():
    places = torch.tensor([[[0.0, 0, 0], [30, 0, 0], [0, 60, 0], [1, 0, 0]]])
    distance = pairwise_distance(ideal_tokens(places, features=4096))[0, 0]
    expected = 1 - torch.exp(-torch.tensor([0, 1, 4, (1 / 30) ** 2]) / 2)
    torch.testing.assert_close(distance, expected, atol=0.05, rtol=0)


def test_the_dial_ends_at_the_null():
    places = 60 * torch.randn(4, 200, 3, generator=generator())
    perfect = mutual_matches(ideal_tokens(places), ideal_tokens(places))
    assert torch.equal(perfect, torch.arange(200).expand(4, 200))
    lost = [ideal_tokens(places, noise=1e3, generator=generator(seed)) for seed in (1, 2)]
    assert float(matched_fraction(mutual_matches(*lost)).mean()) == pytest.approx(0.5, abs=0.06)
