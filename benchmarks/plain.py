"""The two alignment terms as whole-matrix operations, the form one writes second: short, fast, memory in N^2.

Names are those of the formula. `benchmarks/losses.py` compares with them in value, time and memory.
"""

from __future__ import annotations

import torch
from loops import MARGIN, K
from torch import Tensor
from torch.nn.functional import normalize


def plain_intra(tokens_a: Tensor, tokens_b: Tensor, negatives: Tensor | None = None) -> Tensor:
    """The intra-instance term (B, N, F); negatives (B, N, K) or drawn."""
    d_a, d_b = distances(tokens_a.detach()), distances(tokens_b)  # (B, N, N)
    positives = nearest(d_a)  # j in N_K(i): (B, N, K)
    if negatives is None:
        itself = torch.arange(d_a.shape[1], device=d_a.device)[:, None].expand(*d_a.shape[:2], 1)
        negatives = drawn_outside(torch.cat([itself, positives], -1), d_a.shape[1])
    d_positive, d_negative = d_b.gather(2, positives), d_b.gather(2, negatives)
    return torch.relu(d_positive - d_negative + MARGIN).mean()


def plain_inter(tokens_a: Tensor, tokens_b: Tensor, negatives: Tensor | None = None) -> Tensor:
    """The inter-instance term over all ordered pairs (p, q), P of them; negatives (B, B, N, K) or drawn."""
    p, q = (~torch.eye(len(tokens_a), dtype=torch.bool, device=tokens_a.device)).nonzero().unbind(1)  # (P,), p != q
    near = nearest(distances(tokens_a.detach()))[p]  # u' in N_K(u): (P, N, K)
    d_pq = distances(tokens_a.detach()[p], tokens_b.detach()[q])  # (P, N, N)
    m, back = d_pq.argmin(2), d_pq.argmin(1)  # m(u): (P, N)
    matched = back.gather(1, m) == torch.arange(m.shape[1], device=m.device)  # mutual nearest neighbors
    kept = matched[..., None] & matched.gather(1, near.flatten(1)).view_as(near)  # u and u' are both matched
    positives = torch.where(kept, m.gather(1, near.flatten(1)).view_as(near), m[..., None])  # m(u')
    if negatives is None:
        negatives = drawn_outside(torch.cat([m[..., None], positives], -1), m.shape[1])
    else:
        negatives = negatives[p, q]
    d_q, of, row = distances(tokens_b), q[:, None, None], m[..., None]
    hinge = torch.relu(d_q[of, row, positives] - d_q[of, row, negatives] + MARGIN)  # (P, N, K)
    per_anchor = (hinge * kept).sum(2) / kept.sum(2).clamp_min(1)
    has_any = kept.any(2)
    return ((per_anchor * has_any).sum(1) / has_any.sum(1)).mean()


def distances(tokens: Tensor, others: Tensor | None = None) -> Tensor:
    """Cosine distances (B, N, M) between tokens (B, N, F) and (B, M, F), or among themselves."""
    unit = normalize(tokens, dim=-1)
    return 1 - unit @ (unit if others is None else normalize(others, dim=-1)).mT


def nearest(d: Tensor) -> Tensor:
    """The K nearest others of each token (B, N, K), from distances (B, N, N) among themselves."""
    d.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    return d.topk(K, largest=False).indices


def drawn_outside(excluded: Tensor, n: int) -> Tensor:
    """K of n tokens for each row of `excluded` (B, N, E), uniform among the others: (B, N, K)."""
    allowed = torch.ones(*excluded.shape[:2], n, device=excluded.device).scatter_(2, excluded, 0)
    return allowed.flatten(0, 1).multinomial(K, replacement=True).view(*excluded.shape[:2], K)
