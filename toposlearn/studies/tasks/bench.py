"""People and weights of an evaluation: training people for the readers, test people in groups, weights of a folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toposlearn.config import VARIANTS, TacoConfig
from toposlearn.data import Manifest, PosedSubjects, config_for, pose_subjects, prepare, read_manifest, split_subjects
from toposlearn.data.gate.assessment import report_problems
from toposlearn.data.source import Data
from toposlearn.data.split import named, refuse_seen, remarks
from toposlearn.downstream import classification, readers, segmentation
from toposlearn.downstream.finetune import FinetuneConfig
from toposlearn.downstream.splits import check_splits
from toposlearn.downstream.tasks import tasks_of

FIT_POSE_SEED, FINETUNE_POSE_SEED = 1, 10  # training people have other poses than test people
READER_SETTINGS = (
    *(readers.NEIGHBORS, readers.KNN_STEP, readers.STEPS),
    *(segmentation.FIT_VOXELS, segmentation.TEST_VOXELS, segmentation.THRESHOLDS.tolist()),
    *(classification.PENALTY, classification.NEIGHBORS),
)


@dataclass(frozen=True, eq=False)
class Bench:
    """The people on whom every set of features is fitted and evaluated."""

    train: PosedSubjects
    few: Sequence[PosedSubjects]  # the few labeled people of fine-tuning, in several poses
    tests: Mapping[str, PosedSubjects]  # group -> held-out people
    remarks: Mapping[str, Sequence[str]] = field(default_factory=dict)  # what the result must say of its people

    def stamp(self) -> str:
        """A digest of images and settings: numbers kept from other people or readers are not reused."""
        digest = hashlib.sha256(repr((FinetuneConfig(), *READER_SETTINGS)).encode())
        for name, group in {"train": self.train, **self.tests}.items():
            info = [sorted(row.items()) for row in group.info]
            digest.update(repr((name, group.names, group.modalities, group.spacing, info)).encode())
            digest.update(group.volumes.numpy().tobytes())
        return digest.hexdigest()


def gather(
    config: TacoConfig,
    data: Data,
    tests: Sequence[Data] = (),
    *,
    weights: Sequence[Path] = (),
    allow_seen: bool = False,
) -> Bench:
    """Training people of `data`, and test people: those of `tests`, or the held-out part of `data`.

    ValueError: a subject in two parts, a data set with the truth of no task, or, unless `allow_seen`, test people on
    whom some of `weights` were trained.
    """
    manifest = read_manifest(data, config.volume.modalities)
    config = config_for(config, manifest)
    first = weights[0] if weights else None
    fraction, minimum = config.train.test_fraction, 0 if tests else 1
    train, held_out = split_subjects(manifest, test_fraction=fraction, minimum=minimum, weights=first)
    if not len(train):  # a folder that holds none of the people trained on
        train, held_out = split_subjects(manifest, test_fraction=fraction)
    manifests = [read_manifest(folder) for folder in tests] or [held_out]
    groups = {_group(one): one for one in manifests}
    if len(groups) < len(manifests) or "train" in groups:
        got = ", ".join(map(_group, manifests))
        rule = "test people need group names that differ (their anatomy, or the folder's name)"
        raise ValueError(f"{rule}, got {got}: give one folder of each")
    check_splits({"the training people": train, **groups})
    settings = FinetuneConfig()
    few = train.select([record.name for record in train.records[: settings.subjects]])

    def posed(part: Manifest, seed: int = 0) -> PosedSubjects:
        return pose_subjects(prepare(part, config.volume), config, seed=seed)

    known = {each for own in prepare(train, config.volume).fingerprints().values() for each in own} - {""}
    seen: list[str] = []

    def unseen(part: Manifest) -> PosedSubjects:
        prepared = prepare(part, config.volume)
        prints = prepared.fingerprints()
        seen.extend(refuse_seen(weights, prepared.manifest, prints, allow_seen=allow_seen))
        if shared := [name for name, own in prints.items() if known & set(own)]:
            reason = f"images of {named(shared)} in {part.root} are also those of people to whom readers are fitted"
            raise ValueError(f"{reason}: remove one of the two copies, or take other people")
        return posed(part)

    bench = Bench(
        posed(train, FIT_POSE_SEED),
        [posed(few, FINETUNE_POSE_SEED + pose) for pose in range(settings.poses)],
        {name: unseen(group) for name, group in groups.items()},
        remarks(weights, seen),
    )
    report_problems([f"note: {name}: {named(values)}" for name, values in bench.remarks.items()])
    if not tasks_of(bench.train):
        raise ValueError(
            f"{manifest.root} has neither structure labels, lesion masks nor diagnoses: nothing can be evaluated"
        )
    return bench


def _group(manifest: Manifest) -> str:
    anatomies = {record.info.get("anatomy", "") for record in manifest.records}
    return anatomies.pop() if len(anatomies) == 1 and "" not in anatomies else manifest.root.resolve().name


def find_checkpoints(folder: str | Path) -> dict[str, list[Path]]:
    """Variant -> one weights file per seed, ``VARIANT-seedN/weights.safetensors`` or ``VARIANT.safetensors``."""
    folder, files = Path(folder), {}
    for variant in VARIANTS:
        runs = {
            int(path.parent.name.rpartition("-seed")[2]): path
            for path in folder.glob(f"{variant}-seed*/weights.safetensors")
            if re.fullmatch(rf"{variant}-seed\d+", path.parent.name)
        }
        single = folder / f"{variant}.safetensors"
        if runs or single.exists():
            files[variant] = [runs[seed] for seed in sorted(runs)] or [single]
    if not files:
        raise FileNotFoundError(
            f"no weights in {folder}: expected VARIANT-seedN/weights.safetensors or VARIANT.safetensors, "
            f"with a variant among {', '.join(VARIANTS)}"
        )
    return files
