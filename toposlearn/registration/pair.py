"""Rigid and affine registration of two images by mutual information (Mattes et al., 2003), with SimpleITK.

A map (3, 4) leads from mm on the first grid to mm on the second, both from the center of the volume, as poses do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk  # noqa: N813, its own name
import torch
from torch import Tensor

Kind = Literal["rigid", "affine"]

COARSE = 12.0  # mm, voxels of the search
FINE = (6.0, 3.0)  # mm, voxels of the two steps after it
MARGIN = 15.0  # mm around the first head that count: its outline against air is evidence
TURN, TURNS = 0.17, 2  # the search turns by up to 2 steps about each axis: sine of half the angle, 20 degrees a step
SAMPLES = 30_000  # voxels compared at once
ITERATIONS = 60
BINS, SEED = 32, 7


@contextmanager
def _one_core() -> Iterator[None]:
    """One thread for all of SimpleITK: sums in another order differ in their last digits."""
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


@_one_core()
def register(fixed: Tensor, moving: Tensor, masks: tuple[Tensor, Tensor], spacing: float, kind: Kind) -> Tensor:
    """The map (3, 4) between two volumes (D, H, W) on grids of `spacing` mm; `masks` (D, H, W) bool are the two heads.

    It starts with the heads' centers and sizes made equal; the best of 125 turns on a coarse grid is refined as a
    similarity, then, finer, as `kind`. Deterministic, on one core. RuntimeError where the images cannot be compared.
    """
    images = _image(fixed, spacing), _image(moving, spacing)
    grown = [round(MARGIN / spacing)] * 3
    mask = sitk.BinaryDilate(sitk.Cast(_image(masks[0], spacing), sitk.sitkUInt8), grown)
    start = _centered(masks, spacing)
    search = _method(mask, spacing, COARSE)
    search.SetOptimizerAsExhaustive([TURNS] * 3 + [0] * 4, TURN)
    search.SetOptimizerScales([1.0] * 7)
    _run(search, start, images)
    _descend(start, images, mask, spacing, COARSE)
    final = _as_kind(start, kind)
    for size in FINE:
        _descend(final, images, mask, spacing, size)
    return _matrix(final)


def center_map(masks: tuple[Tensor, Tensor], spacing: float) -> Tensor:
    """The map (3, 4) that only moves the center of the first head (D, H, W) onto that of the second."""
    first, second = (_places(mask, spacing).mean(0).float() for mask in masks)
    return torch.cat([torch.eye(3), (second - first)[:, None]], dim=1)


def _image(volume: Tensor, spacing: float) -> Any:
    """A SimpleITK image whose axes are D, H, W and whose origin is the center of the volume (D, H, W)."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.permute(2, 1, 0).float().numpy()))  # it reverses axes
    image.SetSpacing([spacing] * 3)
    image.SetOrigin([-(size - 1) / 2 * spacing for size in volume.shape])
    return image


def _places(mask: Tensor, spacing: float) -> Tensor:
    """Places (V, 3) of the voxels in a mask (D, H, W), mm from the center of the volume."""
    return (mask.nonzero().double() - (torch.tensor(mask.shape) - 1) / 2) * spacing


def _centered(masks: tuple[Tensor, Tensor], spacing: float) -> Any:
    """A similarity that makes centers and sizes (root mean square distance from the center) of two heads equal."""
    (first, second), start = (_places(mask, spacing) for mask in masks), sitk.Similarity3DTransform()
    start.SetCenter(first.mean(0).tolist())
    start.SetTranslation((second.mean(0) - first.mean(0)).tolist())
    start.SetScale(float((second.var(0).sum() / first.var(0).sum()).sqrt()))
    return start


def _method(mask: Any, spacing: float, size: float) -> Any:
    """Mutual information of images smoothed and shrunk to voxels of about `size` mm, of some voxels in the mask."""
    shrink = max(1, round(size / spacing))
    share = min(1.0, SAMPLES * shrink**3 / mask.GetNumberOfPixels())
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricSamplingStrategy(method.RANDOM if share < 1 else method.NONE)
    method.SetMetricSamplingPercentage(share, SEED)
    method.SetMetricFixedMask(mask)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel([shrink])
    method.SetSmoothingSigmasPerLevel([size / 2 if shrink > 1 else 0.0])
    return method


def _descend(transform: Any, images: tuple[Any, Any], mask: Any, spacing: float, size: float) -> None:
    """Improve the transform by gradient descent, in steps (mm) of a third of a voxel that become smaller."""
    method = _method(mask, spacing, size)
    method.SetOptimizerAsRegularStepGradientDescent(size / 3, 0.02, ITERATIONS, gradientMagnitudeTolerance=1e-6)
    method.SetOptimizerScalesFromPhysicalShift()
    _run(method, transform, images)


def _run(method: Any, transform: Any, images: tuple[Any, Any]) -> None:
    method.SetInitialTransform(transform, True)
    method.Execute(*images)


def _as_kind(start: Any, kind: Kind) -> Any:
    """The similarity as a rigid transform, without its scale, or as an affine one."""
    linear = np.array(start.GetMatrix())
    transform: Any = sitk.AffineTransform(3) if kind == "affine" else sitk.Euler3DTransform()
    transform.SetCenter(start.GetCenter())
    transform.SetMatrix((linear if kind == "affine" else linear / start.GetScale()).tolist())
    transform.SetTranslation(start.GetTranslation())
    return transform


def _matrix(transform: Any) -> Tensor:
    """The map (3, 4) of a transform: linear (x - center) + center + translation."""
    linear = torch.tensor(transform.GetMatrix(), dtype=torch.float64).view(3, 3)
    center, shift = (
        torch.tensor(part, dtype=torch.float64) for part in (transform.GetCenter(), transform.GetTranslation())
    )
    return torch.cat([linear, (center + shift - linear @ center)[:, None]], dim=1).float()
