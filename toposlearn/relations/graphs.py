"""The neighborhood graphs of a person's structures: who is next to whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import networkx as nx
import numpy as np
import numpy.typing as npt
import pandas as pd

from toposlearn.relations.frame import Array
from toposlearn.relations.layout import Layout

Distance = Literal["center", "gap"]


def structure_distances(subject: Layout, by: Distance = "center") -> Array:
    """Distances (S, S) in mm between structures: of their centroids, or the gap between their boundaries.

    Raises:
        ValueError: unknown kind of distance, or gaps that were not measured.
    """
    if by == "center":
        return np.asarray(np.linalg.norm(subject.centers[:, None] - subject.centers[None], axis=-1), dtype=np.float64)
    if by != "gap":
        raise ValueError(f"by must be 'center' or 'gap', got {by!r}")
    if subject.gaps is None:
        raise ValueError(f"the gaps of {subject.name} were not measured: give layout(..., within=…) a length in mm")
    return subject.gaps


def nearest_structures(distances: Array, k: int) -> npt.NDArray[np.int64]:
    """The k nearest other structures (S, K) of each, nearest first; ties go to the lower index.

    Raises:
        ValueError: k is not between 1 and S - 1.
    """
    if not 1 <= k < len(distances):
        raise ValueError(f"k must be between 1 and {len(distances) - 1} for {len(distances)} structures, got {k}")
    order = np.argsort(distances + np.diag(np.full(len(distances), np.inf)), axis=1, kind="stable")
    return np.asarray(order[:, :k], dtype=np.int64)


def nearest_graph(subject: Layout, k: int = 5, by: Distance = "center") -> nx.DiGraph:
    """A graph with an edge from each structure to its k nearest, with `distance` in mm and `rank` from 1.

    Being nearest is not mutual, so it is directed.
    """
    graph = nx.DiGraph(name=subject.name)
    _add_nodes(graph, subject)
    distances = structure_distances(subject, by)
    for i, row in enumerate(nearest_structures(distances, k).tolist()):
        for rank, j in enumerate(row, start=1):
            graph.add_edge(_name(subject, i), _name(subject, j), distance=float(distances[i, j]), rank=rank)
    return graph


def adjacency_graph(subject: Layout, at_least: float = 0.0) -> nx.Graph:
    """A graph with an edge between structures that share a boundary of more than `at_least` mm², its `boundary`."""
    graph = nx.Graph(name=subject.name)
    _add_nodes(graph, subject)
    for i, j in np.argwhere(np.triu(subject.shared > at_least, k=1)).tolist():
        graph.add_edge(_name(subject, i), _name(subject, j), boundary=float(subject.shared[i, j]))
    return graph


def write_graph(graph: nx.Graph, file: str) -> None:
    """A graph as GraphML, which Gephi, yEd, Cytoscape and networkx read; centers as three numbers, x, y, z."""
    flat = graph.copy()
    for _, node in flat.nodes(data=True):
        node |= dict(zip("xyz", node.pop("center"), strict=True))
    nx.write_graphml(flat, file)


def shared_structures(subjects: Sequence[Layout]) -> list[str]:
    """Full names of the structures that everybody has, in the order of the first person."""
    names = [{structure.full_name for structure in subject.structures} for subject in subjects]
    return [each.full_name for each in subjects[0].structures if all(each.full_name in has for has in names)]


def shared_edges(graphs: Sequence[nx.Graph]) -> pd.DataFrame:
    """Fraction of people whose graph has the edge row → column, over the structures that all of them have.

    Raises:
        ValueError: no graphs.
    """
    if not graphs:
        raise ValueError("graphs is empty: give the graph of at least one person")
    names = [node for node in graphs[0] if all(node in graph for graph in graphs)]
    present = [nx.to_numpy_array(graph.subgraph(names), nodelist=names, weight=None) > 0 for graph in graphs]
    return pd.DataFrame(np.mean(present, axis=0), index=names, columns=names)


def _name(subject: Layout, index: int) -> str:
    return subject.structures[index].full_name


def _add_nodes(graph: nx.Graph, subject: Layout) -> None:
    for structure, center in zip(subject.structures, subject.centers, strict=True):
        graph.add_node(structure.full_name, label=structure.label, side=structure.side, center=tuple(center.tolist()))
