"""Measures of a representation: what it keeps of another's neighborhoods, how it spreads, how much of it is position.

Notation: B subjects, N tokens, F and G features, K neighbors; positions in mm. In a comparison token i of both sides is
the same place. Each measure is one number per subject, NaN where too few tokens count. The null of a comparison is the
same measure after the tokens of one side are put in random order.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.topology.distances import (
    Metric,
    all_if_none,
    as_float,
    at_index,
    check_mask,
    check_tokens,
    embed,
    full_precision,
)
from toposlearn.topology.neighbors import nearest_neighbors

PAIRED_TOKENS = 512  # maximum number of a subject's tokens whose pairs enter the rank correlation
FOLDS = 10  # maximum: with more people, several are held out together
_NO_SPREAD = 1e-6  # of the length of the tokens: what is left after centering is rounding


@torch.no_grad()
def neighbor_overlap(
    tokens_a: Tensor, tokens_b: Tensor, k: int = 5, mask: Tensor | None = None, metric: Metric = "cosine"
) -> Tensor:
    """Share of a token's K neighbors in ``tokens_a`` (B, N, F) that are its neighbors in ``tokens_b`` too.

    Unrelated features give K / (N - 1) on average, N the tokens that count.

    Returns:
        Overlap (B,) in [0, 1], the mean over the tokens of the mask (B, N).
    """
    check_tokens(tokens_a=tokens_a, tokens_b=tokens_b)
    a = nearest_neighbors(tokens_a, k, mask, metric)
    b = nearest_neighbors(tokens_b, k, mask, metric)
    shared = ((a[..., :, None] == b[..., None, :]) & (a[..., :, None] >= 0)).any(-1)
    return shared.sum((1, 2)) / (a >= 0).sum((1, 2))


@torch.no_grad()
def neighbor_distance(
    tokens: Tensor, positions: Tensor, k: int = 5, mask: Tensor | None = None, metric: Metric = "cosine"
) -> Tensor:
    """Mean distance (B,) in the head between a token (B, N, F) and its K nearest of feature space.

    It has the unit of the positions (B, N, 3), mm. Tokens of the mask (B, N) count; ``metric`` is that of the tokens.
    """
    graph = nearest_neighbors(tokens, k, mask, metric)
    apart = torch.linalg.vector_norm(at_index(positions, graph) - positions[:, :, None], dim=-1)
    return torch.where(graph >= 0, apart, 0).sum((1, 2)) / (graph >= 0).sum((1, 2))


def trustworthiness(tokens: Tensor, reference: Tensor, k: int = 5, mask: Tensor | None = None) -> Tensor:
    """Trustworthiness of the tokens' neighbors: a false one costs by its rank in the order of the reference.

    1 - 2 / (N K (2N - 3K - 1)) * sum over tokens i and their K neighbors j of max(0, r(i, j) - K), where j is the
    r-th nearest of i in the reference (Venna & Kaski, 2001; `sklearn.manifold.trustworthiness`).

    Args:
        tokens: (B, N, F), the representation.
        reference: (B, N, G), what it is compared with, such as another modality's tokens.
        k: neighbors K, fewer than half the tokens.
        mask: (B, N) bool, tokens that count.

    Returns:
        (B,) in [0, 1]: 1 for the same neighborhoods, about 0.5 for unrelated features. NaN where a maximum of 2 K
        tokens count, or one that counts is not finite.
    """
    counts = _counts(tokens, mask, reference)
    if not 1 <= k < tokens.shape[1] / 2:
        raise ValueError(f"k must be at least 1 and below N / 2 = {tokens.shape[1] / 2:g}, got {k}")
    from sklearn.manifold import trustworthiness as of_one  # takes a second, and losses import this package too

    def score(shown: Float64s, known: Float64s) -> float:
        return float(of_one(known, shown, n_neighbors=k)) if len(shown) > 2 * k else float("nan")

    return _each_subject(score, tokens, reference, counts)


def continuity(tokens: Tensor, reference: Tensor, k: int = 5, mask: Tensor | None = None) -> Tensor:
    """Continuity (B,): whether the reference's neighbors are still near, `trustworthiness` with the two exchanged."""
    return trustworthiness(reference, tokens, k, mask)


def rank_correlation(tokens: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
    """Spearman correlation between all distances of tokens (B, N, F) and of a reference (B, N, G), near and far alike.

    Of more than 512 tokens that count, mask (B, N), 512 are drawn.

    Returns:
        (B,) in [-1, 1]: 1 for the same order of distances, 0 for unrelated ones. NaN for fewer than 3 tokens, for
        distances that are all equal, and where a token that counts is not finite.
    """
    counts = _counts(tokens, mask, reference)

    def correlate(a: Float64s, b: Float64s) -> float:
        drawn = np.random.default_rng(0).permutation(len(a))[:PAIRED_TOKENS]
        if len(drawn) < 3:
            return float("nan")
        near_a, near_b = pdist(a[drawn]), pdist(b[drawn])
        if np.ptp(near_a) == 0 or np.ptp(near_b) == 0:  # no order to compare
            return float("nan")
        return float(spearmanr(near_a, near_b).statistic)

    return _each_subject(correlate, tokens, reference, counts)


def _each_subject(measure: Callable[[Float64s, Float64s], float], a: Tensor, b: Tensor, counts: Tensor) -> Tensor:
    """A measure (B,) of the unit vectors of the tokens that count; NaN where one of them is not finite.

    The order of the Euclidean distances of unit vectors is that of their cosine distances.
    """
    values = []
    units = (embed(each.detach(), "cosine").double() for each in (a, b))
    for left, right, inside in zip(*units, counts, strict=True):
        sides = [side[inside].cpu().numpy() for side in (left, right)]
        usable = all(np.isfinite(side).all() for side in sides)
        values.append(measure(*sides) if usable else float("nan"))
    return torch.tensor(values, device=a.device)


@torch.no_grad()
def kernel_alignment(tokens_a: Tensor, tokens_b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Linear CKA: similarity of the centered Gram matrices of a subject's tokens (Kornblith et al., 2019, eq. 3).

    Unrelated features give more than 0, the more the fewer tokens there are per feature: read it beside its null.

    Returns:
        (B,) in [0, 1], the same for rotated, shifted or scaled features. NaN where the tokens of one side are all
        equal, and where one that counts, mask (B, N), is not finite.
    """
    counts = _counts(tokens_a, mask, tokens_b)
    with full_precision(tokens_a):
        a, b = (_centered(tokens, counts[..., None]) for tokens in (tokens_a, tokens_b))
        shared = torch.linalg.matrix_norm(a.mT @ b) ** 2  # the norm of an (F, G) matrix is that of (N, N) kernels
        own = torch.linalg.matrix_norm(a.mT @ a) * torch.linalg.matrix_norm(b.mT @ b)
        alignment: Tensor = shared / own
        return alignment.float()


def _centered(tokens: Tensor, counts: Tensor) -> Tensor:
    """Tokens (B, N, F) around their mean in double precision, 0 where none counts, all 0 if only rounding is left."""
    inside = tokens.double().masked_fill(~counts, 0)
    centered = (inside - inside.sum(1, keepdim=True) / counts.sum(1, keepdim=True)).masked_fill(~counts, 0)
    length, spread = (torch.linalg.matrix_norm(each)[:, None, None] for each in (inside, centered))
    return centered.masked_fill(spread <= _NO_SPREAD * length, 0)


@torch.no_grad()
def effective_rank(tokens: Tensor, mask: Tensor | None = None) -> Tensor:
    """Directions the centered tokens (B, N, F) use: exp of the entropy of their singular values (Roy & Vetterli, 2007).

    Returns:
        (B,) between 1 (collapse: constant tokens, or all on one line) and F.
    """
    counts = _counts(tokens, mask)
    with full_precision(tokens):
        tokens = as_float(tokens).masked_fill(~counts[..., None], 0)
        center = tokens.sum(1, keepdim=True) / counts.sum(1)[:, None, None]
        singular = torch.linalg.svdvals((tokens - center).masked_fill(~counts[..., None], 0))
        share = singular / singular.sum(-1, keepdim=True).clamp_min(torch.finfo(singular.dtype).tiny)
        entropy: Tensor = torch.special.entr(share).sum(-1)
        return entropy.exp()


@torch.no_grad()
def collapse(tokens: Tensor, mask: Tensor | None = None) -> Tensor:
    """Squared length of the mean unit token of (B, N, F): the mean cosine similarity of all pairs, own pairs included.

    Returns:
        (B,) in [0, 1]: 1 when all tokens point the same way, 1 / N on average for independent random ones, N the tokens
        of the mask (B, N). NaN where none counts.
    """
    counts = _counts(tokens, mask)
    with full_precision(tokens):
        units = embed(tokens, "cosine").masked_fill(~counts[..., None], 0)
        mean = units.sum(1) / counts.sum(1, keepdim=True)
        squared: Tensor = mean.square().sum(-1)
        return squared


def position_r2(tokens: Tensor, positions: Tensor, mask: Tensor | None = None) -> Tensor:
    """Linear R^2 of the positions (B, N, 3) of tokens (B, N, F), by a ridge regression fit to other people only.

    R^2 is the mean over the three axes, compared with the person's own mean place: shifted predictions count as wrong,
    and a representation without position gives 0 or a little less.

    Returns:
        (B,), maximum 1. NaN for a person of whom fewer than two tokens count, mask (B, N).

    Raises:
        ValueError: fewer than two people with tokens that count, values that are not finite, shapes that do not fit.
    """
    counts = _counts(tokens, mask).cpu()
    if positions.shape != (*tokens.shape[:2], 3):
        raise ValueError(f"positions must have shape {(*tokens.shape[:2], 3)} (B, N, 3), got {tuple(positions.shape)}")
    features, places = (as_float(each.detach()).cpu()[counts].double().numpy() for each in (tokens, positions))
    subjects = counts.nonzero()[:, 0].numpy()
    if len(np.unique(subjects)) < 2:
        raise ValueError(f"mask leaves tokens of {len(np.unique(subjects))} people: two are needed, one to be held out")
    if not (np.isfinite(features).all() and np.isfinite(places).all()):
        raise ValueError("tokens and positions must be finite where the mask counts")
    return torch.tensor(_held_out_r2(features, places, subjects, len(tokens)), device=tokens.device)


def _held_out_r2(features: Float64s, places: Float64s, subjects: NDArray[np.int64], count: int) -> list[float]:
    """R^2 of each of ``count`` subjects, from rows of all: features (R, F), places (R, 3), their subjects (R,)."""
    from sklearn.linear_model import Ridge  # takes a second, and losses import this package too
    from sklearn.metrics import r2_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = GroupKFold(min(FOLDS, len(np.unique(subjects))))
    ridge = make_pipeline(StandardScaler(), Ridge(alpha=1.0))
    predicted = cross_val_predict(ridge, features, places, groups=subjects, cv=folds)
    own = [subjects == subject for subject in range(count)]
    return [float(r2_score(places[rows], predicted[rows])) if rows.sum() > 1 else float("nan") for rows in own]


def _counts(tokens: Tensor, mask: Tensor | None, reference: Tensor | None = None) -> Tensor:
    """The tokens (B, N) that count; raise ValueError unless all are (B, N, ...) of the same B and N."""
    check_tokens(tokens=tokens)
    if reference is not None and (reference.ndim != 3 or tokens.shape[:2] != reference.shape[:2]):
        seen = f"{tuple(tokens.shape)} and {tuple(reference.shape)}"
        raise ValueError(f"both sides must be (B, N, features) of the same subjects B and tokens N, got {seen}")
    check_mask("mask", mask, tokens)
    return all_if_none(mask, tokens)
