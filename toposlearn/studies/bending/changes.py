"""Ways to change a head, one at a time: in which unit, by which amounts, and how far the cohort itself goes.

A bend is the flow of a velocity field, and an amount of it is how long one follows the flow: ten short steps rather
than one strong map, since a strong map sampled on a lattice folds. A pose is an affine; grain is the size of voxels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch import Tensor

from toposlearn.cohort.deformation import SCALES, ControlGrid, bulge_velocity, growth_velocity, random_velocity
from toposlearn.cohort.head import Head
from toposlearn.cohort.lesions import KINDS as LESION_KINDS
from toposlearn.cohort.pathology import ATROPHY_MM, VENTRICLES
from toposlearn.cohort.recipes import BODIES
from toposlearn.cohort.subject import MALE_SCALE

Array = NDArray[np.float64]
Measure = Literal["amount", "bend", "largest", "ventricles"]
SITE_DEPTH_MM = 5.0  # of white matter, where the cohort's gliomas begin


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
    def ends(self) -> Array:
        """Template mm of the lowest and the highest corner of what is not air, (2, 3)."""
        inside = np.argwhere(self.head.labels > 0)
        ends = np.stack([inside.min(axis=0), inside.max(axis=0)])
        return np.asarray(ends @ self.head.affine[:3, :3].T + self.head.affine[:3, 3])

    @cached_property
    def ventricles(self) -> float:
        """Volume of lateral and third ventricles, mm³."""
        return float(self.head.mask(*VENTRICLES).sum() * self.head.spacing**3)

    @cached_property
    def atrophy(self) -> Array:
        """Velocity (3, X, Y, Z): the ventricles grow by 1 mm at most, and the hippocampus shrinks in proportion."""
        ventricles = growth_velocity(self.head.mask(*VENTRICLES), self.grid, self.head)
        hippocampus = growth_velocity(self.head.mask("hippocampus"), self.grid, self.head)
        return ventricles + ATROPHY_MM["hippocampus"] / ATROPHY_MM["ventricles"] * hippocampus

    @cached_property
    def sites(self) -> Array:
        """Template mm (sites, 3) of deep white matter, where a mass may begin."""
        white = self.head.mask("cerebral-white-matter")
        deep = ndimage.distance_transform_edt(white, sampling=self.head.spacing) >= SITE_DEPTH_MM
        return np.asarray(np.argwhere(deep) @ self.head.affine[:3, :3].T + self.head.affine[:3, 3])


@dataclass(frozen=True)
class Change:
    """One kind of change.

    Attributes:
        title: in words.
        unit: of what is on the axis.
        measure: what is on the axis: the amount that was asked for, or what was reached, as
            `toposlearn.studies.bending.growing.Changed` has it.
        amounts: growing; of a bend, whole multiples of the first step.
        cohort: the amounts which the cohort's own people have, lowest and highest.
        bend: draws a velocity (3, X, Y, Z) in mm, of amount 1; None where nothing bends.
        pose: draws a function of the amount that gives the affine, subject world -> centered template (4, 4).
    """

    title: str
    unit: str
    measure: Measure
    amounts: tuple[float, ...]
    cohort: tuple[float, float]
    bend: Callable[[np.random.Generator, Scene], Array] | None = None
    pose: Callable[[np.random.Generator], Callable[[float], Array]] | None = None


def _shape(*scales: tuple[float, float]) -> Callable[[np.random.Generator, Scene], Array]:
    return lambda generator, scene: random_velocity(generator, scene.grid, scales)


def _mass(generator: np.random.Generator, scene: Scene) -> Array:
    """Tissue pushed by at most 1 mm away from a random place in deep white matter."""
    center = scene.sites[generator.integers(len(scene.sites))]
    return bulge_velocity(center, generator.uniform(*LESION_KINDS["glioma"].radius), scene.grid)


def _size(generator: np.random.Generator) -> Callable[[float], Array]:
    return lambda amount: np.diag([1 / amount] * 3 + [1.0])


def _turn(generator: np.random.Generator) -> Callable[[float], Array]:
    """About a random axis, by so many degrees."""
    axis = generator.standard_normal(3)
    axis /= np.linalg.norm(axis)

    def affine(amount: float) -> Array:
        turned = np.eye(4)
        turned[:3, :3] = Rotation.from_rotvec(amount * axis, degrees=True).as_matrix()
        return turned

    return affine


def _shift(generator: np.random.Generator) -> Callable[[float], Array]:
    """In a random direction, by so many mm."""
    way = generator.standard_normal(3)
    way /= np.linalg.norm(way)

    def affine(amount: float) -> Array:
        moved = np.eye(4)
        moved[:3, 3] = amount * way
        return moved

    return affine


def _steps(step: float, count: int) -> tuple[float, ...]:
    """None, one step, two steps and so on."""
    return tuple(step * number for number in range(count + 1))


_POSE = BODIES["plain"].pose
_SIZES = [
    body.scale * sex * (1 + way * body.pose.size)
    for body in BODIES.values()
    for sex, way in ((MALE_SCALE, 1), (1 / MALE_SCALE, -1))
]
_PUSH = max(kind.push * kind.radius[1] for kind in LESION_KINDS.values())  # mm
_ATROPHY = ATROPHY_MM["ventricles"] + max(body.ventricles for body in BODIES.values()) / 2  # severe, and 80 years old
_BEND = "RMS displacement beyond a rigid one, mm"

CHANGES: Mapping[str, Change] = {
    "shape": Change("random shape, as in the cohort", _BEND, "bend", _steps(0.5, 8), (1, 1), _shape(*SCALES)),
    "coarse": Change("coarse bends only (30 mm)", _BEND, "bend", _steps(0.5, 8), (1, 1), _shape(SCALES[0])),
    "fine": Change("fine bends only (14 mm)", _BEND, "bend", _steps(0.75, 8), (1, 1), _shape(SCALES[1])),
    "mass": Change("a mass pushes", "largest displacement, mm", "largest", _steps(3.0, 10), (0, _PUSH), _mass),
    "atrophy": Change(
        "atrophy: ventricles grow",
        "ventricles, times the template's",
        "ventricles",
        _steps(ATROPHY_MM["ventricles"] / 3, 10),
        (0, _ATROPHY),
        lambda generator, scene: scene.atrophy,
    ),
    "size": Change(
        "brain size",
        "times the template's",
        "amount",
        (0.7, 0.85, 1.0, 1.2, 1.4),
        (min(_SIZES), max(_SIZES)),
        pose=_size,
    ),
    "turn": Change("head turned", "degrees", "amount", _steps(45, 4), (0, 3**0.5 * _POSE.rotation), pose=_turn),
    "shift": Change("head shifted", "mm", "amount", _steps(20, 3), (0, 3**0.5 * _POSE.shift), pose=_shift),
    "voxels": Change("voxels only", "voxel size, mm", "amount", (1, 2, 3, 4, 6), (2, 2)),
}
