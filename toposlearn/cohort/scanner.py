"""The scans of a subject: signal, partial volume, bias field, Rician noise, slices, field of view, brain extraction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from toposlearn.arrays import Float64s
from toposlearn.cohort import contrast
from toposlearn.cohort.recipes import ALL_MODALITIES, Recipe
from toposlearn.cohort.tissue import TissueField
from toposlearn.cohort.traits import SITES, Traits, stream
from toposlearn.config import MODALITIES
from toposlearn.settings import T1CE

INTENSITY = 1000.0  # of the brightest tissue in a written image
ADC_UNITS = 1e6  # an ADC image counts in 1e-6 mm^2/s
HIGHEST_ADC = 4000.0
SITE_SPREAD = {"plain": 0.05, "full": 0.08}  # relative, of a site's timings around the nominal ones
LATER_INVERSION = 1.2  # of a T1w in recipe full: gray and white matter differ less then, as in real templates
DIFFUSION_NOISE = 2.0  # of diffusion-weighted scans, relative to others: they are fast and coarse
_FULL_PROTOCOLS = 1000  # keeps the protocols of recipe full apart from those of plain
# minimum and maximum room (mm) between the head and a face of a scan; below, a scan may end inside the head
ROOM_MM = (2.0, 25.0)
ROOM_BELOW_MM = (-12.0, 20.0)
SAGITTAL, CORONAL, AXIAL = 0, 1, 2  # the axis along which slices lie side by side


@dataclass(frozen=True)
class Scanner:
    """A site's scanner. Slices and axes are of recipe full only."""

    noise: float  # standard deviation, relative to the brightest tissue
    bias: float  # standard deviation of the logarithm of the bias field
    slices: Mapping[str, tuple[int, float]]  # modality -> axis and thickness in mm, where acquired in slices
    axes: str  # the order in which voxels are stored


_DIFFUSION = {"dwi": (AXIAL, 4.0), "ADC": (AXIAL, 4.0)}
_THICK = {name: (AXIAL, 5.0) for name in ("T2w", "FLAIR", "PDw", "dwi", "ADC")}
SCANNERS: Mapping[str, Scanner] = {
    "north": Scanner(0.015, 0.08, _DIFFUSION, "LAS"),
    "harbor": Scanner(0.025, 0.12, _THICK, "LPS"),
    "hill": Scanner(0.035, 0.16, {"T2w": (CORONAL, 4.0), "PDw": (CORONAL, 4.0), **_DIFFUSION}, "RSA"),
    "lake": Scanner(0.02, 0.10, {"FLAIR": (SAGITTAL, 4.0), **_DIFFUSION}, "PSR"),
}


class Scan(NamedTuple):
    """Voxels (X, Y, Z), voxel -> world mm, and the protocol it was made with."""

    image: NDArray[np.int16]
    affine: Float64s
    protocol: contrast.PulseSequence | None  # None: its contrast was drawn at random
    whole: bool = False  # with skull and scalp


def acquire(
    traits: Traits, recipe: Recipe, field_of: Callable[[str], TissueField], affine: Float64s, *, whole: bool = False
) -> dict[str, Scan]:
    """All scans of a subject. `field_of`: modality -> the tissue that its scan sees; affine: its voxels -> world.

    Scans of whole heads keep the noise of the air around; the others are zero there.
    """
    times = contrast.draw_tissues(stream(traits.seed, "tissue", traits.number))
    generator = stream(traits.seed, "scanner", traits.number)  # of all scans in recipe plain
    scans = {}
    for modality in recipe.modalities:
        protocol, tissue = protocol_of(traits.site, modality, recipe, traits.seed), field_of(modality)
        view = View((0, 0, 0), recipe.shape, recipe.shape)
        if recipe.name == "full":
            generator = stream(traits.seed, "scanner", traits.number, scan_number(modality))
            viewer = stream(traits.seed, "view", traits.number, scan_number(modality))
            slices = SCANNERS[traits.site].slices.get(modality)
            view = draw_view(viewer, tissue.inside > 0.5, float(affine[0, 0]), slices)
        drawn = contrast_of(traits, modality, recipe)
        measured = _measure(modality, protocol, times, tissue, view, generator, traits, drawn)
        if not whole:
            measured = measured * (view.of(tissue.inside) > 0.5)
        image = measured.round().clamp(0, 32767).numpy().astype(np.int16)
        axes = SCANNERS[traits.site].axes if recipe.name == "full" else "RAS"
        scans[modality] = Scan(*stored(image, view.affine(affine), axes), protocol if drawn is None else None, whole)
    return scans


def contrast_of(traits: Traits, modality: str, recipe: Recipe) -> Float64s | None:
    """The random contrast of a scan, of which an ADC map has none; None where the sequence decides."""
    if modality == "ADC" or not recipe.random_contrast:
        return None
    generator = stream(traits.seed, "contrast", traits.number, scan_number(modality))
    return contrast.draw_contrast(generator) if generator.random() < recipe.random_contrast else None


def protocol_of(site: str, modality: str, recipe: Recipe, seed: int) -> contrast.PulseSequence:
    """The timing of one modality at one site; a T1w with contrast agent has that of the T1w without."""
    base = "T1w" if modality == T1CE else _scan_of(modality)
    modalities, first = (MODALITIES, 0) if recipe.name == "plain" else (ALL_MODALITIES, _FULL_PROTOCOLS)
    number = first + SITES.index(site) * len(modalities) + modalities.index(base)
    drawn = contrast.draw_sequence(stream(seed, "protocol", number), base, SITE_SPREAD[recipe.name])
    if recipe.name == "plain" or drawn.inversion is None:
        return drawn
    nulled = contrast.fluid_null(drawn.repetition) if base == "FLAIR" else drawn.inversion * LATER_INVERSION
    return replace(drawn, inversion=nulled)


def _scan_of(modality: str) -> str:
    """The scan of a modality: an ADC map is computed from the diffusion-weighted one."""
    return "dwi" if modality == "ADC" else modality


def scan_number(modality: str) -> int:
    """The number of a scan, alike for a diffusion-weighted image and its ADC map."""
    return ALL_MODALITIES.index(_scan_of(modality))


def _measure(
    modality: str,
    protocol: contrast.PulseSequence,
    times: Float64s,
    tissue: TissueField,
    view: View,
    generator: np.random.Generator,
    traits: Traits,
    drawn: Float64s | None,
) -> Tensor:
    """The image before brain extraction: signal in units of `INTENSITY`, or ADC in 1e-6 mm^2/s."""
    site = SCANNERS[traits.site]
    sigma = site.noise * (DIFFUSION_NOISE if protocol.b_value else 1.0)
    diffusivity = contrast.draw_diffusivity(stream(traits.seed, "diffusion", traits.number))
    signals = contrast.tissue_signals(_scan_of(modality), protocol, times, diffusivity)
    brightest = torch.as_tensor(signals[: len(contrast.TISSUES)], dtype=torch.float32).max()  # not of new lesions

    def relative(values: Float64s) -> Tensor:
        return view.of(tissue.image(torch.as_tensor(values, dtype=torch.float32)) / brightest)

    clean = relative(signals)
    if drawn is not None:
        mean, spread = (view.of(tissue.image(torch.as_tensor(each, dtype=torch.float32))) for each in drawn)
        noise = generator.standard_normal(clean.shape, dtype=np.float32)
        clean = (mean + spread * torch.as_tensor(noise)).clamp(min=0)
    bias = draw_bias(generator, clean.shape, site.bias)
    image = rician(generator, clean * bias, sigma)
    if modality != "ADC":
        return image * INTENSITY
    unweighted = rician(generator, relative(contrast.signal(protocol, *times.T)) * bias, sigma)
    return ((unweighted / image.clamp(min=1e-6)).log() / protocol.b_value * ADC_UNITS).clamp(0, HIGHEST_ADC)


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


class View(NamedTuple):
    """The part of the grid that a scan covers, in voxels; `shape` has fewer of them along an axis with slices."""

    start: tuple[int, ...]
    size: tuple[int, ...]
    shape: tuple[int, int, int]

    def of(self, image: Tensor) -> Tensor:
        """The part of an image (X, Y, Z) that the scan covers, averaged over each slice."""
        box = tuple(slice(start, start + size) for start, size in zip(self.start, self.size, strict=True))
        return F.adaptive_avg_pool3d(image[box][None], self.shape)[0]

    def affine(self, affine: Float64s) -> Float64s:
        """Voxel -> world of the scan, from that of the grid."""
        steps = np.divide(self.size, self.shape)
        first = np.diag([*steps, 1.0])
        first[:3, 3] = self.start + (steps - 1) / 2
        return np.asarray(affine @ first)


def draw_view(generator: np.random.Generator, inside: Tensor, spacing: float, slices: tuple[int, float] | None) -> View:
    """A field of view around the head (X, Y, Z) with random room on each side, in slices of about this thickness."""
    head, ends = ndimage.find_objects(inside.numpy().astype(np.uint8))[0], []
    for part, length, below in zip(head, inside.shape, (ROOM_MM, ROOM_MM, ROOM_BELOW_MM), strict=True):
        before, after = (round(generator.uniform(*room) / spacing) for room in (below, ROOM_MM))
        ends.append((max(part.start - before, 0), min(part.stop + after, length)))
    size = tuple(stop - start for start, stop in ends)
    shape = list(size)
    if slices is not None:
        axis, thickness = slices
        shape[axis] = max(2, min(size[axis], round(size[axis] * spacing / thickness)))
    return View(tuple(start for start, _ in ends), size, (shape[0], shape[1], shape[2]))


def stored(image: NDArray[np.int16], affine: Float64s, axes: str) -> tuple[NDArray[np.int16], Float64s]:
    """The same scan with its voxels in another order of axes; the affine follows."""
    here = nib.orientations.io_orientation(affine)
    change = nib.orientations.ornt_transform(here, nib.orientations.axcodes2ornt(tuple(axes)))
    moved = nib.orientations.apply_orientation(image, change)
    return moved, np.asarray(affine @ nib.orientations.inv_ornt_aff(change, image.shape))
