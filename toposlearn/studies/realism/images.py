"""How real an image looks, measured within known labels: contrast, noise, shading, texture.

Any image with structure labels will do: simulated scans and real templates are measured by the same code.
"""

from collections.abc import Iterator, Mapping
from math import isnan, nan
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from toposlearn.anatomy import TISSUES, LabelMap
from toposlearn.arrays import Float32s, Float64s
from toposlearn.cohort.tissue import ROWS, tissue_rows
from toposlearn.studies.realism.published import PUBLISHED

Mask = NDArray[np.bool_]
Numbers = Iterator[tuple[str, dict[str, float]]]  # group of the table, name in it -> value, NaN where unknown
CLASSES: Mapping[str, int] = {**{name: ROWS[name] for name in TISSUES}, "lesion": len(ROWS)}  # air is 0
MIXED = -1  # class of a voxel that holds several
FACES = ndimage.generate_binary_structure(3, 1)  # a voxel and the six that share a face with it
SHADING_MM = 10.0  # slower changes of brightness are shading
TEXTURE_MM = (2.0, 8.0)  # standard deviations of the two Gaussians whose difference is texture
DEEP_MM = 4.0  # minimum distance from any other tissue, where neighbors do not blur in
AIR_MM = 6.0  # minimum distance from the head of air whose noise is measured
RAYLEIGH = 2.0  # mean square of pure noise in a magnitude image, in variances of one channel
FEWEST, FEWEST_OF_TISSUE = 100, 30  # voxels without which nothing is measured


class View(NamedTuple):
    """An image, or labels, with what is known of each voxel (X, Y, Z); affine: voxel -> world mm."""

    image: NDArray[Any]
    affine: Float64s
    tissue: NDArray[np.integer]  # a value of `CLASSES`; a lesion replaces the tissue in which it lies
    depth: Float32s  # mm to the nearest voxel of the labels that shares a face with another class

    @property
    def spacing(self) -> Float64s:
        """Voxel size (3,) in mm."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))

    def white(self, depth: float = 0.0) -> Mask:
        """Voxels that hold white matter only, at this depth (mm) or deeper."""
        return np.asarray((self.tissue == CLASSES["white"]) & (self.depth >= depth))


def truth_of(labels: LabelMap, lesion: NDArray[Any] | None = None) -> View:
    """The class and depth of each voxel of a label map, with a lesion where `lesion` (X, Y, Z) is above 0."""
    tissue = tissue_rows(labels.labels)
    if lesion is not None:
        tissue[lesion > 0] = CLASSES["lesion"]
    touching = ndimage.morphological_gradient(tissue, footprint=FACES) > 0
    depth = ndimage.distance_transform_edt(~touching, sampling=labels.spacing)
    return View(labels.labels, labels.affine, tissue, np.asarray(depth, dtype=np.float32))


def view_of(image: NDArray[Any], affine: Float64s, truth: View) -> View:
    """An image (X, Y, Z) with tissues of labels on any grid: `MIXED` where several meet; a lesion keeps its border."""
    tissue, depth = truth.tissue, truth.depth
    if image.shape != tissue.shape or not np.allclose(affine, truth.affine, atol=1e-3):
        tissue, depth = (on_grid(part, truth.affine, image.shape, affine) for part in (tissue, depth))
    view = View(np.asarray(image, dtype=np.float32), affine, tissue, depth)
    mixed = (depth == 0) | (depth < (view.spacing.max() - truth.spacing.min()) / 2)
    return view._replace(tissue=np.where(mixed & (tissue != CLASSES["lesion"]), MIXED, tissue))


def on_grid(volume: NDArray[Any], affine: Float64s, shape: tuple[int, ...], to: Float64s, linear: bool = False) -> Any:
    """A volume on the grid of another shape and affine, by the nearest voxel or linearly; 0 outside."""
    place = np.linalg.inv(affine) @ to
    return ndimage.affine_transform(volume, place[:3, :3], place[:3, 3], shape, order=1 if linear else 0)


def measure_image(view: View, modality: str, site: str = "", lesion: str = "lesion") -> Numbers:
    """All numbers of one image, shading and texture in %. ADC maps have no noise or shading; texture is of T1w only.

    A lesion has its number twice: as a lesion, and as one of this kind.
    """
    means = tissue_means(view)
    white = means.get("white") or nan
    order = [means.get(name, nan) for name in PUBLISHED["order"].get(modality, [nan])]
    contrast = {name: value / white for name, value in means.items()}
    yield f"{modality}, over white matter", contrast | {lesion: contrast.get("lesion", nan)}
    yield "order of tissues", {modality: nan if isnan(sum(order)) else float(order == sorted(order))}
    if modality != "ADC":
        noise = noise_of(view)
        yield "signal to noise in white matter", {f"{modality}, {site}" if site else modality: white / (noise or nan)}
        yield "shading of white matter", {f"site {site}" if site else "all": 100 * shading(view)}
        yield "texture of white matter", {modality: 100 * texture(view, noise) if modality == "T1w" else nan}


def tissue_means(view: View) -> dict[str, float]:
    """Mean intensity of every tissue with enough voxels that hold nothing else."""
    values = {name: view.image[view.tissue == value] for name, value in CLASSES.items()}
    return {name: float(each.mean()) for name, each in values.items() if each.size >= FEWEST_OF_TISSUE}


def noise_of(view: View) -> float:
    """Standard deviation of the noise in air far from the head, or in white matter where air was set to zero.

    In white matter, robust, of what differs from the mean of six neighbors, as in Coupe et al. 2010
    (doi:10.1016/j.media.2010.03.001); fine texture counts as noise. NaN where there is too little white matter, as in
    all measures below.
    """
    air, inside = view.image[(view.tissue == 0) & (view.depth >= AIR_MM)], view.white(float(view.spacing.max()))
    if air.size >= FEWEST and (air == 0).mean() <= 0.5:
        return float(np.sqrt((air**2).mean() / RAYLEIGH))
    if inside.sum() < FEWEST:
        return nan
    residual = ndimage.laplace(view.image)[inside] / np.sqrt(6 + 6**2)  # six neighbors less six times the voxel
    return float(stats.median_abs_deviation(residual, scale="normal"))


def shading(view: View) -> float:
    """Standard deviation of the slow change of brightness in white matter, relative."""
    image, inside = _cropped(view.image, view.white())
    if inside.sum() < FEWEST:
        return nan
    return float(_smooth(np.log(np.maximum(image, 1e-3)), inside, SHADING_MM / view.spacing).std())


def texture(view: View, noise: float) -> float:
    """Relative standard deviation of structure of `TEXTURE_MM` in deep white matter, minus the share of noise.

    Shading, a polynomial of degree 3 in the voxel's place, is divided out first.
    """
    image, inside = _cropped(view.image, view.white(DEEP_MM))
    if inside.sum() < FEWEST:
        return nan
    brightness, places = image[inside], np.argwhere(inside) / inside.shape
    slow = make_pipeline(PolynomialFeatures(3), LinearRegression()).fit(places, brightness).predict(places)
    flat, white_noise = np.ones_like(image), np.random.default_rng(0).standard_normal(image.shape)
    flat[inside] = brightness / slow
    found, unit = (_band(values, inside, view.spacing) for values in (flat, white_noise))
    return float(np.sqrt(max(found**2 - (unit * noise / float(brightness.mean())) ** 2, 0.0)))


def _cropped(image: Float32s, inside: Mask) -> tuple[Float32s, Mask]:
    """Both in the smallest box around the voxels inside."""
    box = next(iter(ndimage.find_objects(inside.astype(np.uint8))), ())
    return image[box], inside[box]


def _smooth(values: NDArray[np.floating], inside: Mask, sigma: Float64s) -> Float32s:
    """Gaussian mean, sigma in voxels, over the voxels inside (V,) only, at each of them."""
    parts = [inside.astype(np.float32), np.where(inside, values, 0).astype(np.float32)]
    weight, total = (ndimage.gaussian_filter(part, sigma)[inside] for part in parts)
    return np.asarray(total / np.maximum(weight, 1e-6))


def _band(values: NDArray[np.floating], inside: Mask, spacing: Float64s) -> float:
    fine, coarse = (_smooth(values, inside, mm / spacing) for mm in TEXTURE_MM)
    return float((fine - coarse).std())
