"""The label maps of a data folder, as people whose structures can be compared."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from toposlearn.anatomy import LabelMap
from toposlearn.data.layouts import read_manifest


def load_label_maps(root: str | Path) -> dict[str, LabelMap]:
    """Person -> label map in RAS, of everybody in a data folder.

    Raises:
        ValueError: somebody has no structure labels.
    """
    people = {}
    for record in read_manifest(root).records:
        if record.labels is None:
            raise ValueError(f"{record.subject} in {root} has no structure labels (_dseg.nii.gz): none can be compared")
        image = nib.as_closest_canonical(nib.Nifti1Image.from_filename(record.labels))
        labels = np.asarray(image.dataobj, dtype=np.int16)
        people[record.subject] = LabelMap(labels, image.affine, record.subject, str(record.labels))
    return people
