import pytest
import torch
from draws import tokens

from toposlearn.topology import position_r2


def some(*shape, seed=5):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) > 0.35


def test_tokens_that_are_positions_are_read_perfectly():
    positions = 50 * tokens(5, 200, 3)
    mixed = positions @ tokens(3, 8, seed=1) + 7.0  # any affine code of the position
    torch.testing.assert_close(position_r2(mixed, positions), torch.ones(5), atol=1e-3, rtol=0)


def test_noise_holds_no_position():
    r2 = position_r2(tokens(6, 200, 16), 50 * tokens(6, 200, 3, seed=1))
    assert (r2 <= 0.1).all()
    assert r2.mean() == pytest.approx(0, abs=0.1)


def test_a_code_of_each_persons_own_is_no_position():
    """What can be read within one person, but not by a reader who knows only other people."""
    positions = 50 * tokens(6, 200, 3)
    own = torch.stack([torch.linalg.qr(tokens(3, 3, seed=subject)).Q for subject in range(6)])
    assert position_r2(positions @ own, positions).mean() < 0.5


def test_half_noise_gives_half():
    positions = tokens(8, 500, 3)
    r2 = position_r2(positions + tokens(8, 500, 3, seed=1), positions)
    assert r2.mean() == pytest.approx(0.5, abs=0.05)


def test_what_is_masked_does_not_matter():
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
    ("people", "places", "message"),
    [(1, (1, 30, 3), "1 people"), (3, (3, 30, 2), "positions must have shape"), (3, (1, 30, 3), "positions must have")],
)
def test_what_cannot_be_read_is_refused(subjects, places, message):
    with pytest.raises(ValueError, match=message):
        position_r2(tokens(subjects, 30, 4), tokens(*places))


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="finite"):
        position_r2(torch.full((2, 30, 4), torch.nan), tokens(2, 30, 3))
