"""Segmentation read from tokens: scores of tokens become scores of voxels, and voxels are evaluated by Dice.

Scores are interpolated linearly between token centers. Readers are fitted, and evaluated, at voxels drawn at random
from the foreground of each head: the Dice of a sample estimates that of the head, and costs a fraction.
"""

from dataclasses import dataclass

import numpy as np
import torch
from monai.metrics.meandice import compute_dice
from torch import Tensor
from torch.nn import functional as F

from toposlearn.arrays import Float64s
from toposlearn.data import PosedSubjects
from toposlearn.downstream.readers import Reader

FIT_VOXELS, TEST_VOXELS = 1000, 20_000  # of each subject; a head has about 75 000 at 3 mm
THRESHOLDS = np.linspace(-4.0, 6.0, 21)  # log odds of a lesion, tried on training people


@dataclass(frozen=True, eq=False)
class Voxels:
    """V foreground voxels of each of S subjects."""

    points: Tensor  # (S, V, 3), normalized coordinates in [-1, 1]
    labels: Tensor | None  # (S, V), structure labels
    lesion: Tensor | None  # (S, V), 0 or 1


def draw_voxels(subjects: PosedSubjects, count: int, generator: torch.Generator) -> Voxels:
    """`count` foreground voxels of each subject, with replacement."""
    shape = subjects.foreground.shape[2:]
    inside = [one.flatten().nonzero()[:, 0] for one in subjects.foreground[:, 0]]
    flat = torch.stack([part[torch.randint(len(part), (count,), generator=generator)] for part in inside])
    index = torch.stack(torch.unravel_index(flat, shape), dim=-1)

    def at(volumes: Tensor | None) -> Tensor | None:
        return None if volumes is None else volumes.flatten(1).gather(1, flat).long()

    return Voxels((2 * index + 1) / torch.tensor(shape) - 1, at(subjects.labels), at(subjects.lesion))


def evaluation_voxels(subjects: PosedSubjects) -> Voxels:
    """The voxels at which these people are evaluated, always the same."""
    return draw_voxels(subjects, TEST_VOXELS, torch.Generator().manual_seed(0))


def structure_classes(subjects: PosedSubjects) -> Tensor:
    """The labels (C,) that occur in these people, 0 (no structure) first; without labels ValueError is raised."""
    if subjects.labels is None:
        raise ValueError("this data set has no structure labels (_dseg.nii.gz): structures cannot be evaluated")
    labels = torch.unique(subjects.labels).long()
    return torch.cat([torch.zeros(1, dtype=torch.long), labels[labels > 0]])


def class_index(labels: Tensor, classes: Tensor) -> Tensor:
    """Labels as positions in `classes` (C,), of the same shape; a label that is not among them counts as 0."""
    place = torch.searchsorted(classes, labels.long()).clamp(max=len(classes) - 1)
    return torch.where(classes[place] == labels, place, 0)


def read_at(maps: Tensor, points: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """Values of tokens (S, N, C) at points (S, V, 3) in [-1, 1], linear between token centers -> (S, V, C)."""
    volumes = maps.mT.reshape(len(maps), -1, *grid)
    where = points.flip(-1)[:, :, None, None]  # grid_sample counts W H D
    return F.grid_sample(volumes, where, padding_mode="border", align_corners=False)[:, :, :, 0, 0].mT


def grid_of(subjects: PosedSubjects, stride: int) -> tuple[int, int, int]:
    """Tokens along each axis."""
    first, second, third = subjects.foreground.shape[2:]
    return first // stride, second // stride, third // stride


def token_shares(index: Tensor, classes: int, stride: int) -> Tensor:
    """Share (S, N, C) of each class among the voxels of each token, from class indices (S, D, H, W)."""
    maps = (F.one_hot(one, classes).movedim(-1, 0).float() for one in index)  # (C, D, H, W), one subject at a time
    return torch.stack([F.avg_pool3d(one, stride).flatten(1).T for one in maps])


def voxel_scores(reader: Reader, tokens: Tensor, subjects: PosedSubjects, voxels: Voxels, stride: int) -> list[Tensor]:
    """Scores (V, C) of each subject's voxels, from tokens (S, N, F). Tokens far from the head are not read."""
    touched = F.max_pool3d(subjects.foreground.float(), stride)
    near = F.max_pool3d(touched, 3, 1, padding=1).flatten(1) > 0
    grid, scores = grid_of(subjects, stride), []
    for part, counted, points in zip(tokens, near, voxels.points, strict=True):
        read = reader(part[counted])
        maps = read.new_zeros(len(part), read.shape[1])
        maps[counted] = read
        scores.append(read_at(maps[None], points[None], grid)[0])
    return scores


def label_volume(
    reader: Reader, tokens: Tensor, subjects: PosedSubjects, subject: int, classes: Tensor, stride: int
) -> Tensor:
    """The labels (D, H, W), of those fitted (C,), that a reader of tokens (S, N, F) gives every voxel of a subject."""
    foreground = subjects.foreground[subject, 0]
    points = (2 * foreground.nonzero() + 1) / torch.tensor(foreground.shape) - 1
    scores = read_at(reader(tokens[subject])[None], points[None], grid_of(subjects, stride))[0]
    labels = torch.zeros(foreground.shape, dtype=torch.long)
    labels[foreground] = classes[scores.argmax(dim=1)]
    return labels


def structure_dice(scores: list[Tensor], voxels: Voxels, classes: Tensor) -> Float64s:
    """Dice (S, C - 1) of every structure in every subject; NaN where a subject lacks the structure."""
    assert voxels.labels is not None
    predicted = torch.stack([one.argmax(dim=1) for one in scores])[:, None]
    true = class_index(voxels.labels, classes)[:, None]
    dice = compute_dice(predicted, true, include_background=False, num_classes=len(classes))
    return np.asarray(dice.double().numpy())


def lesion_odds(scores: list[Tensor]) -> Tensor:
    """Log odds (S, V) of a lesion from the scores of two classes."""
    return torch.stack([one[:, 1] - one[:, 0] for one in scores])


def lesion_dice(odds: Tensor, voxels: Voxels, threshold: float) -> Float64s:
    """Dice (S,) of voxels whose log odds (S, V) reach the threshold; NaN for subjects without a lesion."""
    assert voxels.lesion is not None
    dice = compute_dice((odds >= threshold)[:, None].float(), voxels.lesion[:, None].float())
    return np.asarray(dice[:, 0].double().numpy())


def choose_threshold(odds: Tensor, voxels: Voxels) -> float:
    """The threshold with the best mean Dice on training people."""
    means = [float(np.nanmean(lesion_dice(odds, voxels, threshold))) for threshold in THRESHOLDS]
    return float(THRESHOLDS[int(np.argmax(means))])
