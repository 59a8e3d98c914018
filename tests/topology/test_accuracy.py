import pytest
import torch
from draws import tokens

from toposlearn.topology import correspondence_error, floor_error, match_error, match_precision, matched_fraction


def some(*shape, seed=5):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) > 0.35


def test_matched_fraction():
    matches = torch.tensor([[0, -1, 2, -1]])
    mask = torch.tensor([[True, False, True, True]])
    torch.testing.assert_close(matched_fraction(matches), torch.tensor([0.5]))
    torch.testing.assert_close(matched_fraction(matches, mask), torch.tensor([2 / 3]))


def test_match_error_in_millimeters():
    a = torch.tensor([[[0.0, 0, 0], [10.0, 0, 0], [0.0, 5, 0]]])
    b = torch.tensor([[[3.0, 4, 0], [10.0, 0, 0]]])
    torch.testing.assert_close(match_error(torch.tensor([[0, 1, -1]]), a, b), torch.tensor([2.5]))
    assert torch.isnan(match_error(torch.full((1, 3), -1), a, b)).all()


def test_precision_by_hand():
    a = torch.tensor([[[0.0, 0, 0], [10.0, 0, 0], [0.0, 5, 0], [1.0, 0, 0]]])
    b = torch.tensor([[[3.0, 4, 0], [10.0, 0, 0]]])
    matches = torch.tensor([[0, 1, -1, 1]])  # misses of 5, 0, none and 9 mm
    for within, share in ((0.0, 1 / 3), (5.0, 2 / 3), (8.9, 2 / 3), (9.0, 1.0)):
        torch.testing.assert_close(match_precision(matches, a, b, within), torch.tensor([share]))
    assert torch.isnan(match_precision(torch.full((1, 4), -1), a, b, 5.0)).all()
    with pytest.raises(ValueError, match="within_mm"):
        match_precision(matches, a, b, -1.0)


def test_places_of_tokens_that_are_not_matched_do_not_matter():
    a, b = 50 * tokens(2, 20, 3), 50 * tokens(2, 20, 3, seed=1)
    matches = torch.where(some(2, 20), torch.arange(20), -1)
    spoiled = torch.where(matches[..., None] < 0, torch.nan, a)
    torch.testing.assert_close(match_precision(matches, spoiled, b, 60), match_precision(matches, a, b, 60))
    torch.testing.assert_close(match_error(matches, spoiled, b), match_error(matches, a, b))


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
