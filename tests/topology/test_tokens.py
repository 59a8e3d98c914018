from itertools import product

import torch
from draws import some, tokens

from toposlearn.topology import scrambled_tokens, tokens_from_map
from toposlearn.topology.tokens import common_frame, grid_positions


def test_a_token_is_one_place():
    features = torch.rand(2, 5, 2, 3, 4)
    made = tokens_from_map(features)
    assert made.shape == (2, 24, 5)
    for token, (i, j, k) in enumerate(product(range(2), range(3), range(4))):
        assert torch.equal(made[:, token], features[:, :, i, j, k])


def test_scrambled_tokens_are_the_map_cut_up_as_it_lies_in_memory():
    features = torch.randn(2, 8, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(scrambled_tokens(tokens_from_map(features)), features.reshape(2, 27, 8))


def test_grid_positions_are_centers_in_mm():
    positions = grid_positions((16, 8, 8), 4, 3.0)
    assert positions.shape == (16, 3)
    assert positions[0].tolist() == [-18, -6, -6]
    assert positions[1].tolist() == [-18, -6, 6]
    assert positions.mean(0).tolist() == [0, 0, 0]


def test_the_common_frame_undoes_shift_and_scale():
    positions, mask = 50 * tokens(1, 40, 3), some(1, 40)
    frame = common_frame(torch.cat([positions, 1.3 * positions + 20]), mask.expand(2, -1))
    torch.testing.assert_close(frame[0], frame[1], atol=1e-3, rtol=1e-4)
