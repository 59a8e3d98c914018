"""What one set of tokens keeps of the order of another: who is near whom, one number per subject.

Token i of both is the same place: two modalities of one person, features and positions, matched tokens of two people.

Notation: B subjects, N tokens, F and G features, K neighbors; positions in mm. Measures are NaN where too few tokens
count. Each has a null: the same measure after the tokens of one side are put in random order.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.topology.distances import Metric, check_mask, check_tokens, embed, full_precision
from toposlearn.topology.neighbors import nearest_neighbors

PAIRED_TOKENS = 512  # rank correlation looks at all pairs of at most so many tokens of a subject
_NO_SPREAD = 1e-6  # of the length of the tokens: what is left after centering is rounding


@torch.no_grad()
def neighbor_overlap(
    tokens_a: Tensor, tokens_b: Tensor, k: int = 5, mask: Tensor | None = None, metric: Metric = "cosine"
) -> Tensor:
    """Share of a token's K neighbors in ``tokens_a`` (B, N, F) that are its neighbors in ``tokens_b`` too.

    Token i of both must be the same place. Unrelated features give K / (N - 1) on average, N the tokens that count.

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
    """How far apart in the head the neighbors of feature space are: mean distance (B,), in the unit of the positions.

    Args:
        tokens: (B, N, F).
        positions: (B, N, 3), mm.
        k: neighbors K.
        mask: (B, N) bool, tokens that count.
        metric: distance between tokens.
    """
    graph = nearest_neighbors(tokens, k, mask, metric)
    batch, n, _ = graph.shape
    found = positions.gather(1, graph.clamp_min(0).view(batch, n * k, 1).expand(-1, -1, 3)).view(batch, n, k, 3)
    apart = torch.linalg.vector_norm(found - positions[:, :, None], dim=-1)
    return torch.where(graph >= 0, apart, 0).sum((1, 2)) / (graph >= 0).sum((1, 2))


def trustworthiness(
    tokens: Tensor,
    reference: Tensor,
    k: int = 5,
    mask: Tensor | None = None,
    metric: Metric = "cosine",
    reference_metric: Metric = "cosine",
) -> Tensor:
    """Can the neighbors that tokens show be trusted? False ones cost by how far down the reference's order they are.

    1 - 2 / (N K (2N - 3K - 1)) * sum over tokens i and their K neighbors j of max(0, r(i, j) - K), where j is the
    r-th nearest of i in the reference (Venna & Kaski, 2001; `sklearn.manifold.trustworthiness`).

    Args:
        tokens: (B, N, F), the representation that is judged.
        reference: (B, N, G), what it is held against: another modality's tokens, or positions in mm.
        k: neighbors K, fewer than half the tokens.
        mask: (B, N) bool, tokens that count.
        metric: distance between tokens.
        reference_metric: distance in the reference; ``"euclidean"`` for positions.

    Returns:
        (B,) in [0, 1]: 1 for the same neighborhoods, about 0.5 for unrelated features. NaN where no more than 2 K
        tokens count, or one that counts is not finite.

    Raises:
        ValueError: shapes that do not fit, an unknown metric, or K outside [1, N / 2).
    """
    _check_paired(tokens, reference, mask)
    if not 1 <= k < tokens.shape[1] / 2:
        raise ValueError(f"k must be at least 1 and below N / 2 = {tokens.shape[1] / 2:g}, got {k}")
    from sklearn.manifold import trustworthiness as of_one  # takes a second, and losses import this package too

    def judge(judged: Float64s, known: Float64s) -> float:
        return float(of_one(known, judged, n_neighbors=k)) if len(judged) > 2 * k else float("nan")

    return _each_subject(judge, embed(tokens, metric), embed(reference, reference_metric), mask)


def continuity(
    tokens: Tensor,
    reference: Tensor,
    k: int = 5,
    mask: Tensor | None = None,
    metric: Metric = "cosine",
    reference_metric: Metric = "cosine",
) -> Tensor:
    """Are the reference's neighbors still near among the tokens? (B,): `trustworthiness` with the two exchanged."""
    return trustworthiness(reference, tokens, k, mask, reference_metric, metric)


def rank_correlation(
    tokens: Tensor,
    reference: Tensor,
    mask: Tensor | None = None,
    metric: Metric = "cosine",
    reference_metric: Metric = "cosine",
    *,
    seed: int = 0,
) -> Tensor:
    """Spearman correlation between all distances of tokens and all distances of the reference, near and far alike.

    Args:
        tokens: (B, N, F).
        reference: (B, N, G).
        mask: (B, N) bool, tokens that count. Of more than 512, 512 are drawn.
        metric: distance between tokens.
        reference_metric: distance in the reference; ``"euclidean"`` for positions.
        seed: of the tokens that are drawn.

    Returns:
        (B,) in [-1, 1]: 1 for the same order of distances, 0 for unrelated ones. NaN for fewer than 3 tokens, for
        distances that are all equal, and where a token that counts is not finite.

    Raises:
        ValueError: shapes that do not fit, or an unknown metric.
    """
    _check_paired(tokens, reference, mask)

    def correlate(a: Float64s, b: Float64s) -> float:
        drawn = np.random.default_rng(seed).permutation(len(a))[:PAIRED_TOKENS]
        if len(drawn) < 3:
            return float("nan")
        near_a, near_b = pdist(a[drawn]), pdist(b[drawn])
        if np.ptp(near_a) == 0 or np.ptp(near_b) == 0:  # no order to compare
            return float("nan")
        return float(spearmanr(near_a, near_b).statistic)

    return _each_subject(correlate, embed(tokens, metric), embed(reference, reference_metric), mask)


@torch.no_grad()
def kernel_alignment(tokens_a: Tensor, tokens_b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Linear CKA: how alike the two centered Gram matrices of a subject's tokens are (Kornblith et al., 2019, eq. 3).

    Unrelated features give more than 0, the more the fewer tokens there are to a feature: read it beside its null.

    Args:
        tokens_a: (B, N, F).
        tokens_b: (B, N, G).
        mask: (B, N) bool, tokens that count.

    Returns:
        (B,) in [0, 1], the same for rotated, shifted or scaled features. NaN where the tokens of one side are all
        equal, and where one that counts is not finite.

    Raises:
        ValueError: shapes that do not fit.
    """
    _check_paired(tokens_a, tokens_b, mask)
    with full_precision(tokens_a):
        a, b = _centered(tokens_a, mask), _centered(tokens_b, mask)
        shared = torch.linalg.matrix_norm(a.mT @ b) ** 2  # the norm of an (F, G) matrix is that of (N, N) kernels
        own = torch.linalg.matrix_norm(a.mT @ a) * torch.linalg.matrix_norm(b.mT @ b)
        alignment: Tensor = shared / own
        return alignment.float()


def _centered(tokens: Tensor, mask: Tensor | None) -> Tensor:
    """Tokens (B, N, F) around their mean in double precision, 0 outside the mask; all 0 where only rounding is left."""
    counts = torch.ones_like(tokens[..., :1], dtype=torch.bool) if mask is None else mask[..., None]
    inside = tokens.double().masked_fill(~counts, 0)
    centered = (inside - inside.sum(1, keepdim=True) / counts.sum(1, keepdim=True)).masked_fill(~counts, 0)
    length, spread = (torch.linalg.matrix_norm(each)[:, None, None] for each in (inside, centered))
    return centered.masked_fill(spread <= _NO_SPREAD * length, 0)


def _each_subject(measure: Callable[[Float64s, Float64s], float], a: Tensor, b: Tensor, mask: Tensor | None) -> Tensor:
    """A measure (B,) of the tokens that count; NaN where one of them is not finite.

    Unit vectors stand for cosine: the order of their Euclidean distances is the same.
    """
    counts = torch.ones_like(a[..., 0], dtype=torch.bool) if mask is None else mask
    values = []
    for sides in zip(a.detach().double(), b.detach().double(), counts, strict=True):
        left, right = (side[sides[2]].cpu().numpy() for side in sides[:2])
        usable = bool(np.isfinite(left).all() and np.isfinite(right).all())
        values.append(measure(left, right) if usable else float("nan"))
    return torch.tensor(values, device=a.device)


def _check_paired(tokens: Tensor, reference: Tensor, mask: Tensor | None) -> None:
    """Raise ValueError unless both are (B, N, ...) of the same B and N, and the mask fits."""
    if tokens.ndim != 3 or reference.ndim != 3 or tokens.shape[:2] != reference.shape[:2]:
        seen = f"{tuple(tokens.shape)} and {tuple(reference.shape)}"
        raise ValueError(f"both sides must be (B, N, features) of the same subjects B and tokens N, got {seen}")
    check_mask("mask", mask, tokens)
