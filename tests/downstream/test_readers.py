"""Readers find what is there, and nothing where the truth was put in random order."""

import pytest
import torch

from toposlearn.downstream.readers import LOWEST, fit_knn, fit_linear


@pytest.fixture
def blobs():
    """Three classes of 4 (of which class 2 never occurs), far apart in 6 dimensions."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0, 1, 3]).repeat(200)
    centers = 4 * torch.eye(6)[:4]
    return centers[labels] + torch.randn(600, 6, generator=generator), labels


@pytest.mark.parametrize("fit", [fit_linear, fit_knn])
def test_separate_classes_are_told(fit, blobs):
    features, labels = blobs
    scores = fit(features, labels, 4)(features)
    assert scores.shape == (600, 4)
    assert (scores.argmax(dim=1) == labels).float().mean() > 0.95


@pytest.mark.parametrize("fit", [fit_linear, fit_knn])
def test_shuffled_truth_is_told_no_better_than_chance(fit, blobs):
    features, labels = blobs
    right = []
    for seed in range(20):
        wrong = labels[torch.randperm(600, generator=torch.Generator().manual_seed(seed))]
        scores = fit(features[:400], wrong[:400], 4)(features[400:])
        right.append((scores.argmax(dim=1) == labels[400:]).float().mean())
    assert abs(torch.stack(right).mean() - 1 / 3) < 0.08


def test_a_class_that_was_never_shown_has_the_lowest_score(blobs):
    scores = fit_linear(*blobs, 4)(blobs[0])
    assert (scores[:, 2] == LOWEST).all()
    assert torch.isfinite(scores).all()
    assert (fit_knn(*blobs, 4)(blobs[0])[:, 2] == 0).all()


def test_balance_finds_a_rare_class():
    generator = torch.Generator().manual_seed(0)
    labels = torch.cat([torch.zeros(980, dtype=torch.long), torch.ones(20, dtype=torch.long)])
    features = torch.randn(1000, 3, generator=generator) + 1.5 * labels[:, None]
    found = {
        balanced: fit_linear(features, labels, 2, balanced=balanced)(features).argmax(dim=1)[labels == 1].float().mean()
        for balanced in (False, True)
    }
    assert found[True] > found[False] + 0.2


def test_nearest_by_angle_or_by_distance():
    directions = torch.tensor([[1.0, 0.1], [10.0, 1.0], [0.1, 1.0], [1.0, 10.0]])
    features, labels = directions.repeat_interleave(100, dim=0), torch.tensor([0, 0, 1, 1]).repeat_interleave(100)
    point = torch.tensor([[6.0, 4.0]])  # by angle nearer to the first two, whatever their length
    assert fit_knn(features, labels, 2)(point).argmax() == 0
    swapped = torch.tensor([0, 1, 0, 1]).repeat_interleave(100)  # now the classes are short and long
    assert fit_knn(features, swapped, 2, cosine=False)(torch.tensor([[0.5, 0.5]])).argmax() == 0
    assert fit_knn(features, swapped, 2, cosine=False)(torch.tensor([[9.0, 2.0]])).argmax() == 1
