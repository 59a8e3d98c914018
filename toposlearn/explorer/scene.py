"""What the explorer shows: posed people, and their tokens under several networks. Made once, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from toposlearn.config import TacoConfig
from toposlearn.data import Manifest, PosedSubjects, config_for, pose_subjects, prepare, read_manifest, split_subjects
from toposlearn.data.gate.assessment import report_problems
from toposlearn.data.points import PointSource
from toposlearn.data.source import Data
from toposlearn.data.split import named, seen_by
from toposlearn.explore.tokens_rgb import fit_basis
from toposlearn.models import Readout, Taco, load_readout, load_weights
from toposlearn.pretrain import encode

UNTRAINED = "untrained"
ORDER = (UNTRAINED, "reconstruction", "intra", "inter", "full")  # of networks; others come last, by name


@dataclass(frozen=True, eq=False)
class Scene:
    """S people in M modalities, with N tokens per head under several networks."""

    subjects: PosedSubjects  # held-out people, where the split is known
    stride: int  # voxels per token
    tokens: Mapping[str, Mapping[str, Tensor]]  # network -> modality -> (S, N, F)
    colors: Mapping[str, Mapping[str, Tensor]]  # network -> modality -> (S, N, 3) in [0, 1], one basis per network
    explained: Mapping[str, float]  # network -> share of the variance that its colors show
    mask: Tensor  # (S, N) bool, foreground tokens
    positions: Tensor  # (N, 3) mm from the center of the volume
    template: Tensor | None  # (S, N, 3) template mm
    labels: Tensor | None  # (S, N) long, most frequent structure of each token
    lesion: Tensor | None  # (S, N) share of each token's voxels that lie in a lesion
    readouts: Mapping[str, Readout]  # network -> how a match is read below a token

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the networks, the untrained first and the most trained last."""
        return tuple(self.tokens)

    @cached_property
    def points(self) -> dict[str, Tensor]:
        """Structures and landmarks that everyone has: name -> places (S, 3), mm; none where the template is known."""
        if self.template is not None or self.subjects.points is None:
            return {}
        named = zip(self.subjects.point_names, self.subjects.points.unbind(1), strict=True)
        return {name: places for name, places in named if places.isfinite().all()}

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of a volume (D, H, W)."""
        return cast("tuple[int, int, int]", tuple(self.subjects.foreground.shape[2:]))

    @property
    def token_size(self) -> float:
        """Edge of a token in mm."""
        return self.stride * self.subjects.spacing


def open_scene(
    weights: str | Path, data: Data, *, subjects: int = 6, seed: int = 0, points: PointSource | None = None
) -> Scene:
    """Load a folder of weights (or one file) and a folder of scans, pose held-out people, and encode everything.

    An untrained network is always added; `seed` is that of its weights and of the poses. Label maps that have a table
    (`points`, or the one beside them) and landmarks give true places. Missing weights or data raise FileNotFoundError;
    networks that do not share a grid or a token level, label maps that `points` does not fit, or people without a
    modality, ValueError.
    """
    models, config = load_networks(weights, seed)
    files = weights_in(weights)
    manifest, config = choose_subjects(data, config, subjects, weights=files[-1])
    people = prepare(manifest, config.volume, progress=False)
    posed = pose_subjects(people, config, seed=seed, points=points or PointSource())
    return make_scene(models, posed, {file.stem: load_readout(file) for file in files})


def load_networks(weights: str | Path, seed: int = 0) -> tuple[dict[str, Taco], TacoConfig]:
    """Networks by the name of their file, an untrained one first, and the configuration of the last."""
    loaded = {file.stem: load_weights(file) for file in weights_in(weights)}
    config = list(loaded.values())[-1][1]
    grids = {(each.volume.shape, each.volume.spacing) for _, each in loaded.values()}
    if len(grids) > 1:
        raise ValueError(f"weights must be of one grid (shape, spacing in mm), got {sorted(grids)}: choose among them")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        untrained = Taco(config.model).eval()
    return {UNTRAINED: untrained, **{name: model for name, (model, _) in loaded.items()}}, config


def weights_in(place: str | Path) -> list[Path]:
    """The weights files of a folder, or the one file; `ORDER` first, others by name."""
    place = Path(place)
    files = list(place.glob("*.safetensors")) if place.is_dir() else [place] if place.suffix else []
    if not files:
        hint = "pre-train first, or use the folder checkpoints/lab"
        raise FileNotFoundError(f"no weights (*.safetensors) in {place}: {hint}")
    return sorted(files, key=lambda file: (ORDER.index(file.stem) if file.stem in ORDER else len(ORDER), file.stem))


def choose_subjects(
    data: Data, config: TacoConfig, count: int = 6, *, weights: Path | None = None
) -> tuple[Manifest, TacoConfig]:
    """Up to `count` people held out of `weights`, and the configuration for them.

    Where fewer than two are held out, any are taken, and those trained on are named on stderr.
    """
    manifest = read_manifest(data, config.volume.modalities)
    config = config_for(config, manifest, minimum=1)
    manifest.require(config.volume.modalities)
    fraction = config.train.test_fraction
    several = len(manifest) > 1
    held_out = split_subjects(manifest, test_fraction=fraction, minimum=0, weights=weights)[1] if several else manifest
    chosen = manifest.select([each.name for each in (held_out if len(held_out) > 1 else manifest).records[:count]])
    if weights is not None and (seen := seen_by([weights], chosen, {})):
        report_problems([f"note: fewer than two people are held out; {weights} was trained on {named(seen)}"])
    return chosen, config


def make_scene(
    models: Mapping[str, Taco], subjects: PosedSubjects, readouts: Mapping[str, Readout] | None = None
) -> Scene:
    """Encode people at the finest common token level, and color the tokens: one basis per network.

    A network without one of the `readouts` has the last of them, or the default.
    """
    levels = set.intersection(*(set(model.config.token_strides) for model in models.values()))
    if not levels:
        raise ValueError("the networks share no token level (model.token_strides): choose among them")
    stride = min(levels)
    mask = subjects.token_mask(stride)
    tokens: dict[str, dict[str, Tensor]] = {}
    colors: dict[str, dict[str, Tensor]] = {}
    explained: dict[str, float] = {}
    for name, model in models.items():
        parts = {modality: encode(model, subjects, modality)[stride] for modality in subjects.modalities}
        basis = fit_basis(*parts.values(), masks=[mask] * len(parts))
        tokens[name], explained[name] = parts, basis.explained
        colors[name] = {modality: torch.as_tensor(basis.colors(part)) for modality, part in parts.items()}
    positions = subjects.token_positions(stride)
    template = None if subjects.to_template is None else subjects.token_template(stride)
    labels = None if subjects.labels is None else subjects.token_labels(stride)
    lesion = None if subjects.lesion is None else F.avg_pool3d(subjects.lesion.float(), stride).flatten(1)
    last = list((readouts or {}).values() or [Readout()])[-1]
    known = dict.fromkeys(models, last) | dict(readouts or {})
    return Scene(subjects, stride, tokens, colors, explained, mask, positions, template, labels, lesion, known)
