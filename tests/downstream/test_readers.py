"""Readers and probes find what tokens hold, and nothing where the truth was put in random order."""

import numpy as np
import pytest
import torch

from toposlearn.downstream.readers import FEWEST, LOWEST, fit_knn, fit_linear, fit_probe, probe_dice

STRUCTURES = 5


@pytest.fixture
def blobs():
    """Three classes of 4 (of which class 2 never occurs), far apart in 6 dimensions."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0, 1, 3]).repeat(200)
    centers = 4 * torch.eye(6)[:4]
    return centers[labels] + torch.randn(600, 6, generator=generator), labels


@pytest.mark.parametrize("fit", [fit_linear, fit_knn])
def test_separate_classes_are_read(fit, blobs):
    features, labels = blobs
    scores = fit(features, labels, 4)(features)
    assert scores.shape == (600, 4)
    assert (scores.argmax(dim=1) == labels).float().mean() > 0.95


@pytest.mark.parametrize("fit", [fit_linear, fit_knn])
def test_shuffled_truth_is_read_no_better_than_chance(fit, blobs):
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


def labeled_tokens(subjects=4, n=400, seed=0, signal=3.0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(1, STRUCTURES + 1, (subjects, n), generator=generator)
    directions = torch.randn(STRUCTURES + 1, 12, generator=torch.Generator().manual_seed(99))
    tokens = signal * directions[labels] + torch.randn(subjects, n, 12, generator=generator)
    return tokens, labels, torch.ones(subjects, n, dtype=torch.bool)


def test_separable_structures_are_read_in_held_out_people():
    dice = probe_dice(fit_probe(*labeled_tokens(seed=0)), *labeled_tokens(seed=1))
    assert dice.shape == (4,)
    assert dice.min() > 0.95


def test_a_probe_of_shuffled_labels_is_at_chance():
    tokens, labels, mask = labeled_tokens(subjects=8)
    shuffled = labels[:, torch.randperm(labels.shape[1], generator=torch.Generator().manual_seed(5))]
    dice = probe_dice(fit_probe(tokens, shuffled, mask), *labeled_tokens(seed=1))
    assert abs(dice.mean() - 1 / STRUCTURES) < 0.06


def test_masked_and_unlabeled_tokens_do_not_count():
    tokens, labels, mask = labeled_tokens()
    probe = fit_probe(tokens, labels, mask)
    spoiled = tokens.clone()
    mask[:, ::2] = False
    spoiled[:, ::2] = 1e3
    labels[:, 1] = 0
    spoiled[:, 1] = -1e3
    assert np.allclose(probe_dice(probe, spoiled, labels, mask), probe_dice(probe, tokens, labels, mask))


def test_rare_structures_are_left_out_and_too_few_refused():
    tokens, labels, mask = labeled_tokens(subjects=1)
    labels[0, :3] = 77
    assert 77 not in fit_probe(tokens, labels, mask).classes_
    with pytest.raises(ValueError, match=f"at least {FEWEST} tokens"):
        fit_probe(tokens, torch.ones_like(labels), mask)
