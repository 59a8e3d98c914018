"""The real templates and the six real donors, measured by the code that measures people."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from toposlearn.anatomy import DONOR_IDS, load_donor_map, load_label_map, load_template
from toposlearn.studies.realism import realism, realism_shapes
from toposlearn.studies.realism.person import measures_of

T1_TEMPLATES = ("ICBM152-2009a", "ICBM152-2009c", "MNI152-6")
STEP = 2  # templates are measured at 2 mm, about as coarse as people are, so that partial volume is alike


def measure_templates() -> pd.DataFrame:
    """The real T1 templates, with the labels of family A, a row each."""
    label_map = load_label_map("A")
    rows = []
    for name in T1_TEMPLATES:
        template = load_template(name)
        image = realism.block_mean(template.data, STEP)
        affine = coarser(template.affine, STEP)
        labels = realism.on_grid(label_map.labels, label_map.affine, image.shape, affine)
        tissue = realism.tissue_map(labels)
        depth = realism.depth_of(tissue, np.full(3, float(STEP)))
        rows.append({"person": name} | measures_of(realism.view_of(image, affine, tissue, depth, affine), "T1w"))
    return pd.DataFrame(rows)


def coarser(affine: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """Voxel -> world of blocks of `factor` voxels."""
    blocks = affine.copy()
    blocks[:3, :3] *= factor
    blocks[:3, 3] += affine[:3, :3] @ np.full(3, (factor - 1) / 2)
    return blocks


def measure_donors(spacing: float) -> tuple[pd.DataFrame, dict[str, set[tuple[int, int]]]]:
    """The six real people: volumes at 1 mm, and which structures touch at a spacing in mm."""
    rows, touching = [], {}
    for donor in DONOR_IDS:
        label_map = load_donor_map(donor)
        volumes = realism_shapes.group_volumes(label_map)
        rows.append({"person": donor} | {f"volume/{name}": value for name, value in volumes.items()})
        scale = np.diag([spacing, spacing, spacing, 1.0])
        shape = tuple(np.floor(np.array(label_map.labels.shape) / spacing).astype(int))
        grid = realism.on_grid(label_map.labels, np.eye(4), shape, scale)
        touching[donor] = realism_shapes.touching_pairs(grid)
    return pd.DataFrame(rows), touching
