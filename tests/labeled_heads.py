"""Folders of small made-up heads with a bright ball, its label map, and a table of participants."""

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

TINY = {  # settings of a network that is fine-tuned in a second
    "volume": {"shape": [16, 16, 16], "spacing": 9.0, "modalities": ["T1w", "T2w"]},
    "model": {
        "feature_size": 4,
        "patch_size": 1,
        "window_size": 2,
        "depths": [1, 1, 1, 1],
        "num_heads": [1, 1, 2, 2],
        "token_features": 8,
        "token_strides": [2, 4],
        "reconstruct_stride": 2,
    },
}
SHAPE = (24, 28, 20)
AFFINE = np.array([[6.0, 0, 0, -69], [0, 6.0, 0, -81], [0, 0, 6.0, -57], [0, 0, 0, 1]])  # centered on 0 mm
RADIUS, SMALL = 20.0, 11.0  # mm, of the ball (label 1) and of a second one (label 2)
SECOND = np.array([0.0, -34.0, 6.0])  # mm, center of the second ball


def center_of(number: int) -> NDArray[np.float64]:
    """Where the ball of person `number` is, in mm."""
    return np.array([18.0 - 4 * (number % 4), 20.0 + 3 * (number % 3), -6.0 + 2 * (number % 5)])


def points_of(shape: Sequence[int], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """The place in mm of every voxel (X, Y, Z, 3)."""
    return np.stack(np.indices(shape), axis=-1) @ affine[:3, :3].T + affine[:3, 3]


def ball(points: NDArray[np.float64], center: NDArray[np.float64], radius: float) -> NDArray[np.bool_]:
    """Where the points are in a ball."""
    return np.asarray(((points - center) ** 2).sum(axis=-1) < radius**2)


def labels_at(number: int, points: NDArray[np.float64]) -> NDArray[np.int16]:
    """The label map of person `number`: 1 in the ball, 2 in the second one."""
    labels = np.where(ball(points, SECOND, SMALL), 2, 0)
    return np.where(ball(points, center_of(number), RADIUS), 1, labels).astype(np.int16)


def images_at(number: int, points: NDArray[np.float64]) -> dict[str, NDArray[np.int16]]:
    """T1w and T2w of person `number`: an ellipsoid with texture on air; the ball is the brightest part of both."""
    inside = ((points / np.array([56.0, 66.0, 46.0])) ** 2).sum(axis=-1) < 1
    texture = ndimage.gaussian_filter(np.random.default_rng(number).normal(size=inside.shape), 1.5, mode="wrap")
    tissue = 450 + 60 * texture / texture.std() + 100 * (labels_at(number, points) == 2)
    bright = labels_at(number, points) == 1
    return {
        name: np.where(inside, np.where(bright, 1000, values), 0).astype(np.int16)
        for name, values in {"T1w": tissue, "T2w": 900 - tissue}.items()
    }


def write_heads(
    root: Path,
    count: int = 8,
    *,
    modalities: Sequence[str] = ("T1w", "T2w"),
    shape: Sequence[int] = SHAPE,
    affine: NDArray[np.float64] = AFFINE,
) -> Path:
    """People P1, P2, ...: a folder each with images and ``seg.nii.gz``, and ``participants.tsv`` with Sex and age."""
    points = points_of(shape, affine)
    for number in range(1, count + 1):
        maps = images_at(number, points)
        maps = {name: maps[name] for name in modalities} | {"seg": labels_at(number, points)}
        for name, values in maps.items():
            save(root / f"P{number}" / f"{name}.nii.gz", values, affine)
    rows = [f"P{number}\t{'FM'[number % 2]}\t{20 + 7 * number}" for number in range(1, count + 1)]
    (root / "participants.tsv").write_text("\n".join(["participant_id\tSex\tage", *rows]) + "\n")
    return root


def save(path: Path, values: NDArray[np.generic], affine: NDArray[np.float64] = AFFINE) -> Path:
    """Write an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, affine), path)
    return path
