import numpy as np
import pytest

from toposlearn.explore.curves import color_of
from toposlearn.explore.profile import plot_profile
from toposlearn.intervals import bootstrap_subjects
from toposlearn.pretrain.profile import MEASURES, Measure

WHO = {name: ("first_modality", "second_modality") for name in ("effective_rank", "collapse", "position_r2")}


def profile(value, null=0.1):
    values, chance = value + np.array([-0.1, 0.0, 0.1]), np.full(3, null)
    return {
        f"{name}/{of}": Measure(values, chance, *facts)
        for name, facts in MEASURES.items()
        for of in WHO.get(name, ("same_person", "next_person"))
    }


def panel(figure, title):
    return next(ax for ax in figure.axes if ax.get_title().startswith(title))


def test_a_panel_a_measure_and_a_row_a_network():
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
