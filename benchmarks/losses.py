"""Speed, memory and exactness of the losses, forward and backward, compared with two other ways to write them.

These are loops over anchors (`loops.py`) and the plain form (`toposlearn.losses.plain_intra_loss`, `plain_inter_loss`):
same inputs, in turns, in one run. `--figure FILE` also draws time and memory against the number of tokens.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from loops import MARGIN, RADIUS, TEMPERATURE, K, cosine_matrix, loop_inter, loop_intra, loop_listwise
from matplotlib import pyplot as plt
from rows import Row, interleaved, options, report
from torch import Tensor

from toposlearn.losses import (
    inter_instance_loss,
    intra_instance_loss,
    listwise_loss,
    neighborhoods,
    ordered_pairs,
    plain_inter_loss,
    plain_intra_loss,
)
from toposlearn.topology import mutual_matches, nearest_neighbors

SETTINGS = {"k": K, "margin": MARGIN}
LOSSES = {
    "intra": partial(intra_instance_loss, **SETTINGS),
    "inter": partial(inter_instance_loss, **SETTINGS),
    "intra, plain": partial(plain_intra_loss, **SETTINGS),
    "inter, plain": partial(plain_inter_loss, **SETTINGS),
    "intra, loops": loop_intra,
    "inter, loops": loop_inter,
}
TERMS = ("intra", "inter")
SIZES = ((4, 216, 384), (4, 1728, 192))  # subjects, tokens, features
FASTER = {("intra", 216): 5, ("intra", 1728): 10, ("inter", 216): 5, ("inter", 1728): 8}  # times, on a processor
FASTER_GPU = {("intra", 216): 50, ("inter", 216): 50}
FASTER_THAN_PLAIN = {1728: 1}  # with fewer tokens the plain form is about as fast, or faster: no bound
COUNTS = tuple(side**3 for side in (3, 4, 6, 8, 10, 12, 16, 20, 24))  # tokens, 27 to 13 824
MOST_MEMORY = 1024  # MiB, 2 subjects of the largest count
PLAIN_UP_TO = 8000  # tokens; the plain form then holds several matrices of 0.5 GiB


def tokens(b: int, n: int, f: int, device: str, seed: int) -> Tensor:
    """Tokens of B people who share half the variance of their features place by place, so that most tokens match."""
    source = torch.Generator().manual_seed(seed)
    shared = torch.randn(1, n, f, generator=torch.Generator().manual_seed(99))
    return (shared + torch.randn(b, n, f, generator=source)).to(device)


def step(loss: Callable[..., Tensor], a: Tensor, b: Tensor) -> Callable[[], None]:
    """Forward and backward of one direction."""
    leaf = b.clone().requires_grad_()

    def run() -> None:
        leaf.grad = None
        loss(a, leaf).backward()

    return run


def exactness(device: str) -> list[Row]:
    """Largest difference of library and plain form from the loops for given negatives, over 3 seeds."""
    gaps: dict[str, list[float]] = {}
    for seed in range(3):
        a, b = tokens(3, 125, 48, device, seed), tokens(3, 125, 48, device, seed + 10)
        source = torch.Generator().manual_seed(seed)
        drawn = torch.randint(125, (6, 125, K), generator=source).to(device)  # of each ordered pair
        for name in (*TERMS, *(f"{term}, plain" for term in TERMS)):
            negatives = drawn[:3] if name.startswith("intra") else drawn
            value, reference = (LOSSES[each](a, b, negatives=negatives) for each in (name, f"{name[:5]}, loops"))
            gaps.setdefault(name, []).append(abs(float(value - reference)))
    return [Row(f"{name}: largest difference from the loops", max(gap), "", "<= 1e-5") for name, gap in gaps.items()]


def expectation(device: str, draws: int) -> list[Row]:
    """Mean over drawn negatives compared with that of the loops, in standard errors of the difference."""
    a, b = tokens(2, 64, 48, device, 0), tokens(2, 64, 48, device, 1)
    values = {name: [float(loss(a, b)) for _ in range(draws)] for name, loss in LOSSES.items()}
    rows = []
    for name in (*TERMS, *(f"{term}, plain" for term in TERMS)):
        ours, theirs = values[name], values[f"{name[:5]}, loops"]
        error = ((statistics.variance(ours) + statistics.variance(theirs)) / draws) ** 0.5
        gap = abs(statistics.mean(ours) - statistics.mean(theirs)) / error
        rows.append(Row(f"{name}: mean over {draws} draws of negatives, off by", gap, "SE", "<= 3.5"))
    return rows


def speed(size: tuple[int, int, int], repeats: int, device: str) -> list[Row]:
    """One direction compared with both other ways to write it, and with the steps that no form can avoid."""
    a, b, pairs = tokens(*size, device, 0), tokens(*size, device, 1), ordered_pairs(size[0], device)
    functions: dict[str, Callable[[], object]] = {name: step(loss, a, b) for name, loss in LOSSES.items()}
    functions |= {"graph": lambda: nearest_neighbors(a, K), "matches": lambda: mutual_matches(a, b, pairs=pairs)}
    functions |= {"plain product and top-k": lambda: [cosine_matrix(x, x).topk(K + 1, largest=False) for x in a]}
    seconds = interleaved(functions, repeats, device)
    shape = " x ".join(map(str, size))
    rows = [Row(f"{name} ({shape})", 1000 * value, "ms") for name, value in seconds.items()]
    for term in TERMS:
        for way, bound in bounds(term, size[1], device).items():
            faster = seconds[f"{term}, {way}"] / seconds[term]
            rows.append(Row(f"{term}: times faster than {way} ({shape})", faster, "x", bound and f">= {bound}"))
    alone = {"intra": seconds["graph"], "inter": seconds["graph"] + seconds["matches"]}
    for term, words in (("intra", "the graph alone"), ("inter", "graph and matches alone")):
        rows.append(Row(f"{term}: cost over {words} ({shape})", seconds[term] / alone[term], "x", "<= 2.5"))
    plain = seconds["graph"] / seconds["plain product and top-k"]  # or a slow graph would hide a slow loss
    rows.append(Row(f"the graph alone over plain product and top-k ({shape})", plain, "x", "<= 2"))
    return rows


def listwise(size: tuple[int, int, int], repeats: int, device: str) -> list[Row]:
    """One direction of the listwise form, its weights included, compared with loops over anchors."""
    a, b = tokens(*size, device, 0), tokens(*size, device, 1)
    places = 180 * torch.rand(size[1], 3, generator=torch.Generator().manual_seed(0)).to(device)  # mm
    every = places.expand(size[0], -1, -1)
    loops = partial(loop_listwise, places=places)

    def ours(a: Tensor, b: Tensor) -> Tensor:
        return listwise_loss(a, b, neighborhoods(every, RADIUS), temperature=TEMPERATURE)

    seconds = interleaved({"listwise": step(ours, a, b), "listwise, loops": step(loops, a, b)}, repeats, device)
    shape = " x ".join(map(str, size))
    faster = seconds["listwise, loops"] / seconds["listwise"]
    return [
        *(Row(f"{name} ({shape})", 1000 * value, "ms") for name, value in seconds.items()),
        Row(f"listwise: times faster than loops ({shape})", faster, "x", ">= 2"),
        Row(f"listwise: difference from the loops ({shape})", abs(float(ours(a, b) - loops(a, b))), "", "<= 1e-5"),
    ]


def bounds(term: str, n: int, device: str) -> dict[str, int | None]:
    """Minimum ratio to each other way of the speed of a loss of n tokens, where it is promised."""
    on_cpu = device == "cpu"
    loops = (FASTER if on_cpu else FASTER_GPU).get((term, n))
    return {"plain": FASTER_THAN_PLAIN.get(n) if on_cpu else None, "loops": loops}


def cost(name: str, n: int, device: str) -> tuple[float, float]:
    """Seconds and MiB beyond the inputs of one forward and backward pass, 2 subjects, 192 features."""
    run = step(LOSSES[name], tokens(2, n, 192, device, 0), tokens(2, n, 192, device, 1))
    on_gpu = device.startswith("cuda")
    step(LOSSES[name], tokens(2, 27, 192, device, 0), tokens(2, 27, 192, device, 1))()  # loads the libraries
    _forget_peak(on_gpu)
    before = _peak(on_gpu)
    start = time.perf_counter()
    run()
    if on_gpu:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    return seconds, _peak(on_gpu) - before


def _forget_peak(on_gpu: bool) -> None:
    """Reset the peak: a process inherits that of the one that started it."""
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")


def _peak(on_gpu: bool) -> float:
    """Maximum memory held since then, MiB; on a processor that of the process, on Linux."""
    if on_gpu:
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def against_size(counts: tuple[int, ...], device: str) -> dict[str, list[tuple[int, float, float]]]:
    """Loss -> (tokens, seconds, MiB) for each count, each in its own process with its own peak."""
    os.environ["MALLOC_MMAP_THRESHOLD_"] = str(2**20)  # glibc returns freed memory: a peak is memory in use
    costs: dict[str, list[tuple[int, float, float]]] = {}
    for n in counts:
        for name in (*TERMS, *(f"{term}, plain" for term in TERMS if n <= PLAIN_UP_TO)):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                costs.setdefault(name, []).append((n, *pool.apply(cost, (name, n, device))))
    return costs


def size_rows(costs: dict[str, list[tuple[int, float, float]]]) -> list[Row]:
    """Time and memory of the largest sizes. The library must never hold as much as one distance matrix."""
    rows = []
    for name, sizes in costs.items():
        for n, seconds, memory in sizes:
            if n >= min(PLAIN_UP_TO, sizes[-1][0]):
                bound = f"<= {min(MOST_MEMORY, 4 * n * n // 2**20)}" if name in TERMS else None
                rows.append(Row(f"{name}: 2 x {n} x 192", seconds, "s"))
                rows.append(Row(f"{name}: memory beyond the inputs (2 x {n} x 192)", memory, "MiB", bound))
    return rows


def draw(costs: dict[str, list[tuple[int, float, float]]], device: str, file: Path) -> None:
    """Seconds and memory against the number of tokens, on logarithmic axes."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for name, rows in costs.items():
        term, _, way = name.partition(", ")
        look = {"color": f"C{TERMS.index(term)}", "ls": "--" if way else "-", "marker": "s" if way else "o", "ms": 4}
        for column, ax in enumerate(axes, start=1):
            label = f"{term}-instance loss, {way + ' form' if way else 'this package'}"
            ax.plot([row[0] for row in rows], [row[column] for row in rows], label=label, **look)
    largest = max(row[0] for rows in costs.values() for row in rows)
    matrix = [(n, 4 * n * n / 2**20) for n in COUNTS if n <= largest]
    axes[1].plot(*zip(*matrix, strict=True), color="0.5", ls=":", label="one distance matrix")
    axes[1].axhline(MOST_MEMORY, color="0.3", lw=1, label="bound of this package")
    axes[1].set_ylim(bottom=0.1)
    for ax, label in zip(axes, ("seconds, forward and backward", "memory beyond the inputs (MiB)"), strict=True):
        ax.set(xscale="log", yscale="log", xlabel="tokens per subject", ylabel=label)
        ax.grid(color="0.92")
    axes[0].legend(fontsize=7)
    axes[1].legend(axes[1].lines[-2:], [line.get_label() for line in axes[1].lines[-2:]], fontsize=7)
    figure.suptitle(f"one direction, 2 subjects x 192 features, {device}, {torch.get_num_threads()} threads", size=10)
    figure.savefig(file, dpi=120)


def main() -> None:
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw time and memory for 27 to 13 824 tokens")
    chosen = parser.parse_args()
    torch.manual_seed(0)
    rows = exactness(chosen.device) + expectation(chosen.device, 60 if chosen.quick else 200)
    for size in SIZES:
        rows += speed(size, 3 if chosen.quick else 15, chosen.device)
    for size in SIZES[: 1 if chosen.quick else None]:
        rows += listwise(size, 3 if chosen.quick else 15, chosen.device)
    counts = COUNTS[-3:-2] if chosen.quick else COUNTS[-2:]
    costs = against_size(COUNTS if chosen.figure else counts, chosen.device)
    rows += size_rows(costs)
    if chosen.figure:
        draw(costs, chosen.device, chosen.figure)
    report(rows, chosen.json)


if __name__ == "__main__":
    main()
