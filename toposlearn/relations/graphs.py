"""The neighborhood graphs of a person's structures."""

from collections.abc import Sequence

import networkx as nx
import numpy as np
import numpy.typing as npt
import pandas as pd

from toposlearn.arrays import Float64s
from toposlearn.relations.layout import Layout
from toposlearn.relations.relations import structure_distances


def nearest_structures(distances: Float64s, k: int) -> npt.NDArray[np.int64]:
    """The k nearest other structures (S, K) of each by `distances` (S, S), nearest first; ties: the lower index."""
    if not 1 <= k < len(distances):
        raise ValueError(f"k must be between 1 and {len(distances) - 1} for {len(distances)} structures, got {k}")
    order = np.argsort(distances + np.diag(np.full(len(distances), np.inf)), axis=1, kind="stable")
    return np.asarray(order[:, :k], dtype=np.int64)


def nearest_graph(subject: Layout, k: int = 5) -> nx.DiGraph:
    """A graph with an edge from each structure to its k nearest by centroid, `distance` in mm and `rank` from 1."""
    graph = nx.DiGraph()  # directed, since being nearest is not mutual
    distances = structure_distances(subject)
    graph.add_nodes_from(range(len(distances)))
    for i, nearest in enumerate(nearest_structures(distances, k).tolist()):
        for rank, j in enumerate(nearest, start=1):
            graph.add_edge(i, j, distance=float(distances[i, j]), rank=rank)
    return _named(graph, subject)


def adjacency_graph(subject: Layout) -> nx.Graph:
    """A graph with an edge between structures that touch, with the `boundary` they share in mm²."""
    return _named(nx.from_numpy_array(subject.shared, edge_attr="boundary"), subject)


def _named(graph: nx.Graph, subject: Layout) -> nx.Graph:
    """A graph of rows with the structures of a subject as its nodes."""
    graph.graph["name"] = subject.name
    for row, (structure, center) in enumerate(zip(subject.structures, subject.centers.tolist(), strict=True)):
        graph.nodes[row].update(label=structure.label, side=structure.side, center=tuple(center))
    return nx.relabel_nodes(graph, {row: each.full_name for row, each in enumerate(subject.structures)})


def write_graph(graph: nx.Graph, file: str) -> None:
    """Write a graph as GraphML, which Gephi, yEd, Cytoscape and networkx read; centers as three numbers, x, y, z."""
    flat = graph.copy()
    for _, node in flat.nodes(data=True):
        node |= dict(zip("xyz", node.pop("center"), strict=True))
    nx.write_graphml(flat, file)


def shared_edges(graphs: Sequence[nx.Graph]) -> pd.DataFrame:
    """Fraction of people whose graph has the edge row → column, over the structures that all of them have."""
    names = [node for node in graphs[0] if all(node in graph for graph in graphs)]
    present = [nx.to_numpy_array(graph.subgraph(names), nodelist=names, weight=None) > 0 for graph in graphs]
    return pd.DataFrame(np.mean(present, axis=0), index=names, columns=names)
