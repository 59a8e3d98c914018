"""Check of the exercise on anatomical topology: what a learner wrote against the right answer and the usual mistakes.

A right answer gives one line to read; a wrong one raises AssertionError that says what is wrong and what to look at.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]


def check_medial_margin(fn: Callable[[Points, Points], float]) -> str:
    """``fn(points_a, points_b)``: by how many mm structure a is medial to b.

    Points are (V, 3) in the person's own frame, in mm, first coordinate to the right of the mid-sagittal plane. The
    answer is the mean distance of b's points to that plane, minus that of a's.
    """
    rng = np.random.default_rng(0)
    inner = rng.normal((3, 0, 0), (4, 5, 5), size=(400, 3))  # crosses the plane
    outer = rng.normal((22, 8, 3), (3, 5, 5), size=(300, 3))
    for side, mirror in (("right", (1, 1, 1)), ("left", (-1, 1, 1))):
        a, b = inner * mirror, outer * mirror
        _judge(fn(a, b), a, b, side)
    _judge(fn(outer, inner), outer, inner, "right, outer structure first")
    return "Right. Positive when a lies nearer to the middle, on either side; how far says how safe the relation is."


def _judge(got: object, a: Points, b: Points, side: str) -> None:
    if got is None:
        raise AssertionError("medial margin: your function returns nothing (hint: `return`).")
    seen = np.asarray(got)
    if seen.ndim or seen.dtype.kind not in "fiu":
        raise AssertionError(
            f"medial margin: expected one number in mm, got {type(got).__name__} of shape {seen.shape}."
        )
    value, right = float(seen), _mean_depth(b) - _mean_depth(a)
    if np.isclose(value, right):
        return
    for hint, wrong in _mistakes(a, b).items():
        if np.isclose(value, wrong):
            raise AssertionError(f"medial margin ({side}): {hint}")
    raise AssertionError(f"medial margin ({side}): expected {right:.2f} mm, got {value:.2f} mm.")


def _mean_depth(points: Points) -> float:
    return float(np.abs(points[:, 0]).mean())


def _mistakes(a: Points, b: Points) -> dict[str, float]:
    centers = a.mean(axis=0), b.mean(axis=0)
    return {
        "the sign is turned: positive must mean that a is nearer to the middle.": _mean_depth(a) - _mean_depth(b),
        "on the left, 'right of the plane' is negative: distance to the plane needs an absolute value (hint: "
        "`np.abs`).": float(centers[1][0] - centers[0][0]),
        "take the absolute value of each point before the mean: a structure that crosses the plane has points on both "
        "sides, and their mean cancels.": float(abs(centers[1][0]) - abs(centers[0][0])),
        "use the first coordinate only: front, back, up and down do not count for medial.": float(
            np.linalg.norm(b, axis=1).mean() - np.linalg.norm(a, axis=1).mean()
        ),
        "you averaged all three coordinates: the first one is the distance to the plane.": float(
            np.abs(b).mean() - np.abs(a).mean()
        ),
    }
