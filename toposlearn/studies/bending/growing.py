"""A head under one kind of change, in growing amounts: its label map at each, and what the change really reached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from toposlearn.anatomy import LabelMap
from toposlearn.arrays import Float64s
from toposlearn.cohort import deformation
from toposlearn.cohort.deformation import CONTROL_MM, VENTRICLES
from toposlearn.cohort.head import CSF, Head
from toposlearn.studies.bending.changes import Change, Scene, affine_of

VOXEL_MM = 2.0
ROOM_MM = 30.0  # around the head, into which a bend may push it
EVERY = 20  # voxel of the brain, from which the rigid part of a bend is found
MIDPLANE_MM = 1.0  # template tissue this near to x = 0 is the midline


class Changed(NamedTuple):
    """A head changed by some amount. Displacements do not include the pose.

    Attributes:
        amount: as asked for.
        label_map: in the subject's world, without fluid around the brain: a shell lies nowhere in particular.
        bend: displacement in mm over the brain, root mean square, beyond the best rigid one, which no relation minds.
        rms: displacement in mm over the brain, root mean square.
        largest: displacement in mm, anywhere in the brain.
        smallest_jacobian: determinant of the map subject -> template, anywhere in the brain; 1 where nothing bends.
        midline: largest shift of the midline to a side, mm.
        ventricles: volume relative to the template's, size of the head excluded.
    """

    amount: float
    label_map: LabelMap
    bend: float
    rms: float
    largest: float
    smallest_jacobian: float
    midline: float
    ventricles: float


def grow(change: Change, scene: Scene, generator: np.random.Generator, voxel: float = VOXEL_MM) -> Iterator[Changed]:
    """One draw of a change in each of its amounts: the same bend, site or direction, further and further.

    Each draw also lies differently between the voxels of its grid, by less than one.

    Raises:
        ValueError: the voxel is not larger than zero, or a step of the bend folds.
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
        grid = _Grid.over(scene, pose(amount), edge, nudge, room=2 * edge)
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
    grid = _Grid.over(scene, np.eye(4), voxel, nudge, ROOM_MM)
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
    shape: tuple[int, ...]
    points: Tensor

    @classmethod
    def over(cls, scene: Scene, pose: Float64s, voxel: float, nudge: Float64s, room: float) -> _Grid:
        """Voxels lie at whole multiples of their size in the world, plus `nudge`: each pose is sampled differently."""
        world = (scene.corners - pose[:3, 3]) @ np.linalg.inv(pose[:3, :3]).T
        low, high = world.min(axis=0) - room, world.max(axis=0) + room
        first = np.floor(low / voxel)
        x, y, z = ((np.ceil(high / voxel) - first).astype(int) + 1).tolist()
        affine = affine_of(np.diag([voxel] * 3), (first + nudge) * voxel)
        points = deformation.affine_points((x, y, z), pose @ affine, scene.head.center)
        return cls(affine, pose, (x, y, z), points.flatten(0, 2))


def _read(volume: Tensor, points: Tensor, origin: Float64s, spacing: float, mode: str = "bilinear") -> Tensor:
    """A volume (C, X, Y, Z) read at template points (V, 3) -> (C, V)."""
    voxels = (points - torch.as_tensor(origin, dtype=torch.float32)) / spacing
    return deformation.read_at(volume, voxels[:, None, None], mode)[:, :, 0, 0]


def _measured(amount: float, scene: Scene, grid: _Grid, there: Tensor, squeezed: Tensor) -> Changed:
    """Read the template's labels at `there` (V, 3), and measure how far that is from the grid's own points."""
    head = scene.head
    labels = _read(scene.labels, there, head.affine[:3, 3], head.spacing, "nearest")[0]
    labels[labels == CSF] = 0
    brain = labels > 0
    displaced = there - grid.points
    moved = displaced[brain].norm(dim=1)
    middle = brain & (there[:, 0].abs() <= MIDPLANE_MM)
    image = labels.numpy().astype(np.int16).reshape(grid.shape)
    voxel = np.linalg.det(grid.affine[:3, :3]) * np.linalg.det(grid.pose[:3, :3])  # template mm³
    ventricles = Head(image, grid.affine, head.family).mask(*VENTRICLES).sum() * voxel
    return Changed(
        amount,
        LabelMap(image, grid.affine, f"{head.family} changed", head.family),
        bend=_beyond_rigid(*(points[brain][::EVERY].double().numpy() for points in (grid.points, there))),
        rms=float(moved.square().mean().sqrt()),
        largest=float(moved.max()),
        smallest_jacobian=float(squeezed[brain].min()),
        midline=float(displaced[middle, 0].abs().max()) if middle.any() else 0.0,
        ventricles=float(ventricles / float(head.mask(*VENTRICLES).sum() * head.spacing**3)),
    )


def _beyond_rigid(before: Float64s, after: Float64s) -> float:
    """RMS distance (mm) between points (V, 3) that is left after the best shift and turn."""
    before, after = before - before.mean(axis=0), after - after.mean(axis=0)
    _, root_sum = Rotation.align_vectors(before, after)
    return float(root_sum / np.sqrt(len(before)))
