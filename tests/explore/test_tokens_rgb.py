import numpy as np
import pytest
import torch

from toposlearn.explore.tokens_rgb import color_overlay, fit_basis, plot_token_colors, share_in_words, to_voxels


def random_tokens(seed, n=64, features=12):
    return torch.randn(2, n, features, generator=torch.Generator().manual_seed(seed))


def test_with_one_basis_equal_tokens_get_equal_colors_in_all_people():
    first, second = random_tokens(0), random_tokens(1)
    second[1, 5] = first[0, 3]
    basis = fit_basis(first, second)
    assert np.allclose(basis.colors(first)[0, 3], basis.colors(second)[1, 5])
    assert not np.allclose(basis.colors(first)[0, 3], basis.colors(second)[0, 3])


def test_tokens_of_one_color_may_differ_in_all_that_the_colors_leave_out():
    tokens = random_tokens(0)
    basis = fit_basis(tokens)
    token = torch.nn.functional.normalize(tokens[0, 3], dim=0)
    shown = torch.as_tensor(basis.pca.components_, dtype=torch.float32)
    kept = shown.T @ (shown @ token)
    other = 2 * kept - token  # the part that no color shows, turned around
    assert np.allclose(basis.colors(token[None]), basis.colors(other[None]), atol=1e-4)
    assert float(token @ other) == pytest.approx(2 * float(kept @ kept) - 1, abs=1e-4)
    assert float(token @ other) < 0.5


def test_the_share_that_colors_hold_is_that_of_their_directions():
    tokens = random_tokens(0).flatten(0, 1)
    rows = torch.nn.functional.normalize(tokens, dim=1).double().numpy()
    spread = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False) ** 2
    basis = fit_basis(tokens)
    assert basis.explained == pytest.approx(spread[:3].sum() / spread.sum(), abs=1e-5)
    assert share_in_words(0.234) == "23 % of the variance"


def test_colors_ignore_length_as_the_cosine_distance_does():
    tokens = random_tokens(0)
    basis = fit_basis(tokens)
    assert np.allclose(basis.colors(tokens), basis.colors(7 * tokens), atol=1e-5)
    assert 0 <= basis.colors(tokens).min() <= basis.colors(tokens).max() <= 1


def test_masked_tokens_have_no_say_in_the_basis():
    tokens = random_tokens(0)
    mask = torch.arange(64).expand(2, 64) < 40
    changed = torch.where(mask[..., None], tokens, random_tokens(9))
    one, other = fit_basis(tokens, masks=[mask]), fit_basis(changed, masks=[mask])
    assert np.allclose(one.colors(tokens), other.colors(tokens))
    alone = fit_basis(tokens[:, :40])
    assert one.explained == pytest.approx(alone.explained)
    assert one.explained != pytest.approx(fit_basis(tokens).explained)


def test_a_token_fills_its_block():
    voxels = to_voxels(torch.arange(8.0), stride=3, shape=(6, 6, 6))
    assert voxels.shape == (6, 6, 6)
    assert (voxels[3:, :3, 3:] == 5).all()  # block (1, 0, 1) is token 1 * 4 + 0 * 2 + 1


def test_overlay_shows_the_token_color_and_leaves_masked_tokens_clear():
    colors = np.linspace(0, 1, 24).reshape(8, 3)
    mask = torch.tensor([True] * 7 + [False])
    overlay = color_overlay(colors, 2, (4, 4, 4), mask)
    assert np.allclose(overlay[0, 0, 0], [*colors[0], 1.0])
    assert overlay[3, 3, 3, 3] == 0


def test_figure_has_the_image_above_and_a_row_for_each_network():
    tokens = random_tokens(0)
    colors = {name: fit_basis(tokens).colors(tokens)[subject] for subject, name in enumerate(("p", "q"))}
    volumes = {name: torch.ones(8, 8, 8) for name in colors}
    figure = plot_token_colors(volumes, {"untrained": colors, "trained": colors}, stride=2, spacing=1.0)
    assert [ax.get_title() for ax in figure.axes] == ["p", "q", *["untrained"] * 2, *["trained"] * 2]
    assert [len(ax.images) for ax in figure.axes] == [1, 1, 2, 2, 2, 2]
    figure = plot_token_colors(volumes, {"full": colors}, stride=2, spacing=1.0, explained={"full": 0.27})
    assert [ax.get_title() for ax in figure.axes] == ["p", "q", *["full (27 % of the variance)"] * 2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_basis(), "needs tokens"),
        (lambda: fit_basis(torch.randn(2, 5)), "4 tokens"),
        (lambda: to_voxels(torch.zeros(7), 2, (4, 4, 4)), "7 tokens do not fill"),
    ],
)
def test_errors_name_what_was_seen(call, message):
    with pytest.raises(ValueError, match=message):
        call()
