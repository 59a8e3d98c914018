import numpy as np
import pytest
from small_head import small_scene

from toposlearn.studies.bending import first_to_break, kept_curves, study
from toposlearn.studies.bending.figures import KINDS, SHOWN, plot_first_to_break, plot_kept, plot_strip


@pytest.fixture(scope="module")
def scene():
    return small_scene()


@pytest.fixture(scope="module")
def result(scene):
    return study(scene, ("shape", "size", "voxels"), draws=2, voxel=4.0, progress=False)


def test_one_panel_per_change_and_one_line_per_relation(result):
    figure = plot_kept(result)
    drawn = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title() for ax in drawn] == ["random shape, as in the cohort", "brain size", "voxels only"]
    lines = [line for line in drawn[0].lines if line.get_marker() == "o"]
    assert [line.get_color() for line in lines] == [color for color, _ in KINDS.values()]
    curves = kept_curves(result)
    for line, relation in zip(lines, KINDS, strict=True):
        path = curves[(curves["change"] == "shape") & (curves["relation"] == relation)]
        np.testing.assert_allclose(line.get_xydata(), np.column_stack([path["at"], 100 * path["share"]]))
        assert np.all(np.diff(line.get_xdata()) > 0)
    assert drawn[0].get_xlabel().endswith("mm")
    assert drawn[0].get_ylabel() == "relations kept, %"


def test_the_first_to_break_are_named_with_side_and_margin(result):
    table = first_to_break(result, "shape")
    left, right = plot_first_to_break(result, "shape").axes
    named = [text.get_text() for text in left.get_yticklabels()]
    assert len(named) == SHOWN
    assert named[0].endswith(f"({table['margin_mm'][0]:.1f} mm)")
    assert any(name.startswith(("L ", "R ")) for name in named)
    shown = sum(len(dots.get_offsets()) for dots in right.collections)
    assert shown == len(table)
    share = np.isinf(table["half"]).mean()
    assert any(f"never: {share:.0%}" in text.get_text() for text in right.texts)


def test_a_strip_says_what_was_reached(scene):
    figure = plot_strip(scene, {"mass": (0, 12, 30), "atrophy": (0, 11.6)}, voxel=4.0)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[0] == "0 mm"
    reached = [float(title.removesuffix(" mm")) for title in titles[:3]]
    assert reached == sorted(reached)
    assert titles[3].endswith(" x")
    assert float(titles[4].removesuffix(" x")) > 2
    assert titles[5] == ""
    assert figure.axes[0].images[0].get_array().shape[-1] == 3
