"""Ways to change a head, one at a time and in growing amounts: its label map, and what the change really reached.

A bend is the flow of a velocity field, and an amount of it is the time for which the flow is followed: ten short steps
rather than one strong map, since a strong map sampled on a lattice folds. A pose is an affine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from toposlearn.anatomy import LabelMap
from toposlearn.arrays import Float64s
from toposlearn.cohort import deformation
from toposlearn.cohort.deformation import ATROPHY_MM, CONTROL_MM, SCALES, VENTRICLES, ControlGrid
from toposlearn.cohort.head import CSF, Head
from toposlearn.cohort.lesions import KINDS, lesion_sites
from toposlearn.cohort.recipes import BODIES
from toposlearn.cohort.subject import MALE_SCALE

VOXEL_MM = 2.0
ROOM_MM = 30.0  # around the head, into which a bend may push it
EVERY = 20  # voxel of the brain, from which the rigid part of a bend is found
MIDPLANE_MM = 1.0  # template tissue this near to x = 0 is the midline


@dataclass(frozen=True, eq=False)
class Scene:
    """A head and what is computed from it once."""

    head: Head

    @cached_property
    def grid(self) -> ControlGrid:
        """The lattice of the velocities."""
        return ControlGrid.over(self.head)

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
    """One kind of change."""

    title: str
    unit: str  # of what is on the axis
    measure: Literal["amount", "bend", "largest", "ventricles"]  # what is on the axis, a field of `Changed`
    amounts: tuple[float, ...]  # growing; of a bend, whole multiples of the first step
    cohort: tuple[float, float]  # minimum and maximum amount in the cohort's own subjects
    bend: Bend | None = None  # draws a velocity (3, X, Y, Z) in mm, of amount 1
    pose: Pose | None = None  # draws a function: amount -> affine, subject world -> centered template (4, 4)


def _shape(*scales: tuple[float, float]) -> Bend:
    return lambda generator, scene: deformation.random_velocity(generator, scene.grid, scales)


def _mass(generator: np.random.Generator, scene: Scene) -> Float64s:
    """Tissue pushed by up to 1 mm away from a random place in deep white matter."""
    center = scene.deep_sites[generator.integers(len(scene.deep_sites))]
    return deformation.bulge_velocity(center, generator.uniform(*KINDS["glioma"].radius), scene.grid)


def _affine(linear: Float64s, shift: Float64s) -> Float64s:
    return np.vstack([np.column_stack([linear, shift]), [0, 0, 0, 1]])


def _size(generator: np.random.Generator) -> Callable[[float], Float64s]:
    return lambda amount: _affine(np.eye(3) / amount, np.zeros(3))


def _turn(generator: np.random.Generator) -> Callable[[float], Float64s]:
    axis = _direction(generator)
    return lambda amount: _affine(Rotation.from_rotvec(amount * axis, degrees=True).as_matrix(), np.zeros(3))


def _shift(generator: np.random.Generator) -> Callable[[float], Float64s]:
    direction = _direction(generator)
    return lambda amount: _affine(np.eye(3), amount * direction)


def _direction(generator: np.random.Generator) -> Float64s:
    vector = generator.standard_normal(3)
    return np.asarray(vector / np.linalg.norm(vector))


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


class Changed(NamedTuple):
    """A head changed by some amount. Displacements (mm, over the brain) do not include the pose."""

    amount: float  # as asked for
    label_map: LabelMap  # in the subject's world, without fluid around the brain: a shell lies nowhere in particular
    bend: float  # displacement, root mean square, beyond the best rigid one, which changes no relation
    rms: float  # displacement, root mean square
    largest: float  # displacement
    smallest_jacobian: float  # determinant of the map subject -> template; 1 where nothing bends
    midline: float  # largest shift of the midline to a side
    ventricles: float  # volume relative to the template's, size of the head excluded


def grow(change: Change, scene: Scene, generator: np.random.Generator, voxel: float = VOXEL_MM) -> Iterator[Changed]:
    """One draw of a change in each of its amounts: the same bend, site or direction, further and further.

    Each draw also lies differently between the voxels (mm) of its grid, by less than one. A step that folds, and a
    voxel that is not larger than zero, raise ValueError.
    """
    if voxel <= 0:
        raise ValueError(f"voxel must be larger than 0 mm, got {voxel:g}")
    nudge = generator.uniform(-0.5, 0.5, 3)
    if change.bend is not None:
        yield from _bent(change, scene, change.bend(generator, scene), nudge, voxel)
        return
    pose = change.pose(generator) if change.pose is not None else lambda amount: np.eye(4)
    for amount in change.amounts:
        edge = voxel if change.pose is not None else amount
        grid = _grid_around(scene, pose(amount), edge, nudge, room=2 * edge)
        yield _measured(amount, scene, grid, grid.points, torch.ones(len(grid.points)))


def _bent(change: Change, scene: Scene, velocity: Float64s, nudge: Float64s, voxel: float) -> Iterator[Changed]:
    """Follow the flow: the map of a step is applied again and again, to points that move with it."""
    step = change.amounts[1] - change.amounts[0]
    try:
        flow = deformation.exponentiate(step * velocity, strengths=(1.0,))  # a weaker step would reach less
    except ValueError as error:
        raise ValueError(f"amounts of {change.title!r}: a step of {step:g} folds, take smaller steps") from error
    jacobian = deformation.jacobian_determinant(flow.displacement.numpy())
    one_step = torch.cat([flow.displacement, torch.as_tensor(jacobian, dtype=torch.float32)[None]])  # (4, X, Y, Z)
    grid = _grid_around(scene, np.eye(4), voxel, nudge, ROOM_MM)
    there, squeezed, reached = grid.points, torch.ones(len(grid.points)), 0
    for amount in change.amounts:
        while reached < round(amount / step):
            moved = _read(one_step, there, scene.grid.origin, CONTROL_MM)
            there, squeezed, reached = there + moved[:3].mT, squeezed * moved[3], reached + 1
        yield _measured(amount, scene, grid, there, squeezed)


class _Grid(NamedTuple):
    """Voxels around a head: voxel -> world and world -> centered template (4, 4), and template mm of them (V, 3)."""

    affine: Float64s
    pose: Float64s
    shape: tuple[int, int, int]
    points: Tensor


def _grid_around(scene: Scene, pose: Float64s, voxel: float, nudge: Float64s, room: float) -> _Grid:
    """Voxels lie at whole multiples of their size in the world, plus `nudge`: each pose is sampled differently."""
    world = (scene.corners - pose[:3, 3]) @ np.linalg.inv(pose[:3, :3]).T
    first = np.floor((world.min(axis=0) - room) / voxel)
    x, y, z = ((np.ceil((world.max(axis=0) + room) / voxel) - first).astype(int) + 1).tolist()
    affine = _affine(np.diag([voxel] * 3), (first + nudge) * voxel)
    points = deformation.affine_points((x, y, z), pose @ affine, scene.head.center)
    return _Grid(affine, pose, (x, y, z), points.flatten(0, 2))


def _read(volume: Tensor, points: Tensor, origin: Float64s, spacing: float, mode: str = "bilinear") -> Tensor:
    """A volume (C, X, Y, Z) read at template points (V, 3) -> (C, V)."""
    voxels = (points - torch.as_tensor(origin, dtype=torch.float32)) / spacing
    return deformation.read_at(volume, voxels[:, None, None], mode)[:, :, 0, 0]


def _measured(amount: float, scene: Scene, grid: _Grid, there: Tensor, squeezed: Tensor) -> Changed:
    """Read the template's labels at `there` (V, 3), and measure how far that is from the grid's own points."""
    head = scene.head
    template = torch.as_tensor(head.labels, dtype=torch.float32)[None]
    labels = _read(template, there, head.affine[:3, 3], head.spacing, "nearest")[0]
    labels[labels == CSF] = 0
    brain = labels > 0
    displaced = there - grid.points
    moved = displaced[brain].norm(dim=1)
    middle = brain & (there[:, 0].abs() <= MIDPLANE_MM)
    image = labels.numpy().astype(np.int16).reshape(grid.shape)
    voxel = np.linalg.det(grid.affine[:3, :3]) * np.linalg.det(grid.pose[:3, :3])  # template mm³
    ventricles = Head(image, grid.affine, head.family).mask(*VENTRICLES).sum() * voxel
    ends = [points[brain][::EVERY].double().numpy() for points in (grid.points, there)]
    _, beyond_rigid = Rotation.align_vectors(*(points - points.mean(axis=0) for points in ends))
    return Changed(
        amount,
        LabelMap(image, grid.affine, f"{head.family} changed", head.family),
        bend=float(beyond_rigid / np.sqrt(len(ends[0]))),
        rms=float(moved.square().mean().sqrt()),
        largest=float(moved.max()),
        smallest_jacobian=float(squeezed[brain].min()),
        midline=float(displaced[middle, 0].abs().max()) if middle.any() else 0.0,
        ventricles=float(ventricles / float(head.mask(*VENTRICLES).sum() * head.spacing**3)),
    )
