"""A real head that is small: anatomy B at 3 mm, without the fluid around the brain."""

import numpy as np

from toposlearn.anatomy import load_label_map
from toposlearn.cohort.head import Head
from toposlearn.studies.bending import Scene


def small_scene() -> Scene:
    source = load_label_map("B")
    affine = source.affine.copy()
    affine[:3, :3] *= 2
    labels = np.pad(source.labels[::2, ::2, ::2], 4)
    affine[:3, 3] -= affine[:3, :3] @ np.full(3, 4)
    return Scene(Head(labels, affine, "B"))
