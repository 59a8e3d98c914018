"""Every setting of fine-tuning, frozen and validated: the task, the network on top of the encoder, the loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from toposlearn.config import VolumeConfig
from toposlearn.settings import ModelConfig
from toposlearn.validation import require, require_different, require_known, require_min, require_read

SEGMENTATION, CLASSIFICATION, REGRESSION = TASKS = ("segmentation", "classification", "regression")
MISSING = {  # what the network gets in the place of an image that is missing
    "mean": "nothing: features are the mean over the images that are there",
    "zero": "an image of zeros, encoded as the others are: features are the mean over all modalities",
    "drop": "nothing: features are weighted by learned attention over the images that are there",
}
REGIONS = {  # label values that form a named region, as the challenges define them
    "brats": {"whole tumor": (1, 2, 3, 4), "tumor core": (1, 3, 4), "enhancing tumor": (3, 4)},
}


@dataclass(frozen=True)
class TaskConfig:
    """What is learned: label maps of one kind, or a column of the table of participants."""

    kind: Literal["segmentation", "classification", "regression"] = "segmentation"
    labels: str = ""  # kind of label maps, as `toposlearn inspect` names it; "": the only one
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # judged; empty: every label that occurs
    target: str = ""  # column

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
    learning_rate: float = 1e-3
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

    def __post_init__(self) -> None:
        require_known(self, "finetune")
        require_min(self, "finetune", 1, "steps", "people_per_step", "validate_every", "checkpoint_every")
        require_min(self, "finetune", 0, "rotation", "shift", "intensity", "noise", "weight_decay", "patience")
        require(self.learning_rate > 0, f"finetune.learning_rate must be positive, got {self.learning_rate}")
        require(0 <= self.encoder_rate <= 1, f"finetune.encoder_rate must be 0 to 1, got {self.encoder_rate}")
        require(
            0 <= self.modality_dropout < 1, f"finetune.modality_dropout must be below 1, got {self.modality_dropout}"
        )
        require(0 <= self.warmup < 1, f"finetune.warmup must be below 1, got {self.warmup}")
        require(0 <= self.scale < 1 and self.intensity < 1, "finetune.scale and finetune.intensity must be below 1")
        require(
            not (self.freeze and self.from_scratch), "--freeze keeps pre-trained weights: give them, or leave it out"
        )
        require_read(self, "finetune", ("pooling",), self.task.kind != SEGMENTATION, "classification and regression")
        largest = max(self.model.stage_strides[:-1]) if self.model.top_down else self.model.stage_strides[-1]
        odd = [side for side in self.patch if side % max(self.model.token_strides)]
        require(not odd, f"finetune.patch must be multiples of {max(self.model.token_strides)}, got {self.patch}")
        require(min(self.patch) > 0 and largest > 0, f"finetune.patch must be positive, got {self.patch}")
        require_different("volume.modalities", self.volume.modalities)

    def replace(self, **changes: Any) -> FinetuneConfig:
        """The same settings with some changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> FinetuneConfig:
        """Inverse of `to_dict`, also of what JSON made of it."""
        regions = {name: tuple(labels) for name, labels in stored["task"]["regions"].items()}
        parts = {
            "task": TaskConfig(**{**stored["task"], "regions": regions}),
            "volume": VolumeConfig(**_tuples(stored["volume"])),
            "model": ModelConfig(**_tuples(stored["model"])),
        }
        return cls(**{**_tuples(stored), **parts})


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
    },
    "paper": {
        "steps": 20_000,
        "learning_rate": 3e-4,
        "validate_every": 500,
        "checkpoint_every": 500,
        "patience": 10,
        "precision": "bf16",
    },
}


def parse_regions(text: str) -> dict[str, tuple[int, ...]]:
    """Regions of an option: a name of `REGIONS`, or ``whole=1,2,3;core=1,3``; ValueError, in one line, for others."""
    if text in REGIONS:
        return dict(REGIONS[text])
    regions = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        name, sign, labels = (each.strip() for each in part.partition("="))
        numbers = [each.strip() for each in labels.split(",")]
        if not (name and sign) or not all(each.isdigit() for each in numbers):
            known = ", ".join(REGIONS)
            raise ValueError(f"--regions {text!r} is not understood: write {known}, or as in 'whole=1,2,3;core=1,3'")
        regions[name] = tuple(map(int, numbers))
    return regions
