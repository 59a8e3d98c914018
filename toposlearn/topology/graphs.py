"""The neighborhood graph of a person's structures: who is next to whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import networkx as nx
import numpy as np
import numpy.typing as npt
import pandas as pd

from toposlearn.topology.frame import Array
from toposlearn.topology.relations import ADJACENT_MM, Layout

Distance = Literal["center", "gap"]


def structure_distances(person: Layout, by: Distance = "center") -> Array:
    """Distances (S, S) in mm between structures: of their centroids, or the gap between their boundaries.

    Raises:
        ValueError: unknown kind of distance.
    """
    if by == "center":
        return np.asarray(np.linalg.norm(person.centers[:, None] - person.centers[None], axis=-1), dtype=np.float64)
    if by == "gap":
        return person.gaps
    raise ValueError(f"by must be 'center' or 'gap', got {by!r}")


def nearest_structures(distances: Array, k: int) -> npt.NDArray[np.int64]:
    """The k nearest other structures (S, K) of each, nearest first; ties go to the lower index.

    Raises:
        ValueError: k is not between 1 and S - 1.
    """
    if not 1 <= k < len(distances):
        raise ValueError(f"k must be between 1 and {len(distances) - 1} for {len(distances)} structures, got {k}")
    order = np.argsort(distances + np.diag(np.full(len(distances), np.inf)), axis=1, kind="stable")
    return np.asarray(order[:, :k], dtype=np.int64)


def nearest_graph(person: Layout, k: int = 5, by: Distance = "center") -> nx.DiGraph:
    """A graph with an edge from each structure to its k nearest. Being nearest is not mutual, so it is directed."""
    graph = nx.DiGraph(name=person.name)
    _add_nodes(graph, person)
    distances = structure_distances(person, by)
    for i, row in enumerate(nearest_structures(distances, k)):
        for j in row.tolist():
            graph.add_edge(_name(person, i), _name(person, j), distance=float(distances[i, j]))
    return graph


def adjacency_graph(person: Layout, adjacent_mm: float = ADJACENT_MM) -> nx.Graph:
    """A graph with an edge between structures whose boundaries come within `adjacent_mm` of each other."""
    graph = nx.Graph(name=person.name)
    _add_nodes(graph, person)
    for i, j in np.argwhere(np.triu(person.gaps < adjacent_mm, k=1)).tolist():
        graph.add_edge(_name(person, i), _name(person, j), distance=float(person.gaps[i, j]))
    return graph


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


def _name(person: Layout, index: int) -> str:
    return person.structures[index].full_name


def _add_nodes(graph: nx.Graph, person: Layout) -> None:
    for structure, center in zip(person.structures, person.centers, strict=True):
        graph.add_node(structure.full_name, label=structure.label, side=structure.side, center=tuple(center.tolist()))
