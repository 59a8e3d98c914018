"""Images of one head on several grids: the same world at the same place of every picture."""

import nibabel as nib
import numpy as np
import pytest
import torch

from toposlearn.data.pose import voxel_coordinates
from toposlearn.explore.world import index_of, place_of, plot_in_world, plot_places

SHAPE, POINT = (20, 24, 16), (3.0, -5.0, 4.0)


@pytest.fixture
def image():
    """One bright voxel (13, 11, 12) in a world that is centered on the grid, voxels of 2 x 2 x 1 mm."""
    data = np.ones(SHAPE)
    data[11, 9, 12] = 9.0
    affine = nib.affines.from_matvec(np.diag([2.0, 2.0, 1.0]), -np.array([19.0, 23.0, 8.0]))
    return nib.Nifti1Image(data, affine)


def stored_as(image, axes):
    return image.as_reoriented(
        nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(axes))
    )


@pytest.mark.parametrize("axes", ["RAS", "LPI", "SLA"])
def test_the_voxel_at_a_place_is_found_in_any_order_of_axes(image, axes):
    stored = stored_as(image, axes)
    assert stored.get_fdata()[index_of(stored, POINT)] == 9.0


@pytest.mark.parametrize("plane", ["sagittal", "coronal", "axial"])
def test_the_cross_is_on_the_bright_voxel_in_every_picture(image, plane):
    images = {"a": image, "b": stored_as(image, "PIR"), "c": image.slicer[4:, 2:-2, 3:]}
    figure = plot_in_world(images, POINT, plane=plane)
    assert len(figure.axes) == len(images)
    for ax in figure.axes:
        (x,), (y,) = ax.lines[0].get_data()
        left, right, bottom, top = ax.images[0].get_extent()
        shown = ax.images[0].get_array()
        rows, columns = shown.shape
        assert shown[int((y - bottom) / (top - bottom) * rows), int((x - left) / (right - left) * columns)] == 9.0


def test_what_is_not_imaged_is_left_blank(image):
    figure = plot_in_world({"whole": image, "cropped": image.slicer[:, :, 8:]}, POINT)
    whole, cropped = (np.ma.getmaskarray(ax.images[0].get_array()) for ax in figure.axes)
    assert not whole.any()
    assert cropped[: len(cropped) // 2 - 1].all()
    assert not cropped[len(cropped) // 2 + 1 :].any()
    assert "voxel (11, 9, 4)" in figure.axes[1].get_title()


def test_an_oblique_image_is_drawn_straight(image):
    angle = np.deg2rad(30)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    oblique = nib.Nifti1Image(image.get_fdata(), nib.affines.from_matvec(turn) @ image.affine)
    place = turn @ POINT
    assert index_of(oblique, place) == (11, 9, 12)
    shown = plot_in_world({"": oblique}, place, plane="axial").axes[0].images[0].get_array()
    bright = np.argwhere(shown == 9.0)
    assert len(bright) * 0.25 == pytest.approx(4.0, rel=0.25)  # mm^2


def shifted_head(shift):
    """A head that lies `shift` mm to the right of where the template has it."""
    coordinates = voxel_coordinates((9, 9, 9), 3.0).clone()
    coordinates[0] -= shift
    return coordinates


def test_a_moved_head_has_the_place_where_it_was_moved_to():
    assert place_of(shifted_head(0), (3, 0, -6)) == (3, 0, -6)
    assert place_of(shifted_head(6), (3, 0, -6)) == (9, 0, -6)
    with pytest.raises(ValueError, match=r"got \(9, 9, 9\)"):
        place_of(torch.zeros(9, 9, 9), (0, 0, 0))


def test_the_cross_is_at_the_place_in_every_plane():
    heads = {"p": shifted_head(0), "q": shifted_head(6)}
    figure = plot_places({name: torch.ones(9, 9, 9) for name in heads}, heads, (3, 0, -6))
    crosses = [tuple(float(part[0]) for part in ax.lines[0].get_data()) for ax in figure.axes]
    assert crosses == [(0, -6), (3, -6), (3, 0), (0, -6), (9, -6), (9, 0)]
