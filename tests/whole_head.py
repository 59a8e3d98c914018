"""A label map of a whole head in a file: anatomy B at 3 mm with skull and scalp, stored as scanners do."""

from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from toposlearn.anatomy import load_label_map, structure

SHELLS = {"csf": 3.0, "skull": 9.0, "soft-tissue": 18.0, "skin": 24.0}  # outer edge, mm from the brain


def save_whole_head(path: Path) -> Path:
    """Write the head with labels of the vocabulary, its axes LIA and far from the origin."""
    source = load_label_map("B")
    labels = np.pad(source.labels[::2, ::2, ::2], 10)
    distance = ndimage.distance_transform_edt(labels == 0, sampling=3.0)
    neck, inner = int(np.argwhere(labels > 0)[:, 2].min()) - 1, 0.0
    for name, outer in SHELLS.items():
        labels[(distance > inner) & (distance <= outer)] = structure(name).label
        inner = outer
    labels[:, :, :neck] = 0  # where the picture ended
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = (-40.0, 100.0, 25.0)
    image = nib.Nifti1Image(labels, affine)
    turned = nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt("LIA"))
    nib.save(image.as_reoriented(turned), path)
    return path
