"""A head under one kind of change, in growing amounts: its label map at each, and what the change really reached."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from toposlearn.anatomy import STRUCTURES, LabelMap
from toposlearn.cohort.deformation import CONTROL_MM, exponentiate, jacobian_determinant, read_at
from toposlearn.cohort.head import CSF
from toposlearn.cohort.pathology import VENTRICLES
from toposlearn.studies.bending.changes import Array, Change, Scene

VOXEL_MM = 2.0
ROOM_MM = 30.0  # around the head, into which a bend may push it
EVERY = 20  # of the brain's voxels, where the rigid part of a bend is found
MIDPLANE_MM = 1.0  # template tissue this near to x = 0 is the midline
_VENTRICLES = [structure.label for structure in STRUCTURES if structure.name in VENTRICLES]


class Changed(NamedTuple):
    """A head changed by some amount. Displacements leave the pose out.

    Attributes:
        amount: what was asked for.
        label_map: in the subject's world. Fluid around the brain is left out: a shell lies nowhere in particular.
        bend: displacement in mm over the brain, root mean square, beyond the best rigid one, which no relation minds.
        rms: displacement in mm over the brain, root mean square.
        largest: displacement in mm, anywhere in the brain.
        smallest_jacobian: determinant of the map subject -> template, anywhere in the brain; 1 where nothing bends.
        midline: largest shift of the midline to a side, mm.
        ventricles: volume relative to the template's, size of the head left out.
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
    """One draw of a change, in each of its amounts: the same bend, site or direction, further and further.

    Each draw also lies anew between the voxels of its grid, by less than one.

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
        affine = pose(amount)
        grid, shape = _grid_over(scene, affine, edge, nudge, 2 * edge)
        there = _template_points(grid, shape, affine, scene)
        yield _measured(amount, scene, grid, shape, there, there, torch.ones(len(there)), affine)


def _bent(change: Change, scene: Scene, velocity: Array, nudge: Array, voxel: float) -> Iterator[Changed]:
    """Follow the flow: the map of a step is applied again and again, to points that move with it."""
    step = change.amounts[1] - change.amounts[0]
    try:
        flow = exponentiate(step * velocity, strengths=(1.0,))  # a weakened step would reach less than it says
    except ValueError as error:
        raise ValueError(f"amounts of {change.title!r}: a step of {step:g} folds, take smaller steps") from error
    jacobian = torch.as_tensor(jacobian_determinant(flow.displacement.numpy()), dtype=torch.float32)
    one_step = torch.cat([flow.displacement, jacobian[None]])  # (4, X, Y, Z)
    grid, shape = _grid_over(scene, np.eye(4), voxel, nudge, ROOM_MM)
    start = _template_points(grid, shape, np.eye(4), scene)
    there, squeezed, reached = start, torch.ones(len(start)), 0
    for amount in change.amounts:
        while reached < round(amount / step):
            moved = _read(one_step, there, scene.grid.origin, CONTROL_MM)
            there, squeezed, reached = there + moved[:3].mT, squeezed * moved[3], reached + 1
        yield _measured(amount, scene, grid, shape, start, there, squeezed, np.eye(4))


def _grid_over(
    scene: Scene, affine: Array, voxel: float, nudge: Array, room: float
) -> tuple[Array, tuple[int, int, int]]:
    """Voxel -> world (4, 4) and shape of a grid of such voxels around the head.

    Voxels lie at whole multiples of their size in the world, but for `nudge`: a head that is shifted or larger falls
    between them in another way.
    """
    corners = np.array(list(product(*(scene.ends - scene.head.center).T)))  # (8, 3), centered template mm
    world = (corners - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    low, high = world.min(axis=0) - room, world.max(axis=0) + room
    first = np.floor(low / voxel)
    x, y, z = (np.ceil(high / voxel) - first).astype(int) + 1
    grid = np.diag([voxel] * 3 + [1.0])
    grid[:3, 3] = (first + nudge) * voxel
    return grid, (int(x), int(y), int(z))


def _template_points(grid: Array, shape: tuple[int, int, int], affine: Array, scene: Scene) -> Tensor:
    """Template mm (V, 3) of the grid's voxel centers, before anything bends."""
    axes = torch.meshgrid(*[torch.arange(size, dtype=torch.float32) for size in shape], indexing="ij")
    linear = affine @ grid
    offset = torch.as_tensor(linear[:3, 3] + scene.head.center, dtype=torch.float32)
    return torch.stack(axes, dim=-1).flatten(0, 2) @ torch.as_tensor(linear[:3, :3].T, dtype=torch.float32) + offset


def _read(volume: Tensor, points: Tensor, origin: Array, spacing: float, mode: str = "bilinear") -> Tensor:
    """A volume (C, X, Y, Z) read at template points (V, 3) -> (C, V)."""
    voxels = (points - torch.as_tensor(origin, dtype=torch.float32)) / spacing
    return read_at(volume, voxels[:, None, None], mode)[:, :, 0, 0]


def _measured(
    amount: float,
    scene: Scene,
    grid: Array,
    shape: tuple[int, int, int],
    start: Tensor,
    there: Tensor,
    squeezed: Tensor,
    affine: Array,
) -> Changed:
    """Read the template's labels at `there` (V, 3), and measure how far that is from `start` (V, 3)."""
    head = scene.head
    labels = _read(scene.labels, there, head.affine[:3, 3], head.spacing, "nearest")[0]
    labels[labels == CSF] = 0
    brain = labels > 0
    moved = (there - start)[brain].norm(dim=1)
    middle = brain & (there[:, 0].abs() <= MIDPLANE_MM)
    volumes = labels.numpy().astype(np.int16).reshape(shape)
    return Changed(
        amount,
        LabelMap(volumes, grid, f"{head.family} changed", head.family),
        bend=_beyond_rigid(*(points[brain][::EVERY].double().numpy() for points in (start, there))),
        rms=float(moved.square().mean().sqrt()),
        largest=float(moved.max()),
        smallest_jacobian=float(squeezed[brain].min()),
        midline=float((there - start)[middle, 0].abs().max()) if middle.any() else 0.0,
        ventricles=_ventricles(scene, volumes, grid, affine),
    )


def _ventricles(scene: Scene, labels: NDArray[np.int16], grid: Array, affine: Array) -> float:
    """Volume of lateral and third ventricles relative to the template's."""
    voxel = np.linalg.det(grid[:3, :3]) * np.linalg.det(affine[:3, :3])  # template mm³
    return float(np.isin(labels, _VENTRICLES).sum() * voxel / scene.ventricles)


def _beyond_rigid(before: Array, after: Array) -> float:
    """RMS distance (mm) between points (V, 3) that is left after the best shift and turn."""
    before, after = before - before.mean(axis=0), after - after.mean(axis=0)
    _, root_sum = Rotation.align_vectors(before, after)
    return float(root_sum / np.sqrt(len(before)))
