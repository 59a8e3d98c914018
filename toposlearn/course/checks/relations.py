"""Checks of the exercises on relations between structures: the margin of `medial`, and the share of relations kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toposlearn.arrays import Float64s
from toposlearn.course.checks.check import Check, Inputs

TO_THE_LEFT = np.array([-1.0, 1.0, 1.0])


def medial_margin(points_a: Float64s, points_b: Float64s) -> float:
    """How many mm nearer to the middle plane a is than b, on average. Points (V, 3), first coordinate: right."""
    return _depth(points_b) - _depth(points_a)


def _depth(points: Float64s) -> float:
    return float(np.abs(points[:, 0]).mean())


def _one_across_the_plane() -> dict[str, Inputs]:
    """One structure crosses the plane, the other lies on one side of it."""
    rng = np.random.default_rng(0)
    inner, outer = rng.normal((3, 0, 0), (4, 5, 5), size=(400, 3)), rng.normal((22, 8, 3), (3, 5, 5), size=(300, 3))
    return {
        "on the right": (inner, outer),
        "on the left": (inner * TO_THE_LEFT, outer * TO_THE_LEFT),
        "outer structure first": (outer, inner[:99]),
    }


def _any_points(rng: np.random.Generator) -> Float64s:
    return rng.normal(rng.uniform(-25, 25, size=3), rng.uniform(2, 6, size=3), size=(rng.integers(5, 60), 3))


check_medial_margin = Check(
    "medial margin in mm",
    medial_margin,
    cases=_one_across_the_plane,
    draw=lambda rng: (_any_points(rng), _any_points(rng)),
    meaning="Positive when a lies nearer to the middle, on either side; how far says how safe the relation is.",
)


def share_kept(before: Float64s, after: Float64s, threshold: float) -> float:
    """Share of the relations decided before, |margin| > threshold, whose sign stays. Margins (P,) in mm."""
    return float(_same_sign(before, after)[_decided(before, threshold)].mean())


def _decided(margins: Float64s, threshold: float) -> NDArray[np.bool_]:
    return np.greater(np.abs(margins), threshold)


def _same_sign(before: Float64s, after: Float64s) -> NDArray[np.bool_]:
    return np.equal(np.sign(before), np.sign(after))


def _changed() -> dict[str, Inputs]:
    before = np.array([12, 3, 5, 1.5, 8, 4, 6, -7, -2, -9, -3, -5, 0.4, -0.3, 0.9, 0.2, 0.6])
    after = np.array([9, 3.8, 2, 4, 6, 0.2, -1, -4, -8, -0.5, 2, 6, 3, 5, -2, -6, 1])
    return {"": (before, after, 1.1)}


def _unchanged() -> dict[str, Inputs]:
    before, _, threshold = _changed()[""]
    return {"nothing changes": (before, before, threshold)}


def _any_change(rng: np.random.Generator) -> Inputs:
    """No margin lies at 0 or at `threshold`; at least one is decided."""
    size, threshold = rng.integers(5, 40), float(rng.uniform(0.5, 3))
    before, after = (rng.choice([-1, 1], size) * rng.uniform(0.1, 0.9, size) * threshold for _ in range(2))
    large = rng.random(size) < 0.6
    large[0] = True
    before = np.where(large, np.sign(before) * rng.uniform(1.1, 5, size) * threshold, before)
    return before, np.where(rng.random(size) < 0.6, after * 8, after), threshold


check_share_kept = Check(
    "share kept",
    share_kept,
    cases=_changed,
    edges=_unchanged,
    draw=_any_change,
    meaning="Only what was decided before can be kept, and small is not turned.",
)
