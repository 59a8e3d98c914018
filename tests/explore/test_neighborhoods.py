import pytest
import torch
from matplotlib.colors import to_hex

from toposlearn.explore.neighborhoods import (
    ANCHOR,
    MATCH,
    POSITION,
    SHARED,
    SINGLE,
    TRUTH,
    find_match,
    plot_match,
    plot_neighbors,
    plot_weights,
    token_at,
)
from toposlearn.topology.tokens import grid_positions

SHAPE, STRIDE, SPACING = (8, 8, 8), 2, 3.0  # 64 tokens, blocks of 6 mm


def smooth_tokens():
    """Tokens whose direction turns with their place: near in space is near in cosine."""
    return torch.cat([grid_positions(SHAPE, STRIDE, SPACING), torch.full((64, 1), 60.0)], dim=1)


def boxes(ax):
    """Color -> lower left corners of the blocks drawn."""
    found = {}
    for patch in ax.patches:
        found.setdefault(to_hex(patch.get_edgecolor()).upper(), []).append(patch.get_xy())
    return found


def test_a_point_is_in_the_token_whose_center_is_nearest():
    centers = grid_positions(SHAPE, STRIDE, SPACING)
    for index in (0, 21, 63):
        assert token_at((centers[index] + 2.9).tolist(), SHAPE, STRIDE, SPACING) == index
        assert token_at((centers[index] - 2.9).tolist(), SHAPE, STRIDE, SPACING) == index
    with pytest.raises(ValueError, match="within"):
        token_at((13, 0, 0), SHAPE, STRIDE, SPACING)


def test_the_chosen_token_is_marked_at_its_coordinates():
    tokens = smooth_tokens()
    figure = plot_neighbors(
        {"a": torch.ones(SHAPE), "b": torch.ones(SHAPE)}, {"a": tokens, "b": tokens}, 21, stride=STRIDE, k=3
    )
    center = grid_positions(SHAPE, STRIDE, SPACING)[21]
    sagittal, coronal, axial = figure.axes[:3]
    assert boxes(sagittal)[ANCHOR] == [(center[1] - 3, center[2] - 3)]
    assert boxes(coronal)[ANCHOR] == [(center[0] - 3, center[2] - 3)]
    assert boxes(axial)[ANCHOR] == [(center[0] - 3, center[1] - 3)]


def test_neighbors_that_modalities_share_are_distinguished_from_those_of_one_only():
    tokens = smooth_tokens()
    volumes = {"a": torch.ones(SHAPE), "b": torch.ones(SHAPE)}
    same = plot_neighbors(volumes, {"a": tokens, "b": tokens}, 21, stride=STRIDE, k=3)
    assert [len(boxes(ax)[SHARED]) for ax in same.axes] == [3] * 6
    other = torch.randn(64, 4, generator=torch.Generator().manual_seed(3))
    different = plot_neighbors(volumes, {"a": tokens, "b": other}, 21, stride=STRIDE, k=3)
    shared = len(boxes(different.axes[0]).get(SHARED, []))
    assert shared < 3
    assert len(boxes(different.axes[3])[SINGLE]) == 3 - shared
    assert different.get_suptitle().startswith(f"{shared} of 3")


def test_weights_above_an_equal_share_are_colored_on_one_scale_and_the_anchor_is_marked():
    mask = torch.arange(64) != 5
    near, even = torch.full((63,), 0.5 / 62), torch.full((63,), 1 / 63)
    near[20] = 0.5  # of token 21: one token of the grid before it is not in the mask
    figure = plot_weights(torch.ones(SHAPE), {"near": near, "even": even}, 20, mask=mask, stride=STRIDE)
    *planes, bar = figure.axes
    colored = [int((ax.images[1].get_array()[..., 3] > 0).sum()) for ax in planes]
    assert colored == [4, 4, 4, 0, 0, 0]  # voxels of one block
    center = grid_positions(SHAPE, STRIDE, SPACING)[21]
    assert all(boxes(ax)[ANCHOR] == [(center[0] - 3, center[2] - 3)] for ax in planes[1::3])
    assert bar.get_ylim() == pytest.approx((1 / 63, 0.5))


def test_match_of_a_moved_head_is_found_by_features_and_missed_by_position():
    positions = grid_positions(SHAPE, STRIDE, SPACING)
    tokens = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    moved = torch.arange(64).reshape(4, 4, 4).roll(1, 0).flatten()  # b's token i is a's token moved[i]
    everywhere = torch.ones(64, dtype=torch.bool)
    match = find_match(21, (tokens, tokens[moved]), (positions, positions), everywhere, (positions, positions[moved]))
    assert moved[match.found] == moved[match.truth] == 21
    assert match.position == 21
    assert match.errors == pytest.approx({"found": 0.0, "truth": 0.0, "position": 6.0})
    assert match.similarity.argmax() == match.found


def test_matches_are_foreground_tokens_only():
    positions, tokens = grid_positions(SHAPE, STRIDE, SPACING), smooth_tokens()
    mask = torch.arange(64) != 21
    match = find_match(21, (tokens, tokens), (positions, positions), mask, (positions, positions))
    assert 21 not in (match.found, match.truth, match.position)


def test_figure_marks_truth_match_and_position_on_the_other_person():
    positions, tokens = grid_positions(SHAPE, STRIDE, SPACING), smooth_tokens()
    everywhere = torch.ones(64, dtype=torch.bool)
    match = find_match(21, (tokens, tokens), (positions, positions), everywhere, (positions, positions.roll(1, 0)))
    figure = plot_match(torch.ones(SHAPE), torch.ones(SHAPE), match, stride=STRIDE, mask_b=everywhere)
    assert set(boxes(figure.axes[0])) == {ANCHOR}
    assert set(boxes(figure.axes[3])) == {TRUTH, MATCH, POSITION}
    assert len(figure.axes[3].images) == 2  # the image, and the similarity over it
    assert f"{match.errors['found']:.0f} mm off" in figure.get_suptitle()
