import gzip

import matplotlib
import nibabel
import numpy as np
import pytest
from matplotlib import pyplot as plt

from toposlearn.anatomy import LabelMap, load_donor_map, load_label_map, structure
from toposlearn.explore import structure_widget
from toposlearn.explore.slices import STRUCTURE_COLORS
from toposlearn.explore.structure_explorer import (
    Surroundings,
    agreement,
    compared_structures,
    label_colors,
    plot_structure,
    surroundings,
)
from toposlearn.explore.structure_widget import color_table, label_nifti
from toposlearn.explore.structures import COLORS
from toposlearn.relations.agreement import fraction_interval
from toposlearn.relations.frame import frame_of
from toposlearn.relations.graphs import nearest_graph
from toposlearn.relations.layout import Layout, layout
from toposlearn.relations.relations import relation_margin

THALAMUS, PUTAMEN, BRAINSTEM = structure("thalamus", "left"), structure("putamen", "left"), structure("brainstem")


@pytest.fixture(scope="module")
def subjects() -> dict[str, LabelMap]:
    """Two people with the same structures, and an atlas that has more."""
    return {"9861": load_donor_map("9861"), "B": load_label_map("B"), "10021": load_donor_map("10021")}


@pytest.fixture(scope="module")
def layouts(subjects: dict[str, LabelMap]) -> dict[str, Layout]:
    return {name: layout(subject) for name, subject in subjects.items()}


@pytest.fixture(scope="module")
def found(layouts: dict[str, Layout]) -> Surroundings:
    return surroundings(layouts, THALAMUS, 5)


@pytest.fixture(scope="module")
def atlas_alone(subjects: dict[str, LabelMap]) -> structure_widget.StructureExplorer:
    return structure_widget.StructureExplorer({"B": subjects["B"]}, THALAMUS)


def test_neighbors_are_those_of_the_graph_where_all_have_the_same_structures(layouts: dict[str, Layout]) -> None:
    donors = {name: layouts[name] for name in ("9861", "10021")}
    here = surroundings(donors, THALAMUS, 5)
    for row, (name, subject) in enumerate(donors.items()):
        neighbors = set(nearest_graph(subject, 5)["left-thalamus"])
        counted = {part.full_name for part, is_near in zip(here.neighbors, here.among[row], strict=True) if is_near}
        assert counted == neighbors, name


def test_only_what_all_share_is_compared(layouts: dict[str, Layout], found: Surroundings) -> None:
    shared = compared_structures(layouts, THALAMUS)
    assert found.shared == len(shared) == len(layouts["9861"].structures) - 1 < len(layouts["B"].structures) - 1
    assert set(found.neighbors) <= set(shared)
    assert (found.among.sum(axis=1) <= 5).all()
    assert (np.diff(found.distances.mean(axis=0)[:5]) >= 0).all()
    assert found.chance == 5 / len(shared)


def test_a_structure_of_one_person_is_reported_as_such(layouts: dict[str, Layout]) -> None:
    alone = surroundings(layouts, BRAINSTEM, 3)
    assert (alone.subjects, alone.asked, len(alone.neighbors)) == (("B",), 3, 3)
    assert alone.in_words().startswith("1 of 3 people have the brainstem. Its 3 nearest: ")


def test_distances_and_offsets_are_those_of_the_layouts(layouts: dict[str, Layout], found: Surroundings) -> None:
    assert found.subjects == tuple(layouts)
    column = found.neighbors.index(PUTAMEN)
    for row, name in enumerate(found.subjects):
        subject = layouts[name]
        ends = subject.centers[[subject.index(THALAMUS), subject.index(PUTAMEN)]]
        assert found.distances[row, column] == pytest.approx(np.linalg.norm(ends[1] - ends[0]))
        expected = [relation_margin(subject, PUTAMEN, way, THALAMUS) for way in ("lateral", "anterior", "superior")]
        np.testing.assert_allclose(found.offsets[:, row, column], expected)


def test_counts_come_with_the_exact_interval() -> None:
    assert agreement(6, 6) == "6 of 6 [.54, 1]"
    assert agreement(0, 6) == "0 of 6 [0, .46]"
    low, high = fraction_interval(5, 6)
    assert agreement(5, 6) == f"5 of 6 [{low:.2f}, >.99]".replace("0.", ".")
    assert high < 1


def test_figure_shows_every_row_with_its_count(subjects: dict[str, LabelMap], found: Surroundings) -> None:
    figure = plot_structure(subjects, THALAMUS, 5, "B")
    figure.canvas.draw()
    assert len(figure.axes) == 7
    bars = figure.axes[3]
    assert [text.get_text() for text in bars.get_yticklabels()] == [
        part.full_name.replace("-", " ") for part in found.neighbors
    ]
    counts = [agreement(int(count), 3) for count in found.among.sum(axis=0)]
    assert [text.get_text() for text in bars.texts][: len(counts)] == counts
    np.testing.assert_allclose([bar.get_width() for bar in bars.patches], found.distances.mean(axis=0))
    assert figure.subfigs[0].get_suptitle() == "The left thalamus of B"
    for ax in figure.axes[:3]:
        image = np.asarray(ax.images[0].get_array())
        assert (np.abs(image - matplotlib.colors.to_rgb(COLORS[0])).max(axis=-1) < 1e-6).any()


def test_wrong_requests_are_refused(subjects: dict[str, LabelMap], layouts: dict[str, Layout]) -> None:
    donors = {name: subjects[name] for name in ("9861", "10021")}
    with pytest.raises(ValueError, match="none has brainstem"):
        plot_structure(donors, BRAINSTEM)
    with pytest.raises(ValueError, match="k must be between 1 and"):
        surroundings(layouts, THALAMUS, 100)
    with pytest.raises(ValueError, match="k must be at most 7 here"):
        plot_structure(donors, THALAMUS, 8)
    with pytest.raises(ValueError, match=r"subject must be one of B \(they have it\), got '9861'"):
        plot_structure(subjects, BRAINSTEM, subject="9861")
    with pytest.raises(ValueError, match="none has brainstem"):
        structure_widget.structure_explorer(donors, BRAINSTEM)


def test_menus_draw_anew_and_follow_the_structure(
    subjects: dict[str, LabelMap], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = structure_widget.StructureExplorer(subjects, THALAMUS)
    drawn, original = [], structure_widget.draw_structure
    monkeypatch.setattr(structure_widget, "draw_structure", lambda *all_: drawn.append(all_) or original(*all_))
    first = bytes(shown.picture.picture.value)
    assert first.startswith(b"\x89PNG")
    shown.controls["name"].value = "brainstem"
    assert (len(drawn), shown.chosen, shown.controls["person"].options) == (1, BRAINSTEM, ("B",))
    assert shown.controls["side"].options == ("midline",)
    assert "1 of 3 people" in shown.words.value
    assert bytes(shown.picture.picture.value) != first
    shown.controls["name"].value = "putamen"
    assert (len(drawn), shown.controls["side"].options) == (2, ("left", "right"))
    assert "left putamen" in shown.words.value
    assert not plt.get_fignums()


def test_heads_in_3d_are_made_on_demand_and_only_colored_anew(
    atlas_alone: structure_widget.StructureExplorer,
) -> None:
    shown = atlas_alone
    assert shown.space.children == ()
    shown.controls["solid"].value = True
    (viewer,) = shown.space.children
    (volume,) = viewer.volumes
    before = volume.colormap_label.lut
    shown.controls["k"].value = 2
    assert viewer.volumes == [volume]
    assert volume.colormap_label.lut != before
    shown.controls["solid"].value = False
    assert shown.space.children == ()


def test_an_error_is_raised_and_shown(
    atlas_alone: structure_widget.StructureExplorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(structure_widget, "surroundings", lambda *_: (_ for _ in ()).throw(ValueError("<broken>")))
    with pytest.raises(ValueError, match="broken"):
        atlas_alone.controls["k"].value = 3
    assert atlas_alone.picture.error.value == "Error: <broken>"


def test_the_head_in_3d_has_the_volumes_and_places_of_the_label_map(subjects: dict[str, LabelMap]) -> None:
    head = subjects["9861"]
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(label_nifti(head)))
    ranks = np.asarray(image.dataobj)
    rank = sorted(head.volumes).index(THALAMUS.label) + 1
    assert ranks.dtype == np.uint8
    assert (ranks == rank).sum() == pytest.approx((head.labels == THALAMUS.label).sum(), rel=0.03)
    center = np.argwhere(ranks == rank).mean(axis=0) @ image.affine[:3, :3] + image.affine[:3, 3]
    expected = frame_of(head).coordinates(head.world(THALAMUS.label)).mean(axis=0)
    np.testing.assert_allclose(center, expected, atol=0.3)


def test_the_chosen_structure_is_opaque_and_the_rest_faint(subjects: dict[str, LabelMap], found: Surroundings) -> None:
    head = subjects["B"]
    table = color_table(head, label_colors(found))
    opacity = dict(zip([0, *sorted(head.volumes)], table["A"], strict=True))
    assert table["I"] == list(range(len(head.volumes) + 1))
    assert opacity[0] == 0
    assert opacity[THALAMUS.label] == 255 > opacity[found.neighbors[0].label] > opacity[BRAINSTEM.label] > 0
    position = table["I"][[0, *sorted(head.volumes)].index(THALAMUS.label)]
    assert f"#{table['R'][position]:02X}{table['G'][position]:02X}{table['B'][position]:02X}" == COLORS[0]


def test_a_structure_has_one_color_in_every_figure(found: Surroundings) -> None:
    colors = label_colors(found)
    for part in (found.chosen, *found.neighbors[: found.k]):
        if part.name in STRUCTURE_COLORS and (part == found.chosen or part.name != found.chosen.name):
            assert colors[part.label] == STRUCTURE_COLORS[part.name], part.full_name
        if part.name not in STRUCTURE_COLORS:
            assert colors[part.label] not in STRUCTURE_COLORS.values(), part.full_name
    assert len(set(colors.values())) == found.k + 1
