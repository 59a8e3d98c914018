"""Speed, memory and exactness of the losses against per-token loops written from the equations.

The loops are what one writes first: a distance matrix per subject, then for each anchor its neighbors, its negatives
and its hinge, with values read back to Python on the way. Same inputs, same run, forward and backward.
"""

from __future__ import annotations

import resource
from collections.abc import Callable

import torch
from rows import Row, interleaved, options, report
from torch import Tensor
from torch.nn.functional import normalize

from toposlearn.losses import inter_instance_loss, intra_instance_loss
from toposlearn.topology import mutual_matches, nearest_neighbors

K, MARGIN = 5, 0.2


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
        distances = cosine_matrix(
            tokens_b[s], tokens_b[s]
        ).unbind()  # rows: indexing the matrix would cost N^2 an anchor
        for i, near in enumerate(neighbor_lists(tokens_a[s])):
            far = outside([i, *near], len(distances), tokens_b.device) if negatives is None else negatives[s, i]
            losses.append(torch.relu(distances[i][near] - distances[i][far] + MARGIN).mean())
    return torch.stack(losses).mean()


def loop_inter(tokens_a: Tensor, tokens_b: Tensor, negatives: Tensor | None = None) -> Tensor:
    """The inter-instance term over all ordered pairs, anchor by anchor; negatives (B, B, N, K) or drawn."""
    pairs = []
    for p in range(len(tokens_a)):
        graph = neighbor_lists(tokens_a[p])
        for q in range(len(tokens_b)):
            if p != q:
                known = None if negatives is None else negatives[p, q]
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


def tokens(b: int, n: int, f: int, device: str, seed: int) -> Tensor:
    """B people who share half the variance of their features place by place, so that most tokens match."""
    source = torch.Generator().manual_seed(seed)
    shared = torch.randn(1, n, f, generator=torch.Generator().manual_seed(99))
    return (shared + torch.randn(b, n, f, generator=source)).to(device)


def step(loss: Callable[..., Tensor], a: Tensor, b: Tensor, **settings: float) -> Callable[[], None]:
    """Forward and backward of one direction."""
    leaf = b.clone().requires_grad_()

    def run() -> None:
        leaf.grad = None
        loss(a, leaf, **settings).backward()

    return run


def memory_of_the_graph(n: int, device: str) -> list[Row]:
    """Extra memory of the neighborhood graph of N tokens, against the distance matrix it never holds."""
    x, whole = tokens(1, n, 48, device, 0), 4 * n * n / 2**20
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.max_memory_allocated()
        nearest_neighbors(x, K)
        extra = (torch.cuda.max_memory_allocated() - before) / 2**20
    else:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        nearest_neighbors(x, K)
        extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
    name = f"graph of {n} tokens: extra memory, share of one distance matrix ({whole:.0f} MiB)"
    return [Row(name, extra / whole, "", "<= 1")]


def exactness(device: str) -> list[Row]:
    """Largest difference from the loops for given negatives, over 3 seeds."""
    gaps: dict[str, list[float]] = {"intra": [], "inter": []}
    for seed in range(3):
        a, b = tokens(3, 125, 48, device, seed), tokens(3, 125, 48, device, seed + 10)
        source = torch.Generator().manual_seed(seed)
        negatives = torch.randint(125, (3, 3, 125, K), generator=source).to(device)
        one = intra_instance_loss(a, b, k=K, margin=MARGIN, negatives=negatives[0])
        gaps["intra"].append(abs(float(one - loop_intra(a, b, negatives[0]))))
        two = inter_instance_loss(a, b, k=K, margin=MARGIN, negatives=negatives)
        gaps["inter"].append(abs(float(two - loop_inter(a, b, negatives))))
    return [Row(f"{name}: largest difference from the loops", max(gap), "", "<= 1e-5") for name, gap in gaps.items()]


def speed(n: int, features: int, repeats: int, device: str) -> list[Row]:
    """Forward and backward of one direction, 2 subjects."""
    a, b = tokens(2, n, features, device, 0), tokens(2, n, features, device, 1)
    functions = {
        "intra": step(intra_instance_loss, a, b, k=K, margin=MARGIN),
        "intra, loops": step(loop_intra, a, b),
        "inter": step(inter_instance_loss, a, b, k=K, margin=MARGIN),
        "inter, loops": step(loop_inter, a, b),
        "graph": lambda: nearest_neighbors(a, K),
        "matches": lambda: mutual_matches(a, b),
    }
    seconds = interleaved(functions, repeats, device)
    size = f"2 x {n} x {features}"
    rows = [Row(f"{name} ({size})", 1000 * value, "ms") for name, value in seconds.items()]
    for name, bound in (("intra", ">= 5"), ("inter", ">= 2")):
        ratio = seconds[f"{name}, loops"] / seconds[name]
        rows.append(Row(f"{name}: times faster than loops ({size})", ratio, "x", bound))
    return rows


def main() -> None:
    chosen = options(__doc__.splitlines()[0])
    torch.manual_seed(0)
    rows = memory_of_the_graph(8000 if chosen.quick else 13_824, chosen.device)
    rows += exactness(chosen.device)
    for n in (512, 1728):
        rows += speed(n, 48, 5 if chosen.quick else 15, chosen.device)
    report(rows, chosen.json)


if __name__ == "__main__":
    main()
