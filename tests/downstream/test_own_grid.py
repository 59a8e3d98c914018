"""Back to the person's own voxels: known positions on an oblique grid, and the box that saves reading everywhere."""

import nibabel as nib
import numpy as np
import pytest
import torch
from nibabel.affines import apply_affine, from_matvec
from nibabel.processing import resample_from_to
from scipy.spatial.transform import Rotation

from toposlearn.downstream import own_grid
from toposlearn.downstream.own_grid import classes_on_grid, values_on_grid

GRID = from_matvec(np.diag([3.0, 3.0, 3.0]), [-30.0, -45.0, -24.0])  # of the network, (20, 30, 16) voxels
SIDES = (20, 30, 16)


def oblique(degrees: tuple[float, float, float], shape: tuple[int, int, int]) -> np.ndarray:
    """Voxels of 1 x 1 x 4 mm, turned, with the first axis to the left; the middle of the grid is that of `GRID`."""
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ np.diag([-1.0, 1.0, 4.0])
    middle = apply_affine(GRID, (np.array(SIDES) - 1) / 2)
    return from_matvec(turn, middle - turn @ ((np.array(shape) - 1) / 2))


def places(shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    """The place in mm of each voxel: (X, Y, Z, 3)."""
    return apply_affine(affine, np.stack(np.indices(shape), axis=-1))


OWN = oblique((12.0, -20.0, 30.0), (50, 60, 11))


def test_a_slope_in_mm_has_its_value_at_every_oblique_voxel_and_nothing_beyond():
    slope, shape = np.array([0.5, -1.25, 2.0]), (50, 60, 11)
    values = torch.from_numpy(places(SIDES, GRID) @ slope)
    read = values_on_grid(values, GRID, shape, OWN, beyond=-1000.0)
    index = apply_affine(np.linalg.inv(GRID), places(shape, OWN))
    inside = ((index >= 0) & (index <= np.array(SIDES) - 1)).all(axis=-1)
    far = ((index < -1) | (index > np.array(SIDES))).any(axis=-1)
    assert inside.mean() > 0.4
    assert far.sum() > 100
    np.testing.assert_allclose(read[inside], (places(shape, OWN) @ slope)[inside], atol=2e-3)
    np.testing.assert_allclose(read[far], -1000.0, rtol=1e-6)


def test_a_ball_in_mm_is_a_ball_in_oblique_voxels_of_1_1_4_mm():
    center, radius = np.array([6.0, -14.0, 5.0]), 9.0
    inside = torch.from_numpy(((places(SIDES, GRID) - center) ** 2).sum(-1) < radius**2)
    chances = torch.stack([~inside, inside]).float()
    labels = classes_on_grid(chances, GRID, (50, 60, 11), OWN)
    found = places(labels.shape, OWN)[labels == 1]
    assert np.linalg.norm(found.mean(axis=0) - center) < 0.7
    volume = len(found) * abs(np.linalg.det(OWN)) / (4 / 3 * np.pi * radius**3)
    assert volume == pytest.approx(1.0, abs=0.12)
    assert np.linalg.norm(found - center, axis=1).max() < radius + 3


def test_the_result_does_not_depend_on_how_many_voxels_are_read_at_once(monkeypatch):
    values = torch.rand(SIDES)
    whole = values_on_grid(values, GRID, (50, 60, 11), OWN)
    monkeypatch.setattr(own_grid, "SLAB", 700)
    np.testing.assert_array_equal(values_on_grid(values, GRID, (50, 60, 11), OWN), whole)


def test_the_nearest_label_is_that_of_the_nearest_voxel():
    labels = torch.randint(0, 300, SIDES)
    read = values_on_grid(labels, GRID, (50, 60, 11), OWN, nearest=True)
    index = np.rint(apply_affine(np.linalg.inv(GRID), places((50, 60, 11), OWN))).astype(int)
    inside = ((index >= 0) & (index < np.array(SIDES))).all(axis=-1)
    near = labels.numpy()[tuple(np.moveaxis(np.clip(index, 0, np.array(SIDES) - 1), -1, 0))]
    expected = np.where(inside, near, 0)
    assert (read != expected).mean() < 1e-4  # halfway between two voxels


def read_everywhere(chances: torch.Tensor, shape: tuple[int, ...], own: np.ndarray) -> np.ndarray:
    """The chance of each class at every voxel."""
    each = [values_on_grid(one, GRID, shape, own, beyond=float(number == 0)) for number, one in enumerate(chances)]
    return np.stack(each)


@pytest.mark.parametrize("sharpness", [0.0, 1.0, 8.0])
@pytest.mark.parametrize("shift", [0.0, 40.0, 500.0])
def test_the_box_of_a_class_misses_no_voxel_in_which_it_wins(sharpness, shift):
    shape = (40, 36, 9)
    own = from_matvec(np.eye(3), [shift, 0, 0]) @ oblique((-8.0, 25.0, 70.0), shape)
    small = torch.randn(6, 5, 7, 4, generator=torch.Generator().manual_seed(0))
    scores = torch.nn.functional.interpolate(small[None], SIDES, mode="trilinear")[0]
    chances = (sharpness * 3 * scores).softmax(dim=0)
    chances[5] = 0  # a class that is nowhere
    chances = chances / chances.sum(dim=0)
    everywhere = read_everywhere(chances, shape, own)
    best, second = np.sort(everywhere, axis=0)[[-1, -2]]
    clear = best - second > 1e-5
    labels = classes_on_grid(chances, GRID, shape, own)
    np.testing.assert_array_equal(labels[clear], everywhere.argmax(axis=0)[clear])
    np.testing.assert_allclose(everywhere.sum(axis=0), 1.0, atol=1e-5)  # also at the edge and beyond
    assert clear.any()


def test_a_class_of_one_voxel_reaches_as_far_as_it_wins():
    chances = torch.zeros(2, *SIDES)
    chances[1, 7, 9, 5] = 0.97
    chances[0] = 1 - chances[1]
    fine = from_matvec(np.eye(3) / 2, apply_affine(GRID, (6, 8, 4)))
    labels = classes_on_grid(chances, GRID, (12, 12, 12), fine)
    np.testing.assert_array_equal(labels, read_everywhere(chances, (12, 12, 12), fine).argmax(axis=0))
    assert labels.sum() > 7  # farther than the voxel's center


def test_the_same_grid_gives_the_same_classes():
    chances = torch.rand(4, *SIDES).softmax(dim=0)
    np.testing.assert_array_equal(classes_on_grid(chances, GRID, SIDES, GRID), chances.argmax(dim=0).numpy())


def test_positions_are_those_of_nibabel():
    values = torch.rand(SIDES)
    source = nib.Nifti1Image(values.numpy(), GRID)
    expected = np.asarray(resample_from_to(source, ((50, 60, 11), OWN), order=1).dataobj)
    index = apply_affine(np.linalg.inv(GRID), places((50, 60, 11), OWN))
    inside = ((index >= 0) & (index <= np.array(SIDES) - 1)).all(axis=-1)
    read = values_on_grid(values, GRID, (50, 60, 11), OWN)
    np.testing.assert_allclose(read[inside], expected[inside], atol=1e-4)
