"""Errors at points and over the head: plain forms, known truth, and rivals that lie where they must."""

import numpy as np
import pytest
import torch
from draws import tokens as draw

from toposlearn.data import PosedSubjects, pose_subjects
from toposlearn.data.pose import relative_pose
from toposlearn.data.posed import pose_of
from toposlearn.intervals import across_subjects
from toposlearn.pretrain import controls, error_matrix
from toposlearn.pretrain.point_errors import (
    CONTINUOUS,
    POINT_TO_TOKEN,
    TOKEN,
    DenseTruth,
    Level,
    PointTruth,
    centered_maps,
    map_guess,
    rivals,
    soft_guess,
    token_guess,
)
from toposlearn.topology import at_points, centered_positions

STRIDE = 4


@pytest.fixture(scope="module")
def posed(subjects, smoke) -> PosedSubjects:
    return pose_subjects(subjects, smoke)


@pytest.fixture(scope="module")
def level(posed) -> Level:
    return Level.of(posed, STRIDE)


@pytest.fixture(scope="module")
def poses(posed, smoke) -> torch.Tensor:
    """True maps (S, S, 3, 4) between the poses; that bend of one person into another is left."""
    drawn = torch.cat([pose_of(number, smoke, 0) for number in range(len(posed.names))])
    return torch.stack([relative_pose(one[None].expand_as(drawn), drawn) for one in drawn])


@pytest.fixture(scope="module")
def points(posed, level) -> torch.Tensor:
    """Ten places inside each head, two of them missing in some."""
    points = torch.stack([level.positions[s, 40:50] for s in range(len(posed.names))]) + 5 * draw(6, 10, 3)
    points[1, 2], points[4, 7] = torch.nan, torch.nan
    return points


def test_errors_at_points_are_those_of_a_loop(level, points):
    a, b = draw(6, level.inside.shape[1], 8), draw(6, level.inside.shape[1], 8, seed=1)
    errors = PointTruth(points).errors(token_guess(a, b, level))
    maps = a.mT.reshape(6, 8, *level.grid)
    soft = PointTruth(points).errors(soft_guess(a, b, level, 0.1))
    for p, q in ((0, 1), (4, 1), (3, 3)):
        found, finely = [], []
        for own, there in zip(points[p], points[q], strict=True):
            if not (own.isfinite().all() and there.isfinite().all()):
                continue
            holding = (level.positions[p][level.mask[p]] - own).norm(dim=1).argmin()
            places, inside = level.positions[q][level.mask[q]], level.inside[q]
            similarity = torch.cosine_similarity(a[p][level.inside[p]][holding][None], b[q][inside], dim=1)
            found.append(float((places[similarity.argmax()] - there).norm()))
            query = at_points(maps[p : p + 1], own[None, None], level.step)[0]
            weights = (torch.cosine_similarity(query, b[q][inside], dim=1) / 0.1).softmax(0)
            finely.append(float((weights @ places - there).norm()))
        assert errors[p, q] == pytest.approx(np.mean(found), rel=1e-4)
        assert soft[p, q] == pytest.approx(np.mean(finely), rel=1e-4)


def test_a_known_map_has_no_error_at_points_and_the_token_grid_shows(level, poses, points):
    own = points[0].nan_to_num()
    places = torch.einsum("sij,lj->sli", poses[0, :, :, :3], own) + poses[0, :, None, :, 3]
    truth = PointTruth(places)
    assert truth.errors(map_guess(poses)).max() < 0.01
    at_tokens, floor = across_subjects(truth.errors(map_guess(poses, level))), across_subjects(truth.floor(level))
    assert 0 < floor < at_tokens
    read = rivals(level, truth, {"true pose": poses})["true pose"]
    assert across_subjects(read[CONTINUOUS]) < 0.01
    assert across_subjects(read[POINT_TO_TOKEN]) == pytest.approx(floor)  # a true place, moved to a token


def test_points_that_two_people_do_not_share_leave_nan(level, points):
    alone = points.clone()
    alone[2] = torch.nan
    errors = PointTruth(alone).errors(map_guess(torch.eye(3, 4).expand(6, 6, 3, 4)))
    assert np.isnan(errors[2]).all()
    assert np.isnan(errors[:, 2]).all()
    assert np.isfinite(np.delete(np.delete(errors, 2, 0), 2, 1)).all()


def test_the_true_poses_are_the_best_rival_over_the_head(posed, level, poses):
    truth, known = DenseTruth(posed, STRIDE), controls(posed, STRIDE)
    found = rivals(level, truth, {"true pose": poses})
    errors = {name: across_subjects(each[CONTINUOUS]) for name, each in found.items() if CONTINUOUS in each}
    random = found["random"][TOKEN]
    assert errors["true pose"] < errors["centered"] < errors["position"] < across_subjects(random)
    assert errors["true pose"] < across_subjects(found["true pose"][TOKEN])
    np.testing.assert_allclose(found["floor"][TOKEN], known.floor)
    np.testing.assert_allclose(random, known.random)
    own = np.diagonal(found["position"][CONTINUOUS])
    assert own.max() < 1.0  # reading a map at the center of a token or averaging it within makes little difference


def test_features_that_are_the_place_in_the_template_are_read_finely(posed, level):
    template = posed.token_template(STRIDE)
    features = torch.cat([template / 50, torch.full_like(template[..., :1], 5.0)], dim=-1)  # directions differ little
    truth = DenseTruth(posed, STRIDE)
    soft = across_subjects(truth.errors(soft_guess(features, features, level, 5e-4)))
    best = across_subjects(error_matrix(features, features, template, level.inside))
    assert soft < 0.8 * best


def test_centered_maps_make_centered_positions_equal(level):
    maps = centered_maps(level)
    wanted = centered_positions(level.positions, level.mask)
    moved = level.positions[0] @ maps[0, 3, :, :3].T + maps[0, 3, :, 3]
    middle, spread = level.positions[3][level.mask[3]].mean(0), level.positions[3][level.mask[3]].std(0, correction=0)
    torch.testing.assert_close((moved - middle) / spread, wanted[0], atol=1e-4, rtol=1e-4)
