import networkx as nx
import numpy as np
import pytest
from matplotlib import pyplot as plt

from toposlearn.anatomy import LabelMap, load_donor_map, load_label_map, structure
from toposlearn.explore import structures
from toposlearn.explore.people_browser import people_browser
from toposlearn.relations import consistency, graphs
from toposlearn.relations.agreement import neighborhood_agreement, neighborhood_sweep
from toposlearn.relations.layout import layout
from toposlearn.studies.agreement import relations
from toposlearn.studies.agreement.graph_pictures import plot_graph_over_anatomy


@pytest.fixture(scope="module")
def subjects() -> dict[str, LabelMap]:
    return {"B": load_label_map("B"), "9861": load_donor_map("9861"), "10021": load_donor_map("10021")}


def test_own_slice_shows_left_on_the_left_and_up_on_top(subjects: dict[str, LabelMap]) -> None:
    image = structures.own_slice(subjects["B"], "coronal", at=0, extent=70, step=1)
    assert image.shape == (141, 141)
    columns = {side: np.argwhere(image == structure("putamen", side).label)[:, 1] for side in ("left", "right")}
    assert columns["left"].max() < 70 < columns["right"].min()
    rows = {
        name: np.argwhere(image == structure(name, "left").label)[:, 0].mean() for name in ("thalamus", "hippocampus")
    }
    assert rows["thalamus"] < rows["hippocampus"]


def test_own_slice_does_not_change_when_the_head_moves(subjects: dict[str, LabelMap]) -> None:
    head = subjects["B"]
    pose = np.array([[0, -1, 0, 20], [1, 0, 0, -10], [0, 0, 1, 5], [0, 0, 0, 1]], dtype=float)
    moved = LabelMap(head.labels, pose @ head.affine, "moved", head.source)
    same = structures.own_slice(head, step=2) == structures.own_slice(moved, step=2)
    assert same.mean() > 0.995  # a sample on the border of two voxels may fall on either side


def test_own_slice_refuses_an_unknown_plane(subjects: dict[str, LabelMap]) -> None:
    with pytest.raises(ValueError, match="plane must be one of coronal, axial, sagittal"):
        structures.own_slice(subjects["B"], "oblique")  # type: ignore[arg-type]


@pytest.mark.parametrize("plane", ["coronal", "axial", "sagittal"])
def test_every_person_has_a_panel(subjects: dict[str, LabelMap], plane: str) -> None:
    figure = structures.plot_people(subjects, plane=plane)  # type: ignore[arg-type]
    titles = [ax.get_title() for ax in figure.axes if ax.get_visible()]
    assert titles == list(subjects)
    figure.canvas.draw()


def test_margins_are_drawn_where_they_are(subjects: dict[str, LabelMap]) -> None:
    table = consistency.medial_table(subjects)
    figure = relations.plot_margins(table)
    for panel, other in zip(figure.axes, consistency.BASAL_GANGLIA, strict=True):
        part = table[table["structure_b"] == other]
        drawn = np.concatenate([line.get_xdata() for line in panel.lines if line.get_marker() in "<>"])
        np.testing.assert_allclose(sorted(drawn), sorted(part["margin"]))
        undecided = [line.get_xdata() for line in panel.lines if line.get_markeredgecolor() == "0.6"]
        expected = part[part["verdict"] == "undecided"]["margin"]
        np.testing.assert_allclose(sorted(np.concatenate(undecided)), sorted(expected))
    assert figure.axes[-1].get_xlabel() == "margin (mm)"


def test_graph_and_agreement_pictures_have_units_and_a_legend(subjects: dict[str, LabelMap]) -> None:
    measured = [layout(subject) for subject in subjects.values()]
    shared = graphs.shared_edges([graphs.nearest_graph(subject) for subject in measured])
    agreement = neighborhood_agreement(measured, permutations=5)
    sweep = neighborhood_sweep(measured, (1, 3), permutations=5)
    drawn = [
        structures.plot_shared_graph(measured, shared),
        relations.plot_shared_edges(shared),
        relations.plot_agreement(agreement),
        relations.plot_agreement_against_k(sweep),
    ]
    assert "mm" in drawn[0].axes[0].get_xlabel()
    assert "mm" in drawn[0].axes[0].get_ylabel()
    edges = np.triu(np.maximum(shared.to_numpy(), shared.to_numpy().T), k=1)
    of_all, of_some = (
        [line for line in drawn[0].axes[0].lines if len(line.get_xdata()) == 2 and line.get_linestyle() == style]
        for style in ("-", ":")
    )
    assert (len(of_all), len(of_some)) == ((edges == 1).sum(), ((edges > 0) & (edges < 1)).sum())
    assert [text.get_text() for text in drawn[0].axes[0].get_legend().get_texts()][:2] == [
        "edge in all 3",
        "edge in some",
    ]
    np.testing.assert_allclose(drawn[1].axes[0].images[0].get_array(), shared)
    people_drawn, null_drawn = drawn[2].axes[0].containers
    np.testing.assert_allclose(people_drawn.lines[0].get_xdata(), agreement["value"])
    ends = np.array(people_drawn.lines[2][0].get_segments())[:, :, 0]
    np.testing.assert_allclose(ends, agreement[["low", "high"]])
    np.testing.assert_allclose(null_drawn.lines[0].get_xdata(), agreement["null"])
    heights = {line.get_label(): line.get_ydata() for line in drawn[3].axes[0].lines}
    np.testing.assert_allclose(heights["people (95 % interval)"], sweep["value"])
    np.testing.assert_allclose(heights["permuted names"], sweep["null"])


def test_a_graph_over_the_anatomy_has_a_node_a_structure_and_wider_lines_for_larger_boundaries(subjects) -> None:
    head = subjects["B"]
    measured = layout(head)
    graph = graphs.adjacency_graph(measured, at_least=100)
    figure = plot_graph_over_anatomy(head, measured, graph)
    assert [ax.get_title() for ax in figure.axes] == ["coronal", "axial", "sagittal"]
    edges, widths = list(graph.edges(data="boundary")), figure.axes[0].collections[0].get_linewidths()
    assert len(figure.axes[0].lines) == graph.number_of_nodes()
    largest, smallest = (pick(range(len(edges)), key=lambda row: edges[row][2]) for pick in (max, min))
    assert widths[largest] > widths[smallest]
    alone = plot_graph_over_anatomy(head, measured, nx.create_empty_copy(graph)).axes[0]
    assert len(alone.lines) == graph.number_of_nodes()
    assert sum(len(lines.get_segments()) for lines in alone.collections if hasattr(lines, "get_segments")) == 0


def test_the_browser_draws_at_once_and_again_when_moved(subjects: dict[str, LabelMap]) -> None:
    browser = people_browser({"B": subjects["B"]})
    controls, picture = browser.children
    first = bytes(picture.value)
    controls.children[1].value = 20
    assert first.startswith(b"\x89PNG")
    assert bytes(picture.value) != first
    assert not plt.get_fignums()
