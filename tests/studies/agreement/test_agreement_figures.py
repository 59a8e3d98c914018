import networkx as nx
import numpy as np
import pandas as pd
import pytest

from toposlearn.anatomy import LabelMap, load_donor_map, load_label_map
from toposlearn.relations import graphs
from toposlearn.relations.agreement import BASAL_GANGLIA, medial_table, neighborhood_agreement, neighborhood_sweep
from toposlearn.relations.layout import layout
from toposlearn.relations.relations import COLUMNS
from toposlearn.studies.agreement import figures


@pytest.fixture(scope="module")
def subjects() -> dict[str, LabelMap]:
    return {"B": load_label_map("B"), "9861": load_donor_map("9861"), "10021": load_donor_map("10021")}


def test_margins_are_drawn_where_they_are(subjects: dict[str, LabelMap]) -> None:
    table = medial_table({name: layout(subject) for name, subject in subjects.items()})
    figure = figures.plot_margins(table)
    for panel, other in zip(figure.axes, BASAL_GANGLIA, strict=True):
        part = table[table["structure_b"] == other]
        drawn = np.concatenate([line.get_xdata() for line in panel.lines if line.get_marker() in "<>"])
        np.testing.assert_allclose(sorted(drawn), sorted(part["margin"]))
        undecided = [line.get_xdata() for line in panel.lines if line.get_markeredgecolor() == "0.6"]
        expected = part[part["verdict"] == "undecided"]["margin"]
        np.testing.assert_allclose(sorted(np.concatenate(undecided)), sorted(expected))
    assert figure.axes[-1].get_xlabel() == "margin (mm)"


def test_margins_of_many_people_are_sorted_and_counted() -> None:
    rows = [
        (f"p{who}", "thalamus", side, other, side, "medial", who > 1, who - 1.5, "holds" if who > 1 else "undecided")
        for other in BASAL_GANGLIA
        for who in (4, 0, 7, 2, 1, 5, 3, 6)
        for side in ("right", "left")
    ]
    panel = figures.plot_margins(pd.DataFrame(rows, columns=list(COLUMNS))).axes[0]
    assert [label.get_text() for label in panel.get_yticklabels()] == [f"p{who}" for who in range(7, -1, -1)]
    assert panel.texts[0].get_text() == "left and right in 6 of 8 (35 to 97 %)"


def test_edges_agreement_and_sweep_are_drawn_where_they_are(subjects: dict[str, LabelMap]) -> None:
    measured = [layout(subject) for subject in subjects.values()]
    shared = graphs.shared_edges([graphs.nearest_graph(subject) for subject in measured])
    agreement = neighborhood_agreement(measured, permutations=5)
    sweep = neighborhood_sweep(measured, (1, 3), permutations=5)
    edges = figures.plot_shared_edges(shared).axes[0]
    np.testing.assert_allclose(edges.images[0].get_array(), shared)
    drawn = figures.plot_agreement(agreement).axes[0].containers
    people_drawn, null_drawn = drawn[: len(agreement)], drawn[len(agreement) :]
    np.testing.assert_allclose([each.lines[0].get_xdata()[0] for each in people_drawn], agreement["value"])
    ends = [each.lines[2][0].get_segments()[0][:, 0] for each in people_drawn]
    np.testing.assert_allclose(ends, agreement[["low", "high"]])
    np.testing.assert_allclose([each.lines[0].get_xdata()[0] for each in null_drawn], agreement["null"])
    heights = {line.get_label(): line.get_ydata() for line in figures.plot_agreement_against_k(sweep).axes[0].lines}
    np.testing.assert_allclose(heights["people (95 % interval)"], sweep["value"])
    np.testing.assert_allclose(heights["permuted names"], sweep["null"])


def test_a_graph_over_the_anatomy_has_a_node_per_structure_and_wider_lines_for_larger_boundaries(subjects) -> None:
    head = subjects["B"]
    graph = graphs.adjacency_graph(layout(head))
    figure = figures.plot_graph_over_anatomy(head, graph)
    assert [ax.get_title() for ax in figure.axes] == ["coronal", "axial", "sagittal"]
    edges, widths = list(graph.edges(data="boundary")), figure.axes[0].collections[0].get_linewidths()
    assert len(figure.axes[0].lines) == graph.number_of_nodes()
    largest, smallest = (pick(range(len(edges)), key=lambda row: edges[row][2]) for pick in (max, min))
    assert widths[largest] > widths[smallest]
    alone = figures.plot_graph_over_anatomy(head, nx.create_empty_copy(graph)).axes[0]
    assert len(alone.lines) == graph.number_of_nodes()
    assert sum(len(lines.get_segments()) for lines in alone.collections if hasattr(lines, "get_segments")) == 0
