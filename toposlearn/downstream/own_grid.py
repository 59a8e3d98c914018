"""From the grid of the network back to the voxels of the person's own files."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from toposlearn.arrays import Float32s, Float64s

Affine = Float64s  # (4, 4), voxel to RAS mm
SLAB = 2_000_000  # voxels that are read at once


def classes_on_grid(probabilities: Tensor, affine: Affine, shape: tuple[int, ...], own: Affine) -> NDArray[np.int16]:
    """The most probable of C classes (X, Y, Z) at every voxel of another grid, linear between voxels.

    `probabilities` (C, D, H, W) lie on the grid of `affine`, and sum to one; beyond it is class 0. A class can win only
    where one of the voxels around has at least 1/C of it: it is read there alone, in its box.
    """
    count = len(probabilities)
    best, most = np.zeros(shape, np.int16), probability_on_grid(probabilities[0], affine, shape, own, beyond=1.0)
    for number in range(1, count):
        where = (probabilities[number] >= 1 / count).nonzero()
        if not len(where):
            continue
        box = _box(where.amin(0).numpy() - 1, where.amax(0).numpy() + 1, affine, shape, own)
        origin = own @ _shift([part.start for part in box])
        size = tuple(part.stop - part.start for part in box)
        if min(size) < 1:
            continue
        value = probability_on_grid(probabilities[number], affine, size, origin)
        wins = value > most[box]
        best[box][wins], most[box][wins] = number, value[wins]
    return best


def probability_on_grid(
    values: Tensor, affine: Affine, shape: tuple[int, ...], own: Affine, *, beyond: float = 0.0
) -> Float32s:
    """Values (D, H, W) on the grid of `affine`, at every voxel (X, Y, Z) of another grid; `beyond`: outside of it."""
    to_voxels = np.linalg.inv(affine) @ own
    result = np.empty(shape, np.float32)
    source = (values.float() - beyond)[None, None]  # what is added beyond the edge is zero
    step = max(1, SLAB // max(1, shape[1] * shape[2]))
    size = torch.tensor(values.shape, dtype=torch.float64)
    for start in range(0, shape[0], step):
        stop = min(start + step, shape[0])
        axes = (torch.arange(start, stop), torch.arange(shape[1]), torch.arange(shape[2]))
        index = torch.stack(torch.meshgrid(*(axis.double() for axis in axes), indexing="ij"), dim=-1)
        voxels = index @ torch.from_numpy(to_voxels[:3, :3].T.copy()) + torch.from_numpy(to_voxels[:3, 3].copy())
        points = ((2 * voxels + 1) / size - 1).flip(-1).float()  # grid_sample counts W H D
        read = F.grid_sample(source, points[None], padding_mode="zeros", align_corners=False)[0, 0]
        result[start:stop] = read.numpy() + np.float32(beyond)
    return result


def _box(low: Float64s, high: Float64s, affine: Affine, shape: tuple[int, ...], own: Affine) -> tuple[slice, ...]:
    """The voxels of another grid that may lie in a box of voxels."""
    corners = np.array(list(itertools.product(*zip(low, high, strict=True))))
    to_own = np.linalg.inv(own) @ affine
    there = corners @ to_own[:3, :3].T + to_own[:3, 3]
    first = np.maximum(np.floor(there.min(axis=0)), 0).astype(int)
    last = np.minimum(np.ceil(there.max(axis=0)) + 1, shape).astype(int)
    return tuple(slice(int(a), max(int(a), int(b))) for a, b in zip(first, last, strict=True))


def _shift(start: list[int]) -> Affine:
    moved = np.eye(4)
    moved[:3, 3] = start
    return moved
