"""Which structures each token holds: a loss sees cells of a grid, a claim about anatomy is about structures.

Notation: V labeled voxels, N tokens (cells of a cubic grid, C order), S structures, F features; places in mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import entr
from torch import Tensor

from toposlearn.anatomy import LabelMap, Structure
from toposlearn.arrays import Float64s
from toposlearn.topology.tokens import grid_positions

BOX = 192.0  # mm, side of the cube about a head that presets lab and gpu see; the longest brain here has 181 mm
OUTSIDE = -1  # no token, no structure

Reading = Literal["home", "mean"]
READINGS: tuple[Reading, ...] = ("home", "mean")
Index = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class HeadPoints:
    """Labeled points of one head."""

    structures: tuple[Structure, ...]  # S, in order of their labels
    points: Float64s  # (V, 3) mm from the middle of the head's bounding box, along the axes of the scan
    index: Index  # (V,) row of each point's structure
    middle: Float64s  # (3,) world mm
    volume: float  # mm³ per point

    @property
    def centers(self) -> Float64s:
        """(S, 3) mm, centroid of each structure."""
        counts = np.bincount(self.index, minlength=len(self.structures))
        sums = [np.bincount(self.index, weights=axis, minlength=len(counts)) for axis in self.points.T]
        return np.asarray(np.stack(sums, axis=1) / counts[:, None])

    def of(self, structures: Sequence[Structure]) -> HeadPoints:
        """Only these structures, in this order; the middle stays that of the whole head."""
        place = np.full(len(self.structures), OUTSIDE)
        place[[self.structures.index(each) for each in structures]] = np.arange(len(structures))
        kept = place[self.index] != OUTSIDE
        return replace(self, structures=tuple(structures), points=self.points[kept], index=place[self.index[kept]])

    def posed(self, pose: Float64s) -> HeadPoints:
        """The head turned, moved and scaled by a pose (3, 4), posed mm -> original mm as `toposlearn.data` draws it."""
        points = (self.points - pose[:, 3]) @ np.linalg.inv(pose[:, :3]).T
        return replace(self, points=points, volume=self.volume / abs(float(np.linalg.det(pose[:, :3]))))


def head_points(label_map: LabelMap, step: float = 2.0) -> HeadPoints:
    """Labeled points of a head about `step` mm apart (every voxel where voxels are larger)."""
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
    """The S structures in the N tokens of one head."""

    structures: tuple[Structure, ...]
    shares: Float64s  # (N, S), the part of a token's volume that is each structure; the rest of it is no structure
    grid: tuple[int, ...]  # number of tokens along each axis
    side: float  # mm of a token

    @property
    def positions(self) -> Float64s:
        """(N, 3) mm, centers of the tokens, from the middle of the grid."""
        return np.asarray(grid_positions(self.grid, 1, self.side).double().numpy())

    @property
    def dominant(self) -> Index:
        """(N,) the structure that fills most of each token, -1 where it holds none."""
        return np.where(self.shares.any(axis=1), self.shares.argmax(axis=1), OUTSIDE)

    @property
    def mixing(self) -> Float64s:
        """(N,) how many structures a token holds, as if all were equally large: exp of the entropy; NaN for none."""
        with np.errstate(invalid="ignore"):
            parts = self.shares / self.shares.sum(axis=1, keepdims=True)
        return np.asarray(np.exp(entr(parts).sum(axis=1)))

    @property
    def homes(self) -> Index:
        """(S,) the home of each structure: the token that holds most of it, -1 where the grid does not reach it."""
        return np.where(self.shares.any(axis=0), self.shares.argmax(axis=0), OUTSIDE)

    def read(self, values: Float64s, how: Reading = "home") -> Float64s:
        """Values of structures from values of tokens: (N, F) -> (S, F), NaN for a structure outside the grid.

        ``"home"`` reads the token that holds most of the structure; ``"mean"`` the mean over all tokens, weighted by
        how much of the structure each holds, which needs the true shares.
        """
        if how == "home":
            return np.where((self.homes != OUTSIDE)[:, None], values[self.homes], np.nan)
        with np.errstate(invalid="ignore"):
            return np.asarray(self.shares.T @ values / self.shares.sum(axis=0)[:, None])

    def same_home(self) -> npt.NDArray[np.bool_]:
        """(S, S) True where two structures have one home."""
        return np.asarray(self.homes[:, None] == self.homes[None])


def tokens_on_box(head: HeadPoints, cells: int, box: float = BOX) -> TokenStructures:
    """The structures in the cells³ cubes of a cubic box (mm) about the middle of a head; points outside are lost."""
    side = box / cells
    cell = np.floor(head.points / side + cells / 2).astype(np.int64)
    inside = ((cell >= 0) & (cell < cells)).all(axis=1)
    token = np.ravel_multi_index(tuple(cell[inside].T), (cells,) * 3)
    counts = _counts(token, head.index[inside], cells**3, len(head.structures))
    return TokenStructures(head.structures, counts * head.volume / side**3, (cells,) * 3, side)


def tokens_of_blocks(labels: Tensor, stride: int, spacing: float, structures: Sequence[Structure]) -> TokenStructures:
    """The structures in the blocks of stride³ voxels (`spacing` mm) of labels (D, H, W), as a network cuts tokens."""
    shape = tuple(labels.shape)
    values = labels.long().numpy().ravel()
    wanted = [each.label for each in structures]
    lookup = np.full(max(int(values.max()), *wanted) + 1, OUTSIDE)
    lookup[wanted] = np.arange(len(wanted))
    grid = tuple(size // stride for size in shape)
    token = np.ravel_multi_index(tuple(axis.ravel() // stride for axis in np.indices(shape)), grid)
    kept = lookup[values] != OUTSIDE
    counts = _counts(token[kept], lookup[values[kept]], int(np.prod(grid)), len(wanted))
    return TokenStructures(tuple(structures), counts / stride**3, grid, stride * spacing)


def _counts(token: Index, index: Index, tokens: int, structures: int) -> Float64s:
    """Points (N, S) of each structure in each token."""
    counts = np.bincount(token * structures + index, minlength=tokens * structures)
    return counts.reshape(tokens, structures).astype(np.float64)
