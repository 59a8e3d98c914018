"""Heads are bent without folding, by maps that do what they say."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from toposlearn.cohort import draw_traits
from toposlearn.cohort.deformation import (
    DEVELOPMENTAL_MM,
    ControlGrid,
    affine_points,
    bent_points,
    bulge_velocity,
    draw_affine,
    exponentiate,
    growth_fields,
    growth_velocity,
    jacobian_determinant,
    random_velocity,
    read_at,
    rigid_motion,
    shape_velocity,
    subject_map,
)
from toposlearn.cohort.head import Head, load_head
from toposlearn.cohort.lesions import KINDS, draw_lesion, lesion_sites
from toposlearn.cohort.recipes import BODIES, PoseRange

CONTROL = replace(draw_traits(0), age=50, diagnosis="control", degree=None)
OLD_AND_ILL = replace(CONTROL, age=80, diagnosis="atrophy", degree="severe")
STILL = PoseRange(rotation=0, shift=0, size=0, stretch=0, shear=0)


@pytest.fixture(scope="module", params=["A", "B"])
def family(request):
    head = load_head(request.param)
    grid = ControlGrid.over(head)
    return head, grid, growth_fields(head, grid), lesion_sites(head)


def test_no_head_folds(family):
    _, grid, growth, sites = family
    for person in range(12):
        generator = np.random.default_rng(person)
        velocity = random_velocity(generator, grid) + shape_velocity(OLD_AND_ILL, growth, BODIES["full"])
        if person % 2:
            name = list(KINDS)[person // 2 % len(KINDS)]
            velocity += draw_lesion(generator, name, sites, grid).velocity(grid)
        displacement, _, smallest = exponentiate(velocity)
        assert smallest > 0
        assert jacobian_determinant(displacement.numpy()).min() == pytest.approx(smallest)
        assert 1 < displacement.abs().max() < 40  # mm: bent, and still a head


def test_lesions_are_deep_in_white_matter(family):
    head, grid, _, sites = family
    white = head.mask("cerebral-white-matter")
    for person in range(5):
        center = draw_lesion(np.random.default_rng(person), "glioma", sites, grid).centers[0]
        voxel = np.rint((center - head.affine[:3, 3]) / head.spacing).astype(int)
        assert white[tuple(voxel + np.array([[0, 0, 0], [2, 0, 0], [-2, 0, 0]])[person % 3])]


def test_the_head_is_wrapped_in_fluid_and_padded_with_air(family):
    head = family[0]
    assert head.mask("csf").sum() * head.spacing**3 / 1000 > 50  # ml
    border = np.concatenate([np.take(head.labels, (0, -1), axis=axis).ravel() for axis in range(3)])
    assert not border.any()
    assert np.abs(head.center[0]) < 3  # mm: the midline


def template_map(shape, voxel_to_world, affine, displacement, grid, center):
    """Template mm (X, Y, Z, 3) of each voxel center of a subject's image."""
    return bent_points(affine_points(shape, affine @ voxel_to_world, center), displacement, grid)


def ball(radius: float = 12.0) -> tuple[Head, ControlGrid]:
    shape = (41, 41, 41)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -40
    distance = np.linalg.norm(np.stack(np.indices(shape), axis=-1) * 2.0 - 40, axis=-1)
    head = Head((distance <= radius).astype(np.int16), affine, "ball")
    return head, ControlGrid.over(head)


def test_the_determinant_of_a_linear_map_is_that_of_its_matrix():
    _, grid = ball()
    matrix = np.array([[0.2, 0.1, 0.0], [0.0, -0.1, 0.05], [0.0, 0.1, 0.3]])
    displacement = np.moveaxis(grid.points() @ matrix.T, -1, 0)
    expected = np.linalg.det(np.eye(3) + matrix)
    np.testing.assert_allclose(jacobian_determinant(displacement), expected, rtol=1e-9)


def test_a_constant_velocity_is_a_shift():
    displacement, _, smallest = exponentiate(
        np.broadcast_to(np.reshape([3.0, -2.0, 1.0], (3, 1, 1, 1)), (3, 12, 12, 12))
    )
    torch.testing.assert_close(displacement, torch.tensor([3.0, -2.0, 1.0])[:, None, None, None].expand(3, 12, 12, 12))
    assert smallest == pytest.approx(1)


def test_a_linear_velocity_is_its_exponential():
    """dx/dt = 0.2 x flows to exp(0.2) x: away from the edge, where the lattice ends."""
    _, grid = ball()
    points = np.moveaxis(grid.points(), -1, 0)
    displacement, _, smallest = exponentiate(0.2 * points)
    inner = (slice(None), *[slice(6, -6)] * 3)
    np.testing.assert_allclose(displacement.numpy()[inner], (np.exp(0.2) - 1) * points[inner], atol=0.02)
    assert smallest > 0


def test_the_flow_there_and_back_is_nowhere():
    _, grid = ball()
    velocity = random_velocity(np.random.default_rng(0), grid)
    there, back = exponentiate(velocity)[0], exponentiate(-velocity)[0]
    points = torch.as_tensor(grid.points(), dtype=torch.float32)
    moved = points + there.movedim(0, -1)
    returned = moved + grid.read(back, moved).movedim(0, -1)
    inner = (slice(5, -5),) * 3
    assert (returned - points)[inner].norm(dim=-1).max() < 1.0  # mm, of displacements up to 10


def test_a_field_that_folds_is_refused():
    generator = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"the deformation folds: smallest Jacobian determinant -\d"):
        exponentiate(400 * generator.standard_normal((3, 12, 12, 12)))


def _grown(velocity: np.ndarray, head: Head, grid: ControlGrid) -> float:
    """Voxels of the structure after bending, relative to before."""
    displacement, *_ = exponentiate(velocity)
    points = template_map(head.labels.shape, head.affine, np.eye(4), displacement, grid, np.zeros(3))
    voxels = (points - torch.as_tensor(head.affine[:3, 3], dtype=torch.float32)) / head.spacing
    labels = read_at(torch.as_tensor(head.labels, dtype=torch.float32)[None], voxels, mode="nearest")[0]
    return float(labels.sum()) / head.labels.sum()


def test_growth_makes_larger_and_its_opposite_smaller():
    head, grid = ball()
    velocity = growth_velocity(head.labels > 0, grid, head)
    assert np.linalg.norm(velocity, axis=0).max() == pytest.approx(1)
    assert _grown(2 * velocity, head, grid) > 1.15
    assert _grown(-2 * velocity, head, grid) < 0.85


def test_a_mass_pushes_its_surroundings_away():
    head, grid = ball()
    velocity = bulge_velocity(np.zeros(3), 15.0, grid)
    assert np.linalg.norm(velocity, axis=0).max() == pytest.approx(1, abs=0.02)
    assert (velocity * np.moveaxis(grid.points(), -1, 0)).sum(axis=0).max() <= 0  # the map reads towards the center
    assert _grown(3 * velocity, head, grid) > 1.2


def test_age_and_diagnosis_bend_what_they_should():
    names = ("ventricles", "hippocampus", "cerebrum", "left caudate", "right caudate")
    growth = dict(zip(names, np.eye(5), strict=True))
    for body in BODIES.values():
        np.testing.assert_allclose(shape_velocity(CONTROL, growth, body), np.zeros(5))
        old = shape_velocity(replace(CONTROL, age=80), growth, body)
        np.testing.assert_allclose(old, [body.ventricles / 2, 0, -body.cerebrum / 2, 0, 0])
        degrees = [
            shape_velocity(replace(CONTROL, diagnosis="atrophy", degree=degree), growth, body)
            for degree in ("mild", "moderate", "severe")
        ]
        assert 0 < degrees[0][0] < degrees[1][0] < degrees[2][0]  # ventricles
        assert 0 > degrees[0][1] > degrees[1][1] > degrees[2][1]  # hippocampus
        developmental = shape_velocity(replace(CONTROL, diagnosis="developmental"), growth, body)
        np.testing.assert_allclose(developmental, [0, 0, 0, DEVELOPMENTAL_MM, -DEVELOPMENTAL_MM])


def test_the_map_to_the_subject_undoes_the_map_to_the_template():
    _, grid = ball()
    flow = exponentiate(random_velocity(np.random.default_rng(0), grid))
    affine = draw_affine(np.random.default_rng(1), PoseRange(rotation=10, shift=5, size=0.1))
    center = np.array([1.0, -2.0, 3.0])
    back = subject_map(affine, flow, grid, center).reshape(-1, 3).double().numpy()
    inner = (np.abs(grid.points()).max(axis=-1) < 25).ravel()
    voxel_to_world = np.eye(4)
    voxel_to_world[:3, 3] = back[inner].min(axis=0)
    size = np.ceil(np.ptp(back[inner], axis=0)).astype(int) + 2
    there = template_map(tuple(size), voxel_to_world, affine, flow.displacement, grid, center)
    voxels = torch.as_tensor(back[inner] - voxel_to_world[:3, 3]).float()[None, None]
    returned = read_at(there.movedim(-1, 0), voxels)[:, 0, 0].T.numpy()
    assert np.linalg.norm(returned - grid.points().reshape(-1, 3)[inner], axis=1).max() < 1.0  # mm


def test_a_motion_is_rigid_and_as_large_as_it_was_asked_for():
    center = np.array([10.0, -20.0, 5.0])
    motion = rigid_motion(np.random.default_rng(0), 7.0, 12.0, center)
    np.testing.assert_allclose(motion[:3, :3] @ motion[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.degrees(np.arccos((np.trace(motion[:3, :3]) - 1) / 2)) == pytest.approx(12)
    moved = motion[:3, :3] @ center + motion[:3, 3]
    assert np.linalg.norm(moved - center) == pytest.approx(7)  # the center only shifts


def test_an_unposed_head_is_its_template():
    head, grid = ball()
    affine = draw_affine(np.random.default_rng(0), STILL)
    np.testing.assert_allclose(affine, np.eye(4))
    nothing = torch.zeros(3, *grid.shape)
    points = template_map(head.labels.shape, head.affine, affine, nothing, grid, np.zeros(3))
    expected = np.argwhere(head.labels >= 0) * head.spacing + head.affine[:3, 3]
    np.testing.assert_allclose(points.reshape(-1, 3), expected, atol=1e-4)


def test_poses_stay_in_their_range():
    pose = PoseRange(rotation=20, shift=30, size=0.1, stretch=0, shear=0)
    for person in range(50):
        affine = draw_affine(np.random.default_rng(person), pose)
        scale = np.linalg.norm(affine[:3, :3], axis=1)
        assert np.ptp(scale) < 1e-9  # no stretch
        assert 0.9 <= 1 / scale[0] <= 1.1
        rotation = affine[:3, :3] / scale[0]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(rotation) == pytest.approx(1)  # left stays left
        shift = np.linalg.solve(affine[:3, :3], affine[:3, 3])
        assert np.abs(shift).max() <= 30


def test_a_larger_scale_is_a_larger_head():
    volume = 1 / np.linalg.det(draw_affine(np.random.default_rng(0), STILL, scale=1.1)[:3, :3])
    assert volume == pytest.approx(1.1**3)


def test_reading_at_a_voxel_gives_its_value():
    volume = torch.rand(2, 4, 5, 6)
    voxels = torch.stack(torch.meshgrid(*[torch.arange(n).float() for n in (4, 5, 6)], indexing="ij"), dim=-1)
    torch.testing.assert_close(read_at(volume, voxels), volume)
    beyond = read_at(volume, torch.full((1, 1, 1, 3), 99.0))
    torch.testing.assert_close(beyond[:, 0, 0, 0], volume[:, -1, -1, -1])
