"""Check of the exercise on anatomical topology: the margin of `medial`, and its usual mistakes.

Points are (V, 3) in the person's own frame, in mm, first coordinate to the right of the mid-sagittal plane.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from toposlearn.course.checks.judge import Check, Inputs

Points = npt.NDArray[np.float64]
TO_THE_LEFT = np.array([-1.0, 1.0, 1.0])


def _cases() -> dict[str, Inputs]:
    """One structure crosses the plane, the other lies on one side of it."""
    rng = np.random.default_rng(0)
    inner, outer = rng.normal((3, 0, 0), (4, 5, 5), size=(400, 3)), rng.normal((22, 8, 3), (3, 5, 5), size=(300, 3))
    return {
        "on the right": (inner, outer),
        "on the left": (inner * TO_THE_LEFT, outer * TO_THE_LEFT),
        "outer structure first": (outer, inner[:99]),
    }


def _draw(rng: np.random.Generator) -> Inputs:
    def points() -> Points:
        return rng.normal(rng.uniform(-25, 25, size=3), rng.uniform(2, 6, size=3), size=(rng.integers(5, 60), 3))

    return points(), points()


def _depth(points: Points) -> float:
    return float(np.abs(points[:, 0]).mean())


check_medial_margin = Check(
    "medial margin in mm",
    right=lambda points_a, points_b: _depth(points_b) - _depth(points_a),
    cases=_cases,
    draw=_draw,
    mistakes={
        "the sign is turned: positive must mean that a is nearer to the middle.": lambda a, b: _depth(a) - _depth(b),
        "on the left, 'right of the plane' is negative: a distance to the plane needs an absolute value (`np.abs`).": (
            lambda a, b: b[:, 0].mean() - a[:, 0].mean()
        ),
        "take the absolute value of each point before the mean: a structure that crosses the plane has points on both "
        "sides, and their mean cancels.": lambda a, b: abs(b[:, 0].mean()) - abs(a[:, 0].mean()),
        "the absolute value of the difference hides which of the two is nearer: a relation that does not hold must "
        "have a negative margin.": lambda a, b: abs(_depth(b) - _depth(a)),
        "this is the distance between the two centers along the first axis: ask for the distance of each to the plane, "
        "and take the absolute value of each point, not of the difference.": lambda a, b: abs(
            b[:, 0].mean() - a[:, 0].mean()
        ),
        "use the first coordinate only: front, back, up and down do not count for medial.": lambda a, b: (
            np.linalg.norm(b, axis=1).mean() - np.linalg.norm(a, axis=1).mean()
        ),
        "you averaged all three coordinates: the first one is the distance to the plane.": lambda a, b: (
            np.abs(b).mean() - np.abs(a).mean()
        ),
        "there is one value per coordinate: the first is the distance to the plane (hint: `[:, 0]`).": lambda a, b: (
            np.abs(b).mean(axis=0) - np.abs(a).mean(axis=0)
        ),
        "`points[0]` is the first point: the first coordinate of all points is `points[:, 0]`.": lambda a, b: (
            np.abs(b[0]).mean() - np.abs(a[0]).mean()
        ),
        "the second coordinate points to the front: the first one is the distance to the plane (counted from 0).": (
            lambda a, b: np.abs(b[:, 1]).mean() - np.abs(a[:, 1]).mean()
        ),
        "the two depths are added: the margin is their difference.": lambda a, b: _depth(a) + _depth(b),
        "this is the depth of b alone: subtract that of a.": lambda a, b: _depth(b),
        "this is the depth of a alone: it is to be subtracted from that of b.": lambda a, b: _depth(a),
        "these are sums over the points: take means, so that a large structure is not a far one.": lambda a, b: (
            np.abs(b[:, 0]).sum() - np.abs(a[:, 0]).sum()
        ),
        "this is the difference of medians: the margin is defined by means.": lambda a, b: (
            np.median(np.abs(b[:, 0])) - np.median(np.abs(a[:, 0]))
        ),
        "this is the gap between the nearest points: the margin is defined by means.": lambda a, b: (
            np.abs(b[:, 0]).min() - np.abs(a[:, 0]).max()
        ),
        "these are squared distances: the margin is in mm (hint: `np.abs`).": lambda a, b: (
            np.square(b[:, 0]).mean() - np.square(a[:, 0]).mean()
        ),
    },
    meaning="Positive when a lies nearer to the middle, on either side; how far says how safe the relation is.",
)
