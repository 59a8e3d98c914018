"""The scans of one person: signal, partial volume, bias, noise, brain extraction; each on its grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toposlearn.cohort import contrast, scanner
from toposlearn.cohort.recipes import ALL_MODALITIES, T1CE, Recipe
from toposlearn.cohort.streams import stream
from toposlearn.cohort.tissue import TissueField
from toposlearn.cohort.traits import SITES, Traits
from toposlearn.config import MODALITIES

INTENSITY = 1000.0  # of the brightest tissue in a written image
ADC_UNITS = 1e6  # an ADC image counts in 1e-6 mm^2/s
HIGHEST_ADC = 4000.0
SITE_SPREAD = {"plain": 0.05, "full": 0.08}  # relative, of a site's timings around the nominal ones
LATER_INVERSION = 1.2  # of a T1w in recipe full: gray and white matter differ less then, as in real templates
DIFFUSION_NOISE = 2.0  # of diffusion-weighted scans, relative to others: they are fast and coarse
_FULL_PROTOCOLS = 1000  # keeps the protocols of recipe full apart from those of plain


class Scan(NamedTuple):
    """Voxels (X, Y, Z), voxel -> world mm, and the protocol it was made with."""

    image: NDArray[np.int16]
    affine: NDArray[np.float64]
    protocol: contrast.PulseSequence


def protocol_of(site: str, modality: str, recipe: Recipe, seed: int) -> contrast.PulseSequence:
    """The timing of one modality at one site; a T1w with contrast agent is made like the one without."""
    base = "T1w" if modality == T1CE else protocol_name(modality)
    if recipe.name == "plain":
        number = SITES.index(site) * len(MODALITIES) + MODALITIES.index(base)
        return contrast.draw_sequence(stream(seed, "protocol", number), base, SITE_SPREAD[recipe.name])
    number = _FULL_PROTOCOLS + SITES.index(site) * len(ALL_MODALITIES) + ALL_MODALITIES.index(base)
    drawn = contrast.draw_sequence(stream(seed, "protocol", number), base, SITE_SPREAD[recipe.name])
    if base == "FLAIR":
        return replace(drawn, inversion=contrast.fluid_null(drawn.repetition))
    return replace(drawn, inversion=drawn.inversion * LATER_INVERSION) if drawn.inversion else drawn


def protocol_name(modality: str) -> str:
    """The sequence a modality comes from: an ADC map is computed from the diffusion-weighted scan."""
    return "dwi" if modality == "ADC" else modality


def acquire(
    traits: Traits, recipe: Recipe, field_of: Callable[[str], TissueField], affine: NDArray[np.float64]
) -> dict[str, Scan]:
    """All scans of a person.

    Args:
        traits: from `draw_traits`.
        recipe: which modalities, and how.
        field_of: modality -> the tissue that its scan sees.
        affine: voxel -> world of the grid that the tissue lies on.
    """
    times = contrast.draw_tissues(stream(traits.seed, "tissue", traits.number))
    shared = stream(traits.seed, "scanner", traits.number)
    scans = {}
    for modality in recipe.modalities:
        protocol = protocol_of(traits.site, modality, recipe, traits.seed)
        field = field_of(modality)
        view = _view(traits, recipe, modality, field.inside > 0.5, affine)
        generator = (
            shared if recipe.name == "plain" else stream(traits.seed, "scanner", traits.number, scan_number(modality))
        )
        measured = _measure(modality, protocol, times, field, view, generator, traits)
        image = (measured * (view.of(field.inside) > 0.5)).round().clamp(0, 32767).numpy().astype(np.int16)
        place = view.affine(affine)
        if recipe.name == "full":
            image, place = scanner.stored(image, place, scanner.SCANNERS[traits.site].axes)
        scans[modality] = Scan(image, place, protocol)
    return scans


def scan_number(modality: str) -> int:
    """The number of a scan."""
    return ALL_MODALITIES.index(protocol_name(modality))


def _view(traits: Traits, recipe: Recipe, modality: str, inside: Tensor, affine: NDArray[np.float64]) -> scanner.View:
    if recipe.name == "plain":
        first, second, third = (slice(0, size) for size in inside.shape)
        return scanner.View((first, second, third))
    slices = scanner.SCANNERS[traits.site].slices.get(modality)
    return scanner.draw_view(
        stream(traits.seed, "view", traits.number, scan_number(modality)), inside, float(affine[0, 0]), slices
    )


def _measure(
    modality: str,
    protocol: contrast.PulseSequence,
    times: NDArray[np.float64],
    field: TissueField,
    view: scanner.View,
    generator: np.random.Generator,
    traits: Traits,
) -> Tensor:
    """What the scanner records, before brain extraction: signal in units of `INTENSITY`, or ADC in 1e-6 mm^2/s."""
    site = scanner.SCANNERS[traits.site]
    sigma = site.noise * (DIFFUSION_NOISE if protocol.b_value else 1.0)
    diffusivity = contrast.draw_diffusivity(stream(traits.seed, "diffusion", traits.number))
    signals = contrast.tissue_signals(protocol_name(modality), protocol, times, diffusivity)
    clean = _relative(field, view, signals, signals)
    bias = scanner.draw_bias(generator, clean.shape, site.bias)
    image = scanner.rician(generator, clean * bias, sigma)
    if modality != "ADC":
        return image * INTENSITY
    plain = _relative(field, view, contrast.signal(protocol, *times.T), signals)
    unweighted = scanner.rician(generator, plain * bias, sigma)
    return ((unweighted / image.clamp(min=1e-6)).log() / protocol.b_value * ADC_UNITS).clamp(0, HIGHEST_ADC)


def _relative(
    field: TissueField, view: scanner.View, signals: NDArray[np.float64], reference: NDArray[np.float64]
) -> Tensor:
    """The image of these signals (tissues,), relative to the brightest of the reference outside new lesions."""
    brightest = torch.as_tensor(reference[: len(contrast.TISSUES)], dtype=torch.float32).max()
    return view.of(field.image(torch.as_tensor(signals, dtype=torch.float32)) / brightest)
