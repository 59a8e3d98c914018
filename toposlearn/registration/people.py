"""Registration of everyone with everyone, kept on disk by the content of the images."""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from toposlearn.progress import progress
from toposlearn.registration.pair import Kind, center_map, register
from toposlearn.reproducibility import atomic_path

VERSION = "1"  # of the method: tables of another are not read


@dataclass(frozen=True, eq=False)
class Registrations:
    """Maps between S people, and where the registration failed: there only the heads' centers are made equal."""

    maps: Tensor  # (S, S, 3, 4), from mm on the grid of p to mm on the grid of q
    failed: Tensor  # (S, S) bool


def register_people(
    first: Tensor, second: Tensor, masks: Tensor, spacing: float, kind: Kind, *, cache: Path | None = None
) -> Registrations:
    """Register volumes (S, D, H, W) of each person p with those of each q, heads `masks` (S, D, H, W), `spacing` in mm.

    Where both are the same modality, every two people are registered once, and the map is inverted. A table is read
    from the folder `cache` when the same images were registered before. The number of failures is written to stderr.
    """
    file = None if cache is None else cache / f"{_key(first, second, masks, spacing, kind)}.safetensors"
    if file is not None and file.exists():
        result = Registrations(**load_file(file))
    else:
        result = _register_all(first, second, masks, spacing, kind)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(file) as partial:
                save_file(vars(result), partial)
    if result.failed.any():
        what = f"{kind} registration failed in {int(result.failed.sum())} of {result.failed.numel()} pairs"
        tqdm.write(f"{what}: only the centers of these heads are made equal", file=sys.stderr)
    return result


def _register_all(first: Tensor, second: Tensor, masks: Tensor, spacing: float, kind: Kind) -> Registrations:
    """The table of `register_people`, made anew."""
    count, same = len(first), torch.equal(first, second)
    maps, failed = torch.eye(3, 4).repeat(count, count, 1, 1), torch.zeros(count, count, dtype=torch.bool)
    pairs = [(p, q) for p in range(count) for q in range(count) if p < q or not same]
    for p, q in progress(pairs, description=f"{kind} registration", unit="pair", total=len(pairs)):
        maps[p, q], failed[p, q] = _register(first[p], second[q], (masks[p], masks[q]), spacing, kind)
        if same:
            maps[q, p], failed[q, p] = inverse_map(maps[p, q]), failed[p, q]
    return Registrations(maps, failed)


def inverse_map(maps: Tensor) -> Tensor:
    """The maps (..., 3, 4) that lead back."""
    back = torch.linalg.inv(maps[..., :3])
    return torch.cat([back, -back @ maps[..., 3:]], dim=-1)


def _register(
    first: Tensor, second: Tensor, masks: tuple[Tensor, Tensor], spacing: float, kind: Kind
) -> tuple[Tensor, bool]:
    """The map (3, 4) of one pair, and whether SimpleITK failed to find it."""
    try:
        return register(first, second, masks, spacing, kind), False
    except RuntimeError:
        return center_map(masks, spacing), True


def _key(first: Tensor, second: Tensor, masks: Tensor, spacing: float, kind: Kind) -> str:
    """A digest of all that a table depends on."""
    digest = hashlib.sha256(f"{VERSION} {kind} {spacing} {tuple(first.shape)}".encode())
    for part in (first, second, masks):
        digest.update(part.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
