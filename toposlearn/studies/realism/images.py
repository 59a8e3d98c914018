"""How real an image looks, measured within known labels: contrast, noise, shading, texture.

Any image with structure labels will do: simulated scans and real templates are measured by the same code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.preprocessing import PolynomialFeatures

from toposlearn.anatomy import TISSUES
from toposlearn.arrays import Float32s, Float64s
from toposlearn.cohort.tissue import ROWS, tissue_rows
from toposlearn.studies.realism.published import ORDER

Mask = NDArray[np.bool_]
LESION = "lesion"
CLASSES: Mapping[str, int] = {**{name: ROWS[name] for name in TISSUES}, LESION: len(ROWS)}  # air is 0
FACES = ndimage.generate_binary_structure(3, 1)  # a voxel and the six that share a face with it
SHADING_MM = 10.0  # slower changes of brightness are shading
TEXTURE_MM = (2.0, 8.0)  # standard deviations of the two Gaussians whose difference is texture
DEEP_MM = 4.0  # minimum distance from any other tissue, where neighbors do not blur in
AIR_MM = 6.0  # minimum distance from the head of air whose noise is measured
RAYLEIGH = 2.0  # mean square of pure noise in a magnitude image, in variances of one channel
FEWEST, FEWEST_OF_TISSUE = 100, 30  # voxels without which nothing is measured


@dataclass(frozen=True, eq=False)
class View:
    """An image with the tissue of each voxel, (X, Y, Z) each."""

    image: Float32s
    tissue: NDArray[np.integer]  # a value of `CLASSES`, 0 in air
    depth: Float32s  # mm to the nearest voxel that shares a face with another class
    spacing: Float64s  # voxel size of the image in mm, (3,)
    pure: Mask  # voxels that hold one class only, also where they are larger than those of the labels

    def white(self, depth: float = 0.0) -> Mask:
        """Pure voxels of white matter at this depth (mm) or deeper."""
        return np.asarray(self.pure & (self.tissue == CLASSES["white"]) & (self.depth >= depth))


def tissue_map(labels: NDArray[np.integer], lesion: NDArray[np.integer] | None = None) -> NDArray[np.int16]:
    """Class (X, Y, Z) of each voxel from structure labels; a lesion replaces the tissue in which it lies."""
    tissue = tissue_rows(labels)
    if lesion is not None:
        tissue[lesion > 0] = CLASSES[LESION]
    return tissue


def depth_of(tissue: NDArray[np.integer], spacing: Float64s) -> Float32s:
    """Distance (X, Y, Z) in mm from each voxel to the nearest one that shares a face with another class."""
    touching = ndimage.morphological_gradient(tissue, footprint=FACES) > 0
    return np.asarray(ndimage.distance_transform_edt(~touching, sampling=spacing), dtype=np.float32)


def view_of(
    image: NDArray[Any], affine: Float64s, tissue: NDArray[np.integer], depth: Float32s, tissue_affine: Float64s
) -> View:
    """An image (X, Y, Z) with its tissues, which may lie on another grid (X', Y', Z'); affines: voxel -> world mm."""
    spacing, fine = (np.linalg.norm(each[:3, :3], axis=0) for each in (affine, tissue_affine))
    if image.shape != tissue.shape or not np.allclose(affine, tissue_affine, atol=1e-3):
        tissue, depth = (on_grid(part, tissue_affine, image.shape, affine) for part in (tissue, depth))
    pure = (depth > 0) & (depth >= (spacing.max() - fine.min()) / 2)
    return View(np.asarray(image, dtype=np.float32), tissue, depth, spacing, np.asarray(pure))


def on_grid(volume: NDArray[Any], affine: Float64s, shape: tuple[int, ...], target: Float64s) -> NDArray[Any]:
    """A volume read at the nearest voxel of another grid of this shape and affine; 0 outside."""
    to_voxel = np.linalg.inv(affine) @ target
    return np.asarray(ndimage.affine_transform(volume, to_voxel[:3, :3], to_voxel[:3, 3], shape, order=0))


def measure_image(view: View, modality: str) -> dict[str, Any]:
    """All numbers of one image, shading and texture in %. ADC maps have no noise or shading; texture is of T1w only."""
    means = tissue_means(view)
    white = means.get("white", nan)
    in_air = noise_in_air(view)
    noise = noise_in_tissue(view) if in_air is None else in_air
    order = [means.get(name, nan) for name in ORDER.get(modality, ())]
    known = bool(order) and not any(map(isnan, order))
    return {
        "modality": modality,
        "as ordered": order == sorted(order) if known else None,
        "texture": 100 * texture(view, noise) if modality == "T1w" else nan,  # the templates' modality
        "shading": 100 * shading(view) if modality != "ADC" else nan,
        "snr": white / noise if modality != "ADC" else nan,
    } | {f"ratio/{name}": value / white for name, value in means.items() if name != "white"}


def tissue_means(view: View) -> dict[str, float]:
    """Mean intensity of every tissue with enough pure voxels; a lesion counts with its border."""
    means = {}
    for name, value in CLASSES.items():
        values = view.image[(view.tissue == value) & (view.pure | (name == LESION))]
        if values.size >= FEWEST_OF_TISSUE:
            means[name] = float(values.mean())
    return means


def noise_in_tissue(view: View) -> float:
    """Standard deviation of the noise in white matter: what differs from the mean of six neighbors.

    Robust, as in Coupe et al. 2010 (doi:10.1016/j.media.2010.03.001). Fine texture counts as noise. NaN where there
    is too little white matter, as in all measures below.
    """
    inside = view.white(float(view.spacing.max()))
    if inside.sum() < FEWEST:
        return nan
    neighbors = (FACES / 6).astype(np.float32)
    neighbors[1, 1, 1] = 0
    residual = np.sqrt(6 / 7) * (view.image - ndimage.convolve(view.image, neighbors))[inside]
    return float(1.4826 * np.median(np.abs(residual - np.median(residual))))


def noise_in_air(view: View) -> float | None:
    """Standard deviation of the noise, from air far from the head; None where air was set to zero."""
    air = view.image[(view.tissue == 0) & (view.depth >= AIR_MM)]
    if air.size < FEWEST or (air == 0).mean() > 0.5:
        return None
    return float(np.sqrt((air**2).mean() / RAYLEIGH))


def shading(view: View) -> float:
    """Standard deviation of the slow change of brightness in white matter, relative."""
    inside = view.white()
    if inside.sum() < FEWEST:
        return nan
    box = ndimage.find_objects(inside.astype(np.uint8))[0]
    logarithm = np.log(np.maximum(view.image[box], 1e-3))
    return float(_smooth(logarithm, inside[box], SHADING_MM / view.spacing)[inside[box]].std())


def texture(view: View, noise: float) -> float:
    """Relative standard deviation of structure of `TEXTURE_MM` in deep white matter, minus the share of noise.

    Shading, a polynomial of degree 3 in the voxel's place, is divided out first.
    """
    inside = view.white(DEEP_MM)
    if inside.sum() < FEWEST:
        return nan
    box = ndimage.find_objects(inside.astype(np.uint8))[0]
    mask = inside[box]
    terms = PolynomialFeatures(3).fit_transform(2 * np.argwhere(mask) / np.maximum(np.array(mask.shape) - 1, 1) - 1)
    brightness = view.image[box][mask]
    flat = np.ones(mask.shape, dtype=np.float32)
    flat[mask] = brightness / (terms @ np.linalg.lstsq(terms, brightness, rcond=None)[0]).astype(np.float32)
    white_noise = np.random.default_rng(0).standard_normal(mask.shape).astype(np.float32)
    explained = _band(white_noise, mask, view.spacing) * noise / float(brightness.mean())
    return float(np.sqrt(max(_band(flat, mask, view.spacing) ** 2 - explained**2, 0.0)))


def _smooth(values: Float32s, inside: Mask, sigma: Float64s) -> Float32s:
    """Gaussian mean (X, Y, Z), sigma in voxels, over the voxels inside only."""
    weight = ndimage.gaussian_filter(inside.astype(np.float32), sigma)
    total = ndimage.gaussian_filter(np.where(inside, values, 0).astype(np.float32), sigma)
    return np.asarray(total / np.maximum(weight, 1e-6))


def _band(values: Float32s, inside: Mask, spacing: Float64s) -> float:
    fine, coarse = (_smooth(values, inside, mm / spacing)[inside] for mm in TEXTURE_MM)
    return float((fine - coarse).std())
