import json

import pytest

from toposlearn.explore.curves import (
    color_of,
    plot_history,
    plot_move_curve,
    plot_same_curves,
    plot_scores,
    read_jsonl,
)
from toposlearn.reproducibility import metric

LOSSES = {"right": [0.4, 0.2, 0.1, 0.1], "scrambled": [0.4, 0.3, 0.1, 0.1]}
ERRORS = {"right": [60.0, 40.0, 30.0], "scrambled": [60.0, 50.0, 45.0]}


def history(intra):
    return [{"step": s, "reconstruction": 1 / (s + 1), "intra": intra / (s + 1), "inter": 0.2} for s in range(30)]


def scores(value):
    metric = {"value": value, "low": value - 2, "high": value + 3, "unit": "mm", "null": 80.0, "baseline": 42.0}
    return [{"step": s, "metrics": {"stride8/across_people_error": metric}} for s in (100, 200)]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_reads_lines_and_names_the_bad_one(tmp_path):
    file = tmp_path / "history.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in history(1)) + "\n\n")
    assert read_jsonl(file) == history(1)
    file.write_text('{"step": 0}\n{"step":')
    with pytest.raises(ValueError, match="line 2 is not JSON"):
        read_jsonl(file)


def test_a_term_that_was_not_trained_is_left_out():
    figure = plot_history({"full": history(1), "reconstruction": history(0)})
    drawn = [{line.get_label() for line in ax.lines if not line.get_label().startswith("_")} for ax in figure.axes]
    assert drawn == [{"full", "reconstruction"}, {"full"}, {"full", "reconstruction"}]


def test_variants_keep_their_color():
    figure = plot_history({"full": history(1)})
    assert {line.get_color() for ax in figure.axes for line in ax.lines} == {color_of("full")}


def test_scores_stand_beside_chance_and_position():
    figure = plot_scores({"full": scores(33), "intra": scores(41)}, ["across_people_error"])
    heights = {line.get_label(): line.get_ydata()[0] for line in figure.axes[0].lines}
    assert heights["chance"] == 80
    assert heights["grid position"] == 42
    assert "mm" in figure.axes[0].get_ylabel()
    assert set(legend(figure)) == {"full", "intra", "chance", "grid position"}
    with pytest.raises(ValueError, match="stride4/across_people_error"):
        plot_scores({"full": scores(33)}, ["across_people_error"], stride=4)


def test_the_curve_over_shifts_has_a_line_per_name_and_bands_for_networks():
    row = {"full": metric(3.0, low=2.0, high=4.0), "position": metric(9.0, low=9.0, high=9.0)}
    figure = plot_move_curve({0: row, 9: row})
    (ax,) = figure.axes
    assert [line.get_label() for line in ax.lines] == ["full", "grid position"]
    assert ax.lines[1].get_ydata().tolist() == [9.0, 9.0]
    assert len(ax.collections) == 1


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
