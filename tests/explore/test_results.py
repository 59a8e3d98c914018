import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from toposlearn.explore.curves import VARIANT_COLORS, color_of
from toposlearn.explore.results import people_metric, plot_comparison, plot_measures, plot_profile
from toposlearn.intervals import bootstrap_subjects
from toposlearn.pretrain.profile import MEASURES, Measure
from toposlearn.reproducibility import metric

ERROR = {"value": 33.0, "low": 31.0, "high": 36.0, "unit": "mm", "null": 80.0, "baseline": 42.0}
WHO = {name: ("first_modality", "second_modality") for name in ("effective_rank", "collapse", "position_r2")}


def test_comparison_orders_variants_and_draws_intervals_and_controls():
    ending = "stride8/across_people_error"
    metrics = {f"A/{name}/{ending}": ERROR for name in ("full", "untrained")}
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


def test_a_metric_over_people_holds_the_mean_and_leaves_the_diagonal_out():
    own = people_metric(torch.tensor([1.0, 2.0, 6.0]), unit="mm", null=9.0)
    assert (own["value"], own["n"], own["unit"], own["null"]) == (3.0, 3, "mm", 9.0)
    assert (own["low"], own["high"]) == bootstrap_subjects(np.array([[1.0, 2.0, 6.0]]))
    pairs = people_metric(np.full((4, 4), 5.0) + 100 * np.eye(4))
    assert [pairs[name] for name in ("value", "low", "high", "n")] == [5.0, 5.0, 5.0, 4]


def test_a_bar_per_name_and_a_panel_per_measure_with_interval_and_null():
    full, other = metric(3.0, low=2.0, high=5.0, null=8.0), metric(4.0)
    figure = plot_measures({"upright": {"full": full, "other": other}, "posed": {"full": full}}, "mm")
    first, second = figure.axes
    assert [bar.get_width() for bar in first.patches] == [3.0, 4.0]
    assert [bar.get_width() for bar in second.patches] == [3.0]
    assert [text.get_text() for text in first.get_yticklabels()] == ["full", "other"]
    assert to_hex(first.patches[0].get_facecolor()).upper() == VARIANT_COLORS["full"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["chance"]
    assert not plot_measures({"posed": {"other": other}}, "mm").legends


def test_controls_are_gray_and_unknown_names_have_different_colors():
    value = metric(1.0)
    figure = plot_measures({"all": dict.fromkeys(("run a", "run b", "position"), value)}, "mm")
    colors = [to_hex(bar.get_facecolor()) for bar in figure.axes[0].patches]
    assert colors[0] != colors[1]
    assert colors[2] == to_hex("0.65")


def profile(value, null=0.1):
    values, chance = value + np.array([-0.1, 0.0, 0.1]), np.full(3, null)
    return {
        f"{name}/{of}": Measure(values, chance, *facts)
        for name, facts in MEASURES.items()
        for of in WHO.get(name, ("same_person", "next_person"))
    }


def panel(figure, title):
    return next(ax for ax in figure.axes if ax.get_title().startswith(title))


def test_a_panel_per_measure_and_a_row_per_network():
    figure = plot_profile({"untrained": profile(0.3), "full": profile(0.8)}, title="what to see")
    drawn = [ax for ax in figure.axes if ax.get_title()]
    assert len(drawn) == len(MEASURES)
    assert [text.get_text() for text in drawn[0].get_yticklabels()] == ["untrained", "full"]
    assert figure.get_suptitle() == "what to see"
    assert figure.get_figwidth() == 10


def test_dots_stand_at_their_value_with_interval_and_null():
    ax = panel(plot_profile({"full": profile(0.8, null=0.25)}), "match error")
    dots = [container.lines[0] for container in ax.containers]
    assert [dot.get_xdata()[0] for dot in dots] == pytest.approx([0.8, 0.8])
    assert dots[0].get_ydata()[0] < dots[1].get_ydata()[0]  # same person above the next person
    assert dots[0].get_color() == color_of("full")
    assert [dot.get_markerfacecolor() for dot in dots] == [color_of("full"), "white"]
    low, high = ax.containers[0].lines[2][0].get_segments()[0][:, 0]
    assert (low, high) == pytest.approx(bootstrap_subjects(np.array([[0.7, 0.8, 0.9]])))
    nulls = [line for line in ax.lines if line.get_linestyle() == ":"]
    assert [line.get_xdata()[0] for line in nulls] == [0.25, 0.25]
    assert ax.get_xlabel() == "mm"


def test_arrows_say_what_is_better():
    figure = plot_profile({"full": profile(0.8)})
    assert "⟶" in panel(figure, "neighbor overlap").get_title()
    assert "⟵" in panel(figure, "match error").get_title()
    for title in ("linear R² of position", "effective rank", "mean cosine of tokens", "matched fraction"):
        assert panel(figure, title).get_title() == title  # neither way is better


def test_the_two_signs_of_a_collapse_say_where_it_would_be():
    figure = plot_profile({"full": profile(0.8)})
    for title in ("effective rank", "mean cosine"):
        assert panel(figure, title).get_xlabel().endswith("1 would be a collapse")


def test_what_no_network_has_is_left_out():
    known = {name: measure for name, measure in profile(0.8).items() if "next_person" not in name}
    known["collapse/first_modality"] = Measure(np.full(3, np.nan), np.full(3, np.nan), "neither", "mean cosine")
    del known["collapse/second_modality"]
    figure = plot_profile({"full": known})
    titles = [ax.get_title() for ax in figure.axes]
    assert not [title for title in titles if title.startswith("mean cosine")]
    assert len(panel(figure, "match error").containers) == 1
    with pytest.raises(ValueError, match="at least one network"):
        plot_profile({})


def test_titles_and_units_of_neighbors_do_not_touch():
    figure = plot_profile({name: profile(0.5) for name in ("untrained", "reconstruction", "intra", "full")})
    figure.canvas.draw()
    boxes = [[text.get_window_extent() for text in (ax.title, ax.xaxis.label)] for ax in figure.axes if ax.axison]
    assert len(boxes) == len(MEASURES)
    for place, (title, unit) in enumerate(boxes):
        others = [box for pair in boxes[place + 1 :] for box in pair]
        assert not any(box.overlaps(other) for box in (title, unit) for other in others)
        assert min(title.x0, unit.x0) >= 0
        assert max(title.x1, unit.x1) <= figure.bbox.x1
