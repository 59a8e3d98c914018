import numpy as np
import pytest

from toposlearn.explore.slices import (
    Panel,
    cut,
    heat_overlay,
    label_overlay,
    mask_overlay,
    plot_panels,
    plot_row,
    plot_slices,
)

SHAPE = (8, 10, 12)


def one_bright_voxel(index):
    volume = np.zeros(SHAPE, dtype=np.float32)
    volume[index] = 1
    return volume


@pytest.mark.parametrize(
    ("plane", "at", "place"),
    [("axial", 5.0, (6, 3)), ("coronal", 3.0, (8, 3)), ("sagittal", -1.0, (8, 6))],
)
def test_a_voxel_appears_where_its_coordinates_in_mm_say(plane, at, place):
    # voxel (3, 6, 8) of (8, 10, 12) lies (-0.5, 1.5, 2.5) voxels from the center: (-1, 3, 5) mm
    image = cut(one_bright_voxel((3, 6, 8)), plane, at, spacing=2.0)
    assert np.argwhere(image).tolist() == [list(place)]


def test_left_is_on_the_left_and_front_is_up():
    figure = plot_panels([Panel(one_bright_voxel((0, 9, 6)), "axial", 1.0, spacing=2.0)], columns=1)
    ax = figure.axes[0]
    assert ax.images[0].get_extent() == [-8.0, 8.0, -10.0, 10.0]
    assert ax.images[0].origin == "lower"
    assert np.argwhere(ax.images[0].get_array()).tolist() == [[9, 0]]  # top row, first column
    letters = {text.get_text(): text.get_position() for text in ax.texts}
    assert letters["L"][0] < letters["R"][0]
    assert letters["P"][1] < letters["A"][1]
    assert "mm" in ax.get_xlabel()
    assert "mm" in ax.get_ylabel()


def test_spacing_may_differ_between_axes():
    figure = plot_slices(np.ones(SHAPE), spacing=(1, 2, 3))
    assert [ax.images[0].get_extent() for ax in figure.axes] == [
        [-10.0, 10.0, -18.0, 18.0],
        [-4.0, 4.0, -18.0, 18.0],
        [-4.0, 4.0, -10.0, 10.0],
    ]


def test_overlays_are_clear_where_there_is_nothing():
    mask = one_bright_voxel((3, 6, 8))
    covered = mask_overlay(mask, "#FF0000", alpha=0.3)
    assert covered[3, 6, 8].tolist() == pytest.approx([1, 0, 0, 0.3])
    assert covered[..., 3].sum() == pytest.approx(0.3)
    heat = heat_overlay(mask, 0, 1, shown=mask, alpha=0.5)
    assert heat[..., 3].sum() == pytest.approx(0.5)


def test_both_sides_of_a_structure_share_a_color_and_background_stays_clear():
    labels = np.zeros(SHAPE, dtype=np.int16)
    labels[0], labels[7], labels[4] = 1, 101, 2  # left and right of one structure, and another
    colors = label_overlay(labels)
    assert np.array_equal(colors[0], colors[7])
    assert not np.array_equal(colors[0], colors[4])
    assert colors[2].max() == 0


def test_an_overlay_is_drawn_over_its_own_volume_only():
    volumes = {"T1w": np.ones(SHAPE), "T2w": np.ones(SHAPE)}
    figure = plot_row(volumes, overlays={"T2w": mask_overlay(np.ones(SHAPE))})
    assert [len(ax.images) for ax in figure.axes] == [1, 2]
    assert [ax.get_title() for ax in figure.axes] == ["T1w", "T2w"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cut(np.ones(SHAPE), "oblique", 0, 2.0), "plane must be one of"),
        (lambda: cut(np.ones(SHAPE), "axial", 13, 2.0), "within 12 mm"),
        (lambda: cut(np.ones((4, 4)), "axial", 0, 2.0), r"got shape \(4, 4\)"),
        (lambda: plot_panels([], 2), "0 panels"),
        (lambda: plot_row({"T1w": np.ones(SHAPE)}, overlays={"T2": np.ones(SHAPE)}), "T2 belong to no volume"),
    ],
)
def test_errors_name_what_was_seen(call, message):
    with pytest.raises(ValueError, match=message):
        call()
