"""The downstream tasks on one set of features: structures, lesions, diagnosis; raw numbers, one a person.

A set of features is tokens of training and of test people, whatever they came from: a network, grid position, or the
truth. So every baseline goes through the same readers. Readers are fitted with all modalities present.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.data import PosedSubjects
from toposlearn.downstream import classification, segmentation
from toposlearn.downstream.missing import Subset, fuse, subset_name, subsets
from toposlearn.downstream.readers import Reader, fit_knn, fit_linear
from toposlearn.topology import centered_positions

TASKS = STRUCTURES, LESION, DIAGNOSIS = "structures", "lesion", "diagnosis"
MEASURES = {STRUCTURES: "dice", LESION: "dice", DIAGNOSIS: "score"}


@dataclass(frozen=True, eq=False)
class Features:
    """Tokens (S, M, N, F) of posed people in modalities that may be missing; `stride` in voxels a token."""

    tokens: Tensor
    subjects: PosedSubjects
    modalities: Subset
    stride: int
    cosine: bool = True  # what nearest means; positions are compared by distance

    def fused(self, present: Subset) -> Tensor:
        """(S, N, F) of the modalities that are present."""
        return fuse(self.tokens, self.modalities, present)

    def pooled(self, present: Subset) -> classification.Features:
        """(S, 2F): one vector a person."""
        return classification.pool(self.fused(present), self.subjects.token_mask(self.stride))


@dataclass(frozen=True, eq=False)
class TaskReaders:
    """What was fitted on training people; None where the data set has no truth for a task."""

    classes: Tensor | None  # structure labels (C,), 0 first
    structures: Reader | None
    lesion: Reader | None
    threshold: float
    diagnosis: Pipeline | None


def tasks_of(subjects: PosedSubjects) -> tuple[str, ...]:
    """The tasks for which these people have the truth."""
    found = [STRUCTURES] if subjects.labels is not None else []
    if subjects.lesion is not None and bool(subjects.lesion.any()):
        found.append(LESION)
    if len({row.get("diagnosis", "") for row in subjects.info} - {""}) > 1:
        found.append(DIAGNOSIS)
    return tuple(found)


def fit_readers(
    train: Features, kind: str = "linear", *, shuffle: int | None = None, only: Sequence[str] = TASKS
) -> TaskReaders:
    """Fit a reader a task on the training people.

    Args:
        train: features of training people.
        kind: ``linear`` or ``knn``.
        shuffle: seed by which the truth is put in random order, for the null; None leaves it.
        only: of the tasks that the people have the truth for, these.
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
        structures = _fit(features, index, len(classes), kind, train.cosine)
    if LESION in tasks and voxels.lesion is not None and kind == "linear":  # shares of few neighbors are no log odds
        lesion = _fit(features, _shuffled(voxels.lesion.flatten(), shuffle), 2, kind, train.cosine, balanced=True)
        scores = segmentation.voxel_scores(lesion, tokens, subjects, voxels, train.stride)
        threshold = segmentation.choose_threshold(segmentation.lesion_odds(scores), voxels)
    if DIAGNOSIS in tasks:
        labels = _shuffled(torch.from_numpy(classification.diagnoses(subjects)), shuffle).numpy()
        chosen = classification.linear_classifier() if kind == "linear" else classification.knn_classifier()
        chosen.fit(train.pooled(train.modalities), labels)
    return TaskReaders(classes, structures, lesion, threshold, chosen)


def _fit(features: Tensor, index: Tensor, classes: int, kind: str, cosine: bool, *, balanced: bool = False) -> Reader:
    if kind == "linear":
        return fit_linear(features, index, classes, balanced=balanced)
    return fit_knn(features, index, classes, cosine=cosine)


def _shuffled(labels: Tensor, seed: int | None) -> Tensor:
    if seed is None:
        return labels
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]


def measure_tasks(readers: TaskReaders, test: Features, *, each_subset: bool = True) -> dict[str, Float64s]:
    """Raw numbers (S,) by name: ``structures/dice``, ``lesion/dice``, ``diagnosis/score``; ``.../T1w+T2w`` of subsets.

    Without a subset in its name, a number is that of all modalities. Dice of structures is the mean over structures;
    people without a lesion have NaN there; the score is the probability of the diagnosis.
    """
    raw: dict[str, Float64s] = {}
    voxels = segmentation.judged_voxels(test.subjects)
    for present in subsets(test.modalities) if each_subset else (test.modalities,):
        ending = "" if present == test.modalities else f"/{subset_name(present)}"
        for task, values in _measure_subset(readers, test, present, voxels).items():
            raw[f"{task}/{MEASURES[task]}{ending}"] = values
    return raw


def _measure_subset(
    readers: TaskReaders, test: Features, present: Subset, voxels: segmentation.Voxels
) -> dict[str, Float64s]:
    tokens, subjects, tasks = test.fused(present), test.subjects, tasks_of(test.subjects)
    found: dict[str, Float64s] = {}
    if readers.structures is not None and readers.classes is not None and STRUCTURES in tasks:
        scores = segmentation.voxel_scores(readers.structures, tokens, subjects, voxels, test.stride)
        found[STRUCTURES] = np.nanmean(segmentation.structure_dice(scores, voxels, readers.classes), axis=1)
    if readers.lesion is not None and LESION in tasks:
        scores = segmentation.voxel_scores(readers.lesion, tokens, subjects, voxels, test.stride)
        found[LESION] = segmentation.lesion_dice(segmentation.lesion_odds(scores), voxels, readers.threshold)
    if readers.diagnosis is not None and DIAGNOSIS in tasks:
        found[DIAGNOSIS] = classification.scores_of(readers.diagnosis, test.pooled(present))
    return found


def measure_confounders(train: PosedSubjects, test: PosedSubjects) -> dict[str, Float64s]:
    """Probability of the diagnosis (S,) from what is no representation: confounder -> score."""
    labels = classification.diagnoses(train)
    return {
        name: classification.scores_of(classification.linear_classifier().fit(of(train), labels), of(test))
        for name, of in classification.CONFOUNDERS.items()
        if name != "volumes" or (train.labels is not None and test.labels is not None)
    }


def position_features(subjects: PosedSubjects, stride: int, *, centered: bool = False) -> Features:
    """Grid position as if it were a representation (the position vote, with nearest neighbors); centered on request."""
    place = subjects.token_positions(stride).expand(len(subjects.subjects), -1, -1)
    if centered:
        place = centered_positions(place, subjects.token_mask(stride))
    return Features(place[:, None].contiguous(), subjects, ("position",), stride, cosine=False)


def oracle_dice(subjects: PosedSubjects, stride: int) -> Float64s:
    """Dice (S,) of structures from the true share of each class in each token: what perfect shares give."""
    classes, voxels = segmentation.structure_classes(subjects), segmentation.judged_voxels(subjects)
    assert subjects.labels is not None
    index = segmentation.class_index(subjects.labels[:, 0], classes)
    shares = segmentation.token_shares(index, len(classes), stride)
    scores = segmentation.read_at(shares, voxels.points, segmentation.grid_of(subjects, stride))
    return np.asarray(np.nanmean(segmentation.structure_dice(list(scores), voxels, classes), axis=1))
