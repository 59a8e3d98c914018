"""Shared parts of the benchmarks: options, rows of results, interleaved timing, exit code 1 when a bound fails."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch


class Row(NamedTuple):
    """One result. ``bound`` reads like ">= 5"; a row without a bound cannot fail."""

    name: str
    value: float
    unit: str
    bound: str | None = None

    @property
    def holds(self) -> bool:
        """Whether the value meets its bound."""
        if self.bound is None:
            return True
        sign, limit = self.bound.split()
        return self.value >= float(limit) if sign == ">=" else self.value <= float(limit)


def options(description: str) -> argparse.ArgumentParser:
    """A parser with the options of every benchmark: ``--quick``, ``--device``, ``--json FILE``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="fewer repeats, smaller sizes: within 50 s on 2 cores")
    parser.add_argument("--device", default="cpu", help="torch device, as in cuda (default: cpu)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    return parser


def interleaved(functions: dict[str, Callable[[], object]], repeats: int, device: str) -> dict[str, float]:
    """Median seconds of each function, run in turns so that a busy moment affects all of them. One warm-up each."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(repeats + 1):
        for name, function in functions.items():
            start = _now(device)
            function()
            if turn > 0:
                seconds[name].append(_now(device) - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _now(device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def report(rows: list[Row], file: Path | None) -> None:
    """Print the table, write the rows, end with exit code 1 when a bound does not hold."""
    for row in rows:
        status = "" if row.bound is None else f"{row.bound:>10}  {'holds' if row.holds else 'DOES NOT HOLD'}"
        print(f"{row.name:<64} {row.value:>12.4g} {row.unit:<6}{status}")
    if file is not None:
        file.write_text(json.dumps([{**row._asdict(), "holds": row.holds} for row in rows], indent=2) + "\n")
    sys.exit(0 if all(row.holds for row in rows) else 1)
