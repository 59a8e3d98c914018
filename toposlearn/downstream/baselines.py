"""Baselines without a network: the vote of training label maps, and readers of confounders of any target.

A network that segments no better than the place in the head does, or predicts no better than age, sex, site, size and
brightness do, has learned nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from nibabel.affines import voxel_sizes
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.data import PosedSubjects, apply_pose
from toposlearn.data.prepared import Prepared
from toposlearn.downstream.classification import PENALTIES, brain_size, intensity_histogram, linear_classifier
from toposlearn.downstream.settings import CLASSIFICATION, REGRESSION
from toposlearn.topology.tokens import grid_positions, middle_and_spread

CATEGORIES, AGE = ("sex", "site"), "age"  # columns of participants
SMALLEST = 1e-5  # share of the head, added before the logarithm


@dataclass(frozen=True, eq=False)
class PositionPrior:
    """The label that a place in the head has most often, in a frame where heads are centered and of one size."""

    labels: Tensor  # (D, H, W) int
    size: Tensor  # (3,) standard deviation along each axis of the place of a head's voxels in this frame, in voxels

    def __call__(self, foreground: Tensor) -> Tensor:
        """The labels (D, H, W) that the places of one head, foreground (D, H, W) bool, give; 0 outside it."""
        middle, spread = _head(foreground)
        return _resampled(self.labels, self.size / spread, -middle * self.size / spread) * foreground


def vote_prior(label_maps: Tensor, foregrounds: Tensor) -> PositionPrior:
    """The vote of training people, label maps (S, D, H, W) of whole numbers and foregrounds of the same shape.

    Every head is moved to the middle of the grid and scaled, along each axis, to the mean size of the heads. Ties give
    the lowest label. ValueError for other shapes, and a person without foreground.
    """
    if label_maps.shape != foregrounds.shape or label_maps.ndim != 4:
        seen = f"got {tuple(label_maps.shape)} and {tuple(foregrounds.shape)}"
        raise ValueError(f"label_maps and foregrounds must be (S, D, H, W), of the same people on one grid, {seen}")
    heads = [_head(foreground) for foreground in foregrounds]
    size = torch.stack([spread for _, spread in heads]).mean(dim=0)
    moved = [
        _resampled(labels, spread / size, middle) for labels, (middle, spread) in zip(label_maps, heads, strict=True)
    ]
    return PositionPrior(torch.stack(moved).mode(dim=0).values, size)


def _head(foreground: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (3,) of the places of foreground voxels (D, H, W), voxels from the grid's middle."""
    if not foreground.any():
        raise ValueError("a foreground is empty: leave out this person, whose images show no head")
    places = grid_positions(foreground.shape, 1, 1.0)
    middle, spread = middle_and_spread(places[None], foreground.flatten()[None])
    return middle.flatten(), spread.flatten()


def _resampled(labels: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """The nearest labels (D, H, W) read at ``scale * x + shift`` of each voxel x, in voxels from the grid's middle."""
    pose = torch.cat([torch.diag(scale), shift[:, None]], dim=1)[None]
    return apply_pose(labels[None, None].float(), pose, 1.0, nearest=True)[0, 0].to(labels.dtype)


def confounder_features(people: Iterable[Prepared], target: str = "") -> dict[str, Float64s]:
    """Features (S, F) of S prepared people, by the name of what they consist of, each as far as it is known.

    ``age-sex-site``: columns of participants, in capitals or not, without the `target` of a task; an age that is not
    known is NaN. ``brain-size``: foreground in ml. ``histogram``: of the intensities of every modality. ``volumes``:
    logarithm of the share of the head that each label, and the lesion, has; of people who all have label maps.
    """
    rows, sizes, histograms, volumes = [], [], [], []
    for person in people:  # one at a time: a data set does not fit into memory
        alone = _alone(person)
        rows.append(person.info or {})
        sizes.append(brain_size(alone)[0])
        histograms.append(intensity_histogram(alone)[0])
        volumes.append(_label_shares(person))
    if not rows:
        raise ValueError("there are no people to take features from")
    features = {
        "age-sex-site": _columns(rows, target),
        "brain-size": np.array(sizes),
        "histogram": np.array(histograms),
    }
    if None not in volumes:
        features["volumes"] = np.log(pd.DataFrame(volumes).fillna(0.0).to_numpy(dtype=float) + SMALLEST)
    return {name: values for name, values in features.items() if values.shape[1]}


def confounder_reader(kind: str) -> Pipeline:
    """A reader of features, not fitted yet: logistic regression for ``classification``, ridge for ``regression``.

    Features are standardized, unknown ones are replaced by the mean, both over the people whom it is fitted to.
    """
    if kind not in (CLASSIFICATION, REGRESSION):
        raise ValueError(f"kind must be {CLASSIFICATION} or {REGRESSION}, got {kind!r}")
    reader = linear_classifier() if kind == CLASSIFICATION else make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
    return make_pipeline(SimpleImputer(keep_empty_features=True), reader)


def _alone(person: Prepared) -> PosedSubjects:
    """One prepared person as a group of one, in the pose of the scan."""
    spacing = 1.0 if person.affine is None else float(voxel_sizes(person.affine.numpy())[0])
    modalities = tuple(map(str, range(len(person.volumes))))
    return PosedSubjects((person.subject,), modalities, spacing, person.volumes[None], person.foreground[None, None])


def _columns(rows: Sequence[Mapping[str, str]], target: str) -> Float64s:
    """Age, and sex and site as 0 or 1, without the target: (S, F); F is 0 where none is known."""
    table = pd.DataFrame([{name.lower(): value for name, value in row.items()} for row in rows], dtype=str)
    table = table.drop(columns=target.lower(), errors="ignore")
    parts = [pd.get_dummies(table[name], dtype=float).to_numpy() for name in CATEGORIES if name in table]
    if AGE in table:
        parts.append(pd.to_numeric(table[AGE], errors="coerce").to_numpy(dtype=float)[:, None])
    return np.hstack([np.empty((len(rows), 0)), *parts])


def _label_shares(person: Prepared) -> dict[str, float] | None:
    """Share of the head of each label that the person has, and of the lesion; None without label maps."""
    if person.labels is None and person.lesion is None:
        return None
    counts = {} if person.lesion is None else {"lesion": int(person.lesion.sum())}
    if person.labels is not None:
        labels, numbers = torch.unique(person.labels[person.labels > 0], return_counts=True)
        counts |= dict(zip(map(str, labels.tolist()), numbers.tolist(), strict=True))
    return {name: number / int(person.foreground.sum()) for name, number in counts.items()}
