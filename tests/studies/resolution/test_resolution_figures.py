import matplotlib
import numpy as np
import pytest

from toposlearn.anatomy import load_donor_map
from toposlearn.studies.resolution import figures, measure
from toposlearn.studies.resolution.tokens import head_points


@pytest.fixture(scope="module")
def subjects():
    return {name: load_donor_map(name) for name in ("9861", "10021")}


def test_the_slice_and_each_grid_have_a_panel_with_left_on_the_left(subjects):
    figure = figures.plot_token_grids(subjects["9861"])
    shown = figure.axes
    assert [shown[i].get_title() for i in (0, 1, 5)] == [
        "the labels, 1 mm",
        "3³ tokens of 64 mm",
        "16³ tokens of 12 mm",
    ]
    assert shown[0].get_ylabel() == "down – up (mm)"
    thalamus = matplotlib.colors.to_rgb("#D55E00")
    coarse = np.asarray(shown[1].images[0].get_array())
    assert coarse.shape == (3, 3, 3)
    np.testing.assert_allclose(coarse[1, 1], thalamus)  # the middle token
    fine = np.asarray(shown[5].images[0].get_array())
    assert 2 <= np.isclose(fine, thalamus).all(axis=-1).sum() <= 12


def is_null(line):
    return line.get_linestyle() == ":"


def is_atlas(line):
    return line.get_marker() == "D"


def test_agreement_is_drawn_with_its_interval_null_and_atlases(subjects):
    structures = head_points(subjects["9861"]).structures
    table = measure.resolution_table(subjects, dict.fromkeys(subjects, measure.UPRIGHT), structures, cells=(3, 8))
    summary, atlas = measure.resolution_summary(table, list(subjects)), table[table["person"] == "9861"]
    figure = figures.plot_resolution(summary, atlas)
    assert len(figure.axes) == 3
    order = summary[(summary["measure"] == "order") & (summary["how"] == "home")].sort_values("cells")
    drawn, ax = figure.axes[0].containers[0], figure.axes[0]
    assert drawn.lines[0].get_ydata().tolist() == order["value"].tolist()
    ends = np.array(drawn.lines[2][0].get_segments())[:, :, 1]
    np.testing.assert_allclose(ends, order[["low", "high"]].to_numpy(float))
    null, marks = (next(line for line in ax.lines if wanted(line)) for wanted in (is_null, is_atlas))
    assert null.get_ydata().tolist() == order["null"].tolist()
    means = atlas[atlas["how"] == "home"].groupby("mm")["order"].mean()
    assert sorted(marks.get_ydata().tolist()) == sorted(means.tolist())
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["64\n3³", "24\n8³"]
    left, right = figure.axes[0].get_xlim()
    assert left > right  # coarse to the left
    assert [text.get_text() for text in figure.legends[0].get_texts()][-2:] == [
        "names permuted within a side",
        "atlases",
    ]
    figure.canvas.draw()


def test_parting_has_a_line_per_pair_beside_two_points(subjects):
    table = measure.parting_table(subjects, dict.fromkeys(subjects, measure.UPRIGHT), (3, 8))
    (ax,) = figures.plot_parting(table).axes
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    assert {"thalamus – putamen", "thalamus – pallidum", "pallidum – putamen", "two points as far apart"} <= set(drawn)
    assert drawn["thalamus – putamen"][-1] == 0  # tokens of 64 mm come last, and are drawn to the left
