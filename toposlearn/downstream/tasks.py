"""The downstream tasks on one set of features: structures, lesions, diagnosis; raw numbers, one per subject.

Features come from a network, from grid position or from the truth, and all go through the same readers. Each modality
goes through the same one-channel encoder; those present are averaged, so a reader can read any subset.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.data import PosedSubjects
from toposlearn.downstream import classification, segmentation
from toposlearn.downstream.readers import Reader, fit_knn, fit_linear
from toposlearn.models import Taco
from toposlearn.pretrain import encode
from toposlearn.topology import centered_positions

TASKS = STRUCTURES, LESION, DIAGNOSIS = "structures", "lesion", "diagnosis"
Subset = tuple[str, ...]


def subsets(modalities: Sequence[str]) -> tuple[Subset, ...]:
    """Every non-empty subset, the largest first, each in the given order."""
    sizes = range(len(modalities), 0, -1)
    return tuple(chosen for size in sizes for chosen in combinations(modalities, size))


def fuse(tokens: Tensor, modalities: Sequence[str], present: Sequence[str]) -> Tensor:
    """Mean (S, N, F) of tokens (S, M, N, F) over the modalities present; none, or an unknown one, raises ValueError."""
    if not present or not set(present) <= set(modalities):
        known, seen = ", ".join(modalities), ", ".join(present) or "none"
        raise ValueError(f"present must name at least one of {known}, got {seen}")
    return tokens[:, [modalities.index(name) for name in present]].mean(dim=1)


@dataclass(frozen=True, eq=False)
class Features:
    """Tokens (S, M, N, F) of posed people in modalities that may be missing; `stride` in voxels per token."""

    tokens: Tensor
    subjects: PosedSubjects
    modalities: Subset
    stride: int
    cosine: bool = True  # nearest neighbors by cosine; positions are compared by distance

    def fused(self, present: Subset) -> Tensor:
        """(S, N, F) of the modalities that are present."""
        return fuse(self.tokens, self.modalities, present)

    def pooled(self, present: Subset) -> classification.Features:
        """(S, 2F): one vector per subject."""
        return classification.pool(self.fused(present), self.subjects.token_mask(self.stride))


def features_of(model: Taco, subjects: PosedSubjects) -> Features:
    """Tokens (S, M, N, F) of the finest level of a network, in every modality of the subjects."""
    stride = min(model.config.token_strides)
    tokens = [encode(model, subjects, modality)[stride] for modality in subjects.modalities]
    return Features(torch.stack(tokens, dim=1), subjects, subjects.modalities, stride)


@dataclass(frozen=True, eq=False)
class TaskReaders:
    """Readers fitted on training people; None where the data set has no truth for a task."""

    classes: Tensor | None = None  # structure labels (C,), 0 first
    structures: Reader | None = None
    lesion: Reader | None = None
    threshold: float = 0.0
    diagnosis: Pipeline | None = None


def tasks_of(subjects: PosedSubjects) -> tuple[str, ...]:
    """The tasks for which these people have the truth."""
    known = {
        STRUCTURES: subjects.labels is not None,
        LESION: subjects.lesion is not None and bool(subjects.lesion.any()),
        DIAGNOSIS: len({row.get("diagnosis", "") for row in subjects.info} - {""}) > 1,
    }
    return tuple(task for task in TASKS if known[task])


def fit_readers(
    train: Features, kind: str = "linear", *, shuffle: int | None = None, only: Sequence[str] = TASKS
) -> TaskReaders:
    """Fit one reader per task with a truth, among `only`, on the training people; `kind` is ``linear`` or ``knn``.

    `shuffle` is the seed by which the truth is put in random order, for the null; None leaves it in its own order.
    """
    subjects = train.subjects
    tasks = set(tasks_of(subjects)) & set(only)
    classes = structures = lesion = chosen = None
    threshold = 0.0
    voxels = segmentation.draw_voxels(subjects, segmentation.FIT_VOXELS, torch.Generator().manual_seed(1))
    tokens, grid = train.fused(train.modalities), segmentation.grid_of(subjects, train.stride)
    features = segmentation.read_at(tokens, voxels.points, grid).flatten(0, 1)
    if STRUCTURES in tasks and voxels.labels is not None:
        classes = segmentation.structure_classes(subjects)
        index = _shuffled(segmentation.class_index(voxels.labels, classes).flatten(), shuffle)
        fit = fit_linear if kind == "linear" else partial(fit_knn, cosine=train.cosine)
        structures = fit(features, index, len(classes))
    if LESION in tasks and voxels.lesion is not None and kind == "linear":  # shares of few neighbors are no log odds
        lesion = fit_linear(features, _shuffled(voxels.lesion.flatten(), shuffle), 2, balanced=True)
        scores = segmentation.voxel_scores(lesion, tokens, subjects, voxels, train.stride)
        threshold = segmentation.choose_threshold(segmentation.lesion_odds(scores), voxels)
    if DIAGNOSIS in tasks:
        labels = _shuffled(torch.from_numpy(classification.diagnoses(subjects)), shuffle).numpy()
        chosen = classification.linear_classifier() if kind == "linear" else classification.knn_classifier()
        chosen.fit(train.pooled(train.modalities), labels)
    return TaskReaders(classes, structures, lesion, threshold, chosen)


def _shuffled(labels: Tensor, seed: int | None) -> Tensor:
    if seed is None:
        return labels
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]


def measure_tasks(readers: TaskReaders, test: Features, *, each_subset: bool = True) -> dict[str, Float64s]:
    """Raw numbers (S,) by name: ``structures/dice``, ``lesion/dice``, ``diagnosis/score``; ``.../T1w+T2w`` of subsets.

    Dice is the mean over structures, or NaN for subjects without a lesion; the score is a probability.
    """
    raw: dict[str, Float64s] = {}
    subjects, known = test.subjects, tasks_of(test.subjects)
    voxels = segmentation.evaluation_voxels(subjects)
    for present in subsets(test.modalities) if each_subset else (test.modalities,):
        ending = "" if present == test.modalities else f"/{'+'.join(present)}"
        tokens = test.fused(present)
        if readers.structures is not None and readers.classes is not None and STRUCTURES in known:
            scores = segmentation.voxel_scores(readers.structures, tokens, subjects, voxels, test.stride)
            dice = segmentation.structure_dice(scores, voxels, readers.classes)
            raw[f"{STRUCTURES}/dice{ending}"] = np.nanmean(dice, axis=1)
        if readers.lesion is not None and LESION in known:
            scores = segmentation.voxel_scores(readers.lesion, tokens, subjects, voxels, test.stride)
            odds = segmentation.lesion_odds(scores)
            raw[f"{LESION}/dice{ending}"] = segmentation.lesion_dice(odds, voxels, readers.threshold)
        if readers.diagnosis is not None and DIAGNOSIS in known:
            raw[f"{DIAGNOSIS}/score{ending}"] = classification.scores_of(readers.diagnosis, test.pooled(present))
    return raw


def transfer_table(train: Features, test: Features) -> Float64s:
    """Mean Dice of structures (M, M): a linear reader fitted on one modality (row), read on another (column)."""

    def only(features: Features, modality: str) -> Features:
        return replace(features, tokens=features.fused((modality,))[:, None], modalities=(modality,))

    rows = []
    for fitted in train.modalities:
        reader = fit_readers(only(train, fitted), only=(STRUCTURES,))
        read = [measure_tasks(reader, only(test, modality)) for modality in test.modalities]
        rows.append([raw[f"{STRUCTURES}/dice"].mean() for raw in read])
    return np.array(rows)


def measure_confounders(train: PosedSubjects, test: PosedSubjects) -> dict[str, Float64s]:
    """Probability of the diagnosis (S,) from each confounder."""
    labels = classification.diagnoses(train)
    return {
        name: classification.scores_of(classification.linear_classifier().fit(of(train), labels), of(test))
        for name, of in classification.CONFOUNDERS.items()
        if name != "volumes" or (train.labels is not None and test.labels is not None)
    }


def position_features(subjects: PosedSubjects, stride: int, *, centered: bool = False) -> Features:
    """Grid position, or centered position, in the place of tokens; with nearest neighbors it is the position vote."""
    place = subjects.token_positions(stride).expand(len(subjects.volumes), -1, -1)
    if centered:
        place = centered_positions(place, subjects.token_mask(stride))
    return Features(place[:, None].contiguous(), subjects, ("position",), stride, cosine=False)


def oracle_dice(subjects: PosedSubjects, stride: int) -> Float64s:
    """Dice (S,) of structures from the true share of each class in each token: the ceiling of this token size."""
    classes, voxels = segmentation.structure_classes(subjects), segmentation.evaluation_voxels(subjects)
    assert subjects.labels is not None
    index = segmentation.class_index(subjects.labels[:, 0], classes)
    shares = segmentation.token_shares(index, len(classes), stride)
    scores = segmentation.read_at(shares, voxels.points, segmentation.grid_of(subjects, stride))
    return np.asarray(np.nanmean(segmentation.structure_dice(list(scores), voxels, classes), axis=1))
