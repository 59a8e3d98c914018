"""Random tokens and indices, the same in every test."""

import torch


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def tokens(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed))


def integers(low, high, *shape, seed=3):
    return torch.randint(low, high, shape, generator=generator(seed))


def some(*shape, seed=5):
    """A mask of about two thirds."""
    return torch.rand(*shape, generator=generator(seed)) > 0.35
