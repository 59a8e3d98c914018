"""A folder of scans that is not of our making: other names, spacing and axes, whole heads, noisy air, no labels."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from nibabel.processing import resample_to_output
from scipy import ndimage

from toposlearn.data import Record

NAMES = ("anna", "P02", "ben-b", "Carla_1", "dr.who", "eve")  # that follow no convention
FILES = {"T1w": "t1_mprage.nii.gz", "FLAIR": "T2_FLAIR.nii", "ce-gadolinium_T1w": "t1_post-gd.nii.gz"}
SPACING, AXES = (1.2, 1.2, 3.0), "LPS"  # mm; our own are 2 mm, RAS
NOISE = 0.03  # standard deviation of the noise, in units of the brightest voxel
SKULL, SCALP = 5, 5  # mm around the brain
MARGIN = 8  # voxels of air added on each side


def whole_head(image: nib.Nifti1Image, scalp: float, generator: np.random.Generator) -> nib.Nifti1Image:
    """A brain-extracted image with a dark skull, a scalp and Rician noise, on another grid."""
    place = image.affine @ nib.affines.from_matvec(np.eye(3), [-MARGIN] * 3)
    brain = np.pad(image.get_fdata(), MARGIN)
    away = ndimage.distance_transform_edt(brain == 0, sampling=nib.affines.voxel_sizes(image.affine))
    brightest = np.percentile(brain, 99.5)
    head = np.where((away > SKULL) & (away <= SKULL + SCALP), scalp * brightest, brain)
    coarse = resample_to_output(nib.Nifti1Image(head, place), SPACING, order=1)
    noise = generator.normal(0, NOISE * brightest, (2, *coarse.shape))
    noisy = np.hypot(coarse.get_fdata() + noise[0], noise[1]).astype(np.float32)
    turn = ornt_transform(io_orientation(coarse.affine), axcodes2ornt(AXES))
    return nib.Nifti1Image(noisy, coarse.affine).as_reoriented(turn)


def write_foreign(root: Path, records: Iterable[Record], files: Mapping[str, str] = FILES) -> Path:
    """One folder per person; a third modality that our cohort may lack is made from its T1w."""
    for name, record in zip(NAMES, records, strict=False):
        (root / name).mkdir(parents=True)
        generator = np.random.default_rng(len(name))
        for (modality, file), scalp in zip(files.items(), (0.9, 0.5, 0.8), strict=False):
            source = record.images.get(modality) or record.images["T1w"]
            nib.save(whole_head(nib.load(source), scalp, generator), root / name / file)
        (root / name / "notes.txt").write_text("seen on Tuesday\n")
        nib.save(nib.load(record.images["T1w"]), root / name / "brainmask.nii.gz")  # by its name no modality
    return root
