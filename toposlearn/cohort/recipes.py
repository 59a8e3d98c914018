"""Settings of a cohort: its subjects, their scans, and how well the scans of a subject are registered."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from toposlearn.cohort.traits import RecipeName
from toposlearn.config import MODALITIES
from toposlearn.settings import T1CE

SHAPE, SPACING = (96, 112, 96), 2.0  # voxels, mm, unless a recipe says otherwise
WIDTH_MM = 224.0  # of the cube, where a recipe has `voxels`
HEADS = ("brain", "whole", "both")
ALL_MODALITIES = ("T1w", T1CE, "T2w", "FLAIR", "PDw", "dwi", "ADC")


@dataclass(frozen=True)
class PoseRange:
    """Largest pose of a head in the scanner; each value is uniform in [-x, x]."""

    rotation: float = 10.0  # degrees, about each axis
    shift: float = 10.0  # mm, along each axis
    size: float = 0.12  # relative, all axes together
    stretch: float = 0.05  # relative, each axis alone
    shear: float = 0.03


@dataclass(frozen=True)
class Body:
    """Variation of heads, and aging."""

    pose: PoseRange = PoseRange()  # of the head in the scanner, its size included
    scale: float = 1.0  # mean size, relative to the label map (which is larger than people, as all are in MNI space)
    ventricles: float = 1.5  # growth in mm over sixty years, at their boundary
    cerebrum: float = 0.0  # loss of cortex and white matter in mm over the same time


BODIES: Mapping[str, Body] = {
    "plain": Body(),
    "full": Body(PoseRange(size=0.03, stretch=0.03), scale=0.91, ventricles=4.0, cerebrum=2.0),
}


@dataclass(frozen=True)
class Recipe:
    """Settings of a cohort, apart from its seed and anatomy.

    ``plain``: atrophy or not, a mass or not, all scans of a subject on one grid. ``full``: three diagnoses, five kinds
    of lesion, four sites whose scans differ in resolution, axes and field of view, heads of the size of real people.
    """

    name: RecipeName = "plain"
    modalities: tuple[str, ...] = MODALITIES  # scans of each subject
    voxels: int | None = None  # along each side of a cube 224 mm wide; None: 96 x 112 x 96 voxels of 2 mm
    misregister_mm: float = 0.0  # simulated head motion before each scan but the first, not recorded in the headers
    misregister_degrees: float = 0.0  # simulated turn of the head before each scan but the first
    heads: str = "brain"  # brain-extracted, whole, or both: half of the people each
    random_contrast: float = 0.0  # share of the scans whose tissues have a random brightness instead of the sequence's

    def __post_init__(self) -> None:
        _require(self.name in RECIPE_MODALITIES, f"recipe must be plain or full, got {self.name!r}")
        known = RECIPE_MODALITIES[self.name]
        unknown = [name for name in self.modalities if name not in known]
        _require(not unknown, f"recipe {self.name} has no {', '.join(unknown)}: choose from {', '.join(known)}")
        _require(len(set(self.modalities)) == len(self.modalities) > 0, "modalities must be one or more, each once")
        _require(self.voxels is None or 16 <= self.voxels <= 256, f"voxels must be 16 to 256, got {self.voxels}")
        for name, largest in (("misregister_mm", 100), ("misregister_degrees", 180), ("random_contrast", 1)):
            value = getattr(self, name)
            _require(0 <= value <= largest, f"{name} must be 0 to {largest}, got {value}")
        _require(self.heads in HEADS, f"heads must be one of {', '.join(HEADS)}, got {self.heads!r}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels of the grid on which the truth lies."""
        return SHAPE if self.voxels is None else (self.voxels,) * 3

    @property
    def spacing(self) -> float:
        """Voxel size in mm, isotropic."""
        return SPACING if self.voxels is None else WIDTH_MM / self.voxels

    @property
    def body(self) -> Body:
        """Variation of heads."""
        return BODIES[self.name]

    def to_dict(self) -> dict[str, Any]:
        """The settings that differ from the plain recipe, for the description of a data set."""
        return {name: value for name, value in asdict(self).items() if value != getattr(PLAIN, name)}


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


RECIPE_MODALITIES: Mapping[str, tuple[str, ...]] = {"plain": MODALITIES, "full": ALL_MODALITIES}
PLAIN = Recipe()
FULL = Recipe("full", ALL_MODALITIES, voxels=96)


def recipe_named(name: str, **changes: Any) -> Recipe:
    """The recipe ``plain`` or ``full`` with changes, of which None changes nothing; others raise ValueError."""
    asked = {"name": name} | {key: value for key, value in changes.items() if value is not None}
    return replace(FULL if name == "full" else PLAIN, **asked)
