"""One vector and one token map per scan, as files: each scan is prepared and encoded alone.

A scan that cannot be used is left out and named. No more than one scan is in memory at a time.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nibabel.affines import from_matvec
from numpy.typing import NDArray
from torch import Tensor

from toposlearn.arrays import Float32s, Float64s
from toposlearn.config import TacoConfig, VolumeConfig
from toposlearn.data import Cache, Manifest, Record, prepare
from toposlearn.data.gate.assessment import report_problems
from toposlearn.data.tensors import NO_PAIR
from toposlearn.models import Taco
from toposlearn.progress import progress as shown
from toposlearn.reproducibility import atomic_path, check_writable, package_versions, write_json

INDEX, TABLE, TOKENS = "embedding.json", "vectors.csv", "tokens"
LAYOUTS = PLAIN, FOMO = "plain", "fomo"


@dataclass(frozen=True, eq=False)
class Embedding:
    """What a network makes of one scan."""

    vector: Float32s  # (F of all levels,): the mean of the foreground tokens of each level, the finest level first
    tokens: Mapping[int, NDArray[np.float16]]  # stride in voxels -> (d, h, w, F)
    masks: Mapping[int, NDArray[np.bool_]]  # stride -> (d, h, w), at least half of the token lies in the head
    affines: Mapping[int, Float64s]  # stride -> (4, 4), from a token's index to its center in RAS mm of the file

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of the .npz file by name: ``vector``, ``tokens_4``, ``mask_4``, ``affine_4``, and so on."""
        levels = {"tokens": self.tokens, "mask": self.masks, "affine": self.affines}
        named = {f"{name}_{stride}": array for name, parts in levels.items() for stride, array in parts.items()}
        return {"vector": self.vector, **named}


@torch.no_grad()
def embed_scan(model: Taco, volume: Tensor, foreground: Tensor, affine: Tensor) -> Embedding:
    """The embedding of a volume (D, H, W) with its foreground, bool, and affine (4, 4), voxel to RAS mm.

    ValueError: no token of some level lies in the head, or a feature is not finite.
    """
    device = next(model.parameters()).device
    output = model.eval()(volume[None, None].to(device), foreground[None, None].to(device), reconstruct=False)
    means, tokens, masks, affines = [], {}, {}, {}
    for stride in sorted(model.config.token_strides):
        grid = [side // stride for side in volume.shape]
        mask = output.masks[stride]
        assert mask is not None
        features, counted = output.tokens[stride][0].float().cpu(), mask[0].cpu()  # (N, F), (N,)
        if not bool(counted.any()):
            raise ValueError(f"no token of {stride} voxels lies in the head by half: the head is too small")
        if not bool(features.isfinite().all()):
            raise ValueError("the network gives features that are not finite: check its weights")
        means.append(features[counted].mean(dim=0))
        tokens[stride] = features.unflatten(0, grid).half().numpy()  # (N, F) -> (d, h, w, F)
        masks[stride] = counted.unflatten(0, grid).numpy()
        affines[stride] = token_affine(affine.numpy(), stride)
    return Embedding(torch.cat(means).numpy(), tokens, masks, affines)


def token_affine(affine: Float64s, stride: int) -> Float64s:
    """From the affine (4, 4) of voxels to that of tokens, whose centers lie amid `stride` voxels."""
    return np.asarray(affine @ from_matvec(np.eye(3) * stride, [(stride - 1) / 2] * 3))


def embed_people(
    manifest: Manifest,
    model: Taco,
    config: TacoConfig,
    out: str | Path,
    *,
    modalities: Sequence[str] = (),
    layout: str = PLAIN,
    weights: str = "",
    folder: str | Path | None = None,
    progress: bool = True,
) -> Path:
    """Embed every scan, of each person, session and modality; return the path of ``embedding.json``.

    ``vectors.csv`` has a row per scan, ``tokens/NAME_MODALITY.npz`` its `Embedding.arrays`. ``embedding.json``, written
    last, says which columns are of which level, and why scans are left out. `modalities` are by default those trained
    on that are here. With `layout` ``fomo`` there is also what the linear probe of the FOMO26 challenge reads
    (github.com/fomo26/fomo-lp), one folder per modality: ``fomo/MODALITY/NAME.npy``, the vector, and ``subjects.csv``
    with a column ``ptid`` and those of participants.tsv; add a column ``selected_cohort`` with the classes.

    ValueError: another layout, a modality that no person has, or no scan that can be used.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
    chosen, out = _modalities(manifest, config.volume, modalities), Path(out)
    check_writable(out)
    (out / INDEX).unlink(missing_ok=True)  # of a run before: what it lists is about to change
    (out / TOKENS).mkdir(parents=True, exist_ok=True)
    left_out: dict[str, str] = {}
    embedded: dict[str, list[Record]] = {modality: [] for modality in chosen}
    with atomic_path(out / TABLE) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        width = sum(map(config.model.features_at, config.model.token_strides))
        table.writerow(["name", "subject", "session", "modality", *(f"f{column}" for column in range(width))])
        for record, modality, result in _results(manifest, model, config.volume, chosen, folder, progress):
            stem = f"{record.name}_{modality}"
            if isinstance(result, str):
                left_out[stem] = result
                continue
            _save(out / TOKENS / f"{stem}.npz", np.savez, **result.arrays())
            if layout == FOMO:
                _save(out / FOMO / modality / f"{record.name}.npy", np.save, arr=result.vector)
            values = [f"{value:.9g}" for value in result.vector.tolist()]  # enough for the same float32
            table.writerow([record.name, record.subject, record.session, modality, *values])
            embedded[modality].append(record)
        report_problems([f"{stem} is left out: {reason}" for stem, reason in left_out.items()], out / INDEX)
        if not any(embedded.values()):
            raise ValueError(f"no scan of {manifest.root} can be used: {next(iter(left_out.values()))}")
    if layout == FOMO:
        for modality, records in embedded.items():
            _write_subjects(out / FOMO / modality / "subjects.csv", records)
    scans = {modality: len(records) for modality, records in embedded.items()}
    facts = {"weights": weights, "preset": config.preset, "variant": config.variant, **_columns(config)}
    return write_json(out / INDEX, {**facts, "scans": scans, "left out": left_out, "versions": package_versions()})


def _columns(config: TacoConfig) -> dict[str, Any]:
    """What a vector consists of, and its first and last column of each level."""
    levels, first = [], 0
    for stride in sorted(config.model.token_strides):
        last = first + config.model.features_at(stride) - 1
        levels.append({"stride": stride, "mm": stride * config.volume.spacing, "columns": [f"f{first}", f"f{last}"]})
        first = last + 1
    return {"vector": "mean of the foreground tokens of each level", "levels": levels}


def _modalities(manifest: Manifest, volume: VolumeConfig, asked: Sequence[str]) -> tuple[str, ...]:
    """The modalities to embed: those asked for, else those trained on that are here, else all."""
    here = sorted({name for record in manifest.records for name in record.images})
    if absent := [name for name in asked if name not in here]:
        raise ValueError(f"no person of {manifest.root} has {', '.join(absent)} images: there are {', '.join(here)}")
    return tuple(asked or [name for name in volume.modalities if name in here] or here)


def _results(
    manifest: Manifest,
    model: Taco,
    volume: VolumeConfig,
    modalities: Sequence[str],
    folder: str | Path | None,
    progress: bool,
) -> Iterator[tuple[Record, str, Embedding | str]]:
    """Every scan with its modality and its embedding, or the reason why there is none."""
    for modality in modalities:
        for root in dict.fromkeys(record.root for record in manifest.records):
            own = [each for each in manifest.records if each.root == root and modality in each.images]
            if not own:
                continue
            cache = _prepared(manifest, own, replace(volume, modalities=(modality,)), folder, progress)
            usable = () if isinstance(cache, str) else cache.manifest.records
            places = {record.name: place for place, record in enumerate(usable)}
            scans = shown(own, description=f"embedding {modality}", unit="scan", total=len(own)) if progress else own
            for record in scans:
                place = places.get(record.name)
                yield record, modality, cache if isinstance(cache, str) else _embed_one(model, cache, record, place)


def _prepared(
    manifest: Manifest, records: Sequence[Record], volume: VolumeConfig, folder: str | Path | None, progress: bool
) -> Cache | str:
    """Scans of one modality and one data set, without ground truth; the reason where none can be used."""
    bare = tuple(replace(record, labels=None, lesion=None, to_template=None) for record in records)
    try:
        return prepare(replace(manifest, records=bare), volume, folder=folder, progress=progress, report=False)
    except ValueError as error:
        return _plain(str(error))


def _embed_one(model: Taco, cache: Cache, record: Record, place: int | None) -> Embedding | str:
    """The embedding of one scan, at this place of the cache, or the reason why there is none."""
    try:
        if place is None:
            return _plain(cache.entry(record).summary) or "it holds the same image as a scan of another person"
        scan = cache.take(place, truth=())
        assert scan.affine is not None
        return embed_scan(model, scan.volumes[0], scan.foreground, scan.affine)
    except ValueError as error:
        return str(error)


def _plain(summary: str) -> str:
    """What the quality gate says, without its words on pairs of images."""
    return summary.replace(f"{NO_PAIR}: ", "")


def _save(path: Path, save: Any, **arrays: NDArray[Any]) -> None:
    """Write arrays by NumPy, complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as partial:
        save(partial, **arrays)


def _write_subjects(path: Path, records: Sequence[Record]) -> None:
    """The table of one modality for the linear probe; nothing where no scan is embedded."""
    if records:
        columns = dict.fromkeys(["ptid", "subject", "session", *(name for record in records for name in record.info)])
        with atomic_path(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(columns), restval="", lineterminator="\n")
            table.writeheader()
            for record in records:
                own = {"ptid": record.name, "subject": record.subject, "session": record.session}
                table.writerow({**record.info, **own})
