"""Measures of a representation: what it keeps of another's neighborhoods, how it spreads, how much of it is position.

B subjects, N tokens, F and G features, K neighbors; positions in mm. In a comparison token i of both sides is the same
place, and the null is the same measure with the tokens of one side in random order. NaN where too few tokens count.
"""

from collections.abc import Callable

import numpy as np
import torch
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.topology.distances import Mask, Metric, as_float, at_index, check_tokens, embed, full_mask, no_autocast
from toposlearn.topology.neighbors import nearest_neighbors

PAIRED_TOKENS = 512  # maximum number of a subject's tokens whose pairs enter the rank correlation
FOLDS = 10  # maximum: with more people, several are held out together
_NO_SPREAD = 1e-6  # of the length of the tokens: what is left after centering is rounding


@torch.no_grad()
def neighbor_overlap(
    tokens_a: Tensor, tokens_b: Tensor, k: int = 5, mask: Mask = None, metric: Metric = "cosine"
) -> Tensor:
    """Share (B,) of a token's K neighbors in ``tokens_a`` (B, N, F) that are its neighbors in ``tokens_b`` too.

    It is the mean over the tokens of the mask (B, N). Unrelated features give K / (N - 1), N the tokens that count.
    """
    check_tokens(tokens_a=tokens_a, tokens_b=tokens_b)
    a, b = (nearest_neighbors(tokens, k, mask, metric) for tokens in (tokens_a, tokens_b))
    shared = ((a[..., :, None] == b[..., None, :]) & (a[..., :, None] >= 0)).any(-1)
    return shared.sum((1, 2)) / (a >= 0).sum((1, 2))


@torch.no_grad()
def neighbor_distance(
    tokens: Tensor, positions: Tensor, k: int = 5, mask: Mask = None, metric: Metric = "cosine"
) -> Tensor:
    """Mean distance (B,), mm between positions (B, N, 3), of a token (B, N, F) and its K nearest of feature space.

    Tokens of the mask (B, N) count; ``metric`` is that of the tokens.
    """
    graph = nearest_neighbors(tokens, k, mask, metric)
    apart = torch.linalg.vector_norm(at_index(positions, graph) - positions[:, :, None], dim=-1)
    return torch.where(graph >= 0, apart, 0).sum((1, 2)) / (graph >= 0).sum((1, 2))


def trustworthiness(tokens: Tensor, reference: Tensor, k: int = 5, mask: Mask = None) -> Tensor:
    """Trustworthiness of the tokens' neighbors: a false one costs by its rank in the order of the reference.

    1 - 2 / (N K (2N - 3K - 1)) * sum over tokens i and their K neighbors j of max(0, r(i, j) - K), where j is the
    r-th nearest of i in the reference (Venna & Kaski, 2001; `sklearn.manifold.trustworthiness`).

    Tokens are (B, N, F), the reference (B, N, G), K is below N / 2. The result (B,) is 1 for the same neighborhoods and
    about 0.5 for unrelated features; NaN where at most 2 K tokens of the mask count, or one that counts is not finite.
    """
    counts = _counts(tokens, mask, reference)
    if not 1 <= k < tokens.shape[1] / 2:
        raise ValueError(f"k must be at least 1 and below N / 2 = {tokens.shape[1] / 2:g}, got {k}")
    from sklearn.manifold import trustworthiness as of_one  # takes a second, and losses import this package too

    def score(shown: Float64s, known: Float64s) -> float:
        return float(of_one(known, shown, n_neighbors=k)) if len(shown) > 2 * k else float("nan")

    return _each_subject(score, tokens, reference, counts)


def continuity(tokens: Tensor, reference: Tensor, k: int = 5, mask: Mask = None) -> Tensor:
    """Continuity (B,): whether the reference's neighbors are still near, `trustworthiness` with the two exchanged."""
    return trustworthiness(reference, tokens, k, mask)


def rank_correlation(tokens: Tensor, reference: Tensor, mask: Mask = None) -> Tensor:
    """Spearman correlation (B,) of all distances of tokens (B, N, F) with those of a reference (B, N, G), near and far.

    Of more than 512 tokens that count, mask (B, N), 512 are drawn. NaN for fewer than 3 tokens, for distances that are
    all equal, and where a token that counts is not finite.
    """
    counts = _counts(tokens, mask, reference)

    def correlate(a: Float64s, b: Float64s) -> float:
        drawn = np.random.default_rng(0).permutation(len(a))[:PAIRED_TOKENS]
        near_a, near_b = pdist(a[drawn]), pdist(b[drawn])
        if len(drawn) < 3 or np.ptp(near_a) == 0 or np.ptp(near_b) == 0:  # no order to compare
            return float("nan")
        return float(spearmanr(near_a, near_b).statistic)

    return _each_subject(correlate, tokens, reference, counts)


def _each_subject(measure: Callable[[Float64s, Float64s], float], a: Tensor, b: Tensor, counts: Tensor) -> Tensor:
    """A measure (B,) of the unit vectors of the tokens that count; NaN where one of them is not finite."""
    values = []  # the order of the Euclidean distances of unit vectors is that of their cosine distances
    units = (embed(each.detach(), "cosine").double() for each in (a, b))
    for left, right, inside in zip(*units, counts, strict=True):
        sides = [side[inside].cpu().numpy() for side in (left, right)]
        usable = all(np.isfinite(side).all() for side in sides)
        values.append(measure(*sides) if usable else float("nan"))
    return torch.tensor(values, device=a.device)


@torch.no_grad()
def kernel_alignment(tokens_a: Tensor, tokens_b: Tensor, mask: Mask = None) -> Tensor:
    """Linear CKA (B,): similarity of the centered Gram matrices of a subject's tokens (Kornblith et al., 2019, eq. 3).

    It is in [0, 1], the same for rotated, shifted or scaled features; NaN where the tokens of one side are all equal,
    and where one that counts, mask (B, N), is not finite. Unrelated features give more than 0, the more the fewer
    tokens there are per feature: read it beside its null.
    """
    counts = _counts(tokens_a, mask, tokens_b)
    with no_autocast(tokens_a):
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
def effective_rank(tokens: Tensor, mask: Mask = None) -> Tensor:
    """Directions (B,) the centered tokens (B, N, F) use: exp of the entropy of their singular values.

    Between 1 (collapse: constant tokens, or all on one line) and F (Roy & Vetterli, 2007).
    """
    counts = _counts(tokens, mask)
    with no_autocast(tokens):
        tokens = as_float(tokens).masked_fill(~counts[..., None], 0)
        center = tokens.sum(1, keepdim=True) / counts.sum(1)[:, None, None]
        singular = torch.linalg.svdvals((tokens - center).masked_fill(~counts[..., None], 0))
        share = singular / singular.sum(-1, keepdim=True).clamp_min(torch.finfo(singular.dtype).tiny)
        entropy: Tensor = torch.special.entr(share).sum(-1)
        return entropy.exp()


@torch.no_grad()
def collapse(tokens: Tensor, mask: Mask = None) -> Tensor:
    """Squared length (B,) of the mean unit token of (B, N, F): the mean cosine of all pairs, own pairs included.

    It is 1 when all tokens point the same way, 1 / N on average for independent random ones, N the tokens of the mask
    (B, N), and NaN where none counts.
    """
    counts = _counts(tokens, mask)
    with no_autocast(tokens):
        units = embed(tokens, "cosine").masked_fill(~counts[..., None], 0)
        mean = units.sum(1) / counts.sum(1, keepdim=True)
        return mean.square().sum(-1)


def position_r2(tokens: Tensor, positions: Tensor, mask: Mask = None) -> Tensor:
    """Linear R^2 (B,) of the positions (B, N, 3) of tokens (B, N, F), by a ridge regression fit to other people only.

    R^2 is the mean over the three axes, compared with the person's own mean place: shifted predictions count as wrong,
    and a representation without position gives 0 or a little less. NaN for a person of whom fewer than two tokens
    count, mask (B, N). ValueError for fewer than two people with tokens that count, and values that are not finite.
    """
    counts = _counts(tokens, mask).cpu()
    if positions.shape != (*tokens.shape[:2], 3):
        raise ValueError(f"positions must have shape {(*tokens.shape[:2], 3)} (B, N, 3), got {tuple(positions.shape)}")
    features, places = (as_float(each.detach()).cpu()[counts].double().numpy() for each in (tokens, positions))
    subjects = counts.nonzero()[:, 0].numpy()
    if (people := len(np.unique(subjects))) < 2:
        raise ValueError(f"mask leaves tokens of {people} people: two are needed, one to be held out")
    if not (np.isfinite(features).all() and np.isfinite(places).all()):
        raise ValueError("tokens and positions must be finite where the mask counts")
    from sklearn.linear_model import Ridge  # takes a second, and losses import this package too
    from sklearn.metrics import r2_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    ridge, folds = make_pipeline(StandardScaler(), Ridge(alpha=1.0)), GroupKFold(min(FOLDS, people))
    predicted = cross_val_predict(ridge, features, places, groups=subjects, cv=folds)
    own = [subjects == subject for subject in range(len(tokens))]
    r2 = [float(r2_score(places[rows], predicted[rows])) if rows.sum() > 1 else float("nan") for rows in own]
    return torch.tensor(r2, device=tokens.device)


def _counts(tokens: Tensor, mask: Tensor | None, reference: Tensor | None = None) -> Tensor:
    """The tokens (B, N) that count; raise ValueError unless all are (B, N, ...) of the same B and N."""
    check_tokens(tokens=tokens)
    if reference is not None and (reference.ndim != 3 or tokens.shape[:2] != reference.shape[:2]):
        seen = f"{tuple(tokens.shape)} and {tuple(reference.shape)}"
        raise ValueError(f"both sides must be (B, N, features) of the same subjects B and tokens N, got {seen}")
    return full_mask(mask, tokens)
