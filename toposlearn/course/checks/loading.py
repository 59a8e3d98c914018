"""Checks of the exercises on loading volumes: world coordinates, and the inversion time of a null."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from toposlearn.arrays import Float64s
from toposlearn.course.checks.check import Check, Inputs


def voxel_to_world(voxels: Float64s, affine: Float64s) -> Float64s:
    """World coordinates (V, 3) in mm of voxel indices (V, 3); affine (4, 4)."""
    return voxels @ affine[:3, :3].T + affine[:3, 3]


def _with_ones(voxels: Float64s) -> Float64s:
    return np.concatenate([voxels, np.ones((len(voxels), 1))], axis=1)


def _oblique_scan() -> dict[str, Inputs]:
    """Voxels of 1 x 2 x 3 mm, indices running to the left first."""
    affine = [[-0.96, 0.56, 0.0, 90.0], [-0.28, -1.92, 0.0, 120.0], [0.0, 0.0, 3.0, -70.0], [0.0, 0.0, 0.0, 1.0]]
    return {"": (np.random.default_rng(0).integers(0, 90, size=(7, 3)), np.array(affine))}


def _any_scan(rng: np.random.Generator) -> Inputs:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix() * rng.uniform(0.5, 4, size=3)
    affine[:3, 3] = rng.uniform(-100, 100, size=3)
    return rng.integers(0, 200, size=(rng.integers(1, 12), 3)), affine


check_voxel_to_world = Check(
    "world coordinates",
    voxel_to_world,
    cases=_oblique_scan,
    draw=_any_scan,
    meaning="Every voxel of every file gets a place in mm, whatever the order of its axes.",
)


def null_time(t1: float, repetition: float) -> float:
    """Inversion time in ms at which a tissue with this T1 (ms) gives no signal, at this repetition time (ms)."""
    return float(t1 * np.log(2 / (1 + np.exp(-repetition / t1))))


SOLVE = "Set the bracket of the equation to zero and solve for TI."

check_null_time = Check(
    "inversion time in ms",
    null_time,
    cases=lambda: {
        "T1 1200, TR very long": (1200.0, 1e6),
        "T1 4000, TR 8000": (4000.0, 8000.0),
        "T1 900, TR 2500": (900.0, 2500.0),
    },
    draw=lambda rng: (float(rng.uniform(300, 4500)), float(rng.uniform(1500, 12000))),
    signs={
        f"this is no time at all: an exponent or a logarithm is out of range. {SOLVE}": (
            lambda got, t1, repetition: not bool(got.isfinite().all())
        ),
        f"a time after the inversion is positive. {SOLVE}": (
            lambda got, t1, repetition: got.numel() == 1 and float(got) < 0
        ),
        f"too early: the magnetization is still negative. {SOLVE}": (
            lambda got, t1, repetition: got.ndim == 0 and float(got) < null_time(t1, repetition)
        ),
        f"too late: the magnetization is positive again. {SOLVE}": (
            lambda got, t1, repetition: got.ndim == 0 and float(got) > null_time(t1, repetition)
        ),
    },
    near=1.0,  # ms, for a time found by search
    meaning="A tissue is nulled by its T1 and the repetition time alone; TE and density do not matter.",
)
