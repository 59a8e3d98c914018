import pytest

from toposlearn.explore.same_curves import plot_same_curves

LOSSES = {"right": [0.4, 0.2, 0.1, 0.1], "scrambled": [0.4, 0.3, 0.1, 0.1]}
ERRORS = {"right": [60.0, 40.0, 30.0], "scrambled": [60.0, 50.0, 45.0]}


def drawn(ax):
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def test_a_panel_for_the_loss_and_one_for_each_truth_and_a_run_keeps_its_color():
    figure = plot_same_curves(LOSSES, {"two people (mm)": ERRORS, "apart (mm)": ERRORS}, [0, 2, 4])
    assert [ax.get_title() for ax in figure.axes][1:] == ["two people (mm)", "apart (mm)"]
    for run in LOSSES:
        assert len({drawn(ax)[run].get_color() for ax in figure.axes}) == 1
    assert list(drawn(figure.axes[1])["right"].get_ydata()) == ERRORS["right"]
    assert all(ax.get_ylim()[0] == 0 for ax in figure.axes)


def test_the_strong_line_of_a_loss_is_its_running_mean():
    (ax,) = plot_same_curves(LOSSES, {}, [], window=2).axes
    assert drawn(ax)["right"].get_ydata()[1] == pytest.approx(0.3)


def test_controls_are_lines_across_their_panel_only():
    lines = {"two people (mm)": {"grid position": 42.0, "best token": 12.0}}
    figure = plot_same_curves(LOSSES, {"two people (mm)": ERRORS, "apart (mm)": ERRORS}, [0, 2, 4], lines)
    assert drawn(figure.axes[1])["grid position"].get_ydata()[0] == 42.0
    assert "grid position" not in drawn(figure.axes[2])


def test_a_truth_without_its_loss_is_refused():
    with pytest.raises(ValueError, match="no loss is given for other"):
        plot_same_curves(LOSSES, {"two people (mm)": {"other": [1.0]}}, [0])
