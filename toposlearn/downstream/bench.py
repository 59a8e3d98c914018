"""Whom an evaluation is made on: weights of a folder, training people for the readers, test people in groups."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toposlearn.config import VARIANTS, TacoConfig
from toposlearn.data import Manifest, PosedPeople, config_for, pose_people, prepare, read_manifest, split_people
from toposlearn.downstream.finetune import FinetuneConfig
from toposlearn.downstream.splits import check_splits
from toposlearn.downstream.tasks import tasks_of

FIT_POSE_SEED, FINETUNE_POSE_SEED = 1, 10  # training people stand in other poses than test people


@dataclass(frozen=True, eq=False)
class Bench:
    """The people that every set of features is fitted and judged on."""

    train: PosedPeople
    few: Sequence[PosedPeople]  # the few labeled people of fine-tuning, in several poses
    tests: Mapping[str, PosedPeople]  # group -> people never trained on

    @property
    def stamp(self) -> str:
        """Who they are, so that numbers kept from other people are not taken for these."""
        groups = {"train": self.train, **self.tests}  # the number of people and the first name
        return "; ".join(f"{name}: {len(group.subjects)} {group.subjects[0]}" for name, group in groups.items())


def find_checkpoints(folder: str | Path) -> dict[str, list[Path]]:
    """Variant -> one weights file a seed, in ``VARIANT-seedN/weights.safetensors`` or ``VARIANT.safetensors``.

    Raises:
        FileNotFoundError: none is there.
    """
    folder = Path(folder)
    found: dict[str, list[Path]] = {}
    for variant in VARIANTS:
        runs = [path for path in folder.glob(f"{variant}-seed*/weights.safetensors") if _seed(path) is not None]
        files = sorted(runs, key=lambda path: _seed(path) or 0)
        single = folder / f"{variant}.safetensors"
        if files or single.exists():
            found[variant] = files or [single]
    if not found:
        raise FileNotFoundError(
            f"no weights in {folder}: expected VARIANT-seedN/weights.safetensors or VARIANT.safetensors, "
            f"with a variant among {', '.join(VARIANTS)}"
        )
    return found


def _seed(path: Path) -> int | None:
    match = re.search(r"-seed(\d+)$", path.parent.name)
    return int(match[1]) if match else None


def gather(config: TacoConfig, data: str | Path, tests: Sequence[str | Path] = ()) -> Bench:
    """Training people of `data`, and test people: those of `tests`, or the held-out part of `data`.

    A group is named by its people's anatomy, or else by its folder.

    Raises:
        ValueError: a person is in two parts, or the data set has the truth of no task.
    """
    manifest = read_manifest(data)
    config = config_for(config, manifest)
    train, held_out = split_people(manifest, test_fraction=config.train.test_fraction)
    groups = {_group(manifest): manifest for manifest in map(read_manifest, tests)} or {_group(held_out): held_out}
    check_splits({"the training people": train, **groups})
    settings = FinetuneConfig()
    few = train.select([record.subject for record in train.records[: settings.people]])
    seeds = range(FINETUNE_POSE_SEED, FINETUNE_POSE_SEED + settings.poses)
    bench = Bench(
        pose_people(prepare(train, config.volume), config, seed=FIT_POSE_SEED),
        [pose_people(prepare(few, config.volume), config, seed=seed) for seed in seeds],
        {name: pose_people(prepare(manifest, config.volume), config) for name, manifest in groups.items()},
    )
    if not tasks_of(bench.train):
        raise ValueError(f"{data} has neither structure labels, lesion masks nor diagnoses: nothing can be judged")
    return bench


def _group(manifest: Manifest) -> str:
    anatomies = {record.info.get("anatomy", "") for record in manifest.records}
    return anatomies.pop() if len(anatomies) == 1 and "" not in anatomies else manifest.root.resolve().name
