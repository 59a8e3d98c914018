"""A frozen linear probe: how well one linear layer reads anatomical structures from tokens that no longer change.

scikit-learn does the fitting. Dice of a structure is the F1 score of its class; the mean is over structures.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import f1_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from toposlearn.arrays import Float64s

RIDGE = 10.0  # strength of the penalty on standardized features
FEWEST = 30  # training tokens a structure needs to be probed


def fit_probe(tokens: Tensor, labels: Tensor, mask: Tensor) -> Pipeline:
    """Fit a linear classifier on the foreground tokens of training people.

    Args:
        tokens: (S, N, F).
        labels: (S, N) structure labels, 0 where there is none (left out).
        mask: (S, N) bool, foreground.

    Raises:
        ValueError: no structure is frequent enough.
    """
    features, targets = _pick(tokens, labels, mask)
    structures, counts = np.unique(targets, return_counts=True)
    frequent = structures[counts >= FEWEST]
    if len(frequent) < 2:
        raise ValueError(f"labels hold {len(frequent)} structures with at least {FEWEST} tokens: two are needed")
    kept = np.isin(targets, frequent)
    probe = make_pipeline(StandardScaler(), RidgeClassifier(alpha=RIDGE, class_weight="balanced"))
    return probe.fit(features[kept], targets[kept])


def probe_dice(probe: Pipeline, tokens: Tensor, labels: Tensor, mask: Tensor) -> Float64s:
    """Mean Dice over the structures that the probe knows, for each person (S,)."""
    return np.array([_dice(probe, *subject) for subject in zip(tokens, labels, mask, strict=True)])


def _dice(probe: Pipeline, tokens: Tensor, labels: Tensor, mask: Tensor) -> float:
    features, targets = _pick(tokens[None], labels[None], mask[None])
    present = np.intersect1d(probe.classes_, targets)
    return float(f1_score(targets, probe.predict(features), labels=present, average="macro"))


def _pick(tokens: Tensor, labels: Tensor, mask: Tensor) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    counted = mask & (labels > 0)
    return tokens[counted].numpy(), labels[counted].numpy()
