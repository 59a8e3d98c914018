import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Rectangle

from toposlearn.explore.segmentation_views import (
    COLORS,
    DIFFERENCES,
    ERRORS,
    plot_segmentation,
)

SHAPE = (20, 24, 16)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
NAMES = {1: "edema", 2: "core", 4: "rim"}


def head():
    image = np.zeros(SHAPE)
    image[1:-1, 1:-1, 1:-1] = 100
    return image


def labels(*boxes):
    """A label map with a box (label, slices of the three axes) after the other."""
    made = np.zeros(SHAPE, np.int16)
    for label, *box in boxes:
        made[tuple(box)] = label
    return made


TRUTH = labels((1, slice(2, 18), slice(4, 20), slice(5, 7)), (4, slice(8, 12), slice(8, 12), slice(5, 7)))
FOUND = labels((1, slice(3, 18), slice(4, 20), slice(5, 7)), (4, slice(8, 12), slice(9, 12), slice(5, 7)))


def titles(figure):
    return [ax.get_title() for ax in figure.axes]


def overlay(ax):
    return np.asarray(ax.images[1].get_array())


def legend(figure):
    box = figure.legends[0]
    handles = dict(zip([text.get_text() for text in box.get_texts()], box.legend_handles, strict=True))
    return {name: handle for name, handle in handles.items() if hasattr(handle, "get_facecolor")}


def test_image_truth_and_prediction_in_the_slice_with_most_of_the_truth():
    figure = plot_segmentation(head(), TRUTH, FOUND, NAMES, AFFINE)
    assert titles(figure) == ["image", "truth", "prediction"]
    image, truth, predicted = figure.axes
    assert len(image.images) == 1
    assert np.array_equal(overlay(truth)[..., 3] > 0, TRUTH[:, :, 5].T > 0)  # rows are from back to front
    assert np.array_equal(overlay(predicted)[..., 3] > 0, FOUND[:, :, 5].T > 0)
    assert image.get_ylabel().startswith("axial, 5 mm down")  # slice 5 of 16 lies (5 - 7.5) · 2 mm from the center
    assert image.get_xlabel() == "left – right (mm)"


def test_a_small_label_counts_in_the_choice_of_the_slice():
    large = labels((1, slice(2, 18), slice(2, 22), slice(4, 12)), (2, slice(5, 7), slice(5, 7), slice(9, 10)))
    figure = plot_segmentation(head(), large, large, NAMES, AFFINE)
    assert figure.axes[0].get_ylabel().startswith("axial, 3 mm up")  # slice 9


def test_a_class_has_one_color_in_all_panels_people_and_the_legend():
    figure = plot_segmentation(head(), TRUTH, FOUND, NAMES, AFFINE)
    both = (TRUTH == 4) & (FOUND == 4)
    for ax in figure.axes[1:]:
        assert overlay(ax)[both[:, :, 5].T][:, :3] == pytest.approx(np.tile(to_rgb(COLORS[2]), (12, 1)))  # third name
    drawn = legend(figure)
    assert set(drawn) == {"edema", "rim"}
    assert to_hex(drawn["rim"].get_facecolor()).upper() == COLORS[2]
    alone = labels((4, slice(2, 18), slice(4, 20), slice(5, 7)))
    other = plot_segmentation(head(), alone, alone, NAMES, AFFINE)
    assert to_hex(legend(other)["rim"].get_facecolor()).upper() == COLORS[2]


def test_the_truth_is_outlined_on_the_prediction_along_the_edges_of_voxels():
    figure = plot_segmentation(head(), TRUTH, FOUND, NAMES, AFFINE)
    assert [len(ax.collections) for ax in figure.axes] == [0, 0, 2]
    outline = figure.axes[2].collections[0].get_datalim(figure.axes[2].transData)
    assert (outline.x0, outline.x1) == pytest.approx((2 * (2 - 10), 2 * (18 - 10)), abs=0.3)
    assert (outline.y0, outline.y1) == pytest.approx((2 * (4 - 12), 2 * (20 - 12)), abs=0.3)


def test_voxel_sizes_are_respected_and_the_plane_with_the_smallest_is_drawn():
    thick = plot_segmentation(head(), TRUTH, FOUND, NAMES, np.diag([1.0, 4.0, 1.0, 1.0]))
    assert thick.axes[0].get_ylabel().startswith("coronal")
    thick = plot_segmentation(head(), TRUTH, FOUND, NAMES, np.diag([1.0, 1.0, 4.0, 1.0]), planes=["sagittal"])
    for ax in thick.axes:
        assert ax.images[0].get_extent() == pytest.approx([-12, 12, -32, 32])
        assert ax.get_aspect() == 1
    assert thick.axes[0].get_xlabel() == "back – front (mm)"


def test_the_persons_left_is_on_the_left_however_the_file_is_stored():
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    flip[0, 3] = SHAPE[0] - 1
    stored = (np.swapaxes(each[::-1], 1, 2) for each in (head(), TRUTH, FOUND))
    image, truth, found = stored
    turned = plot_segmentation(image, truth, found, NAMES, AFFINE @ flip @ np.eye(4)[[0, 2, 1, 3]])
    straight = plot_segmentation(head(), TRUTH, FOUND, NAMES, AFFINE)
    for one, other in zip(turned.axes, straight.axes, strict=True):
        assert np.array_equal(one.images[-1].get_array(), other.images[-1].get_array())
        letters = {text.get_text(): text.get_position() for text in one.texts}
        assert letters["L"][0] < letters["R"][0]
        assert letters["P"][1] < letters["A"][1]


def test_small_areas_are_enlarged_and_framed_on_the_image():
    small = labels((1, slice(3, 6), slice(4, 7), slice(5, 7)))
    figure = plot_segmentation(head(), small, small, NAMES, AFFINE)
    image, truth, predicted = figure.axes
    whole = np.ptp(image.get_xlim())
    share = np.ptp(truth.get_xlim()) / whole
    assert share < 0.67
    assert truth.get_title() == f"truth, {1 / share:.1f} × larger"
    assert truth.get_xlim() == predicted.get_xlim()
    (frame,) = [patch for patch in image.patches if isinstance(patch, Rectangle)]
    assert (frame.get_x(), frame.get_x() + frame.get_width()) == pytest.approx(truth.get_xlim())
    assert frame.get_x() < 2 * (3 - 10) < 2 * (6 - 10) < frame.get_x() + frame.get_width()  # around the area
    assert not plot_segmentation(head(), TRUTH, FOUND, NAMES, AFFINE).axes[0].patches


def test_without_truth_only_the_prediction_is_drawn_and_nothing_outlined():
    figure = plot_segmentation(head(), None, FOUND, NAMES, AFFINE)
    assert titles(figure) == ["image", "prediction"]
    assert not figure.axes[1].collections
    empty = plot_segmentation(head(), np.zeros(SHAPE, bool), np.zeros(SHAPE, bool), NAMES, AFFINE)
    assert empty.axes[0].get_ylabel().startswith("axial, 1 mm up")  # the middle


def test_each_plane_is_a_row_and_dice_is_in_the_title():
    dice = {"edema": 0.834, "rim": 0.5, "core": np.nan}
    figure = plot_segmentation(
        head(), TRUTH, FOUND, NAMES, AFFINE, dice=dice, planes=["axial", "coronal"], title="sub-01"
    )
    assert len(figure.axes) == 6
    assert figure.axes[3].get_ylabel().startswith("coronal")
    assert figure.get_suptitle() == "sub-01\nDice: edema 0.83, rim 0.50"
    many = plot_segmentation(head(), TRUTH, FOUND, NAMES, AFFINE, dice={str(k): 0.5 for k in range(6)})
    assert many.get_suptitle() == "mean Dice 0.50 over 6 classes"


def sided():
    """Twelve stripes from back to front, each with a left part and, as another label, a right one."""
    stripes = np.broadcast_to(np.arange(24) // 2 + 1, (20, 24))
    parts = np.where(np.arange(20)[:, None] < 10, stripes, stripes + 100)
    names = {
        side + label: f"{word}-part-{label}" for label in range(1, 13) for side, word in ((0, "left"), (100, "right"))
    }
    return np.repeat(parts[..., None], SHAPE[2], axis=2).astype(np.int16), names


def test_colors_of_many_classes_repeat_but_differ_between_neighbors():
    truth, names = sided()
    figure = plot_segmentation(head(), truth, truth, names, AFFINE)
    colors = overlay(figure.axes[1])[:, :, :3]
    by_stripe = colors[::2, 0]
    assert len(np.unique(by_stripe, axis=0)) > 2
    assert (by_stripe[1:] != by_stripe[:-1]).any(axis=-1).all()
    assert np.array_equal(colors[:, 0], colors[:, -1])  # left and right of a structure
    assert np.array_equal(colors, overlay(figure.axes[2])[:, :, :3])


def test_neighbors_differ_wherever_they_are():
    cells = np.random.default_rng(0).permutation(24).reshape(4, 6) + 1
    truth = np.repeat(np.kron(cells, np.ones((5, 4), np.int16))[..., None], SHAPE[2], axis=2).astype(np.int16)
    figure = plot_segmentation(head(), truth, truth, {label: f"part {label}" for label in range(1, 25)}, AFFINE)
    colors = overlay(figure.axes[1])[2::4, 2::5, :3]  # of each cell
    assert (colors[1:] != colors[:-1]).any(axis=-1).all()
    assert (colors[:, 1:] != colors[:, :-1]).any(axis=-1).all()


def test_of_many_classes_a_panel_shows_where_they_differ():
    truth, names = sided()
    predicted = truth.copy()
    predicted[2, 2], predicted[5, 5] = 0, 112
    truth[8, 8] = 0
    figure = plot_segmentation(head(), truth, predicted, names, AFFINE)
    assert titles(figure) == ["image", "truth", "prediction", DIFFERENCES]
    drawn = overlay(figure.axes[3])
    for (row, column), color in zip(((2, 2), (8, 8), (5, 5)), ERRORS.values(), strict=True):
        assert drawn[row, column] == pytest.approx([*to_rgb(color), 1])
    assert (drawn[..., :3].sum(axis=-1) > 0).sum() == 3
    assert list(legend(figure)) == list(ERRORS)
    assert "24 classes" in figure.legends[0].get_title().get_text()
    assert not figure.axes[2].collections
    assert titles(plot_segmentation(head(), None, predicted, names, AFFINE)) == ["image", "prediction"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot_segmentation(head()[..., None], TRUTH, FOUND, NAMES, AFFINE), r"image must be \(X, Y, Z\)"),
        (lambda: plot_segmentation(head(), TRUTH[1:], FOUND, NAMES, AFFINE), "truth has shape .* grid of the image"),
        (lambda: plot_segmentation(head(), TRUTH, FOUND * 0.5, NAMES, AFFINE), "prediction holds float64"),
        (lambda: plot_segmentation(head(), TRUTH, FOUND, NAMES, np.eye(3)), r"affine .* got shape \(3, 3\)"),
    ],
)
def test_errors_are_one_line_that_names_what_was_seen(call, message):
    with pytest.raises(ValueError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
