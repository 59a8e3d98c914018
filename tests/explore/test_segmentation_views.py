import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Rectangle

from toposlearn.downstream.settings import MISSING
from toposlearn.explore.segmentation_views import (
    COLORS,
    DIFFERENCES,
    ERRORS,
    plot_segmentation,
    plot_shots,
    plot_subsets,
    subset_rows,
)
from toposlearn.reproducibility import metric

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
        (lambda: plot_shots({"full": {"metrics": {"network/dice": metric(1.0)}}}), "no metric shotsN/METHOD/dice"),
        (lambda: plot_subsets({}, missing="mean"), "subset of all modalities"),
        (lambda: plot_subsets({"a": {"T1w": metric(1.0), "T2w": metric(1.0)}}, missing="mean"), "T1w\\+T2w"),
        (
            lambda: plot_subsets({"a": values(), "b": {"T1w": metric(1.0)}}, missing="mean"),
            "b has other subsets",
        ),
        (lambda: subset_rows({**result(), "metrics": {"network/dice": metric(1.0)}}), "--each-subset"),
    ],
)
def test_errors_are_one_line_that_names_what_was_seen(call, message):
    with pytest.raises(ValueError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


def shots(value):
    metrics = {
        f"shots{count}/network/dice": metric(value + count / 100, low=value - 0.1, high=value + 0.3, n=12)
        for count in (8, 2, 16)
    }
    prior = {f"shots{count}/position prior/dice": metric(0.2 + count / 1000) for count in (2, 8, 16)}
    others = {"shots2/network/dice/core": metric(0.9), "shots2/network/T1w/dice": metric(0.8)}
    return {"metrics": {**metrics, **prior, **others}}


def drawn_lines(ax):
    return dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))


def test_a_line_per_method_rises_with_the_number_of_labeled_people():
    figure = plot_shots({"full": shots(0.5), "from scratch": shots(0.3)})
    (ax,) = figure.axes
    lines = drawn_lines(ax)
    assert set(lines) == {"full", "from scratch", "position prior"}
    dots, _, (bars,) = lines["from scratch"].lines
    assert dots.get_ydata() == pytest.approx([0.32, 0.38, 0.46])
    assert dots.get_xdata() == pytest.approx([2, 8, 16], rel=0.05)
    assert bars.get_segments()[0][:, 1] == pytest.approx([0.2, 0.6])
    beside = lines["full"].lines[0].get_xdata().astype(float)  # so that intervals do not cover each other
    assert not np.isclose(beside, dots.get_xdata().astype(float)).any()
    assert lines["position prior"].get_ydata() == pytest.approx([0.202, 0.208, 0.216])
    assert lines["position prior"].get_linestyle() == "--"
    assert ax.get_xscale() == "log"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["2", "8", "16"]
    assert ax.get_ylabel() == "Dice"
    assert "12 judged people" in ax.get_title()


def test_one_result_and_one_class_are_drawn_with_chance_where_it_is_known():
    assert set(drawn_lines(plot_shots(shots(0.5)).axes[0])) == {"network", "position prior"}
    assert plot_shots(shots(0.5), "dice/core").axes[0].get_ylabel() == "Dice of core"
    known = {f"shots{count}/network/auc": metric(0.7, null=0.5) for count in (2, 4)}
    chance = drawn_lines(plot_shots({"metrics": known}, "auc").axes[0])["chance"]
    assert list(chance.get_ydata()) == [0.5, 0.5]
    assert chance.get_linestyle() == ":"


def values(scale=1.0):
    known = {"T1w+T2w+FLAIR": 0.8, "T1w+T2w": 0.6, "T1w+FLAIR": 0.7, "T2w+FLAIR": 0.65}
    known |= {"T1w": 0.5, "T2w": 0.2, "FLAIR": 0.6}
    scaled = {name: scale * value for name, value in known.items()}
    return {name: metric(value, low=value - 0.1, high=value + 0.1) for name, value in scaled.items()}


def result():
    metrics = {f"network/{name}/dice": each for name, each in values().items() if name.count("+") < 2}
    metrics |= {"network/dice": values()["T1w+T2w+FLAIR"], "position prior/dice": metric(0.1)}
    return {
        "metrics": {**metrics, "network/dice/core": metric(0.3), "network/T1w/hd95": metric(3.0)},
        "config": {"volume": {"modalities": ["T1w", "T2w", "FLAIR"]}},
    }


def test_rows_of_subsets_are_those_of_the_result():
    assert subset_rows(result()) == {"network": {name: values()[name] for name in values()}}
    grouped = {**result(), "metrics": {f"shots4/{key}": each for key, each in result()["metrics"].items()}}
    assert subset_rows(grouped, group="shots4") == subset_rows(result())


def dots(ax, filled):
    return [
        (float(x), float(y))
        for line in ax.lines
        if (to_hex(line.get_markerfacecolor()) != "#ffffff") == filled
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]


def test_a_row_per_subset_with_a_filled_dot_for_each_image_that_is_there():
    presence, ax = plot_subsets({"network": values()}, missing="drop").axes
    filled = dots(presence, True)
    assert len(filled) == 3 + 3 * 2 + 3
    assert len(dots(presence, False)) == 7 * 3 - len(filled)
    assert [text.get_text() for text in presence.get_xticklabels()] == ["T1w", "T2w", "FLAIR"]
    assert [text.get_text() for text in presence.get_yticklabels()] == ["3 images", "2 images", "1 image"]
    assert sorted(x for x, y in filled if y == 1) == [0, 2]  # the best of two images: T1w and FLAIR
    assert [container.lines[0].get_xdata()[0] for container in ax.containers] == [0.8, 0.7, 0.65, 0.6, 0.6, 0.5, 0.2]
    assert ax.containers[0].lines[2][0].get_segments()[0][:, 0] == pytest.approx([0.7, 0.9])


def rings(ax):
    return [(line.get_xdata()[0], round(float(line.get_ydata()[0]))) for line in ax.lines if line.get_mfc() == "none"]


def test_shares_of_the_full_set_are_written_and_the_worst_subset_has_a_ring():
    figure = plot_subsets({"full": values(), "from scratch": values(0.5)}, missing="zero", title="Lesions")
    ax = figure.axes[1]
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["100 %", "88 %", "81 %", "75 %", "75 %", "62 %", "25 %"] * 2
    assert [text.get_weight() for text in ax.texts] == (["normal"] * 6 + ["bold"]) * 2
    assert rings(ax) == [(0.2, 6), (0.1, 6)]
    caption = figure.get_supxlabel().replace("\n", " ")
    assert MISSING["zero"] in caption
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["full", "from scratch"]


def test_a_subset_may_be_better_than_the_full_set():
    better = {"T1w+T2w": metric(0.5), "T1w": metric(0.6), "T2w": metric(0.25)}
    ax = plot_subsets({"network": better}, missing="mean").axes[1]
    assert [text.get_text() for text in ax.texts] == ["100 %", "120 %", "50 %"]


def test_the_worst_distance_is_the_largest():
    _, ax = plot_subsets({"network": values()}, measure="hd95", missing="mean").axes
    assert ax.get_xlabel() == "HD95 (mm)"
    assert rings(ax) == [(0.8, 0)]
