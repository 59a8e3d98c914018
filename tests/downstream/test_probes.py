"""A probe reads what is there, and nothing where there is nothing."""

import numpy as np
import pytest
import torch

from toposlearn.downstream.probes import FEWEST, fit_probe, probe_dice

STRUCTURES = 5


def labeled_tokens(subjects=4, n=400, seed=0, signal=3.0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(1, STRUCTURES + 1, (subjects, n), generator=generator)
    directions = torch.randn(STRUCTURES + 1, 12, generator=torch.Generator().manual_seed(99))
    tokens = signal * directions[labels] + torch.randn(subjects, n, 12, generator=generator)
    return tokens, labels, torch.ones(subjects, n, dtype=torch.bool)


def test_separable_structures_are_read_in_people_never_seen():
    dice = probe_dice(fit_probe(*labeled_tokens(seed=0)), *labeled_tokens(seed=1))
    assert dice.shape == (4,)
    assert dice.min() > 0.95


def test_shuffled_labels_are_at_chance():
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
