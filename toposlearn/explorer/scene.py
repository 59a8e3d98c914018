"""What the explorer looks at: posed people, and their tokens under several networks. Made once, never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from toposlearn.config import TacoConfig
from toposlearn.data import Manifest, PosedSubjects, config_for, pose_subjects, prepare, read_manifest, split_subjects
from toposlearn.explore.tokens_rgb import fit_basis
from toposlearn.models import Taco, load_weights
from toposlearn.pretrain import encode

UNTRAINED = "untrained"
ORDER = (UNTRAINED, "reconstruction", "intra", "inter", "full")  # of networks; others come last, by name


@dataclass(frozen=True, eq=False)
class Scene:
    """S people, M modalities, N tokens a head, under several networks.

    Attributes:
        subjects: posed, never trained on where that can be told.
        stride: voxels a token.
        tokens: network -> modality -> (S, N, F).
        colors: network -> modality -> (S, N, 3) in [0, 1], one basis a network.
        explained: network -> share of the variance that its colors show.
        mask: (S, N) bool, foreground tokens.
        positions: (N, 3) mm from the center of the volume.
        template: (S, N, 3) template mm, or None without truth.
        labels: (S, N) long, most frequent structure of each token, or None.
        lesion: (S, N) share of each token's voxels that lie in a lesion, or None.
        white: (S, M) gray value shown as white.
    """

    subjects: PosedSubjects
    stride: int
    tokens: Mapping[str, Mapping[str, Tensor]]
    colors: Mapping[str, Mapping[str, Tensor]]
    explained: Mapping[str, float]
    mask: Tensor
    positions: Tensor
    template: Tensor | None
    labels: Tensor | None
    lesion: Tensor | None
    white: Tensor

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the networks, the least trained first."""
        return tuple(self.tokens)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of a volume (D, H, W)."""
        first, second, third = self.subjects.foreground.shape[2:]
        return first, second, third

    @property
    def token_size(self) -> float:
        """Edge of a token in mm."""
        return self.stride * self.subjects.spacing

    def volume(self, subject: int, modality: str) -> Tensor:
        """(D, H, W)."""
        return self.subjects.volumes[subject, self.subjects.modalities.index(modality)]


def open_scene(
    weights: str | Path | Sequence[str | Path],
    data: str | Path,
    *,
    modalities: Sequence[str] | None = None,
    subjects: int = 6,
    stride: int | None = None,
    seed: int = 0,
) -> Scene:
    """Load weights and people, pose the people, encode everything.

    Args:
        weights: a folder of weights, a weights file, or several; an untrained network is always added.
        data: BIDS folder.
        modalities: None takes those of the weights, or, where the data lacks one of them, all that everybody has.
        subjects: how many to look at, from those held out; all of a data set too small to hold out two.
        stride: token level in voxels; None takes the finest that all networks have.
        seed: of the poses and of the untrained network.

    Raises:
        FileNotFoundError: no weights, or no data.
        ValueError: networks that do not share a grid or a token level, or a modality that somebody lacks.
    """
    models, config = load_networks(weights, seed)
    manifest, config = choose_subjects(data, config, modalities, subjects)
    posed = pose_subjects(prepare(manifest, config.volume, progress=False), config, seed=seed)
    return make_scene(models, posed, stride=stride)


def load_networks(weights: str | Path | Sequence[str | Path], seed: int = 0) -> tuple[dict[str, Taco], TacoConfig]:
    """Networks by name (the file's), an untrained one first, and the configuration of the last.

    Raises:
        FileNotFoundError: no weights there.
        ValueError: not weights of this package, or networks for different grids.
    """
    loaded = {file.stem: load_weights(file) for file in weight_files(weights)}
    names = sorted(loaded, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    config = loaded[names[-1]][1]
    grids = {(each.volume.shape, each.volume.spacing) for _, each in loaded.values()}
    if len(grids) > 1:
        raise ValueError(f"weights must be of one grid (shape, spacing in mm), got {sorted(grids)}: choose among them")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        untrained = Taco(config.model).eval()
    return {UNTRAINED: untrained, **{name: loaded[name][0] for name in names}}, config


def weight_files(weights: str | Path | Sequence[str | Path]) -> list[Path]:
    """The weights files of a folder, or those given.

    Raises:
        FileNotFoundError: a folder that does not exist or holds none.
    """
    if not isinstance(weights, (str, Path)):
        return [Path(file) for file in weights]
    place = Path(weights)
    files = sorted(place.glob("*.safetensors")) if place.is_dir() else [place] if place.suffix else []
    if not files:
        raise FileNotFoundError(
            f"no weights (*.safetensors) in {place}: pre-train first, or use the folder checkpoints/lab"
        )
    return files


def choose_subjects(
    data: str | Path, config: TacoConfig, modalities: Sequence[str] | None = None, count: int = 6
) -> tuple[Manifest, TacoConfig]:
    """Whom to look at, and the configuration with modalities that all of them have.

    Raises:
        FileNotFoundError: no data.
        ValueError: a modality that somebody lacks, or fewer than two that everybody has.
    """
    manifest = read_manifest(data)
    if modalities is None:
        config = config_for(config, manifest)
    else:
        config = config.replace(volume={"modalities": tuple(modalities)})
    manifest.require(config.volume.modalities)
    held_out = split_subjects(manifest, test_fraction=config.train.test_fraction)[1] if len(manifest) > 1 else manifest
    chosen = held_out if len(held_out) > 1 else manifest
    names = [record.subject for record in chosen.records[:count]]
    return manifest.select(names), config


def make_scene(models: Mapping[str, Taco], subjects: PosedSubjects, *, stride: int | None = None) -> Scene:
    """Encode people with each network, and color the tokens: one basis a network for all people and modalities.

    Raises:
        ValueError: a token level that a network lacks.
    """
    levels = set.intersection(*(set(model.config.token_strides) for model in models.values()))
    stride = min(levels, default=0) if stride is None else stride
    if stride not in levels:
        raise ValueError(f"stride must be a token level of every network ({sorted(levels)}), got {stride}")
    mask = subjects.token_mask(stride)
    tokens = {
        name: {modality: encode(model, subjects, modality)[stride] for modality in subjects.modalities}
        for name, model in models.items()
    }
    bases = {name: fit_basis(*parts.values(), masks=[mask] * len(parts)) for name, parts in tokens.items()}
    return Scene(
        subjects=subjects,
        stride=stride,
        tokens=tokens,
        colors={
            name: {modality: torch.as_tensor(bases[name].colors(part)) for modality, part in parts.items()}
            for name, parts in tokens.items()
        },
        explained={name: basis.explained for name, basis in bases.items()},
        mask=mask,
        positions=subjects.token_positions(stride),
        template=None if subjects.to_template is None else subjects.token_template(stride),
        labels=None if subjects.labels is None else subjects.token_labels(stride),
        lesion=None if subjects.lesion is None else _share(subjects.lesion, stride),
        white=subjects.volumes.flatten(2).quantile(0.998, dim=2).clamp(min=1e-6),
    )


def _share(voxels: Tensor, stride: int) -> Tensor:
    """Voxels (S, 1, D, H, W) bool -> share (S, N) of each token's voxels that are set."""
    return torch.nn.functional.avg_pool3d(voxels.float(), stride).flatten(1)
