"""People preprocessed once: one safetensors file each, remade only when a setting or an input file changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from toposlearn.config import VolumeConfig
from toposlearn.data.manifest import TRUTH, Manifest, Record
from toposlearn.data.quality import check_record
from toposlearn.data.transforms import volume_transforms
from toposlearn.reproducibility import atomic_path

CACHE = f"{TRUTH}/cache"
CACHE_VERSION = 2  # raised when the transforms change


@dataclass(frozen=True, eq=False)
class Prepared:
    """One person on the network's grid.

    Attributes:
        volumes: (M, D, H, W) float32 in [0, 1], one per modality of the configuration.
        foreground: (D, H, W) bool.
        labels: (D, H, W) int16 structure labels, or None.
        lesion: (D, H, W) bool, or None.
        to_template: (3, D, H, W) float32, template mm of each voxel, or None.
    """

    subject: str
    volumes: Tensor
    foreground: Tensor
    labels: Tensor | None = None
    lesion: Tensor | None = None
    to_template: Tensor | None = None
    info: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Cache:
    """The prepared people of a manifest, read from disk when asked for."""

    manifest: Manifest
    folder: Path

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitem__(self, index: int) -> Prepared:
        record = self.manifest.records[index]
        tensors = load_file(self.folder / f"{record.subject}.safetensors")
        tensors["volumes"] = tensors["volumes"].float()
        return Prepared(record.subject, info=record.info, **tensors)


def prepare(
    manifest: Manifest, config: VolumeConfig, *, folder: str | Path | None = None, progress: bool = True
) -> Cache:
    """Preprocess every person who is not in the cache yet.

    Args:
        manifest: the people.
        config: grid and modalities.
        folder: where to keep the cache; None keeps it below the data folder.
        progress: show a progress bar.

    Raises:
        BadImageError: a file that cannot be used.
        ValueError: a modality is missing.
        OSError: the cache cannot be written.
    """
    manifest.require(config.modalities)
    settings = json.dumps([asdict(config), CACHE_VERSION], sort_keys=True)
    key = hashlib.sha256(settings.encode()).hexdigest()[:12]
    place = Path(folder or manifest.root / CACHE) / key
    place.mkdir(parents=True, exist_ok=True)
    todo = [record for record in manifest.records if not _is_fresh(record, place / f"{record.subject}.safetensors")]
    for record in tqdm(todo, desc="preparing", unit="person", disable=not (progress and todo)):
        tensors = _prepare_one(record, config)
        with atomic_path(place / f"{record.subject}.safetensors") as partial:
            save_file(tensors, partial)
    return Cache(manifest, place)


def _is_fresh(record: Record, file: Path) -> bool:
    if not file.exists():
        return False
    inputs = [*record.images.values(), record.labels, record.lesion, record.to_template]
    made = file.stat().st_mtime
    return all(path is None or path.stat().st_mtime <= made for path in inputs)


def _prepare_one(record: Record, config: VolumeConfig) -> dict[str, Tensor]:
    images = {name: record.images[name] for name in config.modalities}
    check_record(replace(record, images=images))
    extra = {"labels": record.labels, "lesion": record.lesion, "to_template": record.to_template}
    files = {**images, **{name: path for name, path in extra.items() if path is not None}}
    transforms = volume_transforms(
        config, labels="labels" in files, lesion="lesion" in files, truth="to_template" in files
    )
    data = {name: value.as_tensor() for name, value in transforms(files).items()}
    tensors = {
        "volumes": torch.cat([data[name] for name in config.modalities]).half(),
        "foreground": data["foreground"][0] > 0.5,
    }
    if "labels" in data:
        tensors["labels"] = data["labels"][0].to(torch.int16)
    if "lesion" in data:
        tensors["lesion"] = data["lesion"][0] > 0.5
    if "to_template" in data:
        tensors["to_template"] = data["to_template"].float()
    return {name: tensor.contiguous() for name, tensor in tensors.items()}
