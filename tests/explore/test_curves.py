import json

import pytest

from toposlearn.explore.curves import color_of, plot_comparison, plot_history, plot_scores, read_jsonl


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


def test_comparison_orders_variants_and_draws_intervals_and_controls():
    ((_, value),) = scores(33)[0]["metrics"].items()
    ending = "stride8/across_people_error"
    metrics = {f"A/{name}/{ending}": value for name in ("full", "untrained")}
    metrics |= {f"A/floor/{ending}": {"value": 12.0}, f"A/random/{ending}": {"value": 80.0}}
    metrics |= {f"A/full-untrained/{ending}": {"value": -40.0, "null": 0.0}, f"B/full/{ending}": {"value": 1.0}}
    figure = plot_comparison({"metrics": metrics})
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["untrained", "full"]
    named = plot_comparison({"metrics": metrics}, names={"full": "**+ intra + inter (full)**"})
    assert [text.get_text() for text in named.axes[0].get_yticklabels()] == ["+ intra + inter (full)", "untrained"]
    segment = ax.containers[0].lines[2][0].get_segments()[0]
    assert segment[:, 0].tolist() == [31, 36]
    lines = {line.get_label(): line.get_xdata()[0] for line in ax.lines if not line.get_label().startswith("_")}
    assert lines == {"chance": 80, "best token there is": 12}
    with pytest.raises(ValueError, match="A/VARIANT/stride4"):
        plot_comparison({"metrics": metrics}, stride=4)


def test_a_matcher_is_a_row_and_a_difference_is_none():
    value = {"value": 30.0, "low": 25.0, "high": 35.0, "unit": "mm"}
    names = ("inter", "inter-random", "full", "position", "random")
    metrics = {f"A/{name}/stride8/across_people_error": value | {"null": 80.0} for name in names}
    changes = ("inter-random-inter", "full-inter", "full-position")
    metrics |= {f"A/{name}/stride8/across_people_error": value | {"null": 0.0} for name in changes}
    figure = plot_comparison({"metrics": metrics})
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert rows == ["inter", "full", "inter-random"]
    names = {"full": "+ intra + inter: mutual", "inter-random": "+ inter: *random*", "inter": "+ inter: mutual"}
    figure = plot_comparison({"metrics": metrics}, names=names)
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert rows == ["+ intra + inter: mutual", "+ inter: random", "+ inter: mutual"]  # in the order of the table
