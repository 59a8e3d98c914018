"""The two alignment terms, and the listwise form of the first, as loops over anchors, written from the equations.

A distance matrix per subject, then for each anchor its neighbors, its negatives and its hinge, with values read back to
Python on the way. `benchmarks/losses.py` compares the losses with them, in speed and in value.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

K, MARGIN = 5, 0.2
RADIUS, TEMPERATURE = 8.0, 0.1  # of the listwise form: mm, cosine distance


def cosine_matrix(a: Tensor, b: Tensor) -> Tensor:
    return 1 - normalize(a, dim=-1) @ normalize(b, dim=-1).T


def neighbor_lists(tokens: Tensor) -> list[list[int]]:
    """For each token of one subject (N, F), its K nearest others."""
    distances = cosine_matrix(tokens, tokens).detach()
    lists = []
    for i in range(len(tokens)):
        row = distances[i].clone()
        row[i] = torch.inf
        lists.append(row.topk(K, largest=False).indices.tolist())
    return lists


def outside(excluded: list[int], n: int, device: torch.device) -> Tensor:
    """K indices drawn from the tokens that are not excluded."""
    allowed = torch.ones(n, dtype=torch.bool, device=device)
    allowed[excluded] = False
    candidates = allowed.nonzero().flatten()
    return candidates[torch.randint(len(candidates), (K,), device=device)]


def loop_intra(tokens_a: Tensor, tokens_b: Tensor, negatives: Tensor | None = None) -> Tensor:
    """The intra-instance term (B, N, F), anchor by anchor; negatives (B, N, K) or drawn."""
    losses = []
    for s in range(len(tokens_a)):
        distances = cosine_matrix(tokens_b[s], tokens_b[s]).unbind()  # rows: indexing the matrix costs N^2 per anchor
        for i, near in enumerate(neighbor_lists(tokens_a[s])):
            far = outside([i, *near], len(distances), tokens_b.device) if negatives is None else negatives[s, i]
            losses.append(torch.relu(distances[i][near] - distances[i][far] + MARGIN).mean())
    return torch.stack(losses).mean()


def loop_listwise(tokens_a: Tensor, tokens_b: Tensor, places: Tensor) -> Tensor:
    """The listwise form of the intra-instance term (B, N, F), anchor by anchor; places (N, 3) in mm of all subjects."""
    losses = []
    for a, b in zip(tokens_a, tokens_b, strict=True):
        distances = cosine_matrix(a, b).unbind()
        for place, row in zip(places, distances, strict=True):
            wanted = (-(places - place).square().sum(1) / (2 * RADIUS**2)).softmax(0)
            losses.append(-(wanted * (-row / TEMPERATURE).log_softmax(0)).sum())
    return torch.stack(losses).mean()


def loop_inter(tokens_a: Tensor, tokens_b: Tensor, negatives: Tensor | None = None) -> Tensor:
    """The inter-instance term over all ordered pairs, anchor by anchor; negatives (P, N, K) or drawn."""
    pairs: list[Tensor] = []
    for p in range(len(tokens_a)):
        graph = neighbor_lists(tokens_a[p])
        for q in range(len(tokens_b)):
            if p != q:
                known = None if negatives is None else negatives[len(pairs)]
                pairs.append(loop_pair(tokens_a[p], tokens_b[q], graph, known))
    return torch.stack(pairs).mean()


def loop_pair(tokens_p: Tensor, tokens_q: Tensor, graph: list[list[int]], negatives: Tensor | None) -> Tensor:
    across, distances = cosine_matrix(tokens_p, tokens_q).detach(), cosine_matrix(tokens_q, tokens_q).unbind()
    there, back = across.argmin(1).tolist(), across.argmin(0).tolist()
    match = {u: v for u, v in enumerate(there) if back[v] == u}
    anchors = []
    for u, v in match.items():
        places = [place for place, near in enumerate(graph[u]) if near in match]
        if places:
            positives = [match[graph[u][place]] for place in places]
            far = outside([v, *positives], len(distances), tokens_q.device) if negatives is None else negatives[u]
            anchors.append(torch.relu(distances[v][positives] - distances[v][far[places]] + MARGIN).mean())
    return torch.stack(anchors).mean()
