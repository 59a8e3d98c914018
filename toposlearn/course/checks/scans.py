"""Checks of the exercises on scans (world coordinates, inversion time) and on relations between their structures."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from toposlearn.arrays import Float64s
from toposlearn.course.checks.check import Check, Inputs


def voxel_to_world(voxels: Float64s, affine: Float64s) -> Float64s:
    """World coordinates (V, 3) in mm of voxel indices (V, 3); affine (4, 4)."""
    return voxels @ affine[:3, :3].T + affine[:3, 3]


# An oblique scan: voxels of 1 x 2 x 3 mm, indices running to the left first.
AFFINE = [[-0.96, 0.56, 0.0, 90.0], [-0.28, -1.92, 0.0, 120.0], [0.0, 0.0, 3.0, -70.0], [0.0, 0.0, 0.0, 1.0]]


def _any_scan(rng: np.random.Generator) -> Inputs:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix() * rng.uniform(0.5, 4, size=3)
    affine[:3, 3] = rng.uniform(-100, 100, size=3)
    return rng.integers(0, 200, size=(rng.integers(1, 12), 3)), affine


VOXELS = np.random.default_rng(0).integers(0, 90, size=(7, 3))
check_voxel_to_world = Check(voxel_to_world, {"": (VOXELS, np.array(AFFINE))}, _any_scan)


def null_time(t1: float, repetition: float) -> float:
    """Inversion time in ms at which a tissue with this T1 (ms) gives no signal, at this repetition time (ms)."""
    return float(t1 * np.log(2 / (1 + np.exp(-repetition / t1))))


TIMES = {
    "T1 1200, TR very long": (1200.0, 1e6),
    "T1 4000, TR 8000": (4000.0, 8000.0),
    "T1 900, TR 2500": (900.0, 2500.0),
}


def _any_times(rng: np.random.Generator) -> Inputs:
    return float(rng.uniform(300, 4500)), float(rng.uniform(1500, 12000))


check_null_time = Check(null_time, TIMES, _any_times, near=1.0)  # ms, for a time found by search


def medial_margin(points_a: Float64s, points_b: Float64s) -> float:
    """How many mm nearer to the middle plane a is than b, on average. Points (V, 3), first coordinate: right."""
    return _depth(points_b) - _depth(points_a)


def _depth(points: Float64s) -> float:
    return float(np.abs(points[:, 0]).mean())


def _both_sides() -> dict[str, Inputs]:
    """One structure crosses the plane, the other lies on one side of it."""
    rng, to_the_left = np.random.default_rng(0), np.array([-1.0, 1.0, 1.0])
    inner, outer = rng.normal((3, 0, 0), (4, 5, 5), size=(400, 3)), rng.normal((22, 8, 3), (3, 5, 5), size=(300, 3))
    return {
        "on the right": (inner, outer),
        "on the left": (inner * to_the_left, outer * to_the_left),
        "outer structure first": (outer, inner[:99]),
    }


def _any_points(rng: np.random.Generator) -> Float64s:
    return rng.normal(rng.uniform(-25, 25, size=3), rng.uniform(2, 6, size=3), size=(rng.integers(5, 60), 3))


check_medial_margin = Check(medial_margin, _both_sides(), lambda rng: (_any_points(rng), _any_points(rng)))


def share_kept(before: Float64s, after: Float64s, threshold: float) -> float:
    """Share of the relations decided before, |margin| > threshold, whose sign stays. Margins (P,) in mm."""
    return float(_same_sign(before, after)[_decided(before, threshold)].mean())


def _decided(margins: Float64s, threshold: float) -> NDArray[np.bool_]:
    return np.greater(np.abs(margins), threshold)


def _same_sign(before: Float64s, after: Float64s) -> NDArray[np.bool_]:
    return np.equal(np.sign(before), np.sign(after))


BEFORE = np.array([12, 3, 5, 1.5, 8, 4, 6, -7, -2, -9, -3, -5, 0.4, -0.3, 0.9, 0.2, 0.6])
AFTER = np.array([9, 3.8, 2, 4, 6, 0.2, -1, -4, -8, -0.5, 2, 6, 3, 5, -2, -6, 1])


def _any_change(rng: np.random.Generator) -> Inputs:
    """No margin lies at 0 or at `threshold`; at least one is decided."""
    size, threshold = rng.integers(5, 40), float(rng.uniform(0.5, 3))
    before, after = (rng.choice([-1, 1], size) * rng.uniform(0.1, 0.9, size) * threshold for _ in range(2))
    large = rng.random(size) < 0.6
    large[0] = True
    before = np.where(large, np.sign(before) * rng.uniform(1.1, 5, size) * threshold, before)
    return before, np.where(rng.random(size) < 0.6, after * 8, after), threshold


UNCHANGED = {"nothing changes": (BEFORE, BEFORE, 1.1)}
check_share_kept = Check(share_kept, {"": (BEFORE, AFTER, 1.1)}, _any_change, UNCHANGED)
