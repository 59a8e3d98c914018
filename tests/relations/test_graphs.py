from dataclasses import replace
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
    shared_structures,
    structure_distances,
    write_graph,
)
from toposlearn.relations.layout import Layout, layout
from toposlearn.relations.relations import relation_margin
from toposlearn.studies.homology.homology import betti_numbers

NAMES = ("thalamus", "caudate", "putamen", "pallidum")


def on_a_line(name: str, positions: tuple[float, ...]) -> Layout:
    """Structures on a line, so that neighbors can be read off by eye."""
    centers = np.array([[0.0, position, 0.0] for position in positions])
    gaps = np.abs(centers[:, None, 1] - centers[None, :, 1])
    structures = tuple(structure(n, "left") for n in NAMES[: len(positions)])
    return Layout(name, structures, centers, np.array(positions), np.zeros_like(gaps), 1.0, gaps)


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


def test_adjacency_graph_is_who_touches_whom() -> None:
    subject = layout(load_label_map("A"))
    graph = adjacency_graph(subject)
    assert graph.edges["left-putamen", "left-pallidum"]["boundary"] > 400
    assert not graph.has_edge("left-putamen", "right-putamen")
    assert nx.is_connected(graph)
    assert 0 < adjacency_graph(subject, at_least=400).number_of_edges() < graph.number_of_edges()


def test_gaps_can_be_the_distance() -> None:
    subject = on_a_line("toy", (0, 1, 3, 7))
    np.testing.assert_array_equal(structure_distances(subject, "gap"), subject.gaps)


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


def test_shared_structures_are_those_of_everybody() -> None:
    subjects = [on_a_line("one", (0, 1, 3, 7)), on_a_line("two", (0, 1, 1.5))]
    assert shared_structures(subjects) == ["left-thalamus", "left-caudate", "left-putamen"]


def test_a_written_graph_is_read_back(tmp_path: Path) -> None:
    graph = nearest_graph(on_a_line("toy", (0, 1, 3, 7)), k=2)
    write_graph(graph, str(tmp_path / "toy.graphml"))
    again = nx.read_graphml(tmp_path / "toy.graphml")
    assert set(again.edges) == set(graph.edges)
    assert again.edges["left-thalamus", "left-putamen"] == {"distance": 3.0, "rank": 2}
    assert again.nodes["left-pallidum"]["y"] == 7.0
    assert "center" in graph.nodes["left-pallidum"]  # the graph itself is left as it was


def test_mistakes_are_named() -> None:
    subject = on_a_line("toy", (0, 1, 3, 7))
    with pytest.raises(ValueError, match="k must be between 1 and 3 for 4 structures, got 4"):
        nearest_graph(subject, k=4)
    with pytest.raises(ValueError, match="by must be 'center' or 'gap'"):
        structure_distances(subject, "surface")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the gaps of toy were not measured"):
        structure_distances(replace(subject, gaps=None), "gap")
    with pytest.raises(ValueError, match="graphs is empty"):
        shared_edges([])


def test_betti_numbers_count_pieces_tunnels_and_cavities() -> None:
    ball = np.zeros((9, 9, 9), dtype=bool)
    ball[2:7, 2:7, 2:7] = True
    assert betti_numbers(ball) == (1, 0, 0)
    shell = ball.copy()
    shell[4, 4, 4] = False
    assert betti_numbers(shell) == (1, 0, 1)
    ring = ball.copy()
    ring[4, 4, :] = False
    assert betti_numbers(ring) == (1, 1, 0)
    assert betti_numbers(np.concatenate([ball, ring])) == (2, 1, 0)
    with pytest.raises(ValueError, match="three axes"):
        betti_numbers(ball[0])


def test_betti_numbers_do_not_know_who_is_next_to_whom() -> None:
    """Thalamus and putamen under each other's name: the relation turns over, and both stay one piece without a hole."""
    head, parts = load_label_map("B"), (structure("thalamus", "left"), structure("putamen", "left"))
    thalamus, putamen = (head.labels == part.label for part in parts)
    swapped = replace(head, labels=np.select([thalamus, putamen], [parts[1].label, parts[0].label], head.labels))
    for subject, sign in ((head, 1), (swapped, -1)):
        assert sign * relation_margin(layout(subject), parts[0], "medial", parts[1]) > 10  # mm
        assert [betti_numbers(subject.labels == part.label) for part in parts] == [(1, 0, 0)] * 2
