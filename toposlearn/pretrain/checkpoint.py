"""The state of a run, written whole or not at all, and read without unpickling code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from toposlearn.reproducibility import atomic_path

NAME = "checkpoint.pt"


def save_checkpoint(folder: Path, *, step: int, **states: dict[str, Any]) -> None:
    """Write the state dictionaries after `step` steps; the file before is replaced only when this one is complete.

    Random generators need no saving: every draw of a step follows from the seed and the step's number.
    """
    with atomic_path(folder / NAME) as partial:
        torch.save({"step": step, **states}, partial)


def has_checkpoint(folder: Path) -> bool:
    """Whether there is something to resume."""
    return (folder / NAME).is_file()


def load_checkpoint(folder: Path, device: torch.device) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote (tensors and numbers only: ``weights_only=True``).

    Raises:
        ValueError: the file is damaged.
    """
    path = folder / NAME
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception:  # torch tells damage in many ways: RuntimeError, UnpicklingError, EOFError, KeyError, OSError
        raise ValueError(f"{path} is damaged: start again without --resume, in another --out") from None
    return state
