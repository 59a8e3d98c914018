"""Both alignment losses and their plain forms under one signature, for tests that hold for either."""

import pytest
import torch
from draws import integers

from toposlearn.losses import (
    inter_instance_loss,
    intra_instance_loss,
    ordered_pairs,
    plain_inter_loss,
    plain_intra_loss,
)

LOSSES = {"intra": intra_instance_loss, "inter": inter_instance_loss}
PLAIN = {intra_instance_loss: plain_intra_loss, inter_instance_loss: plain_inter_loss}
either = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def masked(loss, mask):
    return {"mask": mask} if loss is intra_instance_loss else {"mask_a": mask, "mask_b": mask}


def by_place(loss, b, n):
    """Matches of the inter term that say what the intra term assumes: token i is token i."""
    return {} if loss is intra_instance_loss else {"matches": torch.arange(n).expand(b * (b - 1), n)}


def some_negatives(loss, b, n, k, low=0):
    """Indices (B, N, K), or (P, N, K) of the inter term."""
    return integers(low, n, b if loss is intra_instance_loss else b * (b - 1), n, k)


def rows(loss, per_subject):
    """Values (B, ...) of the subject in which a row of triplets is read: the subject, or the second of a pair."""
    return per_subject if loss is intra_instance_loss else per_subject[ordered_pairs(len(per_subject))[1]]


def clusters(source, count, size, features=8):
    """One person's tokens (1, count * size, F) in tight groups that are at least 0.5 apart in cosine distance."""
    centers = torch.linalg.qr(torch.randn(features, features, generator=source)).Q[:count]
    spread = 1e-3 * torch.randn(count, size, features, generator=source)
    return (centers[:, None] + spread).reshape(1, count * size, features)
