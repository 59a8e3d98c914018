"""One person's files, measured: volumes, the map to the template, each scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toposlearn.anatomy import FAMILIES, TISSUES, LabelMap
from toposlearn.anatomy.segmentations import load_segmentation
from toposlearn.anatomy.vocabulary import BY_LABEL
from toposlearn.cohort.head import load_head
from toposlearn.data import Record
from toposlearn.data.gate.quality import check_image, read_ras
from toposlearn.studies.realism import realism, realism_shapes
from toposlearn.studies.realism.published import ORDER

HISTOGRAM = np.linspace(0.02, 5.0, 250)  # edges, in white matter's mean
SIZES = np.geomspace(0.2, 6.0, 61)  # edges, relative to the template
INFO = ("age", "sex", "site", "diagnosis", "lesion", "lesion_type", "anatomy")
RINGS = ("inside", *(f"{low:g} to {high:g} mm" for low, high in realism_shapes.RINGS_MM))
Values = dict[str, Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Person:
    """A person's truth, all (X, Y, Z) on one grid in RAS order: labels, lesion, tissue, and its depth in mm."""

    record: Record
    labels: LabelMap
    lesion: NDArray[Any]
    tissue: NDArray[np.uint8]
    depth: realism.Floats

    @classmethod
    def load(cls, record: Record) -> Person:
        """Read a person's truth.

        Raises:
            ValueError: no structure labels, or a file of the truth that cannot be read.
        """
        if record.labels is None:
            where = next(iter(record.images.values())).parent
            raise ValueError(
                f"{record.subject} ({where}) has no structure labels, _dseg.nii.gz: nothing can be measured"
            )
        label_map = load_segmentation(record.labels, BY_LABEL, record.subject).label_map
        lesion = read_ras(record.lesion)[0] if record.lesion else np.zeros(label_map.labels.shape, dtype=np.uint8)
        tissue = realism.tissue_map(label_map.labels, lesion)
        return cls(record, label_map, lesion, tissue, realism.depth_of(tissue, label_map.spacing))

    @property
    def brain(self) -> NDArray[np.bool_]:
        """All but air and fluid."""
        return np.asarray((self.tissue > 0) & (self.tissue != realism.CLASSES.index("csf")))

    def info(self) -> Values:
        """What the table of participants says."""
        return {"person": self.record.subject} | {name: self.record.info.get(name, "") for name in INFO}

    def volumes(self) -> Values:
        """``volume/STRUCTURE`` in ml."""
        found = realism_shapes.group_volumes(self.labels)
        found["lesion"] = float((self.lesion > 0).sum() * np.prod(self.labels.spacing) / 1000)
        return {f"volume/{name}": value for name, value in found.items()}

    def shape(self) -> tuple[Values, Floats]:
        """Numbers on the map to the template, and shares of the brain's voxels in bins of `SIZES`; none without it."""
        if self.record.to_template is None:
            return {}, np.zeros(len(SIZES) - 1)
        to_template = read_ras(self.record.to_template)[0]
        determinant = realism_shapes.jacobian(to_template, self.labels.affine)
        size, brain = 1 / np.maximum(determinant, 1e-6), self.brain
        found: Values = {"jacobian/folded": float((determinant[self.tissue > 0] <= 0).mean())}
        found |= {f"size/{q}": float(np.quantile(size[brain], q / 100)) for q in (1, 25, 50, 75, 99)}
        found["size/local spread"] = float(np.log(size[brain]).std())
        found |= self._sizes_of_tissues(size / found["size/50"])
        if (self.lesion > 0).any():
            effect = realism_shapes.mass_effect(size, self.lesion, brain, self.labels.spacing)
            found |= {f"mass/{ring}": value for ring, value in zip(RINGS, effect, strict=True)}
        family = self.record.info.get("anatomy", "")
        if family in FAMILIES:
            same = realism_shapes.same_as_template(self.labels.labels, to_template, load_head(family))
            found["same as template"] = same
        return found, np.histogram(size[brain], bins=SIZES)[0] / brain.sum()

    def _sizes_of_tissues(self, size: NDArray[np.floating]) -> Values:
        masks = {name: self.tissue == realism.CLASSES.index(name) for name in TISSUES}
        return {f"tissue size/{name}": float(np.median(size[mask])) for name, mask in masks.items() if mask.any()}

    def scan(self, modality: str, path: Path) -> tuple[Values, Floats]:
        """Numbers on one image, and shares of the head's voxels in bins of `HISTOGRAM`.

        Raises:
            BadImageError: an image that cannot be used.
        """
        check_image(path)
        image, affine = read_ras(path)
        view = realism.view_of(image.astype(np.float32), affine, self.tissue, self.depth, self.labels.affine)
        found = self.info() | {"modality": modality} | measures_of(view, modality)
        head = view.image[(view.tissue > 0) & (view.image > 0)]
        return found, np.histogram(head / found["white"], bins=HISTOGRAM)[0] / max(len(head), 1)


def measures_of(view: realism.View, modality: str) -> Values:
    """The numbers of one image; a map of diffusion has no noise of its own."""
    means = realism.tissue_means(view)
    white = means.get("white", float("nan"))
    in_air = realism.air_noise(view)
    noise = realism.noise_level(view) if in_air is None else in_air
    row: Values = {
        "voxel": " × ".join(f"{size:.3g}" for size in view.spacing),
        "white": white,
        "noise from": "white matter" if in_air is None else "air",
        "as ordered": _ordered(means, ORDER.get(modality, ())),
    }
    if modality == "T1w":  # the templates' modality
        row["texture"] = realism.texture(view, noise)
    if modality != "ADC":
        row["shading"] = realism.shading(view)
        row |= {"snr": white / noise, "cnr": abs(white - means.get("cortex", float("nan"))) / noise}
    row |= {f"edge/{axis}": width for axis, width in enumerate(realism.edge_widths(view, means))}
    return row | {f"ratio/{name}": value for name, value in realism.ratios(means).items()}


def _ordered(means: Mapping[str, float], order: tuple[str, ...]) -> bool | None:
    """True where the tissues' means rise in this order; None where one is missing."""
    if not order or any(name not in means for name in order):
        return None
    values = [means[name] for name in order]
    return values == sorted(values)
