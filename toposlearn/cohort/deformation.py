"""Differences of one head from the template in pose and shape, as a map whose inverse exists by construction.

Subject world mm -> affine (pose, size, shear) -> diffeomorphism (the exponential of a stationary velocity field,
by scaling and squaring) -> template mm. The Jacobian determinant is checked on every subject.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.nn import functional as F

from toposlearn.anatomy.vocabulary import PAIRED_NAMES
from toposlearn.arrays import Float64s
from toposlearn.cohort.head import Head
from toposlearn.cohort.recipes import Body, PoseRange
from toposlearn.cohort.traits import Traits

CONTROL_MM = 4.0  # spacing of the velocity field
SQUARINGS = 6
GROWTH_MM = 4.0  # smoothness of the growth of a structure
STRENGTHS = (1.0, 0.8, 0.6, 0.4)  # of a velocity whose flow folds on the lattice
VENTRICLES = ("lateral-ventricle", "third-ventricle")
CEREBRUM = (*(name for name in PAIRED_NAMES if name.endswith("-cortex")), "insula", "cerebral-white-matter")
ATROPHY_MM = {"ventricles": 3.5, "hippocampus": -2.5}  # growth at the boundary when severe; negative shrinks
DEGREE_SHARE = {"mild": 1 / 3, "moderate": 2 / 3, "severe": 1.0}
DEVELOPMENTAL_MM = 0.5  # of the left caudate, taken from the right: neither head nor structure gets larger
SCALES = ((30.0, 4.5), (14.0, 2.2))  # (smoothness mm, amplitude mm, standard deviation) of random shape


@dataclass(frozen=True, eq=False)
class ControlGrid:
    """The coarse lattice over the template on which velocities live: shape, and origin in template mm."""

    shape: tuple[int, int, int]
    origin: Float64s

    @classmethod
    def over(cls, head: Head) -> ControlGrid:
        """The lattice that covers a head."""
        x, y, z = (int(np.ceil(size * head.spacing / CONTROL_MM)) + 1 for size in head.labels.shape)
        return cls((x, y, z), head.affine[:3, 3].copy())

    def points(self) -> Float64s:
        """Template mm of each lattice point, (X, Y, Z, 3)."""
        return np.asarray(np.moveaxis(np.indices(self.shape), 0, -1) * CONTROL_MM + self.origin)

    def read(self, volume: Tensor, points: Tensor) -> Tensor:
        """A volume (C, X, Y, Z) on the lattice, read at template points (X', Y', Z', 3): (C, X', Y', Z')."""
        return read_at(volume, (points - torch.as_tensor(self.origin, dtype=torch.float32)) / CONTROL_MM)


def draw_affine(generator: np.random.Generator, pose: PoseRange, scale: float = 1.0) -> Float64s:
    """Subject world -> template (4, 4), both centered. `scale` > 1 makes a larger head."""
    rotation = Rotation.from_euler("xyz", generator.uniform(-1, 1, 3) * pose.rotation, degrees=True).as_matrix()
    size = scale * (1 + pose.size * generator.uniform(-1, 1)) * (1 + pose.stretch * generator.uniform(-1, 1, 3))
    shear = np.eye(3) + np.triu(pose.shear * generator.uniform(-1, 1, (3, 3)), k=1)
    affine = np.eye(4)
    affine[:3, :3] = np.diag(1 / size) @ shear @ rotation
    affine[:3, 3] = affine[:3, :3] @ (pose.shift * generator.uniform(-1, 1, 3))
    return affine


def random_velocity(
    generator: np.random.Generator, grid: ControlGrid, scales: Sequence[tuple[float, float]] = SCALES
) -> Float64s:
    """Smooth random velocity (3, X, Y, Z) in mm: the sum of a coarse and a finer field, or of the given ones."""
    total = np.zeros((3, *grid.shape))
    for smoothness, amplitude in scales:
        noise = generator.standard_normal((3, *grid.shape))
        field = ndimage.gaussian_filter(noise, smoothness / CONTROL_MM, mode="constant", axes=(1, 2, 3))
        total += amplitude * field / field.std()
    return total


def growth_velocity(mask: NDArray[np.bool_], grid: ControlGrid, head: Head) -> Float64s:
    """Velocity (3, X, Y, Z), of largest length 1 mm, that makes the masked structures larger in the subject.

    The map reads template tissue at the point it returns, so points just outside must be sent inwards: up the
    gradient of the smoothed mask.
    """
    smooth = ndimage.gaussian_filter(mask.astype(np.float32), GROWTH_MM / head.spacing)
    voxels = np.moveaxis((grid.points() - head.affine[:3, 3]) / head.spacing, -1, 0)
    values = ndimage.map_coordinates(smooth, voxels, order=1, mode="nearest")
    gradient = np.stack(tuple(np.gradient(values, CONTROL_MM)))
    largest = np.linalg.norm(gradient, axis=0).max()
    return np.asarray(gradient / (largest or 1.0))  # 0 where the label map has no such structure


def growth_fields(head: Head, grid: ControlGrid) -> dict[str, Float64s]:
    """Velocity (3, X, Y, Z) that grows a structure by about 1 mm."""
    masks = {
        "ventricles": head.mask(*VENTRICLES),
        "hippocampus": head.mask("hippocampus"),
        "cerebrum": head.mask(*CEREBRUM),
        "left caudate": head.mask("caudate", side="left"),
        "right caudate": head.mask("caudate", side="right"),
    }
    return {name: growth_velocity(mask, grid, head) for name, mask in masks.items()}


def shape_velocity(traits: Traits, growth: Mapping[str, Float64s], body: Body) -> Float64s:
    """Velocity (3, X, Y, Z) in mm of age and diagnosis: ventricles grow, hippocampi shrink, one caudate grows."""
    share, age = DEGREE_SHARE[traits.degree] if traits.degree else 0.0, (traits.age - 50) / 60
    ventricles = ATROPHY_MM["ventricles"] * share + body.ventricles * age
    velocity = ventricles * growth["ventricles"] + ATROPHY_MM["hippocampus"] * share * growth["hippocampus"]
    velocity = velocity - body.cerebrum * age * growth["cerebrum"]
    if traits.diagnosis == "developmental":
        velocity = velocity + DEVELOPMENTAL_MM * (growth["left caudate"] - growth["right caudate"])
    return velocity


def bulge_velocity(center: Float64s, radius: float, grid: ControlGrid) -> Float64s:
    """Velocity (3, X, Y, Z), of largest length 1 mm, of tissue pushed away from a growing mass."""
    away = np.moveaxis(grid.points() - center, -1, 0)
    distance = np.linalg.norm(away, axis=0)
    profile = (distance / radius) * np.exp(0.5 * (1 - (distance / radius) ** 2))
    return np.asarray(-away / np.maximum(distance, 1e-6) * profile)


class Flow(NamedTuple):
    """A diffeomorphism of the template and its inverse, displacements (3, X, Y, Z) in mm on the control lattice."""

    displacement: Tensor
    inverse: Tensor
    smallest_jacobian: float


def exponentiate(velocity: Float64s, strengths: Sequence[float] = STRENGTHS) -> Flow:
    """The flow of a velocity field (3, X, Y, Z) in mm, and the flow back.

    The flow of a smooth field never folds, but its samples on a lattice may where the field is steep: such a field
    is weakened by the first of `strengths` that avoids it, or ValueError is raised.
    """
    for strength in strengths:
        displacement = _integrate(strength * velocity)
        smallest = float(jacobian_determinant(displacement.numpy()).min())
        if smallest > 0:
            return Flow(displacement, _integrate(-strength * velocity), smallest)
    raise ValueError(f"the deformation folds: smallest Jacobian determinant {smallest:.3f}, it must be > 0")


def _integrate(velocity: Float64s) -> Tensor:
    from monai.networks.blocks import DVF2DDF  # takes seconds, and many processes never need it

    with warnings.catch_warnings():  # of MONAI, that it uses torch's own grid_sample: intended
        warnings.simplefilter("ignore")
        flow = DVF2DDF(num_steps=SQUARINGS, padding_mode="border")
    return cast(Tensor, flow(torch.as_tensor(velocity / CONTROL_MM, dtype=torch.float32)[None])[0] * CONTROL_MM)


def jacobian_determinant(displacement: NDArray[np.float32]) -> Float64s:
    """Determinant (X, Y, Z) of the map ``y + displacement(y)``, displacement (3, X, Y, Z) in mm."""
    slopes = np.stack(list(np.gradient(displacement, CONTROL_MM, axis=(1, 2, 3))), axis=1)  # (3, 3, X, Y, Z)
    return np.asarray(np.linalg.det(np.moveaxis(slopes, (0, 1), (-2, -1)) + np.eye(3, dtype=np.float32)))


def affine_points(shape: tuple[int, int, int], voxel_to_template: Float64s, center: Float64s) -> Tensor:
    """Template mm (X, Y, Z, 3) of each voxel center of an image of this shape, before anything bends.

    The affine (4, 4) leads to the template centered at `center` (template mm).
    """
    axes = torch.meshgrid(*[torch.arange(size, dtype=torch.float32) for size in shape], indexing="ij")
    offset = torch.as_tensor(voxel_to_template[:3, 3] + center, dtype=torch.float32)
    return torch.stack(axes, dim=-1) @ torch.as_tensor(voxel_to_template[:3, :3].T, dtype=torch.float32) + offset


def bent_points(points: Tensor, displacement: Tensor, grid: ControlGrid) -> Tensor:
    """Template points (X, Y, Z, 3) moved by a displacement (3, X', Y', Z') in mm on the control lattice."""
    return points + grid.read(displacement, points).movedim(0, -1)


def subject_map(affine: Float64s, flow: Flow, grid: ControlGrid, center: Float64s) -> Tensor:
    """Subject world mm (X, Y, Z, 3) of each point of the control lattice: the inverse of the map to the template."""
    back = np.linalg.inv(affine)
    points = torch.as_tensor(grid.points() - center, dtype=torch.float32) + flow.inverse.movedim(0, -1)
    return points @ torch.as_tensor(back[:3, :3].T, dtype=torch.float32) + torch.as_tensor(back[:3, 3]).float()


def rigid_motion(
    generator: np.random.Generator, shift: float, rotation: float, center: NDArray[np.floating[Any]]
) -> Float64s:
    """World -> world (4, 4): a turn of so many degrees about `center`, then a shift in mm, in random directions."""
    axis, way = (vector / np.linalg.norm(vector) for vector in generator.standard_normal((2, 3)))
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(rotation * axis, degrees=True).as_matrix()
    motion[:3, 3] = center - motion[:3, :3] @ center + shift * way
    return motion


def read_at(volume: Tensor, voxels: Tensor, mode: str = "bilinear") -> Tensor:
    """A volume (C, X, Y, Z) read at voxel coordinates (X', Y', Z', 3) -> (C, X', Y', Z'); border beyond the edge."""
    size = torch.tensor(volume.shape[1:], dtype=torch.float32, device=voxels.device)
    normalized = (voxels * 2).div_(size - 1).sub_(1).flip(-1)  # grid_sample counts the last axis first
    return F.grid_sample(volume[None], normalized[None], mode=mode, padding_mode="border", align_corners=True)[0]
