"""Speed, memory and exactness of the losses against loops over anchors (`loops.py`), forward and backward.

Same inputs, same run. `--figure FILE` also draws cost and memory against the number of tokens.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from loops import MARGIN, K, cosine_matrix, loop_inter, loop_intra
from matplotlib import pyplot as plt
from rows import Row, interleaved, options, report
from torch import Tensor

from toposlearn.losses import inter_instance_loss, intra_instance_loss, match_pairs
from toposlearn.topology import nearest_neighbors

LOSSES = {"intra": intra_instance_loss, "inter": inter_instance_loss}
SIZES = ((4, 216, 384), (4, 1728, 192))  # subjects, tokens, features
FASTER = {("intra", 216): 5, ("intra", 1728): 10, ("inter", 216): 5, ("inter", 1728): 8}  # times, on a processor
FASTER_GPU = {("intra", 216): 50, ("inter", 216): 50}
COUNTS = tuple(side**3 for side in (3, 4, 6, 8, 10, 12, 16, 20, 24))  # tokens, 27 to 13 824
MOST_MEMORY = 1024  # MiB, 2 subjects of the largest count


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


def expectation(device: str, draws: int) -> list[Row]:
    """Mean over drawn negatives against the loops' mean over theirs, in standard errors of the difference."""
    a, b = tokens(2, 64, 48, device, 0), tokens(2, 64, 48, device, 1)
    rows = []
    for name, loop in (("intra", loop_intra), ("inter", loop_inter)):
        ours = [float(LOSSES[name](a, b, k=K, margin=MARGIN)) for _ in range(draws)]
        theirs = [float(loop(a, b)) for _ in range(draws)]
        error = ((statistics.variance(ours) + statistics.variance(theirs)) / draws) ** 0.5
        gap = abs(statistics.mean(ours) - statistics.mean(theirs)) / error
        rows.append(Row(f"{name}: mean over {draws} draws of negatives, off by", gap, "SE", "<= 3.5"))
    return rows


def speed(size: tuple[int, int, int], repeats: int, device: str) -> list[Row]:
    """Forward and backward of one direction against the loops, and against what no implementation can do without."""
    a, b = tokens(*size, device, 0), tokens(*size, device, 1)
    functions: dict[str, Callable[[], object]] = {
        name: step(loss, a, b, k=K, margin=MARGIN) for name, loss in LOSSES.items()
    }
    functions |= {"graph": lambda: nearest_neighbors(a, K), "matches": lambda: match_pairs(a, b)}
    functions |= {"plain product and top-k": lambda: [cosine_matrix(x, x).topk(K + 1, largest=False) for x in a]}
    seconds = interleaved(functions, repeats, device)
    loops = {name: step(loop, a, b) for name, loop in (("intra", loop_intra), ("inter", loop_inter))}
    slow = interleaved(loops, max(1, repeats // 5), device)
    shape, bounds = " x ".join(map(str, size)), FASTER if device == "cpu" else FASTER_GPU
    rows = [Row(f"{name} ({shape})", 1000 * value, "ms") for name, value in seconds.items()]
    rows += [Row(f"{name}, loops ({shape})", 1000 * value, "ms") for name, value in slow.items()]
    for name in LOSSES:
        bound = bounds.get((name, size[1]))
        faster = slow[name] / seconds[name]
        rows.append(Row(f"{name}: times faster than loops ({shape})", faster, "x", bound and f">= {bound}"))
    alone = {"intra": seconds["graph"], "inter": seconds["graph"] + seconds["matches"]}
    for name, words in (("intra", "the graph alone"), ("inter", "graph and matches alone")):
        rows.append(Row(f"{name}: cost over {words} ({shape})", seconds[name] / alone[name], "x", "<= 2.5"))
    plain = seconds["graph"] / seconds["plain product and top-k"]  # or a slow graph would hide a slow loss
    rows.append(Row(f"the graph alone over plain product and top-k ({shape})", plain, "x", "<= 2"))
    return rows


def cost(name: str, n: int, device: str) -> tuple[float, float]:
    """Seconds and MiB beyond the inputs of one forward and backward pass, 2 subjects, 192 features."""
    run = step(LOSSES[name], tokens(2, n, 192, device, 0), tokens(2, n, 192, device, 1), k=K, margin=MARGIN)
    on_gpu = device.startswith("cuda")
    step(LOSSES[name], tokens(2, 27, 192, device, 0), tokens(2, 27, 192, device, 1), k=K, margin=MARGIN)()  # libraries
    _forget_peak(on_gpu)
    before = _peak(on_gpu)
    start = time.perf_counter()
    run()
    if on_gpu:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    return seconds, _peak(on_gpu) - before


def _forget_peak(on_gpu: bool) -> None:
    """Start anew: a process inherits the peak of the one that started it."""
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")


def _peak(on_gpu: bool) -> float:
    """Most memory held since then, MiB; of a processor's process, on Linux."""
    if on_gpu:
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def against_size(counts: tuple[int, ...], device: str) -> dict[str, list[tuple[int, float, float]]]:
    """Loss -> (tokens, seconds, MiB) for each count, each in a process of its own, whose peak is its own."""
    found: dict[str, list[tuple[int, float, float]]] = {}
    for name in LOSSES:
        for n in counts:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found.setdefault(name, []).append((n, *pool.apply(cost, (name, n, device))))
    return found


def draw(found: dict[str, list[tuple[int, float, float]]], device: str, file: Path) -> None:
    """Seconds and memory against the number of tokens, on logarithmic axes."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for name, rows in found.items():
        for column, ax in enumerate(axes, start=1):
            ax.plot([row[0] for row in rows], [row[column] for row in rows], "o-", label=f"{name}-instance loss")
    largest = max(row[0] for rows in found.values() for row in rows)
    matrix = [(n, 4 * n * n / 2**20) for n in COUNTS if n <= largest]
    axes[1].plot(*zip(*matrix, strict=True), color="0.5", ls=":", label="one distance matrix, never held")
    axes[1].axhline(MOST_MEMORY, color="0.3", ls="--", lw=1, label="bound")
    axes[1].set_ylim(bottom=0.1)
    for ax, label in zip(axes, ("seconds, forward and backward", "memory beyond the inputs (MiB)"), strict=True):
        ax.set(xscale="log", yscale="log", xlabel="tokens a subject", ylabel=label)
        ax.grid(color="0.92")
        ax.legend(fontsize=8)
    figure.suptitle(f"one direction, 2 subjects x 192 features, {device}, {torch.get_num_threads()} threads", size=10)
    figure.savefig(file, dpi=120)


def main() -> None:
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw cost and memory for 27 to 13 824 tokens")
    chosen = parser.parse_args()
    torch.manual_seed(0)
    rows = exactness(chosen.device) + expectation(chosen.device, 60 if chosen.quick else 200)
    for size in SIZES:
        rows += speed(size, 3 if chosen.quick else 15, chosen.device)
    found = against_size(COUNTS if chosen.figure else COUNTS[-3 if chosen.quick else -1 :][:1], chosen.device)
    for name, costs in found.items():
        n, seconds, memory = costs[-1]
        rows.append(Row(f"{name}: 2 x {n} x 192", seconds, "s"))
        bound = min(MOST_MEMORY, 4 * n * n // 2**20)  # and never as much as one distance matrix
        rows.append(Row(f"{name}: memory beyond the inputs (2 x {n} x 192)", memory, "MiB", f"<= {bound}"))
    if chosen.figure:
        draw(found, chosen.device, chosen.figure)
    report(rows, chosen.json)


if __name__ == "__main__":
    main()
