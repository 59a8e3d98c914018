"""Features at points and expected places, against plain forms."""

import pytest
import torch
from draws import some
from draws import tokens as draw

from toposlearn.topology import at_points, best_place, fit_weights, soft_argmax
from toposlearn.topology.readout import choose
from toposlearn.topology.tokens import grid_positions

GRID, STEP = (4, 5, 6), 12.0


def grid_features(function) -> torch.Tensor:
    """A map (1, F, 4, 5, 6) whose features are a function of the place of each cell."""
    return function(grid_positions(GRID, 1, STEP)).mT.reshape(1, -1, *GRID)


def test_a_linear_map_is_read_exactly_between_cells():
    turn = draw(3, 2)
    inside = torch.tensor(GRID) * STEP / 2 - STEP / 2
    points = (2 * torch.rand(1, 40, 3) - 1) * inside
    read = at_points(grid_features(lambda place: place @ turn), points, STEP)
    torch.testing.assert_close(read, points @ turn, atol=1e-3, rtol=1e-4)


def test_beyond_the_edge_is_the_edge_and_nan_is_nan():
    features = grid_features(lambda place: place)
    read = at_points(features, torch.tensor([[[500.0, 6, 6], [torch.nan, 0, 0]]]), STEP)
    torch.testing.assert_close(read[0, 0], torch.tensor([18.0, 6, 6]))
    assert read[0, 1].isnan().all()


@pytest.mark.parametrize("temperature", [0.02, 0.1])
def test_the_expected_place_is_that_of_the_plain_form(temperature, monkeypatch):
    monkeypatch.setattr("toposlearn.topology.readout._BLOCK", 150)  # several blocks
    query, tokens, positions, mask = draw(2, 7, 5), draw(2, 30, 5, seed=1), 30 * draw(2, 30, 3, seed=2), some(2, 30)
    tokens[~mask] = torch.nan
    found = soft_argmax(query, tokens, positions, mask, temperature)
    for s in range(2):
        for u in range(7):
            similarity = torch.cosine_similarity(query[s, u][None], tokens[s][mask[s]], dim=1)
            weights = (similarity / temperature).softmax(0)
            torch.testing.assert_close(found[s, u], weights @ positions[s][mask[s]], atol=1e-3, rtol=1e-4)


def test_a_cold_expected_place_is_the_best_token():
    query, tokens, positions, mask = draw(2, 7, 5), draw(2, 30, 5, seed=1), 30 * draw(2, 30, 3, seed=2), some(2, 30)
    best = best_place(query, tokens, positions, mask)
    torch.testing.assert_close(soft_argmax(query, tokens, positions, mask, 1e-5), best)
    query[1, 3] = torch.nan
    assert best_place(query, tokens, positions, mask)[1, 3].isnan().all()


def test_features_that_code_the_place_are_read_more_finely_than_a_token():
    """Tokens seen from outside: their directions vary smoothly with the place."""
    features = grid_features(lambda place: place + torch.tensor([300.0, -200.0, 400.0]))
    tokens, positions = features.flatten(2).mT, grid_positions(GRID, 1, STEP)[None]
    points, mask = 8 * draw(1, 50, 3).clamp(-1, 1), torch.ones(1, len(positions[0]), dtype=torch.bool)
    query = at_points(features, points, STEP)
    soft = soft_argmax(query, tokens, positions, mask, 2e-4)
    assert (soft - points).norm(dim=-1).mean() < 0.8 * (best_place(query, tokens, positions, mask) - points).norm(
        dim=-1
    ).mean()


def test_a_fit_reads_every_affine_map_exactly(monkeypatch):
    monkeypatch.setattr("toposlearn.topology.readout._BLOCK", 900)  # several blocks
    points, positions = 40 * draw(1, 9, 3)[0].double(), 40 * draw(1, 60, 3, seed=1)[0].double()
    turn, shift = draw(1, 3, 3, seed=2)[0].double(), draw(1, 1, 3, seed=3)[0].double()
    weights = fit_weights(points, positions, 25.0)
    torch.testing.assert_close(weights.sum(1), torch.ones(9, dtype=torch.float64))
    torch.testing.assert_close(weights @ (positions @ turn + shift), points @ turn + shift)


def test_a_fit_is_weighted_least_squares_around_the_point():
    point, positions, values = 20 * draw(1, 1, 3)[0], 20 * draw(1, 30, 3, seed=1)[0], draw(1, 30, 2, seed=2)[0]
    root = (-(positions - point).square().sum(1) / (4 * 15.0**2)).exp()[:, None]  # of the Gaussian weights
    design = torch.cat([torch.ones(30, 1), positions - point], 1)
    expected = torch.linalg.lstsq(root * design, root * values).solution[:1]
    torch.testing.assert_close(fit_weights(point, positions, 15.0) @ values, expected, atol=1e-4, rtol=1e-4)


def test_errors_that_neighbors_do_not_share_cancel():
    positions = grid_positions(GRID, 1, STEP)
    found = positions + 10 * draw(1, len(positions), 3)[0]
    fitted = fit_weights(positions, positions, 24.0) @ found
    assert (fitted - positions).norm(dim=1).mean() < 0.6 * (found - positions).norm(dim=1).mean()


def test_too_few_positions_give_the_fit_of_least_norm():
    values = fit_weights(torch.zeros(2, 3), torch.tensor([[5.0, 0, 0]]), 10.0)
    assert values.isfinite().all()
    with pytest.raises(ValueError, match="reach must be positive"):
        fit_weights(torch.zeros(2, 3), torch.zeros(4, 3), 0.0)


def test_the_value_of_lowest_error_is_chosen():
    assert choose(lambda temperature: abs(temperature - 0.035), (0.02, 0.04, 0.08)) == 0.04
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        soft_argmax(draw(1, 2, 3), draw(1, 4, 3), draw(1, 4, 3), some(1, 4), 0)
