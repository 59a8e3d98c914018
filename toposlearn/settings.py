"""Every setting of a run, frozen and validated.

A given value is used or refused, never overwritten; the settings of a loss term are read unless its weight is 0.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_type_hints

from toposlearn.validation import require, require_different, require_known, require_min, require_read

MODALITIES = ("T1w", "T2w", "FLAIR", "PDw")
T1CE = "ce-gadolinium_T1w"  # T1w with contrast agent, as BIDS names it
TRUTH = "derivatives/toposlearn"  # folder of the ground truth within a cohort
RELEASED: dict[str, Any] = {  # what ``released`` stands for: the alignment terms of the released code
    "scrambled": True,
    "foreground": False,
    "directions": "sum",
    "form": "within",
    "metric": "cosine",
    "margin_intra": 0.05,
    "negatives": "unmatched",
    "matcher": "mutual",
    "min_similarity": None,
    "ratio": None,
    "max_distance": None,
    "inter_start": 0,
}


@dataclass(frozen=True)
class VolumeConfig:
    """The grid on which a network sees a head: shape in voxels (D H W), isotropic spacing in mm."""

    shape: tuple[int, int, int] = (64, 64, 64)
    spacing: float = 3.0
    modalities: tuple[str, ...] = MODALITIES

    def __post_init__(self) -> None:
        require(len(self.shape) == 3 and min(self.shape) > 0, f"volume.shape must be three sizes, got {self.shape}")
        require(self.spacing > 0, f"volume.spacing must be positive (mm), got {self.spacing}")
        require(len(self.modalities) >= 1, "volume.modalities must name at least one modality")
        require_different("volume.modalities", self.modalities)


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of a training pair. The intensity of each modality changes independently.

    With `shared_pose` both modalities of a subject have the same pose, as the method describes it. Without it tokens
    are read at corresponding places through the known map between the two poses: grid position cannot replace anatomy.
    """

    rotation: float = 20.0  # degrees, about each axis
    shift: float = 29.0  # mm, along each axis
    scale: float = 0.15  # relative size
    gamma: float = 0.2  # exponent drawn in [1 - gamma, 1 + gamma]
    shared_pose: bool = True
    noise: float = 0.05  # standard deviation, in units of the normalized volume
    # For studies only: each modality but the first is moved by this much, in its own direction, without being recorded.
    misregister_shift: float = 0.0  # mm
    misregister_rotation: float = 0.0  # degrees
    misregister_alike: bool = False  # one direction per modality, the same for all subjects

    def __post_init__(self) -> None:
        moves = (self.rotation, self.shift, self.misregister_shift, self.misregister_rotation)
        require(min(*moves, self.scale, self.gamma, self.noise) >= 0, "augment values must be >= 0")
        require(self.scale < 1 and self.gamma < 1, "augment.scale and augment.gamma must be below 1")
        moved = self.misregister_shift > 0 or self.misregister_rotation > 0
        require(moved or not self.misregister_alike, "augment.misregister_alike needs a misregister_shift or _rotation")


@dataclass(frozen=True)
class ModelConfig:
    """MONAI's Swin encoder, an optional top-down path, token levels named by their stride in voxels."""

    feature_size: int = 12
    patch_size: int = 4
    window_size: int = 4
    depths: tuple[int, int, int, int] = (2, 2, 2, 2)
    num_heads: tuple[int, int, int, int] = (1, 2, 4, 8)
    use_v2: bool = True
    top_down: bool = True  # feed fine tokens from deeper stages
    token_features: int = 48  # F, with top_down; without it a token has the channels of its stage
    token_strides: tuple[int, ...] = (4, 8)
    reconstruct_stride: int = 4  # the token level, or stage, that the decoder reads

    def __post_init__(self) -> None:
        strides = self.stage_strides
        divisible = self.feature_size % self.num_heads[0] == 0
        require(divisible, "model.feature_size must be a multiple of the first num_heads")
        for name, values in (("token_strides", self.token_strides), ("reconstruct_stride", (self.reconstruct_stride,))):
            require(set(values) <= set(strides), f"model.{name} must be among {strides}, got {values}")
        require(len(self.token_strides) > 0, "model.token_strides must name at least one level")
        require_different("model.token_strides", self.token_strides)
        require_read(self, "model", ("token_features",), self.top_down, "top_down")

    @property
    def stage_strides(self) -> tuple[int, ...]:
        """Stride in voxels of each of the encoder's five feature maps."""
        return tuple(self.patch_size * 2**stage for stage in range(5))

    @property
    def stage_features(self) -> tuple[int, ...]:
        """Channels of each of the encoder's five feature maps."""
        return tuple(self.feature_size * 2**stage for stage in range(5))

    def features_at(self, stride: int) -> int:
        """Features F of a token of this stride."""
        return self.token_features if self.top_down else self.stage_features[self.stage_strides.index(stride)]


@dataclass(frozen=True)
class LossConfig:
    """Every variant of the total loss; ``config.replace(loss={"released": True})`` sets all of `RELEASED`."""

    weight_reconstruction: float = 1.0
    weight_intra: float = 1.0
    weight_inter: float = 1.0
    k: int = 5
    margin_intra: float = 0.05
    margin_inter: float = 0.2
    # of the intra term: triplets whose anchor is read in b (within) or in a (cross), or all tokens at once (listwise)
    form: Literal["within", "cross", "listwise"] = "within"
    radius: float = 8.0  # of the listwise form: standard deviation of the neighborhood, mm
    softness: float = 0.1  # of the listwise form: distance of features that counts as a difference
    metric: Literal["cosine", "euclidean"] = "cosine"  # of graphs, mutual matches and rankings
    negatives: Literal["uniform", "semi_hard", "unmatched"] = "uniform"  # unmatched: inter term; intra then is uniform
    token_levels: tuple[int, ...] | None = None  # strides of the alignment terms; None: all (released: the deepest)
    max_tokens: int = 1536  # foreground tokens compared per level and volume; more are thinned at random
    matcher: Literal["nearest", "mutual", "sinkhorn", "oracle", "random"] = "mutual"  # oracle: the cohort's truth
    min_similarity: float | None = None  # gate: cosine similarity a match must reach
    ratio: float | None = None  # gate: best distance / second best must stay below
    max_distance: float | None = None  # gate: mm between token and match, both heads centered and scaled to one size
    inter_start: int = 0  # warm-up of the inter term: it is off before this step
    temperature: float = 0.05  # of the sinkhorn matcher: cosine similarity that counts as a difference
    dustbin: float = 0.25  # of the sinkhorn matcher: a token with a lower similarity to all others stays unmatched
    foreground: bool = True  # air is no anchor, positive, negative or match; not read for scrambled tokens
    scrambled: bool = False  # tokens from a feature map whose channels were never moved last: groups, not places
    directions: Literal["mean", "sum"] = "mean"  # of the two directions of each alignment term
    released: bool = False

    def __post_init__(self) -> None:
        _require_released(self)
        require_min(self, "loss", 0, "weight_reconstruction", "weight_intra", "weight_inter")
        require_min(self, "loss", 0, "margin_intra", "margin_inter")
        require_min(self, "loss", 1, "k")
        require(self.max_tokens >= self.k + 2, f"loss.max_tokens must be >= k + 2, got {self.max_tokens}")
        require(self.temperature > 0, f"loss.temperature must be positive, got {self.temperature}")
        for name, low, high in (("min_similarity", -1, 1), ("ratio", 0, 1), ("dustbin", -1, 1)):
            value = getattr(self, name)
            within = value is None or low <= value <= high
            require(within, f"loss.{name} must be between {low} and {high}, got {value}")
        require_read(self, "loss", ("temperature", "dustbin"), self.matcher == "sinkhorn", "the matcher 'sinkhorn'")
        for name in ("radius", "softness"):
            require(getattr(self, name) > 0, f"loss.{name} must be positive, got {getattr(self, name)}")
        listwise = self.form == "listwise"
        require_read(self, "loss", ("radius", "softness"), listwise, "the form 'listwise'")
        require_read(self, "loss", ("margin_intra",), not listwise, "the forms 'within' and 'cross'")
        levels = self.token_levels
        require(levels is None or len(levels) > 0, "loss.token_levels must name at least one level, or be None: all")
        require_different("loss.token_levels", levels or ())
        places = self.matcher == "oracle" or self.max_distance is not None or listwise
        refusal = "loss.scrambled tokens have no place: no oracle, listwise form or loss.max_distance with them"
        require(not (self.scrambled and places), refusal)
        positive = self.max_distance is None or self.max_distance > 0
        require(positive, f"loss.max_distance must be positive (mm), got {self.max_distance}")
        require_known(self, "loss")


@dataclass(frozen=True)
class TrainConfig:
    """The loop: AdamW, linear warm-up, cosine decay."""

    steps: int = 600
    subjects_per_step: int = 2
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    warmup_steps: int = 50
    clip_norm: float = 1.0
    precision: Literal["no", "bf16", "fp16"] = "no"
    seed: int = 0
    checkpoint_every: int = 50
    score_every: int = 100  # steps between scorecards on held-out people; 0: no scorecard
    score_people: int = 8
    test_fraction: float = 0.25  # of the people, held out
    unpaired: bool = False  # also an image that can be paired with no other of its person is used: in two poses
    # Where batches are prepared changes no batch: runs that differ in this only are one run.
    workers: int = field(default=0, compare=False)  # processes that prepare batches ahead; 0: the training process
    prefetch: int = field(default=2, compare=False)  # batches that each worker prepares ahead

    def __post_init__(self) -> None:
        require_min(self, "train", 1, "steps", "subjects_per_step", "checkpoint_every")
        require_min(self, "train", 0, "warmup_steps", "score_every", "workers")
        require_min(self, "train", 1, "prefetch")
        require(self.learning_rate > 0, f"train.learning_rate must be positive, got {self.learning_rate}")
        require(0 < self.test_fraction < 1, f"train.test_fraction must be between 0 and 1, got {self.test_fraction}")
        require(self.clip_norm > 0, f"train.clip_norm must be positive, got {self.clip_norm}")
        require(self.score_people >= 2, f"train.score_people must be >= 2, people to compare, got {self.score_people}")
        require_known(self, "train")


@dataclass(frozen=True)
class TacoConfig:
    """All settings of one pre-training run."""

    preset: str = "custom"
    variant: str = "full"
    volume: VolumeConfig = field(default_factory=VolumeConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        size, shape = self.model.stage_strides[-1], self.volume.shape
        divisible = all(side % size == 0 for side in shape)
        require(divisible, f"volume.shape {shape} must be a multiple of {size}, the encoder's deepest stride")
        available = self.model.token_strides
        missing = sorted(set(self.loss.token_levels or ()) - set(available))
        require(not missing, f"loss.token_levels {missing} are not among the model's levels {available}")
        start, steps = self.loss.inter_start, self.train.steps
        posed = not (self.train.unpaired and self.augment.shared_pose)
        require(posed, "train.unpaired shows an image in two poses: set augment.shared_pose to false with it")
        starts = self.loss.weight_inter == 0 or start < steps
        require(starts, f"loss.inter_start {start} must be below train.steps {steps}, or the inter term is never on")

    def replace(self, **sections: Any) -> TacoConfig:
        """A copy with changed values: ``config.replace(train={"steps": 10}, variant="intra")``."""
        changed = {
            name: dataclasses.replace(getattr(self, name), **_complete(value)) if isinstance(value, dict) else value
            for name, value in sections.items()
        }
        return dataclasses.replace(self, **changed)

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dictionary, ready for JSON."""
        return cast(dict[str, Any], json.loads(json.dumps(dataclasses.asdict(self))))

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=2) + "\n")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TacoConfig:
        """The inverse of `to_dict`. Unknown names raise ValueError."""
        return cast(TacoConfig, _build(cls, values))

    @classmethod
    def load(cls, path: str | Path) -> TacoConfig:
        """Read what `save` wrote."""
        return cls.from_dict(json.loads(Path(path).read_text()))


def _build(kind: Any, value: Any) -> Any:
    """A setting, or a section of them, from what JSON holds."""
    if not hasattr(kind, "__dataclass_fields__"):
        return tuple(value) if isinstance(value, list) else value
    hints = get_type_hints(kind)
    unknown = sorted(set(value) - set(hints))
    require(not unknown, f"unknown setting {', '.join(unknown)} in {kind.__name__}")
    return kind(**{name: _build(hints[name], part) for name, part in _complete(value).items()})


def _complete(values: dict[str, Any]) -> dict[str, Any]:
    """Settings by name; with ``released`` also those of `RELEASED` that are not among them."""
    return RELEASED | values if values.get("released") else values


def _require_released(loss: LossConfig) -> None:
    """Raise ValueError when ``released`` is set, but not all that it stands for."""
    different = {name: getattr(loss, name) for name, value in RELEASED.items() if getattr(loss, name) != value}
    listed = ", ".join(f"{name}={RELEASED[name]!r} (got {value!r})" for name, value in different.items())
    remedy = "leave these to config.replace(loss={'released': True}), or do without released"
    require(not (loss.released and different), f"loss.released stands for {listed}: {remedy}")
