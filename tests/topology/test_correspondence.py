import pytest
import torch
from draws import some, tokens
from scipy.stats import chisquare

from toposlearn.topology import (
    correspondence_error,
    distances,
    floor_error,
    gate_matches,
    match_error,
    match_precision,
    matched_fraction,
    mutual_matches,
    nearest_matches,
    pairwise_distance,
    random_matches,
)
from toposlearn.topology.correspondence import matches_both_ways, ordered_pairs, reverse_pairs


def test_ordered_pairs():
    p, q = ordered_pairs(3)
    assert list(zip(p.tolist(), q.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    assert ordered_pairs(1)[0].shape == (0,)


@pytest.mark.parametrize("b", [2, 3, 5])
def test_reverse_pairs(b):
    p, q = ordered_pairs(b)
    back = reverse_pairs(b)
    assert torch.equal(p[back], q)
    assert torch.equal(q[back], p)


def reference(a, b, mask_a, mask_b):
    distance = pairwise_distance(a, b).masked_fill(~(mask_a[:, :, None] & mask_b[:, None]), torch.inf)
    matches = torch.full(a.shape[:2], -1)
    for s, rows in enumerate(distance):
        for u, row in enumerate(rows):
            v = int(row.argmin())
            if torch.isfinite(row[v]) and int(rows[:, v].argmin()) == u:
                matches[s, u] = v
    return matches


@pytest.mark.parametrize("m", [20, 33])
def test_equal_to_loops(m):
    a, b = tokens(3, 20, 6), tokens(3, m, 6, seed=1)
    for mask_a, mask_b in ((torch.ones(3, 20) > 0, torch.ones(3, m) > 0), (some(3, 20), some(3, m, seed=6))):
        assert torch.equal(mutual_matches(a, b, mask_a, mask_b), reference(a, b, mask_a, mask_b))


def test_blocks_of_rows_change_nothing(monkeypatch):
    a, b, mask_a, mask_b = tokens(2, 50, 4), tokens(2, 40, 4, seed=1), some(2, 50), some(2, 40, seed=6)
    whole = mutual_matches(a, b, mask_a, mask_b)
    monkeypatch.setitem(distances._BLOCK, "cpu", 2 * 40 * 7)
    assert torch.equal(mutual_matches(a, b, mask_a, mask_b), whole)


def test_a_permutation_is_found_back():
    a, order = tokens(1, 40, 8), torch.randperm(40, generator=torch.Generator().manual_seed(2))
    matches = mutual_matches(a, a[:, order] * 3.0)
    assert torch.equal(order[matches[0]], torch.arange(40))


def test_masked_tokens_never_match():
    a, mask = tokens(1, 20, 8), some(1, 20)
    expected = torch.where(mask, torch.arange(20)[None], -1)
    assert torch.equal(mutual_matches(a, a, mask_a=mask), expected)
    assert torch.equal(mutual_matches(a, a, mask_b=mask), expected)


def test_no_token_left_to_match():
    a, none = tokens(2, 6, 3), torch.zeros(2, 6, dtype=torch.bool)
    assert (mutual_matches(a, a, mask_a=none) == -1).all()
    assert (mutual_matches(a, a, mask_b=none) == -1).all()
    assert (nearest_matches(a, a, mask_b=none) == -1).all()


def test_tokens_that_are_not_finite_never_match():
    a = tokens(1, 8, 3)
    broken = a.clone()
    broken[0, 2] = torch.nan
    assert mutual_matches(broken, a)[0].tolist() == [0, 1, -1, 3, 4, 5, 6, 7]


def test_constant_tokens_match_once():
    a = torch.ones(1, 9, 4)
    assert mutual_matches(a, a)[0].tolist() == [0] + [-1] * 8


def test_one_token_matches():
    assert mutual_matches(tokens(1, 1, 4), tokens(1, 1, 4, seed=1)).tolist() == [[0]]


@pytest.mark.parametrize("n", [27, 216, 1000])
def test_independent_random_features_match_about_half(n):
    count = max(2, 2000 // n)
    fraction = matched_fraction(mutual_matches(tokens(count, n, 192), tokens(count, n, 192, seed=1))).mean()
    assert 0.45 < fraction < 0.57


def test_nearest_matches_need_not_be_mutual():
    a, b = tokens(2, 12, 4), tokens(2, 9, 4, seed=1)
    assert torch.equal(nearest_matches(a, b), pairwise_distance(a, b).argmin(2))
    expected = pairwise_distance(a, b, "euclidean").argmin(2)
    assert torch.equal(nearest_matches(a, b, metric="euclidean"), expected)


def test_random_matches_are_uniform_and_respect_masks():
    mask_a, mask_b = torch.ones(1, 20_000, dtype=torch.bool), some(1, 12)
    mask_a[0, :3] = False
    matches = random_matches(mask_a, mask_b, torch.Generator().manual_seed(0))
    assert (matches[0, :3] == -1).all()
    counts = torch.bincount(matches[0, 3:], minlength=12)
    assert (counts > 0).tolist() == mask_b[0].tolist()
    assert chisquare(counts[mask_b[0]].numpy()).pvalue > 1e-3


def unit(*degrees):
    angle = torch.deg2rad(torch.tensor(degrees))
    return torch.stack([angle.cos(), angle.sin()], -1)[None]


def test_similarity_gate():
    a, b = unit(0.0, 90.0), unit(5.0, 150.0)
    matches = torch.tensor([[0, 1]])
    assert gate_matches(matches, a, b).tolist() == [[0, 1]]
    assert gate_matches(matches, a, b, min_similarity=0.9).tolist() == [[0, -1]]


def test_ratio_gate_drops_ambiguous_matches():
    a, b = unit(0.0, 90.0), unit(4.0, 8.0, 95.0)
    matches = torch.tensor([[0, 2]])
    assert gate_matches(matches, a, b, ratio=0.2).tolist() == [[-1, 2]]
    mask_b = torch.tensor([[True, False, True]])
    assert gate_matches(matches, a, b, ratio=0.2, mask_b=mask_b).tolist() == [[0, 2]]


def test_ratio_gate_drops_constant_tokens():
    a = torch.ones(1, 5, 3)
    assert (gate_matches(mutual_matches(a, a), a, a, ratio=0.9) == -1).all()


def test_gates_keep_what_is_unmatched():
    a, b = tokens(2, 15, 4), tokens(2, 15, 4, seed=1)
    matches = mutual_matches(a, b)
    gated = gate_matches(matches, a, b, min_similarity=0.5, ratio=0.8)
    assert ((gated == matches) | (gated == -1)).all()
    assert (gated >= 0).sum() < (matches >= 0).sum()


def test_no_gradient():
    a = tokens(1, 9, 4).requires_grad_()
    assert not mutual_matches(a, a).requires_grad


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match="subjects B and features F"):
        mutual_matches(tokens(1, 5, 4), tokens(2, 5, 4))
    with pytest.raises(ValueError, match="mask_b must be a bool tensor"):
        mutual_matches(tokens(1, 5, 4), tokens(1, 5, 4), mask_b=torch.ones(1, 5))


def test_spatial_gate_keeps_what_lies_near():
    a, b = tokens(2, 30, 6), tokens(2, 30, 6, seed=1)
    places_a, places_b = (30 * tokens(2, 30, 3, seed=seed) for seed in (2, 3))
    matches = mutual_matches(a, b)
    kept = gate_matches(matches, a, b, max_distance=50.0, positions_a=places_a, positions_b=places_b)
    for s in range(2):
        for u, v in enumerate(matches[s].tolist()):
            near = v >= 0 and float((places_a[s, u] - places_b[s, v]).norm()) <= 50
            assert kept[s, u] == (v if near else -1)
    assert 0 < (kept >= 0).sum() < (matches >= 0).sum()
    with pytest.raises(ValueError, match="max_distance needs positions_a and positions_b"):
        gate_matches(matches, a, b, max_distance=50.0)


def test_pairs_of_subjects_are_compared_as_if_one_by_one():
    a, b = tokens(3, 20, 6), tokens(3, 25, 6, seed=1)
    p, q = torch.tensor([0, 2, 2]), torch.tensor([1, 0, 2])
    together = matches_both_ways(a, b, pairs=(p, q))
    apart = matches_both_ways(a[p], b[q])
    assert all(torch.equal(one, other) for one, other in zip(together, apart, strict=True))


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
