import pytest
import torch

from toposlearn.topology import (
    correspondence_error,
    effective_rank,
    floor_error,
    match_error,
    matched_fraction,
    neighbor_distance,
    neighbor_overlap,
)


def tokens(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


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


def test_matched_fraction():
    matches = torch.tensor([[0, -1, 2, -1]])
    mask = torch.tensor([[True, False, True, True]])
    torch.testing.assert_close(matched_fraction(matches), torch.tensor([0.5]))
    torch.testing.assert_close(matched_fraction(matches, mask), torch.tensor([2 / 3]))


def test_effective_rank_of_known_spectra():
    equal = torch.cat([torch.eye(4), -torch.eye(4)])[None]
    torch.testing.assert_close(effective_rank(equal), torch.tensor([4.0]))
    line = tokens(1, 30, 1) * tokens(1, 1, 8, seed=1)
    torch.testing.assert_close(effective_rank(line), torch.tensor([1.0]), atol=1e-3, rtol=0)


def test_effective_rank_of_a_collapse_is_one():
    torch.testing.assert_close(effective_rank(torch.full((2, 27, 6), 0.1)), torch.ones(2), atol=1e-3, rtol=0)


def test_effective_rank_ignores_shift_scale_and_what_is_masked():
    a, mask = tokens(2, 40, 6), some(2, 40)
    torch.testing.assert_close(effective_rank(3 * a + 2), effective_rank(a))
    spoiled = torch.where(mask[..., None], a, torch.nan)
    torch.testing.assert_close(effective_rank(spoiled, mask), effective_rank(a, mask))
    alone = torch.stack([effective_rank(a[i : i + 1, mask[i]])[0] for i in range(2)])
    torch.testing.assert_close(effective_rank(a, mask), alone)


def test_match_error_in_millimeters():
    a = torch.tensor([[[0.0, 0, 0], [10.0, 0, 0], [0.0, 5, 0]]])
    b = torch.tensor([[[3.0, 4, 0], [10.0, 0, 0]]])
    torch.testing.assert_close(match_error(torch.tensor([[0, 1, -1]]), a, b), torch.tensor([2.5]))
    assert torch.isnan(match_error(torch.full((1, 3), -1), a, b)).all()


def test_perfect_features_reach_the_floor():
    positions_a, positions_b = 50 * tokens(2, 30, 3), 50 * tokens(2, 40, 3, seed=1)
    mask_a, mask_b = some(2, 30), some(2, 40, seed=6)
    floor = floor_error(positions_a, positions_b, mask_a, mask_b)
    distance = torch.cdist(positions_a, positions_b).masked_fill(~mask_b[:, None], torch.inf).amin(2)
    by_hand = torch.stack([distance[i, mask_a[i]].mean() for i in range(2)])
    torch.testing.assert_close(floor, by_hand, rtol=1e-4, atol=1e-3)
    error = correspondence_error(tokens(2, 30, 6), tokens(2, 40, 6, seed=2), positions_a, positions_b, mask_a, mask_b)
    assert (error > floor).all()


def test_correspondence_error_of_identical_tokens_is_zero():
    a, positions = tokens(1, 30, 6), 50 * tokens(1, 30, 3, seed=1)
    torch.testing.assert_close(correspondence_error(a, a, positions, positions), torch.zeros(1))


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
