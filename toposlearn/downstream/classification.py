"""Classification and regression of subjects from one vector each: pooled tokens, and confounders in their place.

A diagnosis that age, sex, site, brain size or brightness predict as well shows nothing about a representation.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.data import PosedSubjects
from toposlearn.intervals import bootstrap_groups

FEWEST_FOR_AUC = 16  # people per class
PENALTY = 0.1  # C of the logistic regression: few people, many features
PENALTIES = np.logspace(0, 5, 11)  # of the ridge regression, one is chosen within the people it is fitted to
NEIGHBORS = 5
FOLDS = 8  # of the cross-validation
BINS = 16  # of the intensity histogram
DIAGNOSIS = "atrophy"

Features = NDArray[np.float64]  # (S, F)
Labels = NDArray[np.int64]  # (S,) of 0 and 1


def diagnoses(subjects: PosedSubjects) -> Labels:
    """1 for subjects with the diagnosis, else 0 (S,); no diagnoses, or all the same, raise ValueError."""
    if not subjects.info or any("diagnosis" not in row for row in subjects.info):
        raise ValueError("participants.tsv has no column diagnosis: classification cannot be evaluated")
    labels = np.array([int(row["diagnosis"] == DIAGNOSIS) for row in subjects.info])
    if len(np.unique(labels)) < 2:
        raise ValueError(f"all {len(labels)} people have the same diagnosis: two classes are needed")
    return labels


def pool(tokens: Tensor, mask: Tensor) -> Features:
    """Mean and standard deviation over the foreground tokens: (S, N, F), (S, N) -> (S, 2F)."""
    inside = [part[counted] for part, counted in zip(tokens, mask, strict=True)]
    return torch.stack([torch.cat([part.mean(dim=0), part.std(dim=0)]) for part in inside]).double().numpy()


def linear_classifier() -> Pipeline:
    """Logistic regression on standardized features."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, max_iter=1000))


def knn_classifier() -> Pipeline:
    """The share of the class among the nearest subjects, by cosine of standardized features."""
    return make_pipeline(StandardScaler(), KNeighborsClassifier(NEIGHBORS, metric="cosine"))


def scores_of(classifier: Pipeline, features: Features) -> Float64s:
    """Probability (S,) of the diagnosis."""
    return np.asarray(classifier.predict_proba(features)[:, 1])


def cross_validated(features: Features, labels: Labels, *, seed: int = 0) -> Float64s:
    """Probability (S,) of the diagnosis for each subject, from a classifier fitted without this subject."""
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    scores = cross_val_predict(linear_classifier(), features, labels, cv=folds, method="predict_proba")
    return np.asarray(scores[:, 1])


def cross_validated_r2(features: Features, values: Float64s, *, seed: int = 0) -> float:
    """R² of numbers (S,) that a ridge regression reads from features (S, F) of people it was not fitted to."""
    if features.ndim != 2 or values.shape != features.shape[:1] or len(values) < FOLDS:
        seen = f"got {features.shape}, {values.shape}"
        raise ValueError(f"features must be (S, F) and values (S,) with S at least {FOLDS}, {seen}")
    reader = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
    read = cross_val_predict(reader, features, values, cv=KFold(FOLDS, shuffle=True, random_state=seed))
    return float(r2_score(values, read))


def mean_auc(scores: Float64s, labels: Labels) -> float:
    """Area under the ROC curve of scores (..., S), mean over the leading axes; few people raise ValueError."""
    fewest = int(np.bincount(labels, minlength=2).min())
    if fewest < FEWEST_FOR_AUC:
        raise ValueError(f"AUC needs at least {FEWEST_FOR_AUC} people in each class, got {fewest}")
    return float(np.mean([roc_auc_score(labels, row) for row in scores.reshape(-1, scores.shape[-1])]))


def bootstrap_auc(scores: Float64s, labels: Labels, *, minus: Float64s | None = None) -> tuple[float, float]:
    """Interval of the mean AUC of (R, S) or (R, K, S), people resampled within each class; or of the difference."""
    return bootstrap_groups(_won(scores, labels), minus=None if minus is None else _won(minus, labels))


def _won(scores: Float64s, labels: Labels) -> Float64s:
    """Whether the positive of a pair scores higher, a tie is half: (R, negatives, positives); the mean is the AUC."""
    gap = scores[..., None, labels == 1] - scores[..., labels == 0, None]
    won = (gap > 0) + 0.5 * (gap == 0)
    return np.asarray(won.mean(axis=1) if won.ndim == 4 else won)


def age_sex_site(subjects: PosedSubjects) -> Features:
    """Age, and sex and site as 0 or 1: (S, F)."""
    table = pd.DataFrame(list(subjects.info))
    parts = [pd.get_dummies(table[name], dtype=float) for name in ("sex", "site") if name in table]
    if "age" in table:
        parts.append(table[["age"]].astype(float))
    if not parts:
        raise ValueError("participants.tsv has none of the columns age, sex, site")
    return np.asarray(pd.concat(parts, axis=1).to_numpy(dtype=float))


def brain_size(subjects: PosedSubjects) -> Features:
    """Foreground volume in ml: (S, 1)."""
    voxels = subjects.foreground.flatten(1).sum(dim=1, keepdim=True).double().numpy()
    return np.asarray(voxels * subjects.spacing**3 / 1000)


def intensity_histogram(subjects: PosedSubjects) -> Features:
    """Square roots of the shares of foreground voxels in each of `BINS` bins, every modality: (S, M * BINS)."""
    rows = []
    for volumes, foreground in zip(subjects.volumes, subjects.foreground[:, 0], strict=True):
        counts = [np.histogram(volume[foreground].numpy(), BINS, (0.0, 1.0))[0] for volume in volumes]
        rows.append(np.sqrt(np.concatenate(counts) / max(int(foreground.sum()), 1)))
    return np.array(rows)


def region_volumes(subjects: PosedSubjects) -> Features:
    """Logarithm of the true share of each structure in the brain: (S, structures). The diagnosis consists of these."""
    if subjects.labels is None:
        raise ValueError("this data set has no structure labels: region volumes are not known")
    counts = [np.bincount(one.flatten().numpy(), minlength=205)[1:205] for one in subjects.labels.long()]
    shares = np.array(counts, float) / np.sum(counts, axis=1, keepdims=True)
    return np.asarray(np.log(shares + 1e-5))


CONFOUNDERS: dict[str, Callable[[PosedSubjects], Features]] = {
    "age-sex-site": age_sex_site,
    "brain-size": brain_size,
    "histogram": intensity_histogram,
    "volumes": region_volumes,
}
