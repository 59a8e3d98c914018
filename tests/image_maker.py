"""Small BIDS folders of made-up images, for tests."""

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

SHAPE = (20, 24, 18)
AFFINE = np.array([[3.0, 0, 0, -28.5], [0, 3.0, 0, -34.5], [0, 0, 3.0, -25.5], [0, 0, 0, 1]])  # centered on 0 mm


def head(seed: int = 0) -> np.ndarray:
    """An ellipsoid with texture on air, int16 (X, Y, Z)."""
    points = (np.stack(np.indices(SHAPE), -1) - (np.array(SHAPE) - 1) / 2) / (np.array(SHAPE) / 2)
    inside = (points**2).sum(-1) < 0.6
    values = np.random.default_rng(seed).integers(300, 1000, SHAPE) + 200 * points[..., 0]  # brighter on the right
    return np.where(inside, values, 0).astype(np.int16)


def save(path: Path, data: np.ndarray, affine: np.ndarray = AFFINE, axes: Sequence[str] = "RAS") -> Path:
    """Write an image given in RAS order, stored with other axes where asked for."""
    turn = ornt_transform(io_orientation(affine), axcodes2ornt(axes))
    image = nib.Nifti1Image(data, affine).as_reoriented(turn)
    np.testing.assert_allclose(image.affine, affine @ inv_ornt_aff(turn, data.shape[:3]))
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def bids(root: Path, *subjects: str, modalities: Sequence[str] = ("T1w", "T2w")) -> Path:
    """A folder of such heads."""
    for number, subject in enumerate(subjects or ("sub-01", "sub-02")):
        for offset, modality in enumerate(modalities):
            save(root / subject / "anat" / f"{subject}_{modality}.nii.gz", head(10 * number + offset))
    return root
