"""Check of the exercise on loading volumes: what a learner wrote against the right answer and the usual mistakes.

A right answer gives one line to read; a wrong one raises AssertionError that says what is wrong and what to look at.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# A scan that lies obliquely, with voxels of 1 x 2 x 3 mm, indices running to the left first.
AFFINE: Array = np.array(
    [[-0.96, 0.56, 0.0, 90.0], [-0.28, -1.92, 0.0, 120.0], [0.0, 0.0, 3.0, -70.0], [0.0, 0.0, 0.0, 1.0]]
)


def check_voxel_to_world(fn: Callable[[Array, Array], Array]) -> str:
    """``fn(voxels, affine)``: world coordinates (V, 3) in mm of voxel indices (V, 3), affine (4, 4)."""
    voxels = np.random.default_rng(0).integers(0, 90, size=(7, 3)).astype(float)
    right = voxels @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    got = fn(voxels, AFFINE)
    if got is None:
        raise AssertionError("world coordinates: your function returns nothing (hint: `return`).")
    seen = np.asarray(got)
    if seen.dtype.kind not in "fiu":
        raise AssertionError(f"world coordinates: expected numbers of shape {right.shape}, got {type(got).__name__}.")
    if seen.shape == right.shape and np.allclose(seen, right):
        return "Right. Every voxel of every file gets a place in mm, whatever the order of its axes."
    for hint, wrong in _mistakes(voxels).items():
        if seen.shape == wrong.shape and np.allclose(seen, wrong):
            raise AssertionError(f"world coordinates: {hint}")
    if seen.shape != right.shape:
        raise AssertionError(f"world coordinates: expected the shape {right.shape} (V, 3), got {seen.shape}.")
    first = ", ".join(f"{value:.1f}" for value in right[0])
    raise AssertionError(f"world coordinates: the first voxel lies at ({first}) mm, you found {seen[0].round(1)}.")


def _mistakes(voxels: Array) -> dict[str, Array]:
    linear, origin = AFFINE[:3, :3], AFFINE[:3, 3]
    ones = np.concatenate([voxels, np.ones((len(voxels), 1))], axis=1)
    spacing = np.linalg.norm(linear, axis=0)
    return {
        "the origin is missing: add the last column of the affine, where voxel (0, 0, 0) lies.": voxels @ linear.T,
        "the matrix is turned: its *columns* are the steps of the indices (hint: `.T`).": voxels @ linear + origin,
        "you scaled by the voxel size only: this scan lies obliquely, use the whole matrix.": voxels * spacing + origin,
        "you read only the diagonal: off-diagonal entries turn the axes.": voxels * np.diag(linear) + origin,
        "a fourth column is left, which is always 1: give the first three.": ones @ AFFINE.T,
        "this is the way back, from mm to voxels: use the affine itself, not its inverse.": (
            (voxels - origin) @ np.linalg.inv(linear).T
        ),
        "the answer has coordinates as rows: one row a voxel, please (V, 3).": (voxels @ linear.T + origin).T,
    }
