"""One simulated subject: a head that is bent, filled with tissue and imaged, with its ground truth."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toposlearn.arrays import Float32s, Float64s
from toposlearn.cohort import deformation
from toposlearn.cohort.deformation import Flow
from toposlearn.cohort.head import Anatomy
from toposlearn.cohort.lesions import Lesion, draw_lesion
from toposlearn.cohort.recipes import PLAIN, Body, Recipe
from toposlearn.cohort.scanner import Scan, acquire, scan_number
from toposlearn.cohort.tissue import Stage, TissueField, lesion_map, stage_of, tissue_field
from toposlearn.cohort.traits import Traits, stream

MALE_SCALE = 1.02  # heads of men are larger, of women smaller, by this factor
CHECKED_EVERY = 3  # voxels, where the round trip through both maps is measured


@dataclass(frozen=True, eq=False)
class Subject:
    """Scans and truth of one subject. The truth lies on one grid (X, Y, Z) in RAS order; a scan may lie on its own."""

    traits: Traits
    scans: Mapping[str, Scan]
    labels: NDArray[np.int16]  # of structures
    lesion: NDArray[np.uint8]  # 0, or which part of the lesion (`toposlearn.cohort.lesions.LESION_LABELS`)
    to_template: Float32s  # (X, Y, Z, 3), template RAS mm of each voxel center
    from_template: Float32s  # (X', Y', Z', 3), world mm of each point of a 4 mm lattice over the template
    affine: Float64s  # voxel -> world mm, world centered on the grid
    lattice: Float64s  # voxel -> template mm of `from_template`
    smallest_jacobian: float
    round_trip: Float32s  # error in mm of both maps applied one after the other, (voxels in the head,)


def image_affine(recipe: Recipe) -> Float64s:
    """Voxel -> world of the truth: RAS, world zero at the grid's center."""
    affine = np.diag([recipe.spacing] * 3 + [1.0])
    affine[:3, 3] = -recipe.spacing * (np.array(recipe.shape) - 1) / 2
    return affine


def simulate(traits: Traits, recipe: Recipe = PLAIN, anatomy: Anatomy | None = None) -> Subject:
    """Simulate one subject; the same traits, drawn for this recipe, always give the same voxels.

    `anatomy` is the label map that ``traits.anatomy`` names, where that is neither ``A`` nor ``B``.
    """
    stage, affine = stage_of(anatomy or traits.anatomy), image_affine(recipe)
    lesion = None
    if traits.lesion_type is not None:
        generator = stream(traits.seed, "lesion", traits.number)
        lesion = draw_lesion(generator, traits.lesion_type, stage.lesion_sites, stage.grid)
    pose, flow = _bend(traits, stage, lesion, recipe.body if anatomy is None else replace(recipe.body, scale=1.0))
    points = _points(pose, flow, stage, recipe)
    tissue = tissue_field(points, stage, lesion)
    fields = _fields(traits, recipe, stage, lesion, pose, flow, tissue)
    back = deformation.subject_map(pose, flow, stage.grid, stage.head.center)
    lattice = np.diag([deformation.CONTROL_MM] * 3 + [1.0])
    lattice[:3, 3] = stage.grid.origin
    return Subject(
        traits=traits,
        scans=acquire(traits, recipe, fields, affine, whole=stage.head.whole),
        labels=tissue.labels.numpy().astype(np.int16),
        lesion=lesion_map(tissue, lesion),
        to_template=points.numpy(),
        from_template=back.numpy(),
        affine=affine,
        lattice=lattice,
        smallest_jacobian=flow.smallest_jacobian,
        round_trip=_round_trip(points, back, tissue.labels, affine, stage.grid),
    )


def _fields(
    traits: Traits, recipe: Recipe, stage: Stage, lesion: Lesion | None, pose: Float64s, flow: Flow, still: TissueField
) -> Callable[[str], TissueField]:
    """Modality -> the tissue that its scan sees: `still`, or that of the head after it moved about its own center."""
    center = -np.linalg.solve(pose[:3, :3], pose[:3, 3])

    @lru_cache(maxsize=1)  # a diffusion-weighted image and its ADC are of one scan
    def moved(scan: int) -> TissueField:
        generator = stream(traits.seed, "motion", traits.number, scan)
        motion = deformation.rigid_motion(generator, recipe.misregister_mm, recipe.misregister_degrees, center)
        return tissue_field(_points(pose @ np.linalg.inv(motion), flow, stage, recipe), stage, lesion)

    def field_of(modality: str) -> TissueField:
        registered = modality == recipe.modalities[0] or not (recipe.misregister_mm or recipe.misregister_degrees)
        return still if registered else moved(scan_number(modality))

    return field_of


def _bend(traits: Traits, stage: Stage, lesion: Lesion | None, body: Body) -> tuple[Float64s, Flow]:
    """The map subject world -> template: an affine (4, 4), then a flow."""
    scale = body.scale * (MALE_SCALE if traits.sex == "M" else 1 / MALE_SCALE)
    affine = deformation.draw_affine(stream(traits.seed, "pose", traits.number), body.pose, scale)
    velocity = deformation.random_velocity(stream(traits.seed, "shape", traits.number), stage.grid)
    velocity += deformation.shape_velocity(traits, stage.growth, body)
    if lesion is not None:
        velocity += lesion.velocity(stage.grid)
    return affine, deformation.exponentiate(velocity)


def _points(pose: Float64s, flow: Flow, stage: Stage, recipe: Recipe) -> Tensor:
    """Template mm (X, Y, Z, 3) of the grid's voxels."""
    points = deformation.affine_points(recipe.shape, pose @ image_affine(recipe), stage.head.center)
    return deformation.bent_points(points, flow.displacement, stage.grid)


def _round_trip(
    points: Tensor, back: Tensor, labels: Tensor, affine: Float64s, grid: deformation.ControlGrid
) -> Float32s:
    """Error (mm) of the map to the template and back at voxels in the head, (voxels,)."""
    every = (slice(None, None, CHECKED_EVERY),) * 3
    inside = (labels[every] > 0).nonzero(as_tuple=True)
    returned = grid.read(back.movedim(-1, 0), points[every][inside][None, None])[:, 0, 0].mT
    voxels = torch.stack(inside, dim=-1).double() * CHECKED_EVERY
    world = voxels @ torch.as_tensor(affine[:3, :3].T) + torch.as_tensor(affine[:3, 3])
    return np.asarray((returned - world).norm(dim=-1).float().numpy())
