"""Every setting of fine-tuning, frozen and validated: the task, the network on top of the encoder, the loop."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from toposlearn.settings import ModelConfig, TacoConfig, VolumeConfig
from toposlearn.validation import require, require_known, require_min, require_read

SEGMENTATION, CLASSIFICATION, REGRESSION = TASKS = ("segmentation", "classification", "regression")
MISSING = {  # what the network gets for an image that is missing
    "mean": "nothing: features are the mean over the images that are there",
    "zero": "an image of zeros, encoded as the others are: features are the mean over all modalities",
    "drop": "nothing: features are weighted by learned attention over the images that are there",
}
REGIONS = {  # label values that form a named region, as the challenges define them
    # The enhancing tumor has the label 4 up to 2021, and 3 in 2023: no data set has both.
    "brats": {"whole tumor": (1, 2, 3, 4), "tumor core": (1, 3, 4), "enhancing tumor": (3, 4)},
    "brats-2024": {
        "whole tumor": (1, 2, 3),
        "tumor core": (1, 3),
        "enhancing tumor": (3,),
        "resection cavity": (4,),
    },
}


@dataclass(frozen=True)
class TaskConfig:
    """What is learned: label maps of one kind, or a column of the table of participants."""

    kind: Literal["segmentation", "classification", "regression"] = "segmentation"
    labels: str = ""  # kind of label maps, as `toposlearn inspect` names it; "": the only one
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # judged; empty: every label that occurs
    target: str = ""  # column
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # column -> values of the people who take part

    def __post_init__(self) -> None:
        require_known(self, "task")
        segmented = self.kind == SEGMENTATION
        require_read(self, "task", ("labels",), segmented, "segmentation")
        require(segmented or not self.regions, f"task.regions are read with {SEGMENTATION} only")
        require(segmented or bool(self.target), f"{self.kind} needs a column of participants: name it with --target")
        require(not (segmented and self.target), f"task.target {self.target!r} is not read with {SEGMENTATION}")
        empty = [name for name, labels in self.regions.items() if not labels or min(labels) < 1]
        require(not empty, f"task.regions {', '.join(empty)} must name labels of 1 or more")


@dataclass(frozen=True)
class FinetuneConfig:
    """All settings of one fine-tuning."""

    preset: str = "custom"
    task: TaskConfig = field(default_factory=TaskConfig)
    volume: VolumeConfig = field(default_factory=VolumeConfig)  # grid on which heads are prepared
    patch: tuple[int, int, int] = (64, 64, 64)  # voxels that the network sees at once, of this grid
    model: ModelConfig = field(default_factory=ModelConfig)
    from_scratch: bool = False  # random weights instead of pre-trained ones
    freeze: bool = False  # the pre-trained weights stay as they are: only what is added learns
    pooling: Literal["mean", "attention"] = "mean"  # of tokens, for classification and regression
    missing: Literal["mean", "zero", "drop"] = "mean"  # see `MISSING`
    modality_dropout: float = 0.3  # probability that an image is withheld in a training step; one always stays
    steps: int = 300
    people_per_step: int = 2
    learning_rate: float = 3e-3
    encoder_rate: float = 0.3  # learning rate of the pre-trained weights, relative to `learning_rate`
    weight_decay: float = 0.05
    warmup: float = 0.1  # share of the steps
    clip_norm: float = 1.0
    precision: Literal["no", "bf16", "fp16"] = "no"
    rotation: float = 15.0  # degrees, about each axis
    scale: float = 0.1  # relative size
    shift: float = 12.0  # mm, along each axis
    intensity: float = 0.15  # relative brightness and contrast, each modality by itself
    noise: float = 0.03  # standard deviation
    validate_every: int = 50  # steps
    patience: int = 4  # validations without improvement after which training stops; 0: it never stops early
    checkpoint_every: int = 50
    seed: int = 0
    # Where batches are prepared changes no batch: runs that differ in this only are one run.
    workers: int = field(default=0, compare=False)  # processes that prepare batches ahead; 0: the training process

    def __post_init__(self) -> None:
        require_known(self, "finetune")
        require_min(self, "finetune", 1, "steps", "people_per_step", "validate_every", "checkpoint_every")
        require_min(self, "finetune", 0, "rotation", "shift", "intensity", "noise")
        require_min(self, "finetune", 0, "weight_decay", "patience", "workers")
        require(self.learning_rate > 0, f"finetune.learning_rate must be positive, got {self.learning_rate}")
        require(0 <= self.encoder_rate <= 1, f"finetune.encoder_rate must be 0 to 1, got {self.encoder_rate}")
        require(
            0 <= self.modality_dropout < 1, f"finetune.modality_dropout must be below 1, got {self.modality_dropout}"
        )
        require(0 <= self.warmup < 1, f"finetune.warmup must be below 1, got {self.warmup}")
        require(0 <= self.scale < 1 and self.intensity < 1, "finetune.scale and finetune.intensity must be below 1")
        require(self.clip_norm > 0, f"finetune.clip_norm must be positive, got {self.clip_norm}")
        scratch = self.freeze and self.from_scratch
        require(not scratch, "--freeze keeps pre-trained weights: give them with --weights, or leave it out")
        segmented = self.task.kind == SEGMENTATION
        require_read(self, "finetune", ("pooling",), not segmented, "classification and regression")
        _require_sizes(self)
        halved = not segmented or self.model.patch_size.bit_count() == 1
        require(halved, f"model.patch_size must be a power of 2 for {SEGMENTATION}, got {self.model.patch_size}")

    def replace(self, **changes: Any) -> FinetuneConfig:
        """The same settings with some changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> FinetuneConfig:
        """Inverse of `to_dict`, also of what JSON made of it."""
        maps = {part: _tuples(stored["task"].get(part, {})) for part in ("regions", "where")}
        parts = {
            "task": TaskConfig(**{**stored["task"], **maps}),
            "volume": VolumeConfig(**_tuples(stored["volume"])),
            "model": ModelConfig(**_tuples(stored["model"])),
        }
        return cls(**{**_tuples(stored), **parts})


def _require_sizes(config: FinetuneConfig) -> None:
    """Raise ValueError unless the encoder can divide the grid and the patches, and patches are for segmentation."""
    deepest = config.model.stage_strides[-1]
    for name, shape in (("volume.shape", config.volume.shape), ("finetune.patch", config.patch)):
        divided = len(shape) == 3 and all(side > 0 and side % deepest == 0 for side in shape)
        require(divided, f"{name} must be three multiples of {deepest}, the encoder's deepest stride, got {shape}")
    inside = all(own <= side for own, side in zip(config.patch, config.volume.shape, strict=True))
    require(inside, f"finetune.patch must lie in volume.shape {config.volume.shape}, got {config.patch}")
    whole = config.patch == config.volume.shape
    require(whole or config.task.kind == SEGMENTATION, f"patches are read with {SEGMENTATION} only: show whole heads")


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


# Settings of each preset of pre-training that differ here.
SIZES: dict[str, dict[str, Any]] = {
    "smoke": {"steps": 4, "validate_every": 2, "checkpoint_every": 2, "people_per_step": 1},
    "lab": {},
    "gpu": {
        "steps": 5000,
        "people_per_step": 4,
        "learning_rate": 5e-4,
        "validate_every": 250,
        "checkpoint_every": 250,
        "patience": 6,
        "precision": "bf16",
        "workers": 4,
    },
    "paper": {
        "steps": 20_000,
        "learning_rate": 3e-4,
        "validate_every": 500,
        "checkpoint_every": 500,
        "patience": 10,
        "precision": "bf16",
        "workers": 4,
    },
}


def finetune_config(
    base: TacoConfig, task: TaskConfig, *, spacing: float | None = None, **changes: Any
) -> FinetuneConfig:
    """The settings of a task for a network of pre-training: its grid, or another one that covers the same place.

    On a finer grid (`spacing` in mm) segmentation works in patches of the size that the encoder was trained with.
    """
    volume, deepest = base.volume, base.model.stage_strides[-1]
    if spacing is not None:
        require(spacing > 0, f"--spacing must be positive (mm), got {spacing}")
        x, y, z = (deepest * math.ceil(side * volume.spacing / spacing / deepest) for side in volume.shape)
        volume = VolumeConfig((x, y, z), spacing, volume.modalities)
    small = tuple(min(own, side) for own, side in zip(base.volume.shape, volume.shape, strict=True))
    patch = small if task.kind == SEGMENTATION else volume.shape
    parts = {"preset": base.preset, "task": task, "volume": volume, "patch": patch, "model": base.model}
    return FinetuneConfig(**{**parts, **SIZES.get(base.preset, {}), **changes})


def parse_regions(text: str) -> dict[str, tuple[int, ...]]:
    """Regions of an option: a name of `REGIONS`, or ``whole=1,2,3;core=1,3``; ValueError, in one line, for others."""
    if text in REGIONS:
        return dict(REGIONS[text])
    regions = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        name, sign, labels = (each.strip() for each in part.partition("="))
        numbers = [each.strip() for each in labels.split(",")]
        if not (name and sign) or not all(each.isdecimal() for each in numbers):
            known = ", ".join(REGIONS)
            raise ValueError(f"--regions {text!r} is not understood: write {known}, or as in 'whole=1,2,3;core=1,3'")
        regions[name] = tuple(map(int, numbers))
    return regions


def parse_where(options: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Columns and values of ``COLUMN=VALUE,VALUE``; ValueError, in one line, for anything else."""
    where = {}
    for text in options:
        name, sign, values = (part.strip() for part in text.partition("="))
        if not (name and sign and values):
            raise ValueError(f"--where {text!r} is not of the form COLUMN=VALUES: write it as in 'sex=F' or 'site=a,b'")
        where[name] = tuple(value.strip() for value in values.split(","))
    return where
