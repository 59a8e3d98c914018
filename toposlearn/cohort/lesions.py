"""Lesions with their masks: gliomas of two grades, stroke, white-matter lesions, metastases.

Each is one or more foci with parts in shells, an uneven outline, and a mass effect that bends the tissue around it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.cohort.deformation import CONTROL_MM, ControlGrid, bulge_velocity
from toposlearn.cohort.head import Head

Host = Literal["white", "solid", "brain"]  # white matter; all but air; all but air and fluid
SiteKind = Literal["deep", "near cortex", "junction", "near ventricles"]
_DATA = yaml.safe_load(Path(__file__).with_name("lesions.yaml").read_text(encoding="utf-8"))
LESION_LABELS: Mapping[str, int] = _DATA["labels"]  # of lesion maps; 1 to 3 as in BraTS 2023
OUTLINE_MM, UNEVENNESS = 7.0, 0.22  # smoothness of the outline, and its standard deviation in radii
MIDLINE_MM = 0.0  # x of the template's midline


class Part(NamedTuple):
    """One shell of a focus: its tissue, the edge where it ends (in radii), where it grows, and its label."""

    tissue: str
    outer: float
    host: Host
    label: int


@dataclass(frozen=True)
class Kind:
    """One kind of lesion: parts from the center outwards, radius (mm), sites and number of foci.

    `push` is the mass effect: the largest displacement of tissue in radii, at the distance `pushed_at` from the center.
    """

    parts: tuple[Part, ...]
    radius: tuple[float, float]
    sites: SiteKind
    foci: tuple[int, int] = (1, 1)
    push: float = 0.0
    pushed_at: float = 0.55  # tissue grows up to 1.7 times as far out, and is squeezed beyond
    one_side: bool = False


def _kind(settings: dict[str, Any]) -> Kind:
    parts = tuple(Part(tissue, outer, host, LESION_LABELS[label]) for tissue, outer, host, label in settings["parts"])
    ranges: dict[str, Any] = {name: tuple(settings[name]) for name in ("radius", "foci") if name in settings}
    return Kind(**settings | ranges | {"parts": parts})


KINDS: Mapping[str, Kind] = {name: _kind(settings) for name, settings in _DATA["kinds"].items()}


@dataclass(frozen=True, eq=False)
class Lesion:
    """One or more foci with one uneven outline."""

    kind: Kind
    centers: Float64s  # (foci, 3), template mm
    radii: Float64s  # (foci,), mm
    outline: Tensor  # (1, X, Y, Z), on the lattice of velocities

    def velocity(self, grid: ControlGrid) -> Float64s:
        """Mass effect (3, X, Y, Z) in mm: the tissue around is pushed outwards."""
        pushes = [
            self.kind.push * radius * bulge_velocity(center, self.kind.pushed_at * radius, grid)
            for center, radius in zip(self.centers, self.radii.tolist(), strict=True)
        ]
        return np.asarray(sum(pushes))

    def relative_distance(self, points: Tensor, grid: ControlGrid) -> Tensor:
        """Distance of template points (X, Y, Z, 3) from the nearest center, in units of its local radius."""
        nearest = torch.full(points.shape[:-1], torch.inf)
        for center, radius in zip(self.centers, self.radii.tolist(), strict=True):
            offset = points - torch.as_tensor(center, dtype=torch.float32)
            nearest = torch.minimum(nearest, offset.square().sum(dim=-1).sqrt() / radius)
        if self.kind.one_side:
            nearest[(points[..., 0] > MIDLINE_MM) != bool(self.centers[0, 0] > MIDLINE_MM)] = torch.inf
        return nearest * (1 + grid.read(self.outline, points)[0])


def lesion_sites(head: Head) -> dict[SiteKind, Float64s]:
    """Template mm (sites, 3) of the voxels of cerebral white matter where each kind of lesion may begin."""
    white = head.mask("cerebral-white-matter")
    depth = ndimage.distance_transform_edt(white, sampling=head.spacing)
    from_ventricle = ndimage.distance_transform_edt(~head.mask("lateral-ventricle"), sampling=head.spacing)
    places: dict[SiteKind, NDArray[np.bool_]] = {
        "deep": depth >= 5.0,
        "near cortex": (depth > 0) & (depth <= 4.0) & (from_ventricle > 15.0),
        "junction": (depth > 0) & (depth <= 2.0) & (from_ventricle > 10.0),
        "near ventricles": (depth >= 2.0) & (from_ventricle <= 14.0),
    }
    return {name: np.argwhere(place) @ head.affine[:3, :3].T + head.affine[:3, 3] for name, place in places.items()}


def draw_lesion(
    generator: np.random.Generator, name: str, sites: Mapping[SiteKind, Float64s], grid: ControlGrid
) -> Lesion:
    """A lesion of one of `KINDS`, its foci at some of the places where that kind begins."""
    kind = KINDS[name]
    low, high = kind.foci
    count = low if low == high else int(generator.integers(low, high + 1))
    places = sites[kind.sites]
    centers = places[generator.integers(len(places), size=count)]
    noise = ndimage.gaussian_filter(generator.standard_normal(grid.shape), OUTLINE_MM / CONTROL_MM)
    outline = torch.as_tensor(UNEVENNESS * noise / noise.std(), dtype=torch.float32)[None]
    return Lesion(kind, centers, generator.uniform(*kind.radius, size=count), outline)
