"""Checks of the exercises on loading volumes: world coordinates, the inversion time of a null, and usual mistakes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from toposlearn.course.checks.judge import Check, Inputs

Array = npt.NDArray[np.float64]


def _oblique() -> Array:
    """Affine of a scan that lies obliquely, with voxels of 1 x 2 x 3 mm, indices running to the left first."""
    return np.array(
        [[-0.96, 0.56, 0.0, 90.0], [-0.28, -1.92, 0.0, 120.0], [0.0, 0.0, 3.0, -70.0], [0.0, 0.0, 0.0, 1.0]]
    )


def _some_voxels() -> dict[str, Inputs]:
    return {"": (np.random.default_rng(0).integers(0, 90, size=(7, 3)), _oblique())}


def _any_voxels(rng: np.random.Generator) -> Inputs:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix() * rng.uniform(0.5, 4, size=3)
    affine[:3, 3] = rng.uniform(-100, 100, size=3)
    return rng.integers(0, 200, size=(rng.integers(1, 12), 3)), affine


def _world(voxels: Array, affine: Array) -> Array:
    return voxels @ affine[:3, :3].T + affine[:3, 3]


def _with_ones(voxels: Array) -> Array:
    return np.concatenate([voxels, np.ones((len(voxels), 1))], axis=1)


def _spacing(affine: Array) -> Array:
    lengths: Array = np.linalg.norm(affine[:3, :3], axis=0)
    return lengths


check_voxel_to_world = Check(
    "world coordinates",
    right=lambda voxels, affine: _world(voxels, affine),
    cases=_some_voxels,
    draw=_any_voxels,
    mistakes={
        "the origin is missing: add the last *column* of the affine, where voxel (0, 0, 0) lies (its last row is "
        "0, 0, 0, 1).": (lambda voxels, affine: voxels @ affine[:3, :3].T),
        "the matrix is turned: its *columns* are the steps of the indices (hint: `.T`).": (
            lambda voxels, affine: voxels @ affine[:3, :3] + affine[:3, 3]
        ),
        "the matrix is turned, and the origin is missing: the last *column* of the affine (hint: `@ affine.T`).": (
            lambda voxels, affine: voxels @ affine[:3, :3] + affine[3, :3]
        ),
        "the fourth column is for the origin: it must be 1, not 0.": (
            lambda voxels, affine: np.concatenate([voxels, np.zeros((len(voxels), 1))], axis=1) @ affine.T
        ),
        "you scaled by the voxel size only: this scan lies obliquely, use the whole matrix.": (
            lambda voxels, affine: voxels * _spacing(affine) + affine[:3, 3]
        ),
        "you read only the diagonal: off-diagonal entries turn the axes.": (
            lambda voxels, affine: voxels * np.diag(affine)[:3] + affine[:3, 3]
        ),
        "`*` multiplies entry by entry: the matrix product is `@`.": (
            lambda voxels, affine: (voxels[:, None] * affine[:3, :3]).sum(1) + affine[:3, 3]
        ),
        "a fourth column is left, which is always 1: give the first three.": (
            lambda voxels, affine: _with_ones(voxels) @ affine.T
        ),
        "a fourth column is left, and the matrix is turned (hint: `@ affine.T`, then `[:, :3]`).": (
            lambda voxels, affine: _with_ones(voxels) @ affine
        ),
        "this is the way back, from mm to voxels: use the affine itself, not its inverse.": (
            lambda voxels, affine: (voxels - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
        ),
        "the origin is subtracted: it is where voxel (0, 0, 0) lies, so it must be added.": (
            lambda voxels, affine: voxels @ affine[:3, :3].T - affine[:3, 3]
        ),
        "the origin is added before the matrix, as if it were counted in voxels: it is in mm, add it last.": (
            lambda voxels, affine: (voxels + affine[:3, 3]) @ affine[:3, :3].T
        ),
        "the answer has coordinates as rows: one row per voxel is asked for, (V, 3).": (
            lambda voxels, affine: _world(voxels, affine).T
        ),
        "the coordinates are cut to whole numbers: an array made like `voxels` holds integers (hint: `np.zeros`).": (
            lambda voxels, affine: np.trunc(_world(voxels, affine))
        ),
        "these are the voxels as they were given: multiply by the matrix, add the origin.": lambda voxels, affine: (
            voxels
        ),
        "the axes stand in another order: x first, z last, as in the affine.": (
            lambda voxels, affine: _world(voxels, affine)[:, ::-1]
        ),
        "this is the first voxel alone: give all of them, (V, 3).": lambda voxels, affine: _world(voxels, affine)[0],
        "this is the last voxel alone: give all of them, (V, 3).": lambda voxels, affine: _world(voxels, affine)[-1],
    },
    meaning="Every voxel of every file gets a place in mm, whatever the order of its axes.",
)


def _null(t1: float, repetition: float) -> float:
    return float(t1 * np.log(2 / (1 + np.exp(-repetition / t1))))


check_null_time = Check(
    "inversion time in ms",
    right=lambda t1, repetition: _null(t1, repetition),
    cases=lambda: {
        "T1 1200, TR very long": (1200.0, 1e6),
        "T1 4000, TR 8000": (4000.0, 8000.0),
        "T1 900, TR 2500": (900.0, 2500.0),
    },
    draw=lambda rng: (float(rng.uniform(300, 4500)), float(rng.uniform(1500, 12000))),
    mistakes={
        "right where TR is very long; here the tissue has not recovered: keep the term exp(-TR / T1).": (
            lambda t1, repetition: t1 * np.log(2)
        ),
        "the sign is turned: TI is positive (hint: exp(-TI / T1) is smaller than 1).": (
            lambda t1, repetition: -_null(t1, repetition)
        ),
        "you took the logarithm to base 10: the exponential needs the natural one (`np.log`).": (
            lambda t1, repetition: _null(t1, repetition) / np.log(10)
        ),
        "you took the logarithm to base 2: the exponential needs the natural one (`np.log`).": (
            lambda t1, repetition: _null(t1, repetition) / np.log(2)
        ),
        "the sign of exp(-TR / T1) is turned: it stands with a plus in the bracket.": (
            lambda t1, repetition: t1 * np.log(2 / (1 - np.exp(-repetition / t1)))
        ),
        "the exponent has the wrong sign: what is left after TR is exp(*minus* TR / T1), which is at most 1.": (
            lambda t1, repetition: t1 * np.log(2 / (1 + np.exp(repetition / t1)))
        ),
        "the fraction in the exponent is upside down: it is TR / T1.": (
            lambda t1, repetition: t1 * np.log(2 / (1 + np.exp(-t1 / repetition)))
        ),
        "T1 is missing: the logarithm gives TI in units of T1.": lambda t1, repetition: _null(t1, repetition) / t1,
        "the logarithm is multiplied by TR: it is T1 by which the tissue recovers.": (
            lambda t1, repetition: repetition * np.log(2 / (1 + np.exp(-repetition / t1)))
        ),
        "the factor 2 of the inversion is missing: magnetization starts at -1, not at 0.": (
            lambda t1, repetition: -t1 * np.log(1 + np.exp(-repetition / t1))
        ),
        "you gave seconds: times are in ms here.": lambda t1, repetition: _null(t1, repetition) / 1000,
        "the logarithm is missing: take it on both sides to get TI out of the exponent.": (
            lambda t1, repetition: t1 * 2 / (1 + np.exp(-repetition / t1))
        ),
        "the logarithm is missing: take it on both sides to get TI out of the exponent (mind the sign).": (
            lambda t1, repetition: t1 * (1 + np.exp(-repetition / t1)) / 2
        ),
        "log(2 / (1 + e)) is log 2 *minus* log(1 + e).": (
            lambda t1, repetition: t1 * (np.log(2) + np.log(1 + np.exp(-repetition / t1)))
        ),
        "mind the order: `2 / 1 + e` is 2 + e. Put brackets around the denominator.": (
            lambda t1, repetition: t1 * np.log(2 / 1 + np.exp(-repetition / t1))
        ),
        "T1 and TR are exchanged: the arguments come as (t1, repetition).": lambda t1, repetition: _null(
            repetition, t1
        ),
    },
    signs={
        "this is no time at all: an exponent or a logarithm is out of range. Set the bracket of the equation to zero "
        "and solve for TI.": lambda got, t1, repetition: not bool(got.isfinite().all()),
        "a time after the inversion is positive. Set the bracket of the equation to zero and solve for TI.": (
            lambda got, t1, repetition: got.numel() == 1 and float(got) < 0
        ),
        "too early: the magnetization is still negative. Set the bracket of the equation to zero and solve for TI.": (
            lambda got, t1, repetition: got.ndim == 0 and float(got) < _null(t1, repetition)
        ),
        "too late: the magnetization is positive again. Set the bracket of the equation to zero and solve for TI.": (
            lambda got, t1, repetition: got.ndim == 0 and float(got) > _null(t1, repetition)
        ),
    },
    near=1.0,  # ms, for a time found by search
    meaning="A tissue is nulled by its T1 and the repetition time alone; TE and density do not matter.",
)
