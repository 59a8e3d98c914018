"""Train with and without the inter-instance term on people of whom all, few or none have both modalities; measure.

People with one modality are trained on with one image in two poses (`TrainConfig.unpaired`). Where no one is paired,
only the inter-instance term can tie the modalities. Complete runs are kept, and interrupted ones continued.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from toposlearn.config import TacoConfig, with_variant
from toposlearn.data import Manifest, PointSource, prepare, read_manifest, split_subjects
from toposlearn.data.source import Data
from toposlearn.data.split import refuse_seen
from toposlearn.pretrain.kept import Raw, measure_all, train_once
from toposlearn.pretrain.readout import readout_chooser
from toposlearn.reproducibility import write_result
from toposlearn.studies.pairing import measure
from toposlearn.studies.pairing.people import MODALITIES, comparisons, posed_twice, with_share
from toposlearn.studies.pairing.tables import NAMES, WITHOUT, share_name

SHARES = (1.0, 0.25, 0.05, 0.0)
NULL = "full-random"  # trained where no one is paired
VARIANTS = tuple(name for name in NAMES if name != NULL)
RESULT, MEASURED = "pairing.json", "pairing.safetensors"
READOUT = "chosen for every network alike, on people trained on, in both of their modalities"


def run_pairing(
    config: TacoConfig,
    data: Data,
    out: str | Path,
    *,
    shares: Sequence[float] = SHARES,
    variants: Sequence[str] = VARIANTS,
    seeds: Sequence[int] = (0, 1, 2),
    shipped: str | Path | None = None,
    progress: bool = True,
) -> Path:
    """Train each of `variants` at each of `shares`, measure all, and return ``pairing.json``, copied to `shipped`.

    `shares` are those of the training people who keep both modalities, T1w and T2w. `data` needs people with both and
    with a map to the template, as `toposlearn cohort` writes it. `out` gets the runs (``SHARE-VARIANT-seedN``). At
    share 0 the null is trained as well: `full` with random matches. ValueError for other people, shares or variants.
    """
    if wrong := [share for share in shares if not 0 <= share <= 1]:
        raise ValueError(f"shares must be between 0 and 1, got {wrong[0]:g}")
    config, out = config.replace(volume={"modalities": MODALITIES}, train={"unpaired": True}), Path(out)
    manifest = _with_truth(read_manifest(data, MODALITIES))
    train, test = split_subjects(manifest, test_fraction=config.train.test_fraction, minimum=2)
    people = {share: with_share(manifest, train, share) for share in shares}
    runs = _train_all(config, people, variants, seeds, out, progress)

    prepared = prepare(manifest, config.volume, progress=progress)
    held_out = prepared.of(test)
    refuse_seen([file for each in runs.values() for file in each], held_out.manifest, held_out.fingerprints())
    posed = posed_twice(held_out, config)
    choose = readout_chooser(prepared.of(train), config, PointSource())
    measured = partial(measure.measure_network, people=posed, choose=choose)
    raw = measure_all(config, runs, seeds, measured, MEASURED, progress)
    metrics = _network_metrics(raw, measure.measure_controls(posed, config.model.token_strides))
    for share, some in people.items():
        drawn = prepare(some, config.volume, folder=_cache(out, share), unpaired=True, progress=False, report=False)
        found = comparisons(drawn.of(train), config.replace(train={"seed": seeds[0]}))
        metrics |= {f"{share_name(share)}/{name}": each for name, each in found.items()}
    facts: dict[str, Any] = {"config": config.to_dict() | {"readout": READOUT}, "seeds": list(seeds)}
    path = write_result(out / RESULT, source="toposlearn pairing", metrics=metrics, **facts)
    if shipped is not None:
        Path(shipped).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, Path(shipped) / RESULT)
    return path


def _with_truth(manifest: Manifest) -> Manifest:
    """The people; ValueError unless all have both modalities and the truth."""
    manifest.require(MODALITIES)
    if lacking := [record.name for record in manifest.records if record.to_template is None]:
        remedy = "simulate people with 'toposlearn cohort'"
        raise ValueError(f"{lacking[0]} in {manifest.root} has no map to the template, which is the truth: {remedy}")
    return manifest


def _train_all(
    config: TacoConfig,
    people: Mapping[float, Manifest],
    variants: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    progress: bool,
) -> dict[str, list[Path]]:
    """``shareN/VARIANT`` -> weights, one file per seed; all runs of one seed come before those of the next."""
    kinds = [*product(people, variants), *((0.0, NULL) for share in people if share == 0 and NULL not in variants)]
    settings = {
        (variant, seed): with_variant(config.replace(train={"seed": seed}), variant)
        for (_, variant), seed in product(kinds, seeds)
    }
    runs: dict[str, list[Path]] = {}
    for seed, (share, variant) in product(seeds, kinds):
        folder, cache = out / f"{share:g}-{variant}-seed{seed}", _cache(out, share)
        weights = train_once(settings[variant, seed], people[share], folder, cache=cache, progress=progress)
        runs.setdefault(f"{share_name(share)}/{variant}", []).append(weights)
    return runs


def _cache(out: Path, share: float) -> Path:
    """Where the people of a share are kept: they differ in their images only, so that one folder holds one share."""
    return out / "prepared" / share_name(share)


def _network_metrics(raw: Mapping[str, Raw], known: Mapping[str, Raw]) -> dict[str, dict[str, Any]]:
    """Metrics of all networks and controls, and of every variant minus the one without inter at the same share."""
    metrics = measure.control_metrics(known)
    for kind, values in raw.items():
        metrics |= measure.network_metrics(values, known, kind)
        without = kind.rpartition("/")[0] + f"/{WITHOUT}"
        if without in raw and kind != without:
            metrics |= measure.difference_metrics(values, raw[without], f"{kind}-{WITHOUT}")
    return metrics
