"""How real an image looks, measured within known labels: contrast, noise, shading, texture.

Any image with structure labels will do: simulated scans and real templates are measured by the same code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from toposlearn.anatomy import TISSUES
from toposlearn.arrays import Float32s, Float64s
from toposlearn.cohort.tissue import ROWS, tissue_rows
from toposlearn.studies.realism.published import ORDER

Mask = NDArray[np.bool_]
LESION = "lesion"
CLASSES: Mapping[str, int] = {**{name: ROWS[name] for name in TISSUES}, LESION: len(ROWS)}  # air is 0
SHADING_MM = 10.0  # slower changes of brightness are shading
TEXTURE_MM = (2.0, 8.0)  # standard deviations of the two Gaussians whose difference is texture
DEEP_MM = 4.0  # minimum distance from any other tissue, where neighbors do not blur in
AIR_MM = 6.0  # minimum distance from the head of air whose noise is measured
RAYLEIGH = 2.0  # mean square of pure noise in a magnitude image, in variances of one channel
FEWEST, FEWEST_OF_TISSUE = 100, 30  # voxels without which nothing is measured


@dataclass(frozen=True, eq=False)
class View:
    """An image (X, Y, Z) with the tissue of each voxel.

    Attributes:
        image: intensities.
        tissue: a value of `CLASSES`, 0 in air.
        depth: mm to the nearest voxel that shares a face with another class.
        spacing: voxel size of the image in mm, (3,).
        pure: voxels that hold one class only, also where the image's voxels are larger than those of the labels.
    """

    image: Float32s
    tissue: NDArray[np.integer]
    depth: Float32s
    spacing: Float64s
    pure: Mask

    def inside(self, tissue: str, depth: float = 0.0) -> Mask:
        """Pure voxels of a tissue, at this depth (mm) or deeper."""
        return np.asarray(self.pure & (self.tissue == CLASSES[tissue]) & (self.depth >= depth))


def tissue_map(labels: NDArray[np.integer], lesion: NDArray[np.integer] | None = None) -> NDArray[np.int16]:
    """Class (X, Y, Z) of each voxel from structure labels; a lesion replaces the tissue in which it lies."""
    tissue = tissue_rows(labels)
    if lesion is not None:
        tissue[lesion > 0] = CLASSES[LESION]
    return tissue


def depth_of(tissue: NDArray[np.integer], spacing: Float64s) -> Float32s:
    """Distance (X, Y, Z) in mm from each voxel to the nearest one that shares a face with another class."""
    touching = np.zeros(tissue.shape, dtype=bool)
    for axis in range(3):
        differs = np.diff(tissue, axis=axis) != 0
        for edge in ((0, 1), (1, 0)):  # both voxels of a face
            touching |= np.pad(differs, [edge if a == axis else (0, 0) for a in range(3)])
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
    """All numbers of one image. An ADC map has no noise or shading of its own; texture is that of T1w only."""
    means = tissue_means(view)
    white = means.get("white", float("nan"))
    in_air = noise_in_air(view)
    noise = noise_in_tissue(view) if in_air is None else in_air
    order = [means.get(name, float("nan")) for name in ORDER.get(modality, ())]
    known = bool(order) and not np.isnan(order).any()
    row: dict[str, Any] = {"modality": modality, "as ordered": order == sorted(order) if known else None}
    if modality == "T1w":  # the templates' modality
        row["texture"] = texture(view, noise)
    if modality != "ADC":
        row |= {"shading": shading(view), "snr": white / noise}
    return row | {f"ratio/{name}": value / white for name, value in means.items() if name != "white"}


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
    is too little white matter.
    """
    inside = view.inside("white", float(view.spacing.max()))
    if inside.sum() < FEWEST:
        return float("nan")
    cross = ndimage.generate_binary_structure(3, 1) / 6.0
    cross[1, 1, 1] = 0
    residual = np.sqrt(6 / 7) * (view.image - ndimage.convolve(view.image, cross.astype(np.float32)))[inside]
    return float(1.4826 * np.median(np.abs(residual - np.median(residual))))


def noise_in_air(view: View) -> float | None:
    """Standard deviation of the noise, from air far from the head; None where air was set to zero."""
    air = view.image[(view.tissue == 0) & (view.depth >= AIR_MM)]
    if air.size < FEWEST or (air == 0).mean() > 0.5:
        return None
    return float(np.sqrt((air**2).mean() / RAYLEIGH))


def shading(view: View) -> float:
    """Standard deviation of the slow change of brightness in white matter, relative; NaN where there is too little."""
    inside = view.inside("white")
    if inside.sum() < FEWEST:
        return float("nan")
    box = ndimage.find_objects(inside.astype(np.uint8))[0]
    logarithm = np.log(np.maximum(view.image[box], 1e-3))
    return float(_smooth(logarithm, inside[box], SHADING_MM / view.spacing)[inside[box]].std())


def texture(view: View, noise: float) -> float:
    """Relative standard deviation of structure of `TEXTURE_MM` in deep white matter, minus the share of noise.

    Shading, a polynomial of degree 3, is divided out first. NaN where there is too little white matter.
    """
    inside = view.inside("white", DEEP_MM)
    if inside.sum() < FEWEST:
        return float("nan")
    box = ndimage.find_objects(inside.astype(np.uint8))[0]
    mask = inside[box]
    brightness = np.where(mask, view.image[box], np.float32(1))
    white_noise = np.random.default_rng(0).standard_normal(mask.shape).astype(np.float32)
    flat = np.asarray(brightness / _polynomial(brightness, mask), dtype=np.float32)
    measured = _band(flat, mask, view.spacing)
    explained = _band(white_noise, mask, view.spacing) * noise / float(brightness[mask].mean())
    return float(np.sqrt(max(measured**2 - explained**2, 0.0)))


def _smooth(values: Float32s, inside: Mask, sigma: Float64s) -> Float32s:
    """Gaussian mean (X, Y, Z), sigma in voxels, over the voxels inside only."""
    weight = ndimage.gaussian_filter(inside.astype(np.float32), sigma)
    total = ndimage.gaussian_filter(np.where(inside, values, 0).astype(np.float32), sigma)
    return np.asarray(total / np.maximum(weight, 1e-6))


def _band(values: Float32s, inside: Mask, spacing: Float64s) -> float:
    fine, coarse = (_smooth(values, inside, mm / spacing)[inside] for mm in TEXTURE_MM)
    return float((fine - coarse).std())


def _polynomial(values: Float32s, inside: Mask) -> Float32s:
    """Least-squares polynomial (X, Y, Z) of degree 3 of the voxel's place through the values inside; 1 elsewhere."""
    scaled = 2 * np.argwhere(inside) / np.maximum(np.array(inside.shape) - 1, 1) - 1
    powers = [power for power in np.ndindex(4, 4, 4) if sum(power) <= 3]
    terms = np.stack([np.prod(scaled ** np.array(power), axis=1) for power in powers], axis=1)
    smooth = np.ones_like(values)
    smooth[inside] = terms @ np.linalg.lstsq(terms, values[inside], rcond=None)[0]
    return smooth
