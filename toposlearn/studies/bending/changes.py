"""Ways to change a head, one at a time: in which unit, by which amounts, and how far the cohort itself goes.

A bend is the flow of a velocity field, and an amount of it is the time for which the flow is followed: ten short steps
rather than one strong map, since a strong map sampled on a lattice folds. A pose is an affine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Literal

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.cohort import deformation
from toposlearn.cohort.deformation import ATROPHY_MM, SCALES, VENTRICLES, ControlGrid
from toposlearn.cohort.head import Head
from toposlearn.cohort.lesions import KINDS, lesion_sites
from toposlearn.cohort.recipes import BODIES
from toposlearn.cohort.subject import MALE_SCALE


@dataclass(frozen=True, eq=False)
class Scene:
    """A head and what is computed from it once."""

    head: Head

    @cached_property
    def grid(self) -> ControlGrid:
        """The lattice of the velocities."""
        return ControlGrid.over(self.head)

    @cached_property
    def labels(self) -> Tensor:
        """(1, X, Y, Z) float, for grid_sample."""
        return torch.as_tensor(self.head.labels, dtype=torch.float32)[None]

    @cached_property
    def corners(self) -> Float64s:
        """Corners (8, 3) of the box around what is not air, in template mm from the center of the brain."""
        inside = np.argwhere(self.head.labels > 0)
        ends = np.stack([inside.min(axis=0), inside.max(axis=0)]) @ self.head.affine[:3, :3].T
        return np.array(list(product(*(ends + self.head.affine[:3, 3] - self.head.center).T)))

    @cached_property
    def atrophy(self) -> Float64s:
        """Velocity (3, X, Y, Z): the ventricles grow by up to 1 mm, and the hippocampus shrinks in proportion."""
        masks = (self.head.mask(*VENTRICLES), self.head.mask("hippocampus"))
        ventricles, hippocampus = (deformation.growth_velocity(mask, self.grid, self.head) for mask in masks)
        return ventricles + ATROPHY_MM["hippocampus"] / ATROPHY_MM["ventricles"] * hippocampus

    @cached_property
    def deep_sites(self) -> Float64s:
        """Template mm (sites, 3) of deep white matter, where a mass may begin."""
        return lesion_sites(self.head)["deep"]


Bend = Callable[[np.random.Generator, Scene], Float64s]
Pose = Callable[[np.random.Generator], Callable[[float], Float64s]]


@dataclass(frozen=True)
class Change:
    """One kind of change.

    Attributes:
        title: in words.
        unit: of what is on the axis.
        measure: what is on the axis, a field of `Changed`: the amount asked for, or what was reached.
        amounts: growing; of a bend, whole multiples of the first step.
        cohort: minimum and maximum amount in the cohort's own subjects.
        bend: draws a velocity (3, X, Y, Z) in mm, of amount 1; None where nothing bends.
        pose: draws a function of the amount that gives the affine, subject world -> centered template (4, 4).
    """

    title: str
    unit: str
    measure: Literal["amount", "bend", "largest", "ventricles"]
    amounts: tuple[float, ...]
    cohort: tuple[float, float]
    bend: Bend | None = None
    pose: Pose | None = None


def _shape(*scales: tuple[float, float]) -> Bend:
    return lambda generator, scene: deformation.random_velocity(generator, scene.grid, scales)


def _mass(generator: np.random.Generator, scene: Scene) -> Float64s:
    """Tissue pushed by up to 1 mm away from a random place in deep white matter."""
    center = scene.deep_sites[generator.integers(len(scene.deep_sites))]
    return deformation.bulge_velocity(center, generator.uniform(*KINDS["glioma"].radius), scene.grid)


def _direction(generator: np.random.Generator) -> Float64s:
    vector = generator.standard_normal(3)
    return np.asarray(vector / np.linalg.norm(vector))


def affine_of(linear: Float64s, shift: Float64s) -> Float64s:
    """Affine (4, 4) of a linear part (3, 3) and a shift (3,)."""
    return np.vstack([np.column_stack([linear, shift]), [0, 0, 0, 1]])


def _size(generator: np.random.Generator) -> Callable[[float], Float64s]:
    return lambda amount: affine_of(np.eye(3) / amount, np.zeros(3))


def _turn(generator: np.random.Generator) -> Callable[[float], Float64s]:
    axis = _direction(generator)
    return lambda amount: affine_of(Rotation.from_rotvec(amount * axis, degrees=True).as_matrix(), np.zeros(3))


def _shift(generator: np.random.Generator) -> Callable[[float], Float64s]:
    direction = _direction(generator)
    return lambda amount: affine_of(np.eye(3), amount * direction)


def _steps(step: float, count: int) -> tuple[float, ...]:
    return tuple(step * number for number in range(count + 1))


_POSE = BODIES["plain"].pose
_SIZES = [
    body.scale * sex * (1 + way * body.pose.size)
    for body in BODIES.values()
    for sex, way in ((MALE_SCALE, 1), (1 / MALE_SCALE, -1))
]
_PUSH = max(kind.push * kind.radius[1] for kind in KINDS.values())  # mm
_ATROPHY = ATROPHY_MM["ventricles"] + max(body.ventricles for body in BODIES.values()) / 2  # severe, and 80 years old
_TIMES = "times the template's"
_BEND = "RMS displacement beyond a rigid one, mm"

CHANGES: Mapping[str, Change] = {
    "shape": Change("random shape, as in the cohort", _BEND, "bend", _steps(0.5, 8), (1, 1), _shape(*SCALES)),
    "coarse": Change("coarse bends only (30 mm)", _BEND, "bend", _steps(0.5, 8), (1, 1), _shape(SCALES[0])),
    "fine": Change("fine bends only (14 mm)", _BEND, "bend", _steps(0.75, 8), (1, 1), _shape(SCALES[1])),
    "mass": Change("a mass pushes", "largest displacement, mm", "largest", _steps(3.0, 10), (0, _PUSH), _mass),
    "atrophy": Change(
        "atrophy: ventricles grow",
        f"ventricles, {_TIMES}",
        "ventricles",
        _steps(ATROPHY_MM["ventricles"] / 3, 10),
        (0, _ATROPHY),
        lambda generator, scene: scene.atrophy,
    ),
    "size": Change("brain size", _TIMES, "amount", (0.7, 0.85, 1.0, 1.2, 1.4), (min(_SIZES), max(_SIZES)), pose=_size),
    "turn": Change("head turned", "degrees", "amount", _steps(45, 4), (0, 3**0.5 * _POSE.rotation), pose=_turn),
    "shift": Change("head shifted", "mm", "amount", _steps(20, 3), (0, 3**0.5 * _POSE.shift), pose=_shift),
    "voxels": Change("voxels only", "voxel size, mm", "amount", (1, 2, 3, 4, 6), (2, 2)),
}
