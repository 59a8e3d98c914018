"""The explorer with structures as the only truth: simulated people without their map to a template."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from toposlearn.data import PointSource, pose_subjects
from toposlearn.explore.neighborhoods import ANCHOR, MATCH
from toposlearn.explorer import answer, describe, first_view, plot_explorer
from toposlearn.explorer.figure import point_of_click
from toposlearn.explorer.pair_errors import pair_errors, pair_table_html
from toposlearn.explorer.scene import make_scene
from toposlearn.explorer.widget import Explorer
from toposlearn.models import Readout, Taco
from toposlearn.pretrain.point_errors import CONTINUOUS, TOKEN, Level, PointTruth, network_errors, rivals

NAME = "left-thalamus"


@pytest.fixture(scope="module")
def scene(subjects, smoke):
    """Three people with one modality; the last lacks the left putamen, and the right one counts as a landmark."""
    torch.manual_seed(0)
    posed = pose_subjects(subjects, smoke, points=PointSource()).take([0, 1, 2])
    names = [*(name for name in posed.point_names if name != "right-putamen"), "right-putamen"]
    points = posed.points[:, [posed.point_names.index(name) for name in names]]
    points[2, names.index("left-putamen")] = torch.nan
    one = {"volumes": posed.volumes[:, :1], "modalities": posed.modalities[:1]}
    bare = replace(posed, to_template=None, labels=None, lesion=None, points=points, point_names=tuple(names), **one)
    models = {"untrained": Taco(smoke.model).eval(), "full": Taco(smoke.model).eval()}
    return make_scene(models, replace(bare, landmarks=1), {"full": Readout(0.08, "chosen")})


@pytest.fixture(scope="module")
def view(scene):
    return first_view(scene)


def test_an_answer_at_a_structure_is_measured_at_its_center_in_the_other_person(scene, view):
    reply = answer(scene, view, NAME)
    here, there = scene.points[NAME][:2]
    away = (scene.positions - here).norm(dim=1).masked_fill(~scene.mask[0], torch.inf)
    assert reply.token == int(away.argmin())
    assert torch.equal(reply.place, here)
    assert torch.equal(reply.shown, there)
    for end, token in (("found", reply.match.found), ("truth", reply.match.truth)):
        assert reply.match.errors[end] == pytest.approx(float((scene.positions[token] - there).norm()), abs=1e-4)
    assert reply.match.errors["truth"] == min(reply.match.errors.values())
    assert reply.soft_error == pytest.approx(float((reply.soft - there).norm()))
    assert not reply.moved


@pytest.mark.parametrize("position", ["grid", "centered"])
def test_the_table_at_a_structure_agrees_with_the_answer(scene, view, position):
    reply, table = answer(scene, replace(view, position=position), NAME), pair_errors(scene, view, NAME)
    rows = {"full network": "found", "best token there is": "truth"}
    rows["grid position" if position == "grid" else "centered, scaled position"] = "position"
    for row, end in rows.items():
        assert table.loc[row, "best token"] == pytest.approx(reply.match.errors[end], abs=1e-3)
    assert table.loc["full network", "below a token"] == pytest.approx(reply.soft_error, abs=1e-3)
    assert np.isnan(table.loc["best token there is", "below a token"])


def test_the_mean_of_a_pair_is_that_of_the_scorecard_with_the_temperature_of_the_weights(scene, view):
    known = torch.stack([*scene.points.values()], dim=1)
    level, truth, tokens = Level.of(scene.subjects, scene.stride), PointTruth(known), scene.tokens["full"]["T1w"]
    errors = network_errors(tokens, tokens, level, truth, Readout(0.08))
    other = replace(view, subject_a=2, subject_b=1)
    for reading, column in ((TOKEN, "best token"), (CONTINUOUS, "below a token")):
        assert pair_errors(scene, other).loc["full network", column] == pytest.approx(errors[reading][2, 1], rel=1e-4)
        position = rivals(level, truth, {})["position"][reading][2, 1]
        assert pair_errors(scene, other).loc["grid position", column] == pytest.approx(position, rel=1e-4)
    assert scene.readouts["untrained"].temperature == 0.08


def test_places_are_those_that_everyone_has_and_words_count_them(scene, view):
    assert "left-putamen" not in scene.points
    sentence = "true places are known at 38 structures and 1 landmark only: choose one to see errors in mm"
    assert describe(scene, view, answer(scene, view, answer(scene, view, NAME).token))[1] == sentence
    assert describe(scene, view, answer(scene, view, NAME))[1].startswith("thalamus, left: match ")
    with pytest.raises(ValueError, match="'left-putamen' is none of the structures"):
        answer(scene, view, "left-putamen")


def test_a_template_makes_places_to_choose_unnecessary(scene):
    known = replace(scene, template=scene.positions.expand(3, -1, -1))
    assert known.points == {}
    assert pair_table_html(known, first_view(known)) == ""


def test_planes_go_through_the_structure_in_both_people_and_marks_lie_on_it(scene, view):
    figure, reply = plot_explorer(scene, view, NAME), answer(scene, view, NAME)
    assert len(figure.axes) == 12  # of one modality the same head is not shown twice
    for first, place in ((0, scene.points[NAME][0]), (6, scene.points[NAME][1])):
        cuts = [float(str(ax.get_label()).split("|")[2]) for ax in figure.axes[first : first + 6 : 2]]
        assert cuts == place.tolist()
        assert tuple(marks(figure.axes[first])["+"]) == pytest.approx((*place[1:].tolist(), ANCHOR))
    assert "x" not in marks(figure.axes[0])
    assert tuple(marks(figure.axes[6])["x"]) == pytest.approx((*reply.soft[1:].tolist(), MATCH))
    assert set(marks(plot_explorer(scene, view, reply.token).axes[6])) == {"x"}


def marks(ax):
    """Marker -> position and color."""
    drawn = {line.get_marker(): line for line in ax.lines if line.get_marker() != "None"}
    return {
        name: (line.get_xdata()[0], line.get_ydata()[0], to_hex(line.get_color()).upper())
        for name, line in drawn.items()
    }


def test_rows_do_not_overlap_and_words_fit_above_two_rows(scene, view):
    figure = plot_explorer(scene, view, NAME)
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.texts if text.get_rotation() == 0]
    assert not any(box.overlaps(other) for place, box in enumerate(boxes) for other in boxes[place + 1 :])
    assert figure.axes[0].get_position().y0 > figure.axes[6].get_position().y1
    assert max(ax.get_tightbbox().y1 for ax in figure.axes) < min(
        box.y0 for box in boxes if box.y0 > 0.8 * figure.bbox.y1
    )


def test_the_menu_moves_the_sliders_and_a_click_leaves_the_structure(scene):
    shown = Explorer(scene)
    assert [text for text, _ in shown.point.options[1:3]] == ["accumbens, left", "accumbens, right"]
    shown.point.value = NAME
    token = int((scene.positions - scene.points[NAME][0]).norm(dim=1).argmin())
    assert [slider.value for slider in shown.sliders] == pytest.approx(scene.positions[token].tolist())
    assert "Thalamus, left: match" in shown.picture.words
    assert "thalamus, left" in shown.table.value
    shown.controls["subject_a"].value = 2  # the structure stays, its place is another
    token = int((scene.positions - scene.points[NAME][2]).norm(dim=1).argmin())
    assert [slider.value for slider in shown.sliders] == pytest.approx(scene.positions[token].tolist())
    box = shown.figure.axes[4].get_position()
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    assert point_of_click(shown.figure, x, y)
    shown.picture.clicked = [x, y, 1.0]
    assert shown.point.value == ""
    assert "known at 38 structures and 1 landmark only" in shown.picture.words
    assert "thalamus" not in shown.table.value
    assert "mean of 38 structures and 1 landmark" in shown.table.value
    before = [slider.value for slider in shown.sliders]
    shown.controls["k"].value = 3
    assert [slider.value for slider in shown.sliders] == before
    shown.point.value = NAME
    shown.sliders[0].value += scene.token_size
    assert shown.point.value == ""
