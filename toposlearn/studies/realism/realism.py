"""How real an image looks, as numbers taken inside known labels: tissue contrast, noise, shading, texture.

Nothing here knows how an image was made: any image with structure labels will do, a real template among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from toposlearn.anatomy import STRUCTURES, TISSUES

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

LESION = "lesion"
CLASSES: tuple[str, ...] = ("air", *TISSUES, LESION)  # index: value in a map of tissues
SHADING_MM = 10.0  # what varies more slowly than this is shading
TEXTURE_MM = (2.0, 8.0)  # Gaussians whose difference is texture
DEEP_MM = 4.0  # from any other tissue: no partial volume, no neighbor's blur
RAYLEIGH = 2.0  # mean square of pure noise in a magnitude image, in variances of one channel


@dataclass(frozen=True, eq=False)
class View:
    """An image and what is known of each voxel, all (X, Y, Z).

    Attributes:
        image: intensities.
        tissue: index into `CLASSES`.
        depth: mm to the nearest voxel that touches another class; 0 on such a voxel.
        spacing: voxel size of the image in mm, (3,).
        pure: voxels that hold one class only, also where the image's voxels are larger than those of the labels.
    """

    image: Floats
    tissue: NDArray[np.uint8]
    depth: Floats
    spacing: NDArray[np.float64]
    pure: Mask

    def inside(self, tissue: str, depth: float = 0.0) -> Mask:
        """Pure voxels of a tissue, at least this deep in mm."""
        return np.asarray(self.pure & (self.tissue == CLASSES.index(tissue)) & (self.depth >= depth))


def tissue_map(labels: NDArray[np.integer], lesion: NDArray[np.integer] | None = None) -> NDArray[np.uint8]:
    """Structure labels (X, Y, Z) -> index into `CLASSES`; a lesion (X, Y, Z) covers what it grew in."""
    lookup = np.zeros(max(int(labels.max()), max(s.label for s in STRUCTURES)) + 1, dtype=np.uint8)
    for structure in STRUCTURES:
        lookup[structure.label] = CLASSES.index(structure.tissue)
    tissue = lookup[labels]
    if lesion is not None:
        tissue[np.asarray(lesion) > 0] = CLASSES.index(LESION)
    return np.asarray(tissue)


def depth_of(tissue: NDArray[np.uint8], spacing: NDArray[np.float64]) -> Floats:
    """Distance (X, Y, Z) in mm from each voxel to the nearest one that shares a face with another class."""
    touching = np.zeros(tissue.shape, dtype=bool)
    for axis in range(3):
        differs = np.diff(tissue, axis=axis) != 0
        for edge in ((0, 1), (1, 0)):  # both voxels of a face
            touching |= np.pad(differs, [edge if a == axis else (0, 0) for a in range(3)])
    return np.asarray(ndimage.distance_transform_edt(~touching, sampling=spacing), dtype=np.float32)


def view_of(
    image: Floats,
    affine: NDArray[np.float64],
    tissue: NDArray[np.uint8],
    depth: Floats,
    tissue_affine: NDArray[np.float64],
) -> View:
    """An image (X, Y, Z) with tissues and depths that lie on a grid of their own (X', Y', Z'), read at its voxels.

    Args:
        image: intensities.
        affine: (4, 4), voxel -> world mm, of the image.
        tissue: of `tissue_map`.
        depth: of `depth_of`.
        tissue_affine: (4, 4), of the two.
    """
    spacing, fine = (np.linalg.norm(a[:3, :3], axis=0) for a in (affine, tissue_affine))
    if image.shape != tissue.shape or not np.allclose(affine, tissue_affine, atol=1e-3):
        tissue, depth = (on_grid(part, tissue_affine, image.shape, affine) for part in (tissue, depth))
    pure = (depth > 0) & (depth >= (spacing.max() - fine.min()) / 2)
    return View(np.asarray(image, dtype=np.float32), tissue, depth, spacing, np.asarray(pure))


def on_grid(
    volume: NDArray[Any], affine: NDArray[np.floating], shape: tuple[int, ...], target: NDArray[np.floating]
) -> NDArray[Any]:
    """A volume (X', Y', Z') read at the nearest voxel on another grid (X, Y, Z); 0 outside."""
    to_voxel = np.linalg.inv(affine) @ target
    return np.asarray(ndimage.affine_transform(volume, to_voxel[:3, :3], to_voxel[:3, 3], shape, order=0))


def tissue_means(view: View, least: int = 30) -> dict[str, float]:
    """Mean intensity of every tissue that has at least `least` pure voxels; a lesion counts with its border."""
    found = {}
    for index, name in enumerate(CLASSES[1:], start=1):
        values = view.image[(view.tissue == index) & (view.pure | (name == LESION))]
        if values.size >= least:
            found[name] = float(values.mean())
    return found


def edge_widths(view: View, means: Mapping[str, float]) -> list[float]:
    """How wide the edge between white matter and fluid is along each axis, mm: resolution as it is, not as stored.

    Voxel size times contrast over the mean step between two voxels of which one is labeled white matter and one
    fluid. Edges that are crossed aslant widen it, along all axes alike. NaN where the two differ by less than a fifth.
    """
    contrast = means.get("white", 0.0) - means.get("csf", 0.0)
    if not {"white", "csf"} <= set(means) or abs(contrast) < 0.2 * means["white"]:
        return [float("nan")] * 3
    white, fluid = (view.tissue == CLASSES.index(name) for name in ("white", "csf"))
    widths = []
    for axis in range(3):
        first, second = ([slice(None)] * 3 for _ in range(2))
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        a, b = tuple(first), tuple(second)
        step = view.image[a] - view.image[b]
        steps = np.concatenate([step[white[a] & fluid[b]], -step[fluid[a] & white[b]]])
        drop = float(steps.mean()) / contrast if len(steps) else 0.0
        widths.append(float(view.spacing[axis]) / drop if drop > 0 else float("nan"))
    return widths


def noise_level(view: View) -> float:
    """Standard deviation of the noise, from white matter: what differs from the mean of six neighbors.

    Robust, as in Coupe et al. 2010 (doi:10.1016/j.media.2010.03.001). Fine texture counts as noise. NaN where there
    is too little white matter.
    """
    inside = view.inside("white", float(view.spacing.max()))
    if inside.sum() < 100:
        return float("nan")
    cross = ndimage.generate_binary_structure(3, 1) / 6.0
    cross[1, 1, 1] = 0
    residual = np.sqrt(6 / 7) * (view.image - ndimage.convolve(view.image, cross.astype(np.float32)))[inside]
    return float(1.4826 * np.median(np.abs(residual - np.median(residual))))


def air_noise(view: View, far: float = 6.0) -> float | None:
    """Standard deviation of the noise, from air at least `far` mm from the head; None where air was set to zero."""
    air = view.image[(view.tissue == 0) & (view.depth >= far)]
    if air.size < 100 or (air == 0).mean() > 0.5:
        return None
    return float(np.sqrt((air**2).mean() / RAYLEIGH))


def _smooth(values: Floats, inside: Mask, sigma: NDArray[np.float64]) -> Floats:
    """Gaussian mean (X, Y, Z), sigma in voxels, over what is inside alone."""
    weight = ndimage.gaussian_filter(inside.astype(np.float32), sigma)
    total = ndimage.gaussian_filter(np.where(inside, values, 0).astype(np.float32), sigma)
    return np.asarray(total / np.maximum(weight, 1e-6))


def _box(inside: Mask) -> tuple[slice, ...]:
    return ndimage.find_objects(inside.astype(np.uint8))[0]


def shading(view: View) -> float:
    """Standard deviation of the slow change of brightness in white matter, as a share of it: what a bias field left.

    NaN where there is too little white matter.
    """
    inside = view.inside("white")
    if inside.sum() < 100:
        return float("nan")
    box = _box(inside)
    logarithm = np.log(np.maximum(view.image[box], 1e-3))
    return float(_smooth(logarithm, inside[box], SHADING_MM / view.spacing)[inside[box]].std())


def texture(view: View, noise: float) -> float:
    """Standard deviation of structure of `TEXTURE_MM` in deep white matter, as a share of it, less what noise gives.

    Shading, a polynomial of degree 3, is taken out first. NaN where there is too little white matter.
    """
    inside = view.inside("white", DEEP_MM)
    if inside.sum() < 100:
        return float("nan")
    box = _box(inside)
    mask = inside[box]
    brightness = np.where(mask, view.image[box], np.float32(1))
    white_noise = np.random.default_rng(0).standard_normal(mask.shape).astype(np.float32)
    flat = np.asarray(brightness / _polynomial(brightness, mask), dtype=np.float32)
    measured = _band(flat, mask, view.spacing)
    explained = _band(white_noise, mask, view.spacing) * noise / float(brightness[mask].mean())
    return float(np.sqrt(max(measured**2 - explained**2, 0.0)))


def _band(values: Floats, inside: Mask, spacing: NDArray[np.float64]) -> float:
    """Standard deviation, inside, of the difference of two Gaussian means."""
    fine, coarse = (_smooth(values, inside, mm / spacing)[inside] for mm in TEXTURE_MM)
    return float((fine - coarse).std())


def _polynomial(values: Floats, inside: Mask, degree: int = 3) -> Floats:
    """Least-squares polynomial (X, Y, Z) of the voxel's place through the values inside; 1 elsewhere."""
    places = np.argwhere(inside)
    scaled = 2 * places / np.maximum(np.array(inside.shape) - 1, 1) - 1
    powers = [p for p in np.ndindex(degree + 1, degree + 1, degree + 1) if sum(p) <= degree]
    terms = np.stack([np.prod(scaled ** np.array(p), axis=1) for p in powers], axis=1)
    found, *_ = np.linalg.lstsq(terms, values[inside], rcond=None)
    smooth = np.ones_like(values)
    smooth[inside] = terms @ found
    return smooth


def ratios(means: Mapping[str, float], to: str = "white") -> dict[str, float]:
    """Tissue -> its intensity as a share of white matter's; empty where there is none."""
    return {name: value / means[to] for name, value in means.items() if name != to} if to in means else {}


def block_mean(volume: Floats, factor: int) -> Floats:
    """A volume (X, Y, Z) at a coarser grid: the mean of each block; what does not fill a block is cut off."""
    x, y, z = (size // factor for size in volume.shape)
    whole = volume[: x * factor, : y * factor, : z * factor]
    return np.asarray(whole.reshape(x, factor, y, factor, z, factor).mean(axis=(1, 3, 5)), dtype=np.float32)
