import torch

from toposlearn.topology import scrambled_tokens, tokens_from_map
from toposlearn.topology.tokens import grid_positions


def test_a_token_is_one_place():
    features = torch.arange(2 * 3 * 4 * 5 * 6, dtype=torch.float32).view(2, 3, 4, 5, 6)
    tokens = tokens_from_map(features)
    assert tokens.shape == (2, 120, 3)
    assert torch.equal(tokens[1, 2 * 30 + 3 * 6 + 4], features[1, :, 2, 3, 4])


def test_scrambled_tokens_are_the_map_cut_up_as_it_lies_in_memory():
    features = torch.randn(2, 8, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(scrambled_tokens(tokens_from_map(features)), features.reshape(2, 27, 8))


def test_grid_positions_are_centers_in_mm():
    positions = grid_positions((16, 8, 8), 4, 3.0)
    assert positions.shape == (16, 3)
    assert positions[0].tolist() == [-18, -6, -6]
    assert positions[1].tolist() == [-18, -6, 6]
    assert positions.mean(0).tolist() == [0, 0, 0]
