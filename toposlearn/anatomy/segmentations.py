"""A segmentation from the user's disk as a `LabelMap`, or one line that says why it cannot be one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from toposlearn.anatomy.label_maps import LabelMap
from toposlearn.anatomy.vocabulary import BACKGROUND, Structure

HIGHEST_LABEL = 99_999  # Destrieux parcels of FreeSurfer end at 14 175
_SUFFIXES = (".nii.gz", ".mgz", ".nii", ".mgh", ".img", ".hdr")


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A label map, and what was left out of it.

    Attributes:
        label_map: the structures of the table; every other label is background in it.
        unknown: voxels of each label that the table does not name.
    """

    label_map: LabelMap
    unknown: Mapping[int, int]

    @property
    def unknown_share(self) -> float:
        """Share of the labeled voxels that the table does not name."""
        lost = sum(self.unknown.values())
        return lost / (lost + np.count_nonzero(self.label_map.labels))


def load_segmentation(path: str | Path, structures: Mapping[int, Structure], name: str | None = None) -> Segmentation:
    """Read a segmentation (NIfTI, MGH): any voxel size, any orientation.

    Args:
        path: the file.
        structures: what each label means, from `toposlearn.anatomy.label_names.structure_names`.
        name: whose head; the file's name unless given.

    Raises:
        ValueError: the file cannot be read, is not 3-D, holds fractions, or no label of the table.
    """
    path = Path(path)
    image = _read(path)
    raw = _whole_numbers(path, np.asarray(image.dataobj))
    counts = np.bincount(raw.ravel())
    present = [label for label in np.flatnonzero(counts).tolist() if label != BACKGROUND]
    known = {label: structures[label] for label in present if label in structures}
    if not known:
        seen = f"it holds {_some(present)}" if present else "it is empty"
        raise ValueError(f"{path}: none of its labels is in the table ({seen}); choose another table of labels")
    kept = np.zeros(len(counts), dtype=raw.dtype)
    kept[list(known)] = list(known)
    label_map = LabelMap(kept[raw], np.asarray(image.affine, np.float64), name or path_stem(path), str(path), known)
    return Segmentation(label_map, {label: int(counts[label]) for label in present if label not in known})


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """A short name for each file: its stem, or where stems repeat, what tells the paths apart.

    ``bert/mri/aparc.mgz`` and ``ernie/mri/aparc.mgz`` are ``bert`` and ``ernie``.

    Raises:
        ValueError: a file is given twice.
    """
    stems = [path_stem(path) for path in paths]
    if len(set(stems)) == len(stems):
        return stems
    full = [path.resolve() for path in paths]
    twice = [str(path) for path, count in Counter(full).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]} is given twice")
    above = os.path.commonpath([path.parent for path in full])
    parts = [[*path.parent.relative_to(above).parts, stem] for path, stem in zip(full, stems, strict=True)]
    while min(map(len, parts)) > 1 and len({each[-1] for each in parts}) == 1:
        parts = [each[:-1] for each in parts]
    names = ["-".join(each) for each in parts]
    return names if len(set(names)) == len(names) else [f"{name}-{number}" for number, name in enumerate(names, 1)]


def path_stem(path: Path) -> str:
    """The file's name without what says how it is stored."""
    return next((path.name.removesuffix(end) for end in _SUFFIXES if path.name.endswith(end)), path.stem)


def _read(path: Path) -> Any:
    """The image with axes turned to RAS, without a last axis of length one."""
    if not path.is_file():
        raise ValueError(f"{path} is a folder: give the file" if path.is_dir() else f"{path} is not there")
    try:
        image: Any = nib.load(path)
        if not np.isfinite(image.affine).all() or abs(np.linalg.det(image.affine[:3, :3])) < 1e-9:
            raise ValueError("its affine gives voxels no size")
        if image.get_data_dtype().kind not in "uif":
            raise ValueError(f"its voxels are of type {image.get_data_dtype()}, labels are numbers")
        if len(image.shape) == 4 and image.shape[3] == 1:
            image = image.slicer[..., 0]
        if len(image.shape) != 3:
            raise ValueError(f"it has {len(image.shape)} axes {tuple(image.shape)}, a segmentation has three")
        image = nib.as_closest_canonical(image)  # type: ignore[no-untyped-call]
        np.asarray(image.dataobj)  # a file cut short is found here
    except Exception as error:  # a damaged header fails in many ways, and must not end the run of the others
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be read as a segmentation ({reason}): replace it") from error
    return image


def _whole_numbers(path: Path, data: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Labels as integers, also where they are stored as floats; fractions are no labels."""
    if not np.isfinite(data).all():
        raise ValueError(f"{path} holds NaN or infinite values: a segmentation holds labels")
    if data.dtype.kind == "f" and (fractions := int((data != np.rint(data)).sum())):
        raise ValueError(
            f"{path} holds {fractions} values that are no whole numbers: is it an image, or a segmentation resampled"
            " with interpolation? Resample labels to the nearest voxel"
        )
    if data.min() < 0 or data.max() > HIGHEST_LABEL:
        raise ValueError(f"{path} holds labels {data.min():g} to {data.max():g}: they must lie in 0 to {HIGHEST_LABEL}")
    return data.astype(np.int32)


def _some(labels: list[int]) -> str:
    shown = ", ".join(map(str, labels[:8]))
    return f"{len(labels)} labels: {shown}" + (", …" if len(labels) > 8 else "")
