"""Which structure each token holds: a loss sees cells of a grid, a claim about anatomy is about structures.

Notation: V labeled voxels, N tokens (cells of a cubic grid, C order), S structures, F features; places in mm.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import entr
from torch import Tensor

from toposlearn.anatomy import LabelMap, Structure, structure_of
from toposlearn.relations.frame import Array
from toposlearn.topology.tokens import grid_positions

BOX = 192.0  # mm, side of the cube about a head that presets lab and gpu see; the longest brain here has 181 mm
OUTSIDE = -1  # no token, no structure

Read = Literal["home", "mean"]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class HeadPoints:
    """Labeled points of one head.

    Attributes:
        structures: S structures, in order of their labels.
        points: (V, 3) mm, measured from the middle of the head's bounding box, along the axes of the scan.
        index: (V,) which structure each point belongs to.
        middle: (3,) world mm of that middle.
        volume: mm^3 a point stands for.
    """

    structures: tuple[Structure, ...]
    points: Array
    index: Index
    middle: Array
    volume: float

    @property
    def centers(self) -> Array:
        """(S, 3) mm, centroid of each structure."""
        counts = np.bincount(self.index, minlength=len(self.structures))
        sums = [np.bincount(self.index, weights=axis, minlength=len(counts)) for axis in self.points.T]
        return np.asarray(np.stack(sums, axis=1) / counts[:, None])

    def of(self, structures: Sequence[Structure]) -> HeadPoints:
        """Only these structures, in this order; the middle stays that of the whole head.

        Raises:
            ValueError: the head lacks one of them.
        """
        missing = [each.full_name for each in structures if each not in self.structures]
        if missing:
            raise ValueError(f"structures must be in the head, it has no {', '.join(missing)}: leave them out")
        place = np.full(len(self.structures), OUTSIDE)
        place[[self.structures.index(each) for each in structures]] = np.arange(len(structures))
        kept = place[self.index] != OUTSIDE
        return HeadPoints(tuple(structures), self.points[kept], place[self.index[kept]], self.middle, self.volume)

    def posed(self, pose: Array) -> HeadPoints:
        """The head turned, moved and scaled by a pose (3, 4), posed mm -> original mm as `toposlearn.data` draws it."""
        points = (self.points - pose[:, 3]) @ np.linalg.inv(pose[:, :3]).T
        volume = self.volume / abs(float(np.linalg.det(pose[:, :3])))
        return HeadPoints(self.structures, points, self.index, self.middle, volume)


def head_points(label_map: LabelMap, step: float = 2.0) -> HeadPoints:
    """Labeled points of a head about `step` mm apart (every voxel where voxels are larger).

    Raises:
        ValueError: nothing is labeled.
    """
    if not label_map.labels.any():
        raise ValueError(f"label_map {label_map.name} has no labeled voxel: no structure can be placed")
    corners = [np.flatnonzero(label_map.labels.any(axis=axes))[[0, -1]] for axes in ((1, 2), (0, 2), (0, 1))]
    linear, shift = label_map.affine[:3, :3], label_map.affine[:3, 3]
    middle = linear @ np.mean(corners, axis=1) + shift
    every = np.maximum(1, np.rint(step / label_map.spacing).astype(int))
    thinned = label_map.labels[tuple(slice(None, None, part) for part in every)]
    voxels = np.argwhere(thinned)
    present, index = np.unique(thinned[tuple(voxels.T)], return_inverse=True)
    points = (voxels * every) @ linear.T + shift - middle
    volume = float(abs(np.linalg.det(linear)) * every.prod())
    return HeadPoints(tuple(label_map.structures[label] for label in present.tolist()), points, index, middle, volume)


@dataclass(frozen=True, eq=False)
class TokenStructures:
    """What the tokens of one head hold.

    Attributes:
        structures: S structures.
        shares: (N, S), the part of a token's volume that is each structure; the rest of it is no structure.
        positions: (N, 3) mm, centers of the tokens, from the middle of the grid.
    """

    structures: tuple[Structure, ...]
    shares: Array
    positions: Array

    @property
    def dominant(self) -> Index:
        """(N,) the structure that fills most of each token, -1 where it holds none."""
        return np.where(self.shares.any(axis=1), self.shares.argmax(axis=1), OUTSIDE)

    @property
    def mixing(self) -> Array:
        """(N,) how many structures a token holds, as if all were equally large: exp of the entropy; NaN for none."""
        total = self.shares.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            parts = self.shares / total
        return np.asarray(np.exp(entr(parts).sum(axis=1)))

    @property
    def homes(self) -> Index:
        """(S,) the home of each structure: the token that holds most of it, -1 where the grid does not reach it."""
        return np.where(self.shares.any(axis=0), self.shares.argmax(axis=0), OUTSIDE)

    def read(self, values: Array, how: Read = "home") -> Array:
        """What tokens say of each structure: values (N, F) -> (S, F), NaN for a structure the grid does not reach.

        Args:
            values: (N, F), such as positions in mm or the features of a network.
            how: ``"home"`` reads the token that holds most of the structure; ``"mean"`` the mean over all tokens,
                weighted by how much of the structure each holds, which asks for the true shares.
        """
        if how not in ("home", "mean"):
            raise ValueError(f"how must be 'home' or 'mean', got {how!r}")
        reached = self.homes != OUTSIDE
        if how == "home":
            return np.where(reached[:, None], values[self.homes], np.nan)
        with np.errstate(invalid="ignore"):
            return np.asarray(self.shares.T @ values / self.shares.sum(axis=0)[:, None])

    def same_home(self) -> npt.NDArray[np.bool_]:
        """(S, S) True where two structures have one home: whoever compares single tokens takes them for one."""
        return np.asarray(self.homes[:, None] == self.homes[None])


def tokens_on_box(head: HeadPoints, cells: int, box: float = BOX) -> TokenStructures:
    """The structures in the cells³ cubes of a cubic box about the middle of a head; what lies outside is lost.

    Raises:
        ValueError: no cell, or no box.
    """
    if cells < 1 or box <= 0:
        raise ValueError(f"cells must be at least 1 and box positive (mm), got {cells} and {box:g}")
    side = box / cells
    cell = np.floor(head.points / side + cells / 2).astype(np.int64)
    inside = ((cell >= 0) & (cell < cells)).all(axis=1)
    token = np.ravel_multi_index(tuple(cell[inside].T), (cells,) * 3)
    counts = _counts(token, head.index[inside], cells**3, len(head.structures))
    return TokenStructures(head.structures, counts * head.volume / side**3, _centers((cells,) * 3, 1, side))


def tokens_of_blocks(
    labels: Tensor, stride: int, spacing: float, structures: Sequence[Structure] | None = None
) -> TokenStructures:
    """The structures in the blocks of stride³ voxels of a label volume (D, H, W), as a network cuts it into tokens.

    Args:
        labels: (D, H, W), labels of `toposlearn.anatomy`.
        stride: voxels a token.
        spacing: mm a voxel.
        structures: which to look for; absent: all there are.

    Raises:
        ValueError: a size that is no multiple of the stride.
    """
    shape = tuple(labels.shape)
    if len(shape) != 3 or any(size % stride for size in shape):
        raise ValueError(f"labels must be (D, H, W), each a multiple of stride {stride}, got {shape}")
    values = labels.long().numpy().ravel()
    chosen = structures or [structure_of(label) for label in np.unique(values[values > 0]).tolist()]
    lookup = np.full(max(int(values.max()), *(each.label for each in chosen)) + 1, OUTSIDE)
    lookup[[each.label for each in chosen]] = np.arange(len(chosen))
    grid = tuple(size // stride for size in shape)
    axes = torch.meshgrid(*(torch.arange(size) // stride for size in shape), indexing="ij")
    token = np.ravel_multi_index(tuple(axis.numpy().ravel() for axis in axes), grid)
    kept = lookup[values] != OUTSIDE
    counts = _counts(token[kept], lookup[values[kept]], int(np.prod(grid)), len(chosen))
    return TokenStructures(tuple(chosen), counts / stride**3, _centers(shape, stride, spacing))


@functools.lru_cache(maxsize=32)
def _centers(shape: tuple[int, ...], stride: int, spacing: float) -> Array:
    """Centers (N, 3) of tokens in mm, the same array at each call: read only."""
    centers = grid_positions(shape, stride, spacing).double().numpy()
    centers.flags.writeable = False
    return centers


def _counts(token: Index, index: Index, tokens: int, structures: int) -> Array:
    """Points (N, S) of each structure in each token."""
    counts = np.bincount(token * structures + index, minlength=tokens * structures)
    return counts.reshape(tokens, structures).astype(np.float64)
