import dataclasses

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from toposlearn.data import PosedSubjects, pose_subjects
from toposlearn.explore.match_errors import (
    errors_after_move,
    errors_between_people,
    follow_token,
    known_motion,
    move_subjects,
    places_before,
    plot_followed,
)
from toposlearn.explore.neighborhoods import MATCH, POSITION, TRUTH
from toposlearn.explore.results import LABELS
from toposlearn.models import Taco
from toposlearn.reproducibility import set_seed


@pytest.fixture(scope="module")
def upright(subjects, smoke):
    return pose_subjects(subjects, smoke, posed=False)


@pytest.fixture(scope="module")
def networks(smoke):
    set_seed(0)
    return {name: Taco(smoke.model).eval() for name in ("one", "other")}


def blob(at):
    """A person (32^3, 6 mm) with one bright ball at a point in mm."""
    axis = (torch.arange(32) - 15.5) * 6.0
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"))
    ball = (-((grid - torch.tensor(at).view(3, 1, 1, 1)) ** 2).sum(0) / 200).exp()
    return PosedSubjects(("one",), ("T1w",), 6.0, ball[None, None], ball[None, None] > 0.1, grid[None], None)


def center(volume):
    axis = (torch.arange(32) - 15.5) * 6.0
    weight = volume / volume.sum()
    return torch.stack([(weight.sum(dim=[d for d in range(3) if d != axis_]) * axis).sum() for axis_ in range(3)])


@pytest.mark.parametrize(("shift", "degrees"), [(0, 0), (24, 0), (0, 20), (15, -20)])
def test_the_head_goes_where_the_motion_says(shift, degrees):
    at, motion = torch.tensor([20.0, 30.0, -10.0]), known_motion(shift, degrees)
    moved = move_subjects(blob(at.tolist()), motion)
    now = center(moved.volumes[0, 0])
    torch.testing.assert_close(places_before(now, motion), at, atol=0.5, rtol=0)
    assert now[2] == pytest.approx(-10, abs=0.1)
    if not degrees:
        assert float(now[0] - at[0]) == pytest.approx(shift, abs=0.1)
    here = moved.to_template[0][:, moved.foreground[0, 0]].T.mean(0)
    torch.testing.assert_close(here, at, atol=2.0, rtol=0)


def test_turning_is_to_the_left_seen_from_above():
    now = center(move_subjects(blob([40.0, 0.0, 0.0]), known_motion(degrees=20)).volumes[0, 0])
    assert now[1] > 10


def test_no_motion_changes_nothing(upright):
    still = move_subjects(upright, known_motion())
    torch.testing.assert_close(still.volumes, upright.volumes, atol=1e-4, rtol=0)
    assert (still.foreground != upright.foreground).float().mean() < 1e-3


def test_without_a_template_the_motion_is_known_all_the_same(upright, networks):
    own = dataclasses.replace(upright, to_template=None)
    errors = errors_after_move(networks, own, known_motion(15), pair=("T1w", "T2w"), stride=4)
    assert set(errors) == {"one", "other", "position", "floor", "random"}
    assert all(value.shape == (len(own.names),) for value in errors.values())
    torch.testing.assert_close(errors["position"], torch.full((6,), 15.0), atol=1e-3, rtol=0)
    assert (errors["floor"] < 12.1).all()  # mm: half a token of 24 mm along the axis of the motion
    assert (errors["random"] > 40).all()


def test_grid_position_has_an_error_of_the_shift_and_the_floor_of_half_a_token_at_most(upright):
    for shift, floor in ((0, 0), (9, 9), (24, 0), (27, 3)):
        errors = errors_after_move({}, upright, known_motion(shift), pair=("T1w", "T2w"), stride=4)
        torch.testing.assert_close(errors["position"], torch.full((6,), float(shift)), atol=1e-3, rtol=0)
        assert errors["floor"].mean() == pytest.approx(floor, abs=1.0)
        assert (errors["random"] > 40).all()


def test_between_people_networks_stand_beside_every_control(upright, networks):
    errors = errors_between_people(networks, upright, pair=("T1w", "T2w"), stride=4)
    assert set(errors) == {"one", "other", *LABELS}
    apart = ~np.eye(6, dtype=bool)
    assert (errors["floor"] <= errors["one"] + 1e-6)[apart].all()
    assert errors["floor"][apart].mean() < errors["position"][apart].mean() < errors["random"][apart].mean()


@pytest.fixture(scope="module")
def token(upright):
    return int(upright.token_mask(4)[0].nonzero()[20])


def test_a_token_is_followed_and_the_truth_moves_by_the_motion(upright, networks, token):
    before, after = follow_token(networks, upright, token, known_motion(24), pair=("T1w", "T2w"), stride=4)
    assert set(before.matches) == set(after.matches) == set(networks)
    for match in before.matches.values():
        assert match.anchor == match.truth == match.position == token
    moved_by = upright.token_positions(4)[after.matches["one"].truth] - upright.token_positions(4)[token]
    torch.testing.assert_close(moved_by, torch.tensor([24.0, 0.0, 0.0]), atol=1e-3, rtol=0)
    assert after.matches["one"].errors["truth"] == pytest.approx(0, abs=1e-3)


def test_the_picture_shows_each_network_before_and_after_with_three_boxes(upright, networks, token):
    views = follow_token(networks, upright, token, known_motion(24), pair=("T1w", "T2w"), stride=4)
    grid = upright.token_positions(4)
    figure = plot_followed(views, stride=4, spacing=upright.spacing, positions=grid)
    assert len(figure.axes) == 4
    assert figure.axes[0].get_title().startswith("one: ")
    for ax in figure.axes:
        assert {to_hex(box.get_edgecolor()).upper() for box in ax.patches} == {POSITION, TRUTH, MATCH}
    truth = next(box for box in figure.axes[2].patches if to_hex(box.get_edgecolor()).upper() == TRUTH)
    assert truth.get_x() + truth.get_width() / 2 == pytest.approx(float(grid[token, 0]) + 24, abs=1e-3)
