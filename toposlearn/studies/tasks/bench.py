"""Whom an evaluation is made on: weights of a folder, training people for the readers, test people in groups."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toposlearn.config import VARIANTS, TacoConfig
from toposlearn.data import Manifest, PosedSubjects, config_for, pose_subjects, prepare, read_manifest, split_subjects
from toposlearn.downstream import classification, readers, segmentation
from toposlearn.downstream.finetune import FinetuneConfig
from toposlearn.downstream.splits import check_splits
from toposlearn.downstream.tasks import tasks_of

READER_SETTINGS = (
    readers.NEIGHBORS,
    readers.KNN_STEP,
    readers.STEPS,
    segmentation.FIT_VOXELS,
    segmentation.JUDGED_VOXELS,
    segmentation.THRESHOLDS.tolist(),
    classification.PENALTY,
    classification.NEIGHBORS,
)
FIT_POSE_SEED, FINETUNE_POSE_SEED = 1, 10  # training people stand in other poses than test people


@dataclass(frozen=True, eq=False)
class Bench:
    """The people that every set of features is fitted and judged on."""

    train: PosedSubjects
    few: Sequence[PosedSubjects]  # the few labeled people of fine-tuning, in several poses
    tests: Mapping[str, PosedSubjects]  # group -> people never trained on

    def stamp(self) -> str:
        """A digest of images and settings: numbers kept from other people or readers are not taken for these."""
        digest = hashlib.sha256(repr((FinetuneConfig(), *READER_SETTINGS)).encode())
        for name, subjects in {"train": self.train, **self.tests}.items():
            facts = (
                name,
                subjects.subjects,
                subjects.modalities,
                subjects.spacing,
                [sorted(row.items()) for row in subjects.info],
            )
            digest.update(repr(facts).encode())
            digest.update(subjects.volumes.numpy().tobytes())
        return digest.hexdigest()


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

    A group is named by its people's anatomy, or else by its folder. Test people are kept apart from the people whom
    readers are fitted to; that the weights were not trained on them is the caller's to know.

    Raises:
        ValueError: a person is in two parts, or the data set has the truth of no task.
    """
    manifest = read_manifest(data)
    config = config_for(config, manifest)
    train, held_out = split_subjects(manifest, test_fraction=config.train.test_fraction)
    manifests = [read_manifest(folder) for folder in tests] or [held_out]
    groups = {_group(one): one for one in manifests}
    if len(groups) < len(manifests) or "train" in groups:
        raise ValueError(
            f"test people need names that tell them apart, got {', '.join(map(_group, manifests))} (their anatomy, or "
            "the folder's name): give one folder of each"
        )
    check_splits({"the training people": train, **groups})
    settings = FinetuneConfig()
    few = train.select([record.subject for record in train.records[: settings.subjects]])
    seeds = range(FINETUNE_POSE_SEED, FINETUNE_POSE_SEED + settings.poses)
    bench = Bench(
        pose_subjects(prepare(train, config.volume), config, seed=FIT_POSE_SEED),
        [pose_subjects(prepare(few, config.volume), config, seed=seed) for seed in seeds],
        {name: pose_subjects(prepare(manifest, config.volume), config) for name, manifest in groups.items()},
    )
    if not tasks_of(bench.train):
        raise ValueError(f"{data} has neither structure labels, lesion masks nor diagnoses: nothing can be judged")
    return bench


def _group(manifest: Manifest) -> str:
    anatomies = {record.info.get("anatomy", "") for record in manifest.records}
    return anatomies.pop() if len(anatomies) == 1 and "" not in anatomies else manifest.root.resolve().name
