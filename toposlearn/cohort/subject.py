"""One simulated subject: a head bent, colored and imaged, with its ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from toposlearn.anatomy import STRUCTURES
from toposlearn.cohort import contrast, deformation, pathology, scanner
from toposlearn.cohort.head import Head, load_head
from toposlearn.cohort.people import SITES, Person
from toposlearn.cohort.streams import stream
from toposlearn.config import MODALITIES

SHAPE = (96, 112, 96)  # voxels
SPACING = 2.0  # mm
FINE = 2  # sub-voxels along each axis, averaged: partial volume
INTENSITY = 1000.0  # of the brightest tissue in a written image
ROWS = {name: row for row, name in enumerate(contrast.TISSUES)}
MALE_SCALE = 1.02  # heads of men are a little larger, of women a little smaller


@dataclass(frozen=True, eq=False)
class Subject:
    """Images and truth of one person, all (X, Y, Z) in RAS order on one grid."""

    person: Person
    images: Mapping[str, NDArray[np.int16]]
    labels: NDArray[np.int16]
    lesion: NDArray[np.uint8]
    to_template: NDArray[np.float32]  # (X, Y, Z, 3), template RAS mm
    affine: NDArray[np.float64]  # voxel -> world mm, world centered on the grid
    smallest_jacobian: float


@dataclass(frozen=True, eq=False)
class _Stage:
    """What all subjects of a family share, computed once."""

    head: Head
    grid: deformation.ControlGrid
    labels: Tensor  # (1, X, Y, Z) float, for grid_sample
    label_tissue: Tensor  # int32, structure label -> row of contrast.TISSUES
    growth: Mapping[str, NDArray[np.float64]]
    lesion_sites: NDArray[np.float64]


@lru_cache(maxsize=2)
def _stage(family: str) -> _Stage:
    head = load_head(family)
    label_tissue = torch.zeros(max(structure.label for structure in STRUCTURES) + 1, dtype=torch.int32)
    for structure in STRUCTURES:
        label_tissue[structure.label] = ROWS[structure.tissue]
    labels = torch.as_tensor(head.labels, dtype=torch.float32)[None]
    grid = deformation.ControlGrid.over(head)
    growth, sites = pathology.growth_fields(head, grid), pathology.lesion_sites(head)
    return _Stage(head, grid, labels, label_tissue, growth, sites)


def image_affine() -> NDArray[np.float64]:
    """Voxel -> world of every image: RAS, 2 mm, world zero at the grid's center."""
    affine = np.diag([SPACING] * 3 + [1.0])
    affine[:3, 3] = -SPACING * (np.array(SHAPE) - 1) / 2
    return affine


def simulate(person: Person, pose: deformation.PoseRange | None = None) -> Subject:
    """Simulate one person; the same person always gives the same voxels.

    Args:
        person: from `draw_person`.
        pose: how far the head may turn and move in the scanner.
    """
    stage = _stage(person.anatomy)
    lesion = _lesion(person, stage)
    points, smallest = _bend(person, stage, lesion, pose or deformation.PoseRange())
    tissue = _fine_tissue(points, stage, lesion)
    return Subject(
        person=person,
        images=_acquire(person, tissue),
        labels=_labels(points, stage).numpy().astype(np.int16),
        lesion=(_pool(_is_sick(tissue).float()) > 0.5).numpy().astype(np.uint8),
        to_template=points.numpy(),
        affine=image_affine(),
        smallest_jacobian=smallest,
    )


def _lesion(person: Person, stage: _Stage) -> pathology.Lesion | None:
    if not person.lesion:
        return None
    return pathology.draw_lesion(stream(person.seed, "lesion", person.number), stage.lesion_sites, stage.grid)


def _bend(
    person: Person, stage: _Stage, lesion: pathology.Lesion | None, pose: deformation.PoseRange
) -> tuple[Tensor, float]:
    """Template mm (X, Y, Z, 3) of the subject's voxels, and the smallest Jacobian determinant."""
    scale = MALE_SCALE if person.sex == "M" else 1 / MALE_SCALE
    affine = deformation.draw_affine(stream(person.seed, "pose", person.number), pose, scale)
    velocity = deformation.random_velocity(stream(person.seed, "shape", person.number), stage.grid)
    velocity += pathology.atrophy_velocity(person.age, person.diagnosis, stage.growth)
    if lesion is not None:
        velocity += lesion.velocity(stage.grid)
    displacement, smallest = deformation.exponentiate(velocity)
    points = deformation.template_map(SHAPE, image_affine(), affine, displacement, stage.grid, stage.head.center)
    return points, smallest


def _labels(points: Tensor, stage: _Stage) -> Tensor:
    """Structure label (X, Y, Z), float, at template points (X, Y, Z, 3)."""
    origin = torch.as_tensor(stage.head.affine[:3, 3], dtype=torch.float32)
    voxels = (points - origin) / stage.head.spacing
    return deformation.read_at(stage.labels, voxels, mode="nearest")[0]


def _fine_tissue(points: Tensor, stage: _Stage, lesion: pathology.Lesion | None) -> Tensor:
    """Tissue row, int32, of each sub-voxel."""
    tissue = stage.label_tissue[_labels(_refine(points), stage).int()]
    if lesion is not None:
        distance = lesion.relative_distance(points, stage.grid)
        _infiltrate(tissue, _refine(distance[..., None])[..., 0])
    return tissue


def _refine(values: Tensor) -> Tensor:
    """Values (X, Y, Z, C) at voxel centers, read at the centers of their sub-voxels."""
    fine = F.interpolate(values.movedim(-1, 0)[None], scale_factor=FINE, mode="trilinear", align_corners=False)
    return fine[0].movedim(0, -1)


def _infiltrate(tissue: Tensor, distance: Tensor) -> None:
    """Replace tissue by the parts of the mass, in place; edema spreads in white matter only, nothing grows in air."""
    white, solid = tissue == ROWS["white"], tissue != ROWS["air"]
    inner = 0.0
    for part, outer in pathology.PARTS:
        host = white if part == "edema" else solid
        tissue[host & (distance >= inner) & (distance < outer)] = ROWS[part]
        inner = outer


def _is_sick(tissue: Tensor) -> Tensor:
    return torch.isin(tissue, torch.tensor([ROWS[part] for part, _ in pathology.PARTS], dtype=tissue.dtype))


def _acquire(person: Person, tissue: Tensor) -> dict[str, NDArray[np.int16]]:
    """The images of all modalities (X, Y, Z): signal, partial volume, bias, noise, brain extraction."""
    times = contrast.draw_tissues(stream(person.seed, "tissue", person.number))
    noise = stream(person.seed, "scanner", person.number)
    site = scanner.SCANNERS[person.site]
    inside = _pool((tissue != ROWS["air"]).float()) > 0.5
    images = {}
    for name in MODALITIES:
        protocol = contrast.draw_sequence(stream(person.seed, "protocol", _protocol_number(person.site, name)), name)
        signals = torch.as_tensor(contrast.signal(protocol, *times.T), dtype=torch.float32)
        clean = _pool(signals[tissue]) / signals.max()
        clean *= scanner.draw_bias(noise, clean.shape, site.bias)
        measured = scanner.rician(noise, clean, site.noise) * inside * INTENSITY
        images[name] = measured.round().clamp(0, 32767).numpy().astype(np.int16)
    return images


def _protocol_number(site: str, modality: str) -> int:
    return SITES.index(site) * len(MODALITIES) + MODALITIES.index(modality)


def _pool(fine: Tensor) -> Tensor:
    """Mean over the sub-voxels of each voxel."""
    return F.avg_pool3d(fine[None, None], FINE)[0, 0]
