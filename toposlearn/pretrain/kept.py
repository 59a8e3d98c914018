"""Runs and measurements of a study that are kept: made once, and continued after an interruption."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from toposlearn.arrays import Float64s
from toposlearn.config import TacoConfig
from toposlearn.data import Manifest
from toposlearn.data.source import Data
from toposlearn.models import Readout, Taco, load_readout, load_weights
from toposlearn.pretrain.between_people import UNTRAINED
from toposlearn.pretrain.loop import pretrain
from toposlearn.pretrain.run_folder import WEIGHTS, has_checkpoint
from toposlearn.reproducibility import atomic_path, set_seed

Raw = Mapping[str, Float64s]  # name -> numbers of one run, or of several, stacked over seeds


def train_once(
    config: TacoConfig, data: Data | Manifest, folder: Path, *, cache: Path | None = None, progress: bool = True
) -> Path:
    """The weights of the run in `folder`: as they are, or trained on from its checkpoint, or from the beginning."""
    if not (folder / WEIGHTS).exists():
        begun = has_checkpoint(folder)
        if folder.exists() and not begun:
            shutil.rmtree(folder)  # stopped before its first checkpoint
        pretrain(config, data, folder, resume=begun, cache=cache, progress=progress)
    return folder / WEIGHTS


def measure_all(
    config: TacoConfig,
    weights: Mapping[str, Sequence[Path]],
    seeds: Sequence[int],
    measured: Callable[[Taco, Readout], Raw],
    kept_as: str,
    progress: bool = True,
) -> dict[str, dict[str, Float64s]]:
    """Raw numbers of every variant's runs, and of untrained networks, stacked over seeds.

    `weights` are variant -> one file per seed; untrained networks have the readout of the first. A file named `kept_as`
    beside each keeps what `measured` returned.
    """
    untrained, readout = [], load_readout(next(iter(weights.values()))[0])
    for seed in seeds:
        set_seed(seed)
        untrained.append(measured(Taco(config.model).eval(), readout))
    raw = {UNTRAINED: _stack(untrained)}
    for variant, files in tqdm(weights.items(), desc="measuring", unit="variant", disable=not progress):
        raw[variant] = _stack([_measured_once(file, measured, kept_as) for file in files])
    return raw


def _stack(runs: Sequence[Raw]) -> dict[str, Float64s]:
    return {name: np.stack([run[name] for run in runs]) for name in runs[0]}


def _measured_once(weights: Path, measured: Callable[[Taco, Readout], Raw], kept_as: str) -> Raw:
    kept = weights.with_name(kept_as)
    if kept.exists() and kept.stat().st_mtime >= weights.stat().st_mtime:
        return dict(load_file(kept))
    raw = measured(load_weights(weights)[0], load_readout(weights))
    with atomic_path(kept) as partial:
        save_file(dict(raw), partial)
    return raw
