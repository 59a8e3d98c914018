"""What the scanner adds: a smooth bias field and Rician noise of the site's strength, thick slices, a field of view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

SAGITTAL, CORONAL, AXIAL = 0, 1, 2  # the axis along which slices lie side by side


@dataclass(frozen=True)
class Scanner:
    """A site's scanner.

    Attributes:
        noise: standard deviation, relative to the brightest tissue.
        bias: standard deviation of the logarithm of the bias field.
        slices: of the modalities that are acquired in slices: axis, and thickness in mm. Recipe full only.
        axes: the order in which voxels are stored. Recipe full only.
    """

    noise: float
    bias: float
    slices: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    axes: str = "RAS"


_DIFFUSION = {"dwi": (AXIAL, 4.0), "ADC": (AXIAL, 4.0)}
SCANNERS: Mapping[str, Scanner] = {
    "north": Scanner(noise=0.015, bias=0.08, slices=_DIFFUSION, axes="LAS"),
    "harbor": Scanner(
        noise=0.025,
        bias=0.12,
        slices={name: (AXIAL, 5.0) for name in ("T2w", "FLAIR", "PDw", "dwi", "ADC")},
        axes="LPS",
    ),
    "hill": Scanner(
        noise=0.035, bias=0.16, slices={"T2w": (CORONAL, 4.0), "PDw": (CORONAL, 4.0), **_DIFFUSION}, axes="RSA"
    ),
    "lake": Scanner(noise=0.02, bias=0.10, slices={"FLAIR": (SAGITTAL, 4.0), **_DIFFUSION}, axes="PSR"),
}
# mm of air between the head and each face of a scan, at least and at most; below, a scan may end inside the head
ROOM_MM = (2.0, 25.0)
ROOM_BELOW_MM = (-12.0, 20.0)


def draw_bias(generator: np.random.Generator, shape: tuple[int, ...], strength: float) -> Tensor:
    """A smooth multiplicative field of this shape, in [0.5, 2], with a correlation length of a third of the image."""
    noise = generator.standard_normal((24, 24, 24))
    lattice = ndimage.gaussian_filter(noise, 24 / 6, mode="nearest")
    field = strength * lattice / lattice.std()
    smooth = torch.as_tensor(np.exp(np.clip(field, -np.log(2), np.log(2))), dtype=torch.float32)
    return F.interpolate(smooth[None, None], size=shape, mode="trilinear", align_corners=False)[0, 0]


def rician(generator: np.random.Generator, image: Tensor, sigma: float) -> Tensor:
    """Magnitude of a complex image with Gaussian noise in both channels (Gudbjartsson and Patz 1995)."""
    noise = torch.as_tensor(generator.standard_normal((2, *image.shape), dtype=np.float32))
    return torch.hypot(image + sigma * noise[0], sigma * noise[1])


@dataclass(frozen=True)
class View:
    """Which part of the grid a scan covers, and in how many slices along which axis (None: the grid's own)."""

    box: tuple[slice, slice, slice]
    slices: tuple[int, int] | None = None  # axis, number

    def of(self, image: Tensor) -> Tensor:
        """What the scan sees of an image (X, Y, Z): cut out, and averaged over each slice."""
        seen = image[self.box]
        if self.slices is None:
            return seen
        axis, number = self.slices
        first, second, third = (number if each == axis else length for each, length in enumerate(seen.shape))
        return F.adaptive_avg_pool3d(seen[None], (first, second, third))[0]

    def affine(self, affine: NDArray[np.float64]) -> NDArray[np.float64]:
        """Voxel -> world of the scan, from that of the grid."""
        first = np.eye(4)
        first[:3, 3] = [part.start for part in self.box]
        if self.slices is not None:
            axis, number = self.slices
            length = self.box[axis].stop - self.box[axis].start
            first[axis, axis] = length / number
            first[axis, 3] += (length / number - 1) / 2
        return np.asarray(affine @ first)


def draw_view(generator: np.random.Generator, inside: Tensor, spacing: float, slices: tuple[int, float] | None) -> View:
    """A field of view around the head (X, Y, Z) with random room on each side, in slices of about this thickness."""
    box = []
    for axis in range(3):
        hit = inside.any(dim=tuple(other for other in range(3) if other != axis)).nonzero()
        below = generator.uniform(*(ROOM_BELOW_MM if axis == AXIAL else ROOM_MM))
        room = np.rint([below / spacing, generator.uniform(*ROOM_MM) / spacing]).astype(int)
        start = max(int(hit[0]) - int(room[0]), 0)
        box.append(slice(start, min(int(hit[-1]) + 1 + int(room[1]), inside.shape[axis])))
    if slices is None:
        return View((box[0], box[1], box[2]))
    axis, thickness = slices
    length = box[axis].stop - box[axis].start
    return View((box[0], box[1], box[2]), (axis, max(2, min(length, round(length * spacing / thickness)))))


def stored(
    image: NDArray[np.int16], affine: NDArray[np.float64], axes: str
) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """The same scan with its voxels in another order of axes; the affine follows."""
    here = nib.orientations.io_orientation(affine)
    change = nib.orientations.ornt_transform(here, nib.orientations.axcodes2ornt(tuple(axes)))
    moved = nib.orientations.apply_orientation(image, change)
    return moved, np.asarray(affine @ nib.orientations.inv_ornt_aff(change, image.shape))
