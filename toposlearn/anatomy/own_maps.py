"""Label maps of the user's own, of brains or whole heads, in the common vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.processing import resample_to_output
from scipy import ndimage

from toposlearn.anatomy.atlases import to_vocabulary
from toposlearn.anatomy.label_names import NEAREST, canonical_name, structure_names
from toposlearn.anatomy.segmentations import LabelMap, path_stem, read_labels
from toposlearn.anatomy.vocabulary import BACKGROUND, BY_LABEL, OUTSIDE, Side, Structure, structure
from toposlearn.arrays import Float64s

SPACING_MM = 1.0  # of label maps whose voxels are no cubes along the axes
MAX_UNKNOWN = 0.05  # of the labeled voxels
CSF = structure("csf").label
_ATLASES = ("desikan", "neuromorphometrics")
_NAMES = {each.name for each in BY_LABEL.values()}


def load_own_map(path: str | Path, table: str | Path) -> LabelMap:
    """A label map in a file, with the table of its labels (`structure_names`): cropped, RAS, centered on the brain.

    Parcels become the lobes and structures of the vocabulary. Vessels, and the few voxels that the table does not name,
    take the label of the nearest structure. ValueError: the file is no label map, or its labels have no meaning here.
    """
    path = Path(path)
    raw, affine = _upright(*read_labels(path))
    box = ndimage.find_objects((raw > BACKGROUND).astype(np.uint8))
    if not box:
        raise ValueError(f"{path} is empty: it must hold labels above 0")
    raw = raw[box[0]]
    affine[:3, 3] = -affine[:3, :3] @ (np.array(raw.shape) - 1) / 2
    labels = to_vocabulary(raw, affine, _meanings(path, raw, structure_names(table)))
    inside = np.argwhere(is_brain(labels))
    if not len(inside):
        raise ValueError(f"{path} holds no structure of the brain: choose another table with --labels")
    affine[:3, 3] = -affine[:3, :3] @ (inside.min(axis=0) + inside.max(axis=0)) / 2
    return LabelMap(labels, affine, path_stem(path), str(path))


def is_brain(labels: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Voxels (X, Y, Z) of brain and ventricles, without the fluid around them and what lies outside."""
    return np.asarray((labels > BACKGROUND) & (labels < OUTSIDE) & (labels != CSF))


def _upright(labels: npt.NDArray[np.int32], affine: Float64s) -> tuple[npt.NDArray[np.int32], Float64s]:
    """The same labels in cubes along the axes, resampled where they are not."""
    if np.allclose(affine[:3, :3], affine[0, 0] * np.eye(3), atol=1e-3):
        return labels, affine.copy()
    image = resample_to_output(nib.Nifti1Image(labels, affine), SPACING_MM, order=0)  # type: ignore[no-untyped-call]
    return np.asarray(image.dataobj).astype(np.int32), np.asarray(image.affine, dtype=np.float64)


def _meanings(
    path: Path, raw: npt.NDArray[np.int32], structures: Mapping[int, Structure]
) -> dict[int, tuple[str, Side]]:
    """Name in the vocabulary (or `NEAREST`) and side of each label that is there."""
    counts = np.bincount(raw.ravel())
    counts[BACKGROUND] = 0
    present = np.flatnonzero(counts).tolist()
    unknown = [label for label in present if label not in structures]
    if counts[unknown].sum() > MAX_UNKNOWN * counts.sum():
        labels = ", ".join(map(str, unknown[:8])) + (", …" if len(unknown) > 8 else "")
        raise ValueError(f"{path}: the table does not name labels {labels}: choose another with --labels")
    nearest: tuple[str, Side] = (NEAREST, "midline")
    return {each: _counterpart(path, structures[each]) if each in structures else nearest for each in present}


def _counterpart(path: Path, own: Structure) -> tuple[str, Side]:
    if own.name in _NAMES:
        return own.name, own.side
    for atlas in _ATLASES:
        try:
            return canonical_name(own.name, atlas)[0], own.side
        except ValueError:
            continue
    raise ValueError(
        f"{path}: {own.full_name} (label {own.label}) is no structure of the vocabulary: name it in a table"
    )
