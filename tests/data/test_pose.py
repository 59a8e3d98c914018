"""Poses: each does what its numbers say, to images and to truth alike."""

import math

import pytest
import torch

from toposlearn.config import AugmentConfig
from toposlearn.data import apply_pose, draw_poses
from toposlearn.data.pose import compose, draw_motion, relative_pose, voxel_coordinates

SPACING = 3.0
SHAPE = (21, 25, 17)
NOTHING = torch.eye(3, 4)[None]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blob(*where: float) -> torch.Tensor:
    """A bright spot at world coordinates in mm (1, 1, D, H, W)."""
    offset = voxel_coordinates(SHAPE, SPACING) - torch.tensor(where)[:, None, None, None]
    return torch.exp(-(offset**2).sum(0) / (2 * 5.0**2))[None, None]


def place(volume: torch.Tensor) -> torch.Tensor:
    """Center of brightness in mm."""
    return (volume[0, 0] * voxel_coordinates(SHAPE, SPACING)).sum(dim=(1, 2, 3)) / volume.sum()


def turn(axis: int, degrees: float) -> torch.Tensor:
    """Rotation matrix, positive from the next axis to the one after it."""
    angle, (i, j) = math.radians(degrees), ((1, 2), (2, 0), (0, 1))[axis]
    matrix = torch.eye(3)
    matrix[i, i] = matrix[j, j] = math.cos(angle)
    matrix[i, j], matrix[j, i] = -math.sin(angle), math.sin(angle)
    return matrix


def pose(linear: torch.Tensor, shift: tuple[float, float, float] = (0, 0, 0)) -> torch.Tensor:
    """The pose (1, 3, 4), posed mm -> original mm, of a head moved to ``linear @ x + shift``."""
    inverse = torch.linalg.inv(linear)
    return torch.cat([inverse, -(inverse @ torch.tensor(shift, dtype=torch.float32))[:, None]], dim=1)[None]


def test_no_pose_changes_nothing():
    volume = torch.rand(2, 3, *SHAPE, generator=generator())
    both = NOTHING.repeat(2, 1, 1)
    torch.testing.assert_close(apply_pose(volume, both, SPACING), volume, atol=1e-5, rtol=0)
    torch.testing.assert_close(apply_pose(volume, both, SPACING, nearest=True), volume)


def test_coordinates_are_measured_from_the_center_in_mm():
    grid = voxel_coordinates(SHAPE, SPACING)
    assert grid.shape == (3, *SHAPE)
    torch.testing.assert_close(grid.mean(dim=(1, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(grid[:, -1, -1, -1], torch.tensor([30.0, 36.0, 24.0]))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_shift_by_whole_voxels_moves_every_voxel(axis):
    volume = torch.rand(1, 1, *SHAPE, generator=generator())
    shift = [0.0, 0.0, 0.0]
    shift[axis] = 2 * SPACING
    moved = apply_pose(volume, pose(torch.eye(3), tuple(shift)), SPACING)
    expected = volume.roll(2, dims=2 + axis)
    expected.narrow(2 + axis, 0, 2).zero_()
    torch.testing.assert_close(moved, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("degrees", [90.0, 20.0, -35.0])
def test_a_rotation_moves_a_spot_to_where_it_belongs(axis, degrees):
    where = (7.0, 9.0, -6.0)
    moved = apply_pose(blob(*where), pose(turn(axis, degrees)), SPACING)
    torch.testing.assert_close(place(moved), turn(axis, degrees) @ torch.tensor(where), atol=0.3, rtol=0)


def test_a_scale_moves_a_spot_outwards():
    moved = apply_pose(blob(6, -6, 6), pose(1.2 * torch.eye(3)), SPACING)
    torch.testing.assert_close(place(moved), torch.tensor([7.2, -7.2, 7.2]), atol=0.3, rtol=0)


def test_drawn_poses_keep_to_their_limits_and_differ():
    config = AugmentConfig(rotation=20, shift=29, scale=0.15)
    poses = draw_poses(500, config, generator())
    linear = poses[:, :, :3]
    scale = torch.linalg.det(linear) ** (-1 / 3)  # of the head
    assert (scale - 1).abs().max() <= 0.15 + 1e-5
    rotation = linear * scale[:, None, None]
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3).expand(500, 3, 3), atol=1e-5, rtol=0)
    shift = -(torch.linalg.inv(linear) @ poses[:, :, 3:])[..., 0]
    assert shift.abs().max() <= 29 + 1e-3
    assert shift.std(dim=0).min() > 14  # uniform: 16.7
    angle = torch.arccos(((rotation.diagonal(dim1=1, dim2=2).sum(1)) - 1) / 2).rad2deg()
    assert 20 < angle.max() < 36  # three turns of 20 degrees at most
    assert len(poses.flatten(1).unique(dim=0)) == 500


def test_the_same_generator_draws_the_same_poses():
    config = AugmentConfig()
    assert torch.equal(draw_poses(3, config, generator(1)), draw_poses(3, config, generator(1)))


def test_no_range_is_no_pose():
    nothing = draw_poses(2, AugmentConfig(rotation=0, shift=0, scale=0), generator())
    torch.testing.assert_close(nothing, NOTHING.repeat(2, 1, 1))


def test_a_drawn_shift_is_that_of_the_head():
    drawn = draw_poses(1, AugmentConfig(rotation=0, scale=0, shift=12), generator(3))
    moved = apply_pose(blob(0, 0, 0), drawn, SPACING)
    torch.testing.assert_close(place(moved), -drawn[0, :, 3], atol=0.3, rtol=0)


def test_truth_moves_with_the_picture():
    """A map to the template, posed like the image, still says where the spot came from."""
    where = (7.0, 9.0, -6.0)
    drawn = draw_poses(1, AugmentConfig(rotation=20, shift=6, scale=0.1), generator(5))
    moved = apply_pose(blob(*where), drawn, SPACING)
    truth = apply_pose(voxel_coordinates(SHAPE, SPACING)[None], drawn, SPACING, border=True)
    center = (moved[0] * truth[0]).sum(dim=(1, 2, 3)) / moved.sum()
    torch.testing.assert_close(center, torch.tensor(where), atol=0.3, rtol=0)


def test_beyond_the_edge_is_air_or_the_edge():
    volume = torch.ones(1, 1, *SHAPE)
    away = pose(torch.eye(3), (30.0, 0, 0))
    assert apply_pose(volume, away, SPACING)[0, 0, :9].abs().max() == 0
    torch.testing.assert_close(apply_pose(volume, away, SPACING, border=True), volume)


def test_the_relative_pose_leads_from_one_posed_volume_to_the_other():
    config = AugmentConfig(rotation=20, shift=6, scale=0.1)
    first, second = draw_poses(1, config, generator(1)), draw_poses(1, config, generator(2))
    spot = blob(5.0, -4.0, 3.0)
    there, here = place(apply_pose(spot, first, SPACING)), place(apply_pose(spot, second, SPACING))
    between = relative_pose(first, second)[0]
    torch.testing.assert_close(between[:, :3] @ there + between[:, 3], here, atol=0.3, rtol=0)
    torch.testing.assert_close(relative_pose(first, first), NOTHING, atol=1e-5, rtol=0)


def test_a_motion_is_rigid_and_as_large_as_asked():
    motion = draw_motion(7.0, 30.0, torch.Generator().manual_seed(0))
    turn = motion[:, :3]
    torch.testing.assert_close(turn @ turn.T, torch.eye(3))
    assert torch.rad2deg(torch.acos((turn.trace() - 1) / 2)) == pytest.approx(30, abs=1e-3)
    assert motion[:, 3].norm() == pytest.approx(7)
    assert torch.equal(draw_motion(0.0, 0.0, torch.Generator()), torch.eye(3, 4))


def test_one_map_after_another():
    first, second = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0))
    points = torch.randn(5, 3, 1, generator=torch.Generator().manual_seed(1))
    middle = first[:, :, :3] @ points + first[:, :, 3:]
    both = compose(first, second)
    torch.testing.assert_close(both[:, :, :3] @ points + both[:, :, 3:], second[:, :, :3] @ middle + second[:, :, 3:])
