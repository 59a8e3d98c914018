"""What age and a diagnosis do to shape: ventricles grow, the hippocampus shrinks, or one caudate outgrows the other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from toposlearn.anatomy.vocabulary import PAIRED_NAMES
from toposlearn.cohort.deformation import ControlGrid, growth_velocity
from toposlearn.cohort.head import Head
from toposlearn.cohort.recipes import Body
from toposlearn.cohort.traits import Traits

VENTRICLES = ("lateral-ventricle", "third-ventricle")
CEREBRUM = (*(name for name in PAIRED_NAMES if name.endswith("-cortex")), "insula", "cerebral-white-matter")
ATROPHY_MM = {"ventricles": 3.5, "hippocampus": -2.5}  # growth at the boundary when severe; negative shrinks
DEGREE_SHARE = {"mild": 1 / 3, "moderate": 2 / 3, "severe": 1.0}
DEVELOPMENTAL_MM = 0.5  # of the left caudate, taken from the right: neither head nor structure gets larger


def growth_fields(head: Head, grid: ControlGrid) -> dict[str, NDArray[np.float64]]:
    """Velocity (3, X, Y, Z) that grows a structure by about 1 mm."""
    return {
        "ventricles": growth_velocity(head.mask(*VENTRICLES), grid, head),
        "hippocampus": growth_velocity(head.mask("hippocampus"), grid, head),
        "cerebrum": growth_velocity(head.mask(*CEREBRUM), grid, head),
        "left caudate": growth_velocity(head.mask("caudate", side="left"), grid, head),
        "right caudate": growth_velocity(head.mask("caudate", side="right"), grid, head),
    }


def shape_velocity(traits: Traits, growth: Mapping[str, NDArray[np.float64]], body: Body) -> NDArray[np.float64]:
    """Velocity (3, X, Y, Z) in mm of aging, in everybody, and of the diagnosis."""
    share, age = DEGREE_SHARE[traits.degree] if traits.degree else 0.0, (traits.age - 50) / 60
    ventricles = ATROPHY_MM["ventricles"] * share + body.ventricles * age
    velocity = ventricles * growth["ventricles"] + ATROPHY_MM["hippocampus"] * share * growth["hippocampus"]
    if body.cerebrum:
        velocity = velocity - body.cerebrum * age * growth["cerebrum"]
    if traits.diagnosis == "developmental":
        velocity = velocity + DEVELOPMENTAL_MM * (growth["left caudate"] - growth["right caudate"])
    return velocity
