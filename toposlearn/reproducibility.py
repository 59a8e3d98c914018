"""Seeds, environment report, peak memory, whole files, and the JSON file of a result."""

from __future__ import annotations

import json
import os
import platform
import random
import resource
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = ("toposlearn", "torch", "monai", "nibabel", "numpy", "accelerate", "papermill")
RESULT_SCHEMA = "toposlearn/result/1"


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and torch (every device)."""
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (third-party code draws from the global generator)
    torch.manual_seed(seed)


def step_seed(seed: int, step: int, process: int | None = None) -> int:
    """The seed of one training step, on one of several processes: its draws never depend on earlier steps."""
    mixed = seed * 1_000_003 + step
    return mixed if process is None else mixed * 4_099 + process


def device_name() -> str:
    """The name of the GPU, or of the CPU with the number of cores used."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()} CPU, {torch.get_num_threads()} of {os.cpu_count()} cores"


def peak_memory_bytes() -> int:
    """Largest resident size of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


def package_versions() -> dict[str, str]:
    """Version of Python and of each package that a number depends on."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def environment_report() -> dict[str, Any]:
    """Versions, device and operating system, as plain JSON."""
    return {"versions": package_versions(), "device": device_name(), "system": platform.platform()}


def environment_line() -> str:
    """The environment in one line, for the head of a notebook."""
    versions = package_versions()
    parts = [f"{name} {versions[name]}" for name in ("python", "toposlearn", "torch", "monai") if name in versions]
    return " · ".join([*parts, device_name()])


def commit_hash() -> str | None:
    """The git commit of the source tree, with ``+`` when it has changes; None outside a checkout."""
    root = Path(__file__).resolve().parent.parent
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=12", "--dirty=+"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def check_writable(folder: Path) -> None:
    """Raise PermissionError unless `folder` can be written or made. Call it before long work."""
    place = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        reason = f"{place} is no folder that may be written"
        raise PermissionError(f"cannot write to {folder}: {reason}; choose another --out")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it only if the block succeeds: no half-written file is left."""
    path = Path(path)
    suffix = "".join(path.suffixes[-2:])  # keep .nii.gz: writers choose the format by it
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part{suffix}")  # processes of two machines too
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> Path:
    """Write a text file, complete or not at all, and make its folder."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path


def write_json(path: str | Path, value: Any) -> Path:
    """Write JSON, complete or not at all. NaN is refused: JSON has none."""
    return write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def metric(
    value: float,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str | None = None,
    n: int | None = None,
    null: float | None = None,
    baseline: float | None = None,
) -> dict[str, Any]:
    """One measured number with its interval, null and baseline; unknown parts are left out."""
    parts = {"value": value, "low": low, "high": high, "unit": unit, "n": n, "null": null, "baseline": baseline}
    return {name: part for name, part in parts.items() if part is not None}


def write_result(
    path: str | Path,
    *,
    source: str,
    metrics: Mapping[str, Mapping[str, Any]],
    config: Mapping[str, Any] | None = None,
    seeds: Sequence[int] | None = None,
    seconds: float | None = None,
) -> Path:
    """Write a result file (schema ``toposlearn/result/1``); `source` is the notebook or command that measured."""
    optional = {"config": config, "seeds": seeds, "commit": commit_hash(), "seconds": seconds}
    result = {
        "schema": RESULT_SCHEMA,
        "source": source,
        "metrics": {name: dict(value) for name, value in metrics.items()},
        **{name: value for name, value in optional.items() if value is not None},
        "versions": package_versions(),
        "device": device_name(),
        "peak_memory_bytes": peak_memory_bytes(),
    }
    return write_json(path, result)
