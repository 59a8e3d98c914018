from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from toposlearn.anatomy import load_label_map, structure
from toposlearn.relations.graphs import (
    adjacency_graph,
    nearest_graph,
    nearest_structures,
    shared_edges,
    write_graph,
)
from toposlearn.relations.layout import Layout, layout, shared_structures
from toposlearn.relations.relations import structure_distances

NAMES = ("thalamus", "caudate", "putamen", "pallidum")


def on_a_line(name: str, positions: tuple[float, ...]) -> Layout:
    """Structures on a line, so that neighbors can be read off by eye."""
    centers = np.array([[0.0, position, 0.0] for position in positions])
    structures = tuple(structure(n, "left") for n in NAMES[: len(positions)])
    shared = np.zeros((len(centers), len(centers)))
    return Layout(name, structures, centers, np.array(positions), shared, 1.0)


def test_nearest_structures_on_a_line() -> None:
    distances = structure_distances(on_a_line("toy", (0, 1, 3, 7)))
    np.testing.assert_array_equal(nearest_structures(distances, 2), [[1, 2], [0, 2], [1, 0], [2, 1]])


def test_ties_go_to_the_lower_index_and_self_is_left_out() -> None:
    distances = np.zeros((4, 4))
    np.testing.assert_array_equal(nearest_structures(distances, 2), [[1, 2], [0, 2], [0, 1], [0, 1]])


def test_nearest_graph_has_k_outgoing_edges_and_centers() -> None:
    subject = layout(load_label_map("B"))
    graph = nearest_graph(subject, k=5)
    assert isinstance(graph, nx.DiGraph)
    assert set(dict(graph.out_degree()).values()) == {5}
    assert graph.nodes["left-thalamus"]["center"][0] < 0 < graph.nodes["right-thalamus"]["center"][0]


def test_adjacency_graph_joins_structures_that_touch() -> None:
    subject = layout(load_label_map("A"))
    graph = adjacency_graph(subject)
    assert graph.edges["left-putamen", "left-pallidum"]["boundary"] > 400
    assert not graph.has_edge("left-putamen", "right-putamen")
    assert nx.is_connected(graph)


def test_shared_edges_is_a_fraction_of_people_over_shared_structures() -> None:
    graphs = [
        nearest_graph(on_a_line("one", (0, 1, 3, 7)), k=1),
        nearest_graph(on_a_line("two", (0, 1, 1.5)), k=1),
    ]
    table = shared_edges(graphs)
    assert list(table.index) == ["left-thalamus", "left-caudate", "left-putamen"]
    assert table.loc["left-thalamus", "left-caudate"] == 1
    assert table.loc["left-caudate", "left-thalamus"] == 0.5
    assert table.loc["left-putamen", "left-caudate"] == 1


def test_shared_structures_are_those_that_all_people_have() -> None:
    subjects = [on_a_line("one", (0, 1, 3, 7)), on_a_line("two", (0, 1, 1.5))]
    names = [each.full_name for each in shared_structures(subjects)]
    assert names == ["left-thalamus", "left-caudate", "left-putamen"]


def test_a_written_graph_is_read_back(tmp_path: Path) -> None:
    graph = nearest_graph(on_a_line("toy", (0, 1, 3, 7)), k=2)
    write_graph(graph, str(tmp_path / "toy.graphml"))
    again = nx.read_graphml(tmp_path / "toy.graphml")
    assert set(again.edges) == set(graph.edges)
    assert again.edges["left-thalamus", "left-putamen"] == {"distance": 3.0, "rank": 2}
    assert again.nodes["left-pallidum"]["y"] == 7.0
    assert "center" in graph.nodes["left-pallidum"]  # the graph itself is left as it was


def test_a_k_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="k must be between 1 and 3 for 4 structures, got 4"):
        nearest_graph(on_a_line("toy", (0, 1, 3, 7)), k=4)
