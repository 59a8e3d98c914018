"""From the grid of the network back to the voxels of the person's own files."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from toposlearn.arrays import Float32s, Float64s

Affine = Float64s  # (4, 4), voxel to RAS mm
SLAB, BLOCK = 2_000_000, 16  # voxels that are read at once; side of the blocks in which classes compete
ROUNDED = 0.999  # probabilities may sum to a little less than one


def classes_on_grid(probabilities: Tensor, affine: Affine, shape: tuple[int, ...], own: Affine) -> NDArray[np.int16]:
    """The most probable of C classes (X, Y, Z) at every voxel of another grid, linear between voxels.

    `probabilities` (C, D, H, W) lie on the grid of `affine`, and sum to one; beyond it is class 0. Block by block: a
    class can win only where one of the voxels around has at least 1/C of it, and only such classes are read.
    """
    count, to_voxels = len(probabilities), np.linalg.inv(affine) @ own
    beyond = F.one_hot(torch.tensor(0), count).view(count, 1, 1, 1)
    framed = F.pad(probabilities.float() - beyond, (1,) * 6) + beyond  # one voxel of what lies beyond on each side
    best = np.zeros(shape, np.int16)
    for start in itertools.product(*(range(0, side, BLOCK) for side in shape)):
        block = tuple(slice(first, min(first + BLOCK, side)) for first, side in zip(start, shape, strict=True))
        voxels = _voxels(block, to_voxels) + 1  # of the frame
        low = np.maximum(np.floor(voxels.amin((0, 1, 2)).numpy()), 0).astype(int)
        high = np.minimum(np.ceil(voxels.amax((0, 1, 2)).numpy()), np.array(framed.shape[1:]) - 1).astype(int)
        if (low >= high).any():
            continue
        around = framed[:, *(slice(a, b + 1) for a, b in zip(low.tolist(), high.tolist(), strict=True))]
        possible = (around.amax((1, 2, 3)) >= ROUNDED / count).nonzero()[:, 0]
        if possible.tolist() == [0]:
            continue
        chances = _read(around[possible], voxels - torch.from_numpy(low))
        best[block] = possible[chances.argmax(dim=0)].numpy()
    return best


def values_on_grid(
    values: Tensor, affine: Affine, shape: tuple[int, ...], own: Affine, *, nearest: bool = False, beyond: float = 0.0
) -> Float32s:
    """Values (D, H, W) on the grid of `affine`, at every voxel (X, Y, Z) of another grid; `beyond` outside of it.

    Linear between voxels, or with `nearest` those of the nearest voxel.
    """
    to_voxels = np.linalg.inv(affine) @ own
    result, mode = np.empty(shape, np.float32), "nearest" if nearest else "bilinear"
    source = (values.float() - beyond)[None]  # what is added beyond the edge is zero
    step = max(1, SLAB // max(1, shape[1] * shape[2]))
    for start in range(0, shape[0], step):
        slab = slice(start, min(start + step, shape[0]))
        voxels = _voxels((slab, slice(0, shape[1]), slice(0, shape[2])), to_voxels)
        result[slab] = _read(source, voxels, mode)[0].numpy() + np.float32(beyond)
    return result


def _voxels(block: Sequence[slice], to_voxels: Affine) -> Tensor:
    """Where the voxels of a block (X, Y, Z) of one grid lie in another grid, in its voxels: (X, Y, Z, 3) float64."""
    axes = (torch.arange(part.start, part.stop, dtype=torch.float64) for part in block)
    index = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    return index @ torch.from_numpy(to_voxels[:3, :3].T.copy()) + torch.from_numpy(to_voxels[:3, 3].copy())


def _read(maps: Tensor, voxels: Tensor, mode: str = "bilinear") -> Tensor:
    """Maps (C, D, H, W) at places (X, Y, Z, 3) given in their voxels -> (C, X, Y, Z); zero beyond them."""
    size = torch.tensor(maps.shape[1:], dtype=torch.float64)
    points = ((2 * voxels + 1) / size - 1).flip(-1).float()  # grid_sample counts W H D
    return F.grid_sample(maps[None], points[None], mode, padding_mode="zeros", align_corners=False)[0]
