"""The published trees of BraTS, small: names, folders, orientation and labels as there, few people, coarse voxels."""

from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE, SPACING = (32, 36, 28), 6.0  # a head's size; published: 240 x 240 x 155 of 1 mm
AFFINE = np.diag([-SPACING, -SPACING, SPACING, 1.0])  # LPS, as published
AFFINE[:3, 3] = [SPACING * SHAPE[0] / 2, SPACING * SHAPE[1] / 2, -SPACING * SHAPE[2] / 2]
WRAPPER = {2021: "BraTS2021_Training_Data", 2023: "ASNR-MICCAI-BraTS2023-GLI-Challenge-TrainingData"}
PEOPLE = {
    2021: ("BraTS2021_00000", "BraTS2021_00002", "BraTS2021_00003", "BraTS2021_00005"),
    2023: ("BraTS-GLI-00000-000", "BraTS-GLI-00002-000", "BraTS-GLI-00008-000", "BraTS-GLI-00008-001"),
}
IMAGES = {2021: ("_t1", "_t1ce", "_t2", "_flair"), 2023: ("-t1n", "-t1c", "-t2w", "-t2f")}
LABELS = {2021: ("_seg", 4), 2023: ("-seg", 3)}  # ending, label of the enhancing tumor
GRID = ("--shape", ",".join(map(str, SHAPE)), "--spacing", str(SPACING))


def write(root: Path, year: int, *, labels: bool = True) -> Path:
    """The training set of a year (or, without labels, a validation set) below `root`."""
    points = (np.stack(np.indices(SHAPE), -1) - (np.array(SHAPE) - 1) / 2) / (np.array(SHAPE) / 2)
    brain, tumor = (points**2).sum(-1) < 0.7, ((points - 0.2) ** 2).sum(-1) < 0.05
    for number, subject in enumerate(PEOPLE[year]):
        generator = np.random.default_rng(number)
        for ending in IMAGES[year]:
            values = generator.integers(200, 1000, SHAPE) + 500 * tumor
            save(root / WRAPPER[year] / subject / f"{subject}{ending}.nii.gz", np.where(brain, values, 0))
        ending, enhancing = LABELS[year]
        if labels:
            core = np.where(tumor, np.where(points[..., 0] > 0.2, enhancing, 2), 0)
            save(root / WRAPPER[year] / subject / f"{subject}{ending}.nii.gz", core)
    return root


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values.astype(np.int16), AFFINE), path)
