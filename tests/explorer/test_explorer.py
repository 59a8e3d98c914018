from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from toposlearn.config import with_variant
from toposlearn.data import pose_subjects
from toposlearn.explore.neighborhoods import ANCHOR, MATCH, POSITION, TRUTH
from toposlearn.explore.slices import PLANE_AXES
from toposlearn.explorer import answer, choose_token, describe, first_view, open_scene, plot_explorer
from toposlearn.explorer.answers import at_border, structure_name, token_near
from toposlearn.explorer.figure import point_of_click
from toposlearn.explorer.scene import UNTRAINED, load_networks, make_scene
from toposlearn.models import Taco
from toposlearn.models.weights import save_weights
from toposlearn.topology import nearest_matches, nearest_neighbors


@pytest.fixture(scope="module")
def scene(subjects, smoke):
    torch.manual_seed(0)
    models = {UNTRAINED: Taco(smoke.model).eval(), "full": Taco(smoke.model).eval()}
    return make_scene(models, pose_subjects(subjects, smoke))


@pytest.fixture(scope="module")
def view(scene):
    return first_view(scene)


@pytest.fixture(scope="module")
def without_truth(scene):
    bare = replace(scene.subjects, to_template=None, labels=None, lesion=None)
    return replace(scene, subjects=bare, template=None, labels=None, lesion=None)


def a_token(scene, subject=0):
    return int(scene.mask[subject].nonzero()[int(scene.mask[subject].sum()) // 2])


def boxes(ax):
    return {to_hex(patch.get_edgecolor()).upper() for patch in ax.patches}


def cuts(figure, row):
    """The places in mm of the three planes of a row."""
    return [float(str(ax.get_label()).split("|")[2]) for ax in figure.axes[6 * row : 6 * row + 6 : 2]]


def test_scene_has_every_network_modality_and_token(scene):
    subjects, tokens = len(scene.subjects.names), len(scene.positions)
    assert scene.networks == (UNTRAINED, "full")
    for network in scene.networks:
        assert tuple(scene.tokens[network]) == scene.subjects.modalities
        for modality in scene.subjects.modalities:
            assert scene.tokens[network][modality].shape[:2] == (subjects, tokens)
            colors = scene.colors[network][modality]
            assert colors.shape == (subjects, tokens, 3)
            assert 0 <= float(colors.min()) <= float(colors.max()) <= 1


def test_an_answer_is_what_the_library_says_of_all_tokens(scene, view):
    token = a_token(scene)
    reply = answer(scene, view, token)
    first = scene.tokens["full"][view.modality_a][view.subject_a][None]
    second = scene.tokens["full"][view.modality_b]
    mask_a, mask_b = scene.mask[view.subject_a][None], scene.mask[view.subject_b][None]
    assert reply.neighbors_a == tuple(nearest_neighbors(first, view.k, mask_a)[0, token].tolist())
    in_b = nearest_neighbors(second[view.subject_a][None], view.k, mask_a)[0, token]
    assert reply.neighbors_b == tuple(in_b.tolist())
    assert reply.match.found == int(nearest_matches(first, second[view.subject_b][None], mask_a, mask_b)[0, token])
    template = scene.template[view.subject_a], scene.template[view.subject_b]
    assert reply.match.errors["found"] == pytest.approx(
        float((template[1][reply.match.found] - template[0][token]).norm())
    )
    assert reply.match.errors["truth"] == min(reply.match.errors.values())


def test_same_person_and_modality_finds_itself(scene, view):
    token = a_token(scene)
    same = replace(view, subject_b=view.subject_a, modality_b=view.modality_a)
    reply = answer(scene, same, token)
    assert reply.match.found == reply.match.truth == reply.match.position == token
    assert reply.match.errors == {"found": 0, "position": 0, "truth": 0}
    assert reply.shared == set(reply.neighbors_a)
    plot_explorer(scene, same, token)


def test_centered_position_follows_a_head_that_was_shifted(scene, view):
    heads = torch.zeros(6, 8, 8, 8, dtype=torch.bool)
    heads[0, 2:5, 2:5, 2:5], heads[1:, 3:6, 2:5, 2:5] = True, True
    moved = replace(scene, mask=heads.flatten(1))
    token = a_token(moved)
    assert answer(moved, replace(view, position="centered"), token).match.position == token + 64
    assert heads[1].flatten()[token]
    assert answer(moved, replace(view, position="grid"), token).match.position == token


def test_a_point_in_the_air_gives_the_nearest_tissue_and_says_so(scene, view):
    corner = token_near(scene, (-1e6, -1e6, -1e6))
    assert corner == 0
    assert not scene.mask[0, corner]
    reply = answer(scene, view, corner)
    away = (scene.positions - scene.positions[corner]).norm(dim=1)
    assert float(away[reply.token]) == pytest.approx(float(away[scene.mask[0]].min()))
    assert scene.mask[0, reply.token]
    assert any("no tissue" in sentence for sentence in describe(scene, view, reply))
    assert not answer(scene, view, reply.token).moved


def test_without_truth_errors_are_left_out_and_the_words_say_so(without_truth, view):
    reply = answer(without_truth, view, a_token(without_truth))
    assert (reply.match.truth, reply.match.errors, reply.wrong_side) == (None, {}, None)
    assert "unknown" in describe(without_truth, view, reply)[1]
    figure = plot_explorer(without_truth, view, reply.token)
    assert any("true place unknown" in text.get_text() for text in figure.texts)
    assert cuts(figure, 2) == without_truth.positions[reply.match.found].tolist()
    assert boxes(figure.axes[12]) == {MATCH, POSITION}


def test_without_truth_two_modalities_of_one_person_still_have_errors(without_truth, view):
    reply = answer(without_truth, replace(view, subject_b=view.subject_a), a_token(without_truth))
    assert reply.match.errors["truth"] == 0
    assert reply.match.truth == reply.token


def test_every_row_marks_its_tokens(scene, view):
    figure = plot_explorer(scene, view, a_token(scene))
    assert len(figure.axes) == 18
    assert ANCHOR in boxes(figure.axes[0])
    assert boxes(figure.axes[12]) == boxes(figure.axes[13]) == {TRUTH, MATCH, POSITION}


def test_planes_follow_the_token_in_person_a_and_the_true_place_in_person_b(scene, view):
    reply = answer(scene, view, a_token(scene))
    figure = plot_explorer(scene, view, reply.token)
    for row, center in ((0, reply.token), (1, reply.token), (2, reply.match.truth)):
        assert cuts(figure, row) == scene.positions[center].tolist()


def test_a_click_on_any_slice_of_person_a_finds_the_point_under_it(scene, view):
    figure = plot_explorer(scene, view, a_token(scene))
    figure.canvas.draw()
    for ax in figure.axes[:12]:
        wanted = np.array([12.0, -30.0])
        x, y = figure.transFigure.inverted().transform(ax.transData.transform(wanted))
        point = point_of_click(figure, x, y)
        _, plane, at = str(ax.get_label()).split("|")
        across, up = PLANE_AXES[plane]
        assert [point[across], point[up]] == pytest.approx(wanted.tolist())
        assert point[3 - across - up] == float(at)


def test_clicks_between_slices_and_on_person_b_choose_nothing(scene, view):
    figure = plot_explorer(scene, view, a_token(scene))
    assert point_of_click(figure, 0.001, 0.5) is None
    box = figure.axes[12].get_position()
    assert point_of_click(figure, (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": "x"}, "network must be one of untrained, full"),
        ({"subject_a": 9}, "subject_a must be between 0 and 5"),
        ({"subject_b": -1}, "subject_b must be"),
        ({"modality_a": "CT"}, "modality_a must be one of"),
        ({"k": 0}, "k must be between 1"),
        ({"k": 10_000}, "k must be between 1"),
    ],
)
def test_views_that_the_scene_cannot_show_are_refused(scene, view, change, message):
    with pytest.raises(ValueError, match=message):
        answer(scene, replace(view, **change), a_token(scene))


def test_unknown_tokens_are_refused(scene, view):
    with pytest.raises(ValueError, match="token must be between 0 and 511"):
        answer(scene, view, 512)


def test_structures_of_other_label_maps_are_numbered(scene):
    labels = torch.zeros_like(scene.labels)
    labels[0, 0], labels[0, 1] = 2, 999
    named = replace(scene, labels=labels, lesion=None)
    assert [structure_name(named, 0, token) for token in (0, 1, 2)] == [
        "left thalamus",
        "structure 999",
        "mostly background",
    ]
    unknown = replace(scene, labels=None, lesion=None)
    assert structure_name(unknown, 0, 0) == ""


def test_the_picture_says_where_the_token_and_its_match_lie(scene, view):
    border, inside = at_border(scene, 0), scene.mask[0] & ~at_border(scene, 0)
    assert border.any()
    assert inside.any()
    for counted, words in ((border, True), (inside, False)):
        reply = answer(scene, view, int(counted.nonzero()[0]))
        (places,) = [line for line in describe(scene, view, reply) if line.startswith("token: ")]
        token, _, match = places.partition("; match: ")
        assert match
        assert ("at the border of the head" in token) == words
        assert structure_name(scene, 0, reply.token) in token
        if reply.wrong_side is not None:
            assert places.endswith(f"{'wrong' if reply.wrong_side else 'same'} side of the brain")
        figure = plot_explorer(scene, view, reply.token)
        assert any(text.get_text().endswith(places) for text in figure.texts)


def test_what_is_written_above_the_slices_fits_into_the_picture(scene, view):
    labels = torch.where(scene.labels > 0, 1, 0)
    (token,) = at_border(scene, 0).nonzero()[0].tolist()
    figure = plot_explorer(replace(scene, labels=labels), view, token)
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.texts if text.get_rotation() == 0]
    assert min(box.x0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= figure.bbox.x1
    assert not any(box.overlaps(other) for place, box in enumerate(boxes) for other in boxes[place + 1 :])


def test_chosen_tokens_are_the_best_the_worst_and_one_in_a_lesion(scene, view, without_truth):
    errors = [answer(scene, view, int(token)).match.errors["found"] for token in scene.mask[0].nonzero()[:, 0]]
    for which, extreme in (("best", min(errors)), ("worst", max(errors))):
        chosen = choose_token(scene, view, which)
        assert answer(scene, view, chosen.token).match.errors["found"] == pytest.approx(extreme, abs=1e-3)
    share = torch.zeros_like(scene.mask, dtype=torch.float)
    share[2, a_token(scene, 2)] = 1
    lesion = choose_token(replace(scene, lesion=share), view, "lesion")
    assert (lesion.view.subject_a, lesion.token) == (2, a_token(scene, 2))
    assert choose_token(without_truth, view, "lesion").why.startswith("no lesion is known")


def test_scene_opens_from_a_folder_of_weights_and_a_data_folder(cohort, smoke, tmp_path):
    for name in ("full", "reconstruction"):
        save_weights(tmp_path / f"{name}.safetensors", Taco(smoke.model), with_variant(smoke, "full"))
    opened = open_scene(tmp_path, cohort, subjects=2)
    assert opened.networks == (UNTRAINED, "reconstruction", "full")
    assert len(opened.subjects.names) == 2


def test_missing_weights_and_mixed_grids_are_one_line_errors(smoke, tmp_path):
    with pytest.raises(FileNotFoundError, match="no weights"):
        load_networks(tmp_path)
    with pytest.raises(FileNotFoundError, match="do not exist"):
        load_networks(tmp_path / "none.safetensors")
    save_weights(tmp_path / "a.safetensors", Taco(smoke.model), smoke)
    other = smoke.replace(volume={"spacing": smoke.volume.spacing + 1})
    save_weights(tmp_path / "b.safetensors", Taco(smoke.model), other)
    with pytest.raises(ValueError, match="one grid"):
        load_networks(tmp_path)
