"""Ways to change a head, one at a time and in growing amounts: its label map, and what the change really reached.

A bend is the flow of a velocity field, and an amount of it is the time for which the flow is followed: ten short steps
rather than one strong map, since a strong map sampled on a lattice folds. A pose is an affine.
"""

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
from toposlearn.cohort.deformation import ATROPHY_MM, SCALES, VENTRICLES
from toposlearn.cohort.head import CSF, Head
from toposlearn.cohort.lesions import KINDS
from toposlearn.cohort.recipes import BODIES
from toposlearn.cohort.subject import MALE_SCALE
from toposlearn.cohort.tissue import Stage

VOXEL_MM = 2.0
ROOM_MM = 30.0  # around the head, into which a bend may push it
EVERY = 20  # voxel of the brain, from which the rigid part of a bend is found
MIDPLANE_MM = 1.0  # template tissue this near to x = 0 is the midline


class Scene(Stage):
    """A head and what is computed from it once."""

    @cached_property
    def corners(self) -> Float64s:
        """Corners (8, 3) of the box around what is not air, in template mm from the center of the brain."""
        inside = np.argwhere(self.head.labels > 0)
        ends = np.stack([inside.min(axis=0), inside.max(axis=0)]) @ self.head.affine[:3, :3].T
        return np.array(list(product(*(ends + self.head.affine[:3, 3] - self.head.center).T)))


Bend = Callable[[np.random.Generator, Scene], Float64s]
Pose = Callable[[float, Float64s], tuple[Float64s, Float64s]]


@dataclass(frozen=True)
class Change:
    """One kind of change."""

    title: str
    unit: str  # of what is on the axis
    measure: Literal["amount", "bend", "largest", "ventricles"]  # what is on the axis, a field of `Changed`
    amounts: tuple[float, ...]  # growing; of a bend, whole multiples of the first step
    cohort: tuple[float, float]  # minimum and maximum amount in the cohort's own subjects
    bend: Bend | None = None  # draws a velocity (3, X, Y, Z) in mm, of amount 1
    pose: Pose | None = None  # amount, random direction (3,) -> rotation or scale (3, 3) and shift (3,) to the template


def _shape(*scales: tuple[float, float]) -> Bend:
    return lambda generator, scene: deformation.random_velocity(generator, scene.grid, scales)


def _mass(generator: np.random.Generator, scene: Scene) -> Float64s:
    """Tissue pushed by up to 1 mm away from a random place in deep white matter."""
    deep = scene.lesion_sites["deep"]
    center = deep[generator.integers(len(deep))]
    return deformation.bulge_velocity(center, generator.uniform(*KINDS["glioma"].radius), scene.grid)


def _atrophy(generator: np.random.Generator, scene: Scene) -> Float64s:
    """The ventricles grow by up to 1 mm, and the hippocampus shrinks in proportion."""
    shrinking = ATROPHY_MM["hippocampus"] / ATROPHY_MM["ventricles"] * scene.growth["hippocampus"]
    return scene.growth["ventricles"] + shrinking


def _size(amount: float, way: Float64s) -> tuple[Float64s, Float64s]:
    return np.eye(3) / amount, 0 * way


def _turn(amount: float, way: Float64s) -> tuple[Float64s, Float64s]:
    return Rotation.from_rotvec(amount * way, degrees=True).as_matrix(), 0 * way


def _shift(amount: float, way: Float64s) -> tuple[Float64s, Float64s]:
    return np.eye(3), amount * way


def _steps(step: float, count: int) -> tuple[float, ...]:
    return tuple(step * number for number in range(count + 1))


_POSE = BODIES["plain"].pose
_SIZES = [
    body.scale * sex * (1 + way * body.pose.size)
    for body in BODIES.values()
    for sex, way in ((MALE_SCALE, 1), (1 / MALE_SCALE, -1))
]
_PUSH = max(kind.push * kind.radius[1] for kind in KINDS.values())  # mm
_ATROPHIED = ATROPHY_MM["ventricles"] + max(body.ventricles for body in BODIES.values()) / 2  # severe, and 80 years old
_STEPS = _steps(ATROPHY_MM["ventricles"] / 3, 10)
_TIMES = "times the template's"
_BEND = "RMS displacement beyond a rigid one, mm"

CHANGES: Mapping[str, Change] = {
    "shape": Change("random shape, as in the cohort", _BEND, "bend", _steps(0.5, 8), (1, 1), _shape(*SCALES)),
    "coarse": Change("coarse bends only (30 mm)", _BEND, "bend", _steps(0.5, 8), (1, 1), _shape(SCALES[0])),
    "fine": Change("fine bends only (14 mm)", _BEND, "bend", _steps(0.75, 8), (1, 1), _shape(SCALES[1])),
    "mass": Change("a mass pushes", "largest displacement, mm", "largest", _steps(3.0, 10), (0, _PUSH), _mass),
    "atrophy": Change(
        "atrophy: ventricles grow", f"ventricles, {_TIMES}", "ventricles", _STEPS, (0, _ATROPHIED), _atrophy
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
    way = generator.standard_normal(3)
    for amount in change.amounts:
        pose, edge = np.eye(4), voxel if change.pose else amount
        if change.pose:
            pose[:3, :3], pose[:3, 3] = change.pose(amount, way / np.linalg.norm(way))
        grid = _grid_around(scene, pose, edge, nudge, room=2 * edge)
        yield _measured(amount, scene, grid, grid.points, torch.ones(grid.points.shape[:3]))


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
    there, squeezed, reached = grid.points, torch.ones(grid.points.shape[:3]), 0
    for amount in change.amounts:
        while reached < round(amount / step):
            moved = scene.grid.read(one_step, there)
            there, squeezed, reached = there + moved[:3].movedim(0, -1), squeezed * moved[3], reached + 1
        yield _measured(amount, scene, grid, there, squeezed)


class _Grid(NamedTuple):
    """Voxels around a head: voxel -> world and world -> centered template (4, 4), template mm of them (X, Y, Z, 3)."""

    affine: Float64s
    pose: Float64s
    points: Tensor


def _grid_around(scene: Scene, pose: Float64s, voxel: float, nudge: Float64s, room: float) -> _Grid:
    """Voxels lie at whole multiples of their size in the world, plus `nudge`: each pose is sampled differently."""
    world = (scene.corners - pose[:3, 3]) @ np.linalg.inv(pose[:3, :3]).T
    first = np.floor((world.min(axis=0) - room) / voxel)
    x, y, z = ((np.ceil((world.max(axis=0) + room) / voxel) - first).astype(int) + 1).tolist()
    affine = np.diag([voxel, voxel, voxel, 1.0])
    affine[:3, 3] = (first + nudge) * voxel
    return _Grid(affine, pose, deformation.affine_points((x, y, z), pose @ affine, scene.head.center))


def _measured(amount: float, scene: Scene, grid: _Grid, there: Tensor, squeezed: Tensor) -> Changed:
    """Read the template's labels at `there` (X, Y, Z, 3), and measure how far that is from the grid's own points."""
    head, labels = scene.head, scene.labels_at(there)
    labels[labels == CSF] = 0
    brain = labels > 0
    displaced = there - grid.points
    moved = displaced[brain].norm(dim=1)
    middle = brain & (there[..., 0].abs() <= MIDPLANE_MM)
    image = labels.numpy().astype(np.int16)
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
