"""What age and a diagnosis do to shape: ventricles grow, the hippocampus shrinks, or one caudate outgrows the other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from toposlearn.cohort.deformation import ControlGrid, growth_velocity
from toposlearn.cohort.head import Head
from toposlearn.cohort.people import Person

VENTRICLES = ("lateral-ventricle", "third-ventricle")
ATROPHY_MM = {"ventricles": 3.5, "hippocampus": -2.5}  # growth at the boundary when severe; negative shrinks
DEGREE_SHARE = {"mild": 1 / 3, "moderate": 2 / 3, "severe": 1.0}
AGE_MM = 1.5  # growth of the ventricles over sixty years, in everybody
DEVELOPMENTAL_MM = 0.5  # of the left caudate, taken from the right: neither head nor structure gets larger


def growth_fields(head: Head, grid: ControlGrid) -> dict[str, NDArray[np.float64]]:
    """Velocity (3, X, Y, Z) that grows a structure by about 1 mm."""
    return {
        "ventricles": growth_velocity(head.mask(*VENTRICLES), grid, head),
        "hippocampus": growth_velocity(head.mask("hippocampus"), grid, head),
        "left caudate": growth_velocity(head.mask("caudate", side="left"), grid, head),
        "right caudate": growth_velocity(head.mask("caudate", side="right"), grid, head),
    }


def shape_velocity(person: Person, growth: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Velocity (3, X, Y, Z) in mm of aging and of the diagnosis."""
    share = DEGREE_SHARE[person.degree] if person.degree else 0.0
    ventricles = ATROPHY_MM["ventricles"] * share + AGE_MM * (person.age - 50) / 60
    velocity = ventricles * growth["ventricles"] + ATROPHY_MM["hippocampus"] * share * growth["hippocampus"]
    if person.diagnosis == "developmental":
        velocity = velocity + DEVELOPMENTAL_MM * (growth["left caudate"] - growth["right caudate"])
    return velocity
