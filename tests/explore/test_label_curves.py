"""Curves of labels and dots of subsets: what is drawn for each method, and errors of one line."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from toposlearn.downstream.settings import MISSING
from toposlearn.explore.label_curves import plot_shots, plot_subsets, subset_rows
from toposlearn.reproducibility import metric


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


@pytest.mark.parametrize(
    ("call", "message"),
    [
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
