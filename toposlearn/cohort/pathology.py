"""A glioma-like mass in the white matter (necrotic core, viable rim, edema), and atrophy as a diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from toposlearn.cohort.deformation import CONTROL_MM, ControlGrid, bulge_velocity, growth_velocity, read_at
from toposlearn.cohort.head import Head

VENTRICLES = ("lateral-ventricle", "third-ventricle")
ATROPHY_MM = {"ventricles": 3.5, "hippocampus": -2.5}  # growth at the boundary; negative shrinks
AGE_MM = 1.5  # growth of the ventricles over sixty years, in everybody
SITE_DEPTH_MM = 5.0  # of the center of a mass, in white matter
PARTS = (("necrosis", 0.45), ("tumor", 0.65), ("edema", 1.0))  # outer edge of each part, in lesion radii


@dataclass(frozen=True, eq=False)
class Lesion:
    """A mass: center in template mm, radius in mm, and an uneven outline (1, X, Y, Z) on the control lattice."""

    center: NDArray[np.float64]
    radius: float
    outline: Tensor

    def velocity(self, grid: ControlGrid) -> NDArray[np.float64]:
        """Mass effect: the tissue around is pushed outwards."""
        return 0.2 * self.radius * bulge_velocity(self.center, self.radius, grid)

    def relative_distance(self, points: Tensor, grid: ControlGrid) -> Tensor:
        """Distance of template points (X, Y, Z, 3) from the center, in units of the local radius."""
        center = torch.as_tensor(self.center, dtype=torch.float32)
        lattice = (points - torch.as_tensor(grid.origin, dtype=torch.float32)) / CONTROL_MM
        outline = read_at(self.outline, lattice)[0]
        return (points - center).square().sum(dim=-1).sqrt() / self.radius * (1 + outline)


def lesion_sites(head: Head) -> NDArray[np.float64]:
    """Template mm (sites, 3) of every voxel deep in the cerebral white matter."""
    depth = ndimage.distance_transform_edt(head.mask("cerebral-white-matter"), sampling=head.spacing)
    voxels = np.argwhere(depth >= SITE_DEPTH_MM)
    return np.asarray(voxels @ head.affine[:3, :3].T + head.affine[:3, 3])


def draw_lesion(generator: np.random.Generator, sites: NDArray[np.float64], grid: ControlGrid) -> Lesion:
    """A mass of 12 to 24 mm radius, centered at one of `sites` (sites, 3)."""
    center = sites[generator.integers(len(sites))]
    noise = ndimage.gaussian_filter(generator.standard_normal(grid.shape), 7.0 / CONTROL_MM)
    outline = torch.as_tensor(0.22 * noise / noise.std(), dtype=torch.float32)[None]
    return Lesion(center, float(generator.uniform(12.0, 24.0)), outline)


def growth_fields(head: Head, grid: ControlGrid) -> dict[str, NDArray[np.float64]]:
    """Velocity (3, X, Y, Z) that grows the ventricles, or the hippocampi, by about 1 mm."""
    return {
        "ventricles": growth_velocity(head.mask(*VENTRICLES), grid, head),
        "hippocampus": growth_velocity(head.mask("hippocampus"), grid, head),
    }


def atrophy_velocity(age: int, diagnosis: str, growth: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Velocity (3, X, Y, Z) in mm of aging, and of the diagnosis: ventricles grow, the hippocampus shrinks."""
    ill = float(diagnosis == "atrophy")
    ventricles = ATROPHY_MM["ventricles"] * ill + AGE_MM * (age - 50) / 60
    return ventricles * growth["ventricles"] + ATROPHY_MM["hippocampus"] * ill * growth["hippocampus"]
