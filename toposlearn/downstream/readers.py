"""Frozen readers: what a linear layer, or the nearest neighbors, can read from tokens that no longer change.

scikit-learn does the fitting. A reader turns tokens (N, F) into one score a class (N, C); `toposlearn.downstream.
segmentation` brings the scores to voxels.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional as F

Reader = Callable[[Tensor], Tensor]  # tokens (N, F) -> scores (N, C)
NEIGHBORS = 20
KNN_STEP = 8  # every eighth training feature is kept: the search costs as many products as there are pairs
STEPS = 100  # of the linear reader's solver
LOWEST = -50.0  # logarithm of the probability of a class that the training people do not show


def fit_linear(features: Tensor, labels: Tensor, classes: int, *, balanced: bool = False) -> Reader:
    """Logistic regression.

    Args:
        features: (T, F) of training people.
        labels: (T,), class indices.
        classes: C; scores of a class that is not among the labels are lowest.
        balanced: weigh classes inversely to how often they come, for a rare one.
    """
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

    def scaled(part: Tensor) -> np.ndarray:
        return np.asarray((F.normalize(part, dim=-1) if cosine else part).numpy())

    features, labels = features[::KNN_STEP], labels[::KNN_STEP]
    model = KNeighborsRegressor(min(NEIGHBORS, len(features)), algorithm="brute" if cosine else "kd_tree")
    model.fit(scaled(features), F.one_hot(labels, classes).float().numpy())
    return lambda tokens: torch.from_numpy(np.asarray(model.predict(scaled(tokens)), dtype=np.float32))
