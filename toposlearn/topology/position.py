"""How much of a representation is position: can a linear map read from a token where in the volume it lies?

Notation: S people, N tokens, F features.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from toposlearn.topology.distances import as_float, check_mask, check_tokens

FOLDS = 10  # at most: people are left out one by one up to here, beyond in groups
PENALTY = 1.0  # ridge penalty on standardized features


def position_r2(tokens: Tensor, positions: Tensor, mask: Tensor | None = None) -> Tensor:
    """Linear R^2 of token coordinates, each person's read by a ridge regression that was fit to other people only.

    R^2 is the mean over the three axes, against the person's own mean place: shifted predictions count as wrong, and a
    representation without position gives 0 or a little less.

    Args:
        tokens: (S, N, F).
        positions: (S, N, 3), mm in the volume.
        mask: (S, N) bool, tokens that count.

    Returns:
        (S,), at most 1. NaN for a person of whom fewer than two tokens count.

    Raises:
        ValueError: shapes that do not fit, fewer than two people with tokens that count, or values that are not finite.
    """
    check_tokens(tokens=tokens)
    check_mask("mask", mask, tokens)
    if positions.shape != (*tokens.shape[:2], 3):
        raise ValueError(f"positions must have shape {(*tokens.shape[:2], 3)} (S, N, 3), got {tuple(positions.shape)}")
    counts = (torch.ones_like(tokens[..., 0], dtype=torch.bool) if mask is None else mask).cpu()
    features, places = (as_float(each.detach()).cpu()[counts].double().numpy() for each in (tokens, positions))
    subjects = counts.nonzero()[:, 0].numpy()
    if len(np.unique(subjects)) < 2:
        raise ValueError(f"mask leaves tokens of {len(np.unique(subjects))} people: two are needed, one to be held out")
    if not (np.isfinite(features).all() and np.isfinite(places).all()):
        raise ValueError("tokens and positions must be finite where the mask counts")
    return torch.tensor(_held_out_r2(features, places, subjects, len(tokens)), device=tokens.device)


def _held_out_r2(features: np.ndarray, places: np.ndarray, subjects: np.ndarray, count: int) -> list[float]:
    """R^2 of each of `count` people, from rows of all of them: features (R, F), places (R, 3), whose row it is (R,)."""
    from sklearn.linear_model import Ridge  # takes a second, and losses import this package too
    from sklearn.metrics import r2_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = GroupKFold(min(FOLDS, len(np.unique(subjects))))
    reader = make_pipeline(StandardScaler(), Ridge(alpha=PENALTY))
    read = cross_val_predict(reader, features, places, groups=subjects, cv=folds)
    own = [subjects == subject for subject in range(count)]
    return [float(r2_score(places[rows], read[rows])) if rows.sum() > 1 else float("nan") for rows in own]
