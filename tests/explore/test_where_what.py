import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

from toposlearn.data import pose_subjects
from toposlearn.explore import where_what
from toposlearn.explore.curves import VARIANT_COLORS
from toposlearn.explore.match_errors import known_motion
from toposlearn.explore.neighborhoods import MATCH, POSITION, TRUTH
from toposlearn.intervals import bootstrap_subjects
from toposlearn.models import Taco
from toposlearn.reproducibility import metric, set_seed

PAIR, STRIDE = ("T1w", "T2w"), 4


@pytest.fixture(scope="module")
def upright(subjects, smoke):
    return pose_subjects(subjects, smoke, posed=False)


@pytest.fixture(scope="module")
def networks(smoke):
    set_seed(0)
    return {name: Taco(smoke.model).eval() for name in ("one", "other")}


@pytest.fixture(scope="module")
def token(upright):
    return int(upright.token_mask(STRIDE)[0].nonzero()[20])


def test_a_metric_over_people_holds_the_mean_and_leaves_the_diagonal_out():
    own = where_what.people_metric(torch.tensor([1.0, 2.0, 6.0]), unit="mm", null=9.0)
    assert (own["value"], own["n"], own["unit"], own["null"]) == (3.0, 3, "mm", 9.0)
    assert (own["low"], own["high"]) == bootstrap_subjects(np.array([[1.0, 2.0, 6.0]]))
    pairs = where_what.people_metric(np.full((4, 4), 5.0) + 100 * np.eye(4))
    assert [pairs[name] for name in ("value", "low", "high", "n")] == [5.0, 5.0, 5.0, 4]


def test_a_bar_a_name_a_panel_a_measure_with_interval_and_null():
    full, other = metric(3.0, low=2.0, high=5.0, null=8.0), metric(4.0)
    figure = where_what.plot_measures({"upright": {"full": full, "other": other}, "posed": {"full": full}}, "mm")
    first, second = figure.axes
    assert [bar.get_width() for bar in first.patches] == [3.0, 4.0]
    assert [bar.get_width() for bar in second.patches] == [3.0]
    assert [text.get_text() for text in first.get_yticklabels()] == ["full", "other"]
    assert to_hex(first.patches[0].get_facecolor()).upper() == VARIANT_COLORS["full"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["chance"]
    assert not where_what.plot_measures({"posed": {"other": other}}, "mm").legends


def test_controls_are_gray_and_unknown_names_get_a_color_each():
    value = metric(1.0)
    figure = where_what.plot_measures({"all": dict.fromkeys(("run a", "run b", "position"), value)}, "mm")
    colors = [to_hex(bar.get_facecolor()) for bar in figure.axes[0].patches]
    assert colors[0] != colors[1]
    assert colors[2] == to_hex("0.65")


def test_the_curve_over_shifts_has_a_line_a_name_and_bands_for_networks():
    row = {"full": metric(3.0, low=2.0, high=4.0), "position": metric(9.0, low=9.0, high=9.0)}
    figure = where_what.plot_move_curve({0: row, 9: row})
    (ax,) = figure.axes
    assert [line.get_label() for line in ax.lines] == ["full", "grid position"]
    assert ax.lines[1].get_ydata().tolist() == [9.0, 9.0]
    assert len(ax.collections) == 1


def test_a_token_is_followed_and_the_truth_moves_by_the_motion(upright, networks, token):
    before, after = where_what.follow_token(networks, upright, token, known_motion(24), pair=PAIR, stride=STRIDE)
    assert set(before.matches) == set(after.matches) == set(networks)
    for match in before.matches.values():
        assert match.anchor == match.truth == match.position == token
    moved_by = upright.token_positions(STRIDE)[after.matches["one"].truth] - upright.token_positions(STRIDE)[token]
    torch.testing.assert_close(moved_by, torch.tensor([24.0, 0.0, 0.0]), atol=1e-3, rtol=0)
    assert after.matches["one"].errors["truth"] == pytest.approx(0, abs=1e-3)


def test_the_picture_shows_each_network_before_and_after_with_three_boxes(upright, networks, token):
    views = where_what.follow_token(networks, upright, token, known_motion(24), pair=PAIR, stride=STRIDE)
    grid = upright.token_positions(STRIDE)
    figure = where_what.plot_followed(views, stride=STRIDE, spacing=upright.spacing, positions=grid)
    assert len(figure.axes) == 4
    assert figure.axes[0].get_title().startswith("one: ")
    for ax in figure.axes:
        assert {to_hex(box.get_edgecolor()).upper() for box in ax.patches} == {POSITION, TRUTH, MATCH}
    truth = next(box for box in figure.axes[2].patches if to_hex(box.get_edgecolor()).upper() == TRUTH)
    assert truth.get_x() + truth.get_width() / 2 == pytest.approx(float(grid[token, 0]) + 24, abs=1e-3)


def test_the_sliders_move_and_turn_the_head(upright, networks, token, monkeypatch):
    motions, original = [], where_what.known_motion
    monkeypatch.setattr(where_what, "known_motion", lambda *given: motions.append(given) or original(*given))
    box = where_what.move_browser(networks, upright, token, pair=PAIR, stride=STRIDE)
    slide, turn = box.children[0].children
    first = bytes(box.children[1].value)
    slide.value = 12
    turn.value = -10
    assert [given for given in motions if given] == [(27, 0), (12, 0), (12, -10)]
    assert bytes(box.children[1].value) != first
    assert not plt.get_fignums()
