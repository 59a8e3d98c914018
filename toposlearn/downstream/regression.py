"""Numbers read from one vector per person: which of them a linear reader finds in a representation, and which not."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from toposlearn.arrays import Float64s

PENALTIES = np.logspace(0, 5, 11)  # of the ridge regression, one is chosen within the people it is fitted to


def cross_validated_r2(features: Float64s, values: Float64s, *, folds: int = 8, seed: int = 0) -> float:
    """R² of numbers (S,) that a ridge regression reads from the features (S, F) of people it was not fitted to.

    Returns:
        1 for a perfect reading; 0 or less when the mean of the other people is as good.

    Raises:
        ValueError: features and values of different people, or fewer people than folds.
    """
    if features.ndim != 2 or values.shape != features.shape[:1] or len(values) < folds:
        raise ValueError(
            f"features must be (S, F) and values (S,) with S at least {folds}, got {features.shape}, {values.shape}"
        )
    reader = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
    read = cross_val_predict(reader, features, values, cv=KFold(folds, shuffle=True, random_state=seed))
    return float(r2_score(values, read))
