import numpy as np
import pytest
import torch
from draws import tokens

from toposlearn.topology import (
    continuity,
    kernel_alignment,
    neighbor_distance,
    neighbor_overlap,
    rank_correlation,
    trustworthiness,
)

PAIRED = [neighbor_overlap, trustworthiness, continuity, rank_correlation, kernel_alignment]


def some(*shape, seed=5):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) > 0.35


def test_overlap_of_the_same_features_is_one():
    a = tokens(2, 30, 8)
    rotation = torch.linalg.qr(tokens(8, 8, seed=1)).Q
    torch.testing.assert_close(neighbor_overlap(a, 2 * a @ rotation, 5), torch.ones(2))


def test_overlap_of_unrelated_features_is_k_over_n_minus_one():
    overlap = neighbor_overlap(tokens(40, 60, 16), tokens(40, 60, 16, seed=1), 5)
    assert overlap.mean() == pytest.approx(5 / 59, abs=0.01)


def test_overlap_counts_foreground_only():
    a, mask = tokens(2, 40, 8), some(2, 40)
    b = torch.where(mask[..., None], a, tokens(2, 40, 8, seed=9))
    torch.testing.assert_close(neighbor_overlap(a, b, 4, mask), torch.ones(2))
    assert torch.isnan(neighbor_overlap(a, b, 4, torch.zeros_like(mask))).all()


def test_overlap_by_hand():
    a = torch.tensor([[[0.0], [1.0], [3.0], [6.0]]])
    b = torch.tensor([[[0.0], [1.0], [-3.0], [6.0]]])  # token 2 moved to the other side
    overlap = neighbor_overlap(a, b, 1, metric="euclidean")  # 0-1, 1-0, 2-1, 3-2 against 0-1, 1-0, 2-0, 3-1
    torch.testing.assert_close(overlap, torch.tensor([0.5]))


def test_distance_of_neighbors_by_hand():
    features = torch.tensor([[[0.0], [1.0], [3.0], [100.0]]])
    places = torch.tensor([[[0.0, 0, 0], [0, 3, 4], [0, 0, 12], [99, 99, 99]]])
    mask = torch.tensor([[True, True, True, False]])
    distance = neighbor_distance(features, places, 1, mask, "euclidean")  # 0-1, 1-0 and 2-1
    torch.testing.assert_close(distance, torch.tensor([(5 + 5 + 73**0.5) / 3]))


def test_places_as_features_have_the_nearest_neighbors():
    places = 50 * tokens(2, 40, 3)
    best = neighbor_distance(places, places, 4, metric="euclidean")
    assert (neighbor_distance(tokens(2, 40, 8, seed=1), places, 4) > best).all()


@pytest.mark.parametrize("measure", PAIRED)
def test_turned_and_scaled_features_keep_everything(measure):
    a = tokens(2, 40, 8)
    rotation = torch.linalg.qr(tokens(8, 8, seed=1)).Q
    torch.testing.assert_close(measure(a, a), torch.ones(2))
    torch.testing.assert_close(measure(a, 3 * a @ rotation), torch.ones(2), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("measure", "null"),
    [(neighbor_overlap, 5 / 79), (trustworthiness, 0.5), (continuity, 0.5), (rank_correlation, 0.0)],
)
def test_permuted_tokens_are_at_the_null(measure, null):
    a = tokens(30, 80, 8)
    order = tokens(30, 80, seed=1).argsort(1)[..., None].expand_as(a)
    values = measure(a, a.gather(1, order))
    assert values.mean() == pytest.approx(null, abs=4 * values.std().item() / 30**0.5)


@pytest.mark.parametrize("measure", PAIRED)
def test_what_is_masked_does_not_matter(measure):
    a, mask = tokens(2, 50, 8), some(2, 50)
    b = a + 0.7 * tokens(2, 50, 8, seed=1)
    spoiled = [torch.where(mask[..., None], each, torch.nan) for each in (a, b)]
    alone = torch.cat([measure(a[i : i + 1, mask[i]], b[i : i + 1, mask[i]]) for i in range(2)])
    torch.testing.assert_close(measure(*spoiled, mask=mask), alone, atol=1e-5, rtol=1e-5)
    assert torch.isnan(measure(a, b, mask=torch.zeros_like(mask))).all()


@pytest.mark.parametrize("measure", [trustworthiness, continuity, rank_correlation, kernel_alignment])
def test_a_token_that_counts_and_is_not_finite_is_not_hidden(measure):
    a = tokens(2, 30, 8)
    b = a.clone()
    b[1, 3, 2] = torch.inf
    assert torch.isnan(measure(a, b)).tolist() == [False, True]


@pytest.mark.parametrize("measure", PAIRED)
def test_half_precision_and_gradients_are_no_obstacle(measure):
    a = tokens(1, 30, 8).requires_grad_()
    value = measure(a, a.bfloat16())
    assert value > 0.6
    assert not value.requires_grad


def naive_trustworthiness(tokens, reference, k):
    """The formula of Venna & Kaski (2001), written out; distances (N, N) of both."""
    n, cost = len(tokens), 0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        shown = sorted(others, key=lambda j: tokens[i, j])[:k]
        known = sorted(others, key=lambda j: reference[i, j])
        cost += sum(max(0, known.index(j) + 1 - k) for j in shown)
    return 1 - 2 * cost / (n * k * (2 * n - 3 * k - 1))


def cosine(a):
    unit = torch.nn.functional.normalize(a, dim=-1)
    return 1 - unit @ unit.mT


def test_trustworthiness_is_that_of_the_formula():
    a, places = tokens(2, 25, 6), 40 * tokens(2, 25, 3, seed=1)
    apart = torch.cdist(places, places)
    there = [naive_trustworthiness(cosine(a[i]), apart[i], 4) for i in range(2)]
    back = [naive_trustworthiness(apart[i], cosine(a[i]), 4) for i in range(2)]
    settings = {"k": 4, "reference_metric": "euclidean"}
    torch.testing.assert_close(trustworthiness(a, places, **settings), torch.tensor(there))
    torch.testing.assert_close(continuity(a, places, **settings), torch.tensor(back))
    assert there != back


def test_too_few_tokens_for_k_are_refused_or_have_no_value():
    a, mask = tokens(2, 20, 4), torch.ones(2, 20, dtype=torch.bool)
    mask[0, 10:] = False  # 2 K tokens are left
    assert torch.isnan(trustworthiness(a, a, 5, mask)).tolist() == [True, False]
    for k in (0, 10):
        with pytest.raises(ValueError, match="below N / 2 = 10"):
            trustworthiness(a, a, k)


@pytest.mark.parametrize("measure", [trustworthiness, rank_correlation, kernel_alignment])
def test_sides_that_do_not_fit_are_refused(measure):
    with pytest.raises(ValueError, match="same subjects B and tokens N"):
        measure(tokens(2, 30, 4), tokens(2, 29, 4))
    with pytest.raises(ValueError, match="mask must be a bool"):
        measure(tokens(2, 30, 4), tokens(2, 30, 4), mask=torch.ones(2, 30))


def test_rank_correlation_by_hand():
    a = torch.tensor([[[0.0], [1.0], [3.0]]])  # distances 1, 3, 2
    b = torch.tensor([[[0.0], [9.0], [1.0]]])  # distances 9, 1, 8: ranks turned around
    value = rank_correlation(a, b, metric="euclidean", reference_metric="euclidean")
    torch.testing.assert_close(value, torch.tensor([-1.0]))
    constant = torch.ones(1, 3, 1)
    assert torch.isnan(rank_correlation(a, constant, metric="euclidean")).all()
    assert torch.isnan(rank_correlation(a[:, :2], b[:, :2])).all()


def test_rank_correlation_of_many_tokens_is_close_on_some_of_them(monkeypatch):
    a = tokens(1, 300, 6)
    b = a + tokens(1, 300, 6, seed=1)
    full = rank_correlation(a, b).item()
    monkeypatch.setattr("toposlearn.topology.preservation.PAIRED_TOKENS", 100)
    assert rank_correlation(a, b).item() == rank_correlation(a, b).item() != full
    assert np.mean([rank_correlation(a, b, seed=s).item() for s in range(8)]) == pytest.approx(full, abs=0.03)


def test_alignment_is_that_of_the_kernels():
    a, b = tokens(2, 30, 6) + 1, tokens(2, 30, 9, seed=1) - 2
    center = torch.eye(30) - 1 / 30
    kernels = [center @ each @ each.mT @ center for each in (a, b)]
    inner = (kernels[0] * kernels[1]).sum((1, 2))
    expected = inner / (kernels[0].norm(dim=(1, 2)) * kernels[1].norm(dim=(1, 2)))
    torch.testing.assert_close(kernel_alignment(a, b), expected)
    torch.testing.assert_close(kernel_alignment(5 * a + 3, b), expected)


def test_alignment_with_tokens_that_are_all_equal_has_no_value():
    assert torch.isnan(kernel_alignment(tokens(1, 30, 4), torch.full((1, 30, 4), 0.1))).all()
