"""Frozen readers (tokens (N, F) -> scores (N, C)) by scikit-learn, and probes, which classify tokens.

The Dice per structure of a probe is the F1 score of that class.
"""

import warnings
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional as F

from toposlearn.arrays import Float32s, Float64s

Reader = Callable[[Tensor], Tensor]  # tokens (N, F) -> scores (N, C)
NEIGHBORS = 20
KNN_STEP = 8  # every eighth training feature is kept: the search costs one product per pair
STEPS = 100  # of the linear reader's solver
LOWEST = -50.0  # logarithm of the probability of a class without training examples
RIDGE = 10.0  # strength of the probe's penalty on standardized features
FEWEST = 30  # training tokens that a structure needs to be probed


def fit_linear(features: Tensor, labels: Tensor, classes: int, *, balanced: bool = False) -> Reader:
    """Logistic regression of features (T, F) on class indices (T,); a class without examples has the lowest score."""
    weight = "balanced" if balanced else None
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=STEPS, class_weight=weight))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of steps is part of the reader
        model.fit(features.numpy(), labels.numpy())

    def read(tokens: Tensor) -> Tensor:
        scores = np.full((len(tokens), classes), LOWEST, dtype=np.float32)
        scores[:, model.classes_] = np.log(np.maximum(model.predict_proba(tokens.numpy()), np.exp(LOWEST)))
        return torch.from_numpy(scores)

    return read


def fit_knn(features: Tensor, labels: Tensor, classes: int, *, cosine: bool = True) -> Reader:
    """The share of each class among the nearest `NEIGHBORS` training features (T, F), by cosine or by distance."""

    def scaled(part: Tensor) -> Float32s:
        return np.asarray((F.normalize(part, dim=-1) if cosine else part).numpy())

    features, labels = features[::KNN_STEP], labels[::KNN_STEP]
    model = KNeighborsRegressor(min(NEIGHBORS, len(features)), algorithm="brute" if cosine else "kd_tree")
    model.fit(scaled(features), F.one_hot(labels, classes).float().numpy())
    return lambda tokens: torch.from_numpy(np.asarray(model.predict(scaled(tokens)), dtype=np.float32))


def fit_probe(tokens: Tensor, labels: Tensor, mask: Tensor) -> Pipeline:
    """Fit a linear classifier on foreground tokens (S, N, F), labels (S, N), 0 for none; it needs two structures."""
    features, targets = _labeled(tokens, labels, mask)
    structures, counts = np.unique(targets, return_counts=True)
    frequent = structures[counts >= FEWEST]
    if len(frequent) < 2:
        raise ValueError(f"labels hold {len(frequent)} structures with at least {FEWEST} tokens: two are needed")
    kept = np.isin(targets, frequent)
    probe = make_pipeline(StandardScaler(), RidgeClassifier(alpha=RIDGE, class_weight="balanced"))
    return probe.fit(features[kept], targets[kept])


def probe_dice(probe: Pipeline, tokens: Tensor, labels: Tensor, mask: Tensor) -> Float64s:
    """Mean Dice over the structures that the probe knows, for each subject (S,)."""
    dice = []
    for subject in zip(tokens, labels, mask, strict=True):
        features, targets = _labeled(*subject)
        present = np.intersect1d(probe.classes_, targets)
        dice.append(f1_score(targets, probe.predict(features), labels=present, average="macro"))
    return np.array(dice, dtype=float)


def _labeled(tokens: Tensor, labels: Tensor, mask: Tensor) -> tuple[Float32s, NDArray[np.int64]]:
    counted = mask & (labels > 0)
    return tokens[counted].numpy(), labels[counted].numpy()
