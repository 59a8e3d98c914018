import pytest
import torch
from draws import tokens

from toposlearn.topology import collapse, effective_rank, pairwise_distance


def some(*shape, seed=5):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) > 0.35


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
