import pytest
import torch
from draws import some, tokens

from toposlearn.topology import (
    collapse,
    continuity,
    effective_rank,
    kernel_alignment,
    neighbor_distance,
    neighbor_overlap,
    pairwise_distance,
    position_r2,
    rank_correlation,
    trustworthiness,
)

PAIRED = [neighbor_overlap, trustworthiness, continuity, rank_correlation, kernel_alignment]


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


def test_trustworthiness_is_that_of_the_formula():
    a, b = tokens(2, 25, 6), tokens(2, 25, 3, seed=1)
    sides = list(zip(pairwise_distance(a), pairwise_distance(b), strict=True))
    there = [naive_trustworthiness(one, other, 4) for one, other in sides]
    back = [naive_trustworthiness(other, one, 4) for one, other in sides]
    torch.testing.assert_close(trustworthiness(a, b, 4), torch.tensor(there))
    torch.testing.assert_close(continuity(a, b, 4), torch.tensor(back))
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
    angles = torch.tensor([[0.0, 0.1, 0.3], [0.0, 0.9, 0.1]])  # distances in order 1, 3, 2 and 3, 1, 2: turned around
    a, b = torch.stack([angles.cos(), angles.sin()], -1)[:, None]
    torch.testing.assert_close(rank_correlation(a, b), torch.tensor([-1.0]))
    assert torch.isnan(rank_correlation(a, torch.ones(1, 3, 1))).all()
    assert torch.isnan(rank_correlation(a[:, :2], b[:, :2])).all()


def test_rank_correlation_of_many_tokens_is_close_on_some_of_them(monkeypatch):
    a = tokens(8, 300, 6)
    b = a + tokens(8, 300, 6, seed=1)
    full = rank_correlation(a, b)
    monkeypatch.setattr("toposlearn.topology.representation.PAIRED_TOKENS", 100)
    part = rank_correlation(a, b)
    assert torch.equal(part, rank_correlation(a, b))
    assert not (part == full).any()
    assert part.mean().item() == pytest.approx(full.mean().item(), abs=0.03)


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


def test_collapse_is_one_for_one_direction_and_zero_for_opposite_ones():
    line = tokens(2, 30, 1).abs() * tokens(2, 1, 8, seed=1)  # of any length
    torch.testing.assert_close(collapse(line), torch.ones(2))
    torch.testing.assert_close(collapse(torch.cat([torch.eye(4), -torch.eye(4)])[None]), torch.zeros(1))
    torch.testing.assert_close(collapse(torch.eye(4)[None]), torch.tensor([1 / 4]))


def test_collapse_is_the_mean_cosine_of_all_pairs():
    a, mask = tokens(2, 40, 6) + 0.5, some(2, 40)
    pairs = [1 - pairwise_distance(a[i : i + 1, mask[i]]).mean() for i in range(2)]
    torch.testing.assert_close(collapse(a, mask), torch.stack(pairs))


def test_collapse_of_random_features_is_one_over_n():
    values = collapse(tokens(300, 50, 16))
    assert values.mean() == pytest.approx(1 / 50, abs=3 * values.std().item() / 300**0.5)


def test_collapse_ignores_length_rotation_and_what_is_masked():
    a, mask = tokens(2, 40, 6) + 0.3, some(2, 40)
    rotation = torch.linalg.qr(tokens(6, 6, seed=1)).Q
    torch.testing.assert_close(collapse(3 * a @ rotation), collapse(a))
    spoiled = torch.where(mask[..., None], a, torch.nan)
    torch.testing.assert_close(collapse(spoiled, mask), collapse(a, mask))
    assert torch.isnan(collapse(a, torch.zeros_like(mask))).all()
    with pytest.raises(ValueError, match="mask"):
        collapse(a, mask[:, :-1])


def test_tokens_that_are_positions_are_read_perfectly():
    positions = 50 * tokens(5, 200, 3)
    mixed = positions @ tokens(3, 8, seed=1) + 7.0  # any affine code of the position
    torch.testing.assert_close(position_r2(mixed, positions), torch.ones(5), atol=1e-3, rtol=0)


def test_noise_holds_no_position():
    r2 = position_r2(tokens(6, 200, 16), 50 * tokens(6, 200, 3, seed=1))
    assert (r2 <= 0.1).all()
    assert r2.mean() == pytest.approx(0, abs=0.1)


def test_a_code_of_each_persons_own_is_no_position():
    """It can be read within one person, but not by a model of other people."""
    positions = 50 * tokens(6, 200, 3)
    own = torch.stack([torch.linalg.qr(tokens(3, 3, seed=subject)).Q for subject in range(6)])
    assert position_r2(positions @ own, positions).mean() < 0.5


def test_half_noise_gives_half():
    positions = tokens(8, 500, 3)
    r2 = position_r2(positions + tokens(8, 500, 3, seed=1), positions)
    assert r2.mean() == pytest.approx(0.5, abs=0.05)


def test_what_is_masked_does_not_matter_to_position():
    a, positions, mask = tokens(4, 60, 6), tokens(4, 60, 3, seed=1), some(4, 60)
    expected = position_r2(a.where(mask[..., None], 0), positions, mask)
    spoiled = a.where(mask[..., None], torch.nan), positions.where(mask[..., None], torch.nan)
    torch.testing.assert_close(position_r2(*spoiled, mask), expected)


def test_a_person_without_tokens_has_no_value():
    mask = torch.ones(4, 60, dtype=torch.bool)
    mask[1] = False
    r2 = position_r2(tokens(4, 60, 6), tokens(4, 60, 3, seed=1), mask)
    assert torch.isnan(r2).tolist() == [False, True, False, False]


def test_more_people_than_folds():
    assert position_r2(tokens(13, 40, 3), tokens(13, 40, 3)).min() > 0.99


@pytest.mark.parametrize(
    ("subjects", "places", "message"),
    [(1, (1, 30, 3), "1 people"), (3, (3, 30, 2), "positions must have shape"), (3, (1, 30, 3), "positions must have")],
)
def test_what_cannot_be_read_is_refused(subjects, places, message):
    with pytest.raises(ValueError, match=message):
        position_r2(tokens(subjects, 30, 4), tokens(*places))


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="finite"):
        position_r2(torch.full((2, 30, 4), torch.nan), tokens(2, 30, 3))
