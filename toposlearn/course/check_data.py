"""Checks of the exercises on loading volumes: what a learner wrote against the right answer and the usual mistakes.

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


def check_null_time(fn: Callable[[float, float], float]) -> str:
    """``fn(t1, repetition)``: the inversion time in ms at which a tissue with this T1 gives no signal."""
    for t1, repetition in ((1200.0, 1e6), (4000.0, 8000.0), (900.0, 2500.0)):  # the first: fully relaxed
        got, right = fn(t1, repetition), float(t1 * np.log(2 / (1 + np.exp(-repetition / t1))))
        if got is None:
            raise AssertionError("inversion time: your function returns nothing (hint: `return`).")
        if np.ndim(got) or np.asarray(got).dtype.kind not in "fiu":
            raise AssertionError(f"inversion time: expected one number in ms, got {type(got).__name__}.")
        if np.isclose(got, right, rtol=1e-4):
            continue
        for hint, wrong in _wrong_times(t1, repetition).items():
            if np.isclose(got, wrong, rtol=1e-4):
                raise AssertionError(f"inversion time: {hint}")
        left = 1 - 2 * np.exp(-float(got) / t1) + np.exp(-repetition / t1)
        raise AssertionError(
            f"inversion time: for T1 {t1:.0f} and TR {repetition:.0f} ms you give {float(got):.0f} ms, where "
            f"{left:+.2f} of the signal is left. Set the bracket of the equation to zero and solve for TI."
        )
    return "Right. A tissue is nulled by its T1 and the repetition time alone; TE and density have no say."


def _wrong_times(t1: float, repetition: float) -> dict[str, float]:
    """Only those that differ from the right time for these values are ever met."""
    decay = float(np.exp(-repetition / t1))
    return {
        "right where TR is very long; here the tissue has not recovered: keep the term exp(-TR / T1).": t1 * np.log(2),
        "the sign is turned: TI is positive (hint: exp(-TI / T1) is smaller than 1).": t1 * np.log((1 + decay) / 2),
        "you took the logarithm to base 10: the exponential needs the natural one (`np.log`).": (
            t1 * np.log10(2 / (1 + decay))
        ),
        "you took the logarithm to base 2: the exponential needs the natural one (`np.log`).": (
            t1 * np.log2(2 / (1 + decay))
        ),
        "the sign of exp(-TR / T1) is turned: it stands with a plus in the bracket.": t1 * np.log(2 / (1 - decay)),
        "T1 is missing: the logarithm gives TI in units of T1.": np.log(2 / (1 + decay)),
        "the factor 2 of the inversion is missing: magnetization starts at -1, not at 0.": t1 * np.log(1 / (1 + decay)),
        "you gave seconds: times are in ms here.": t1 * np.log(2 / (1 + decay)) / 1000,
    }
