import pytest
import torch

from toposlearn.course.check_losses import (
    check_k_nearest,
    check_mutual_matches,
    check_partial_ranking,
    check_tokens_from_map,
    check_total_loss,
    check_triplet_hinge,
)
from toposlearn.topology import nearest_neighbors, pairwise_distance


def no_self(distance):
    distance.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    return distance


def mutual(a, b, distance=None):
    distance = pairwise_distance(a, b) if distance is None else distance
    forward, backward = distance.argmin(2), distance.argmin(1)
    keep = backward.gather(1, forward) == torch.arange(a.shape[1])
    return torch.where(keep, forward, -1)


def ranking(positive, negative, valid, margin, cut=torch.relu):
    hinge = cut(positive - negative + margin) * valid
    anchors = valid.any(1)
    return (hinge.sum(1)[anchors] / valid.sum(1)[anchors]).sum() / anchors.sum().clamp(min=1)


def total(reconstruction, intra, inter, weight):
    return sum(reconstruction) / 2 + weight * (sum(intra) / 2 + sum(inter) / 2)


RIGHT = [
    (check_tokens_from_map, lambda x: x.permute(0, 2, 3, 4, 1).reshape(len(x), -1, x.shape[1])),
    (check_k_nearest, lambda x, k: no_self(pairwise_distance(x)).topk(k, largest=False).indices),
    (check_triplet_hinge, lambda p, n, m: (p - n + m).clamp(min=0)),
    (check_mutual_matches, mutual),
    (check_partial_ranking, ranking),
    (check_total_loss, total),
]


@pytest.mark.parametrize(("check", "solution"), RIGHT, ids=lambda f: f.__name__)
def test_a_right_solution_passes(check, solution):
    assert check(solution).startswith("Right.")


def entry_by_entry(a, b):
    distance = pairwise_distance(a, b)
    forward, backward = distance.argmin(2), distance.argmin(1)
    return torch.where(forward == backward, forward, -1)


def unmatched_as_zero(a, b):
    return mutual(a, b).clamp(min=0)


MISTAKES = [
    (check_tokens_from_map, lambda x: x.reshape(len(x), -1, x.shape[1]), "mixes several places"),
    (check_tokens_from_map, lambda x: x.flatten(2), r"shape is \(B, F, N\)"),
    (check_tokens_from_map, lambda x: x.permute(0, 4, 3, 2, 1).reshape(len(x), -1, x.shape[1]), "another order"),
    (check_tokens_from_map, lambda x: x.transpose(1, 4).flatten(1, 3), "another order"),
    (check_tokens_from_map, lambda x: x.permute(0, 2, 3, 4, 1), "not one axis yet"),
    (check_tokens_from_map, lambda x: x.permute(0, 2, 3, 4, 1).reshape(-1, x.shape[1]), "subjects are mixed"),
    (check_tokens_from_map, lambda x: x.flatten(2).mT[:1], r"expected the shape \(2, 60, 6\), got \(1, 60, 6\)"),
    (
        check_k_nearest,
        lambda x, k: (pairwise_distance(x) - torch.eye(12)).topk(k, largest=False).indices,
        "its own neighbor",
    ),
    (check_k_nearest, lambda x, k: pairwise_distance(x).argsort(stable=True)[..., 1 : k + 1], "not by its rank"),
    (check_k_nearest, lambda x, k: (-pairwise_distance(x)).topk(k, largest=False).indices, "farthest"),
    (check_k_nearest, lambda x, k: no_self(-(x @ x.mT)).topk(k, largest=False).indices, "length of the tokens"),
    (check_k_nearest, lambda x, k: no_self(torch.cdist(x, x)).topk(k, largest=False).indices, "Euclidean"),
    (check_k_nearest, lambda x, k: no_self(pairwise_distance(x)).topk(k, largest=False), "values .and. indices"),
    (check_k_nearest, lambda x, k: no_self(pairwise_distance(x)).topk(k, largest=False).values, "give indices"),
    (check_k_nearest, lambda x, k: nearest_neighbors(x, k).flip(-1), "not the nearest first"),
    (
        check_k_nearest,
        lambda x, k: pairwise_distance(x).masked_fill(pairwise_distance(x) < 1e-4, 9).topk(k, largest=False).indices,
        "twins are missing",
    ),
    (check_triplet_hinge, lambda p, n, m: torch.relu(n - p + m), "sign is turned"),
    (check_triplet_hinge, lambda p, n, m: (p - n + m).abs(), "too. well satisfied"),
    (check_triplet_hinge, lambda p, n, m: (p - n).clamp(min=m), "least a triplet costs"),
    (check_triplet_hinge, lambda p, n, m: torch.relu(p - n + m).sum(), "this is the sum"),
    (check_triplet_hinge, lambda p, n, m: torch.relu(p - n), "margin is missing"),
    (check_triplet_hinge, lambda p, n, m: torch.relu(p - n - m), "margin is subtracted"),
    (check_triplet_hinge, lambda p, n, m: p - n + m, "negative losses"),
    (check_triplet_hinge, lambda p, n, m: torch.relu(p - n) + m, "after the relu"),
    (check_triplet_hinge, lambda p, n, m: torch.relu(p - n + m).mean(), "this is the mean"),
    (check_mutual_matches, lambda a, b: pairwise_distance(a, b).argmin(2), "one way"),
    (check_mutual_matches, lambda a, b: pairwise_distance(a, b).argmin(1), "indices into a"),
    (check_mutual_matches, unmatched_as_zero, "hold 0"),
    (check_mutual_matches, lambda a, b: mutual(b, a), "directions are swapped"),
    (check_mutual_matches, lambda a, b: mutual(a, b) >= 0, "true or false"),
    (check_mutual_matches, entry_by_entry, "entry by entry"),
    (check_mutual_matches, lambda a, b: torch.arange(a.shape[1]).where(mutual(a, b) >= 0, -1), "not their matches"),
    (check_mutual_matches, lambda a, b: mutual(a, b, -(a @ b.mT)), "length of the tokens"),
    (check_partial_ranking, lambda p, n, v, m: ranking(p, n, v, m, torch.nn.Identity()), "no hinge"),
    (check_partial_ranking, lambda p, n, v, m: ranking(n, p, v, m), "sign is turned"),
    (check_partial_ranking, lambda p, n, v, m: ranking(p, n, v, 0), "margin is missing"),
    (check_partial_ranking, lambda p, n, v, m: torch.relu(p - n + m).mean(), "without a match are counted"),
    (check_partial_ranking, lambda p, n, v, m: (torch.relu(p - n + m) * v).mean(), "not by K"),
    (check_partial_ranking, lambda p, n, v, m: torch.relu(p - n + m)[v].mean(), "averaged at once"),
    (
        check_partial_ranking,
        lambda p, n, v, m: ((torch.relu(p - n + m) * v).sum(1) / v.sum(1).clamp(min=1)).mean(),
        "counted as zeros",
    ),
    (check_partial_ranking, lambda p, n, v, m: ((torch.relu(p - n + m) * v).sum(1) / v.sum(1)).mean(), "0 by 0"),
    (
        check_partial_ranking,
        lambda p, n, v, m: ((torch.relu(p - n + m) * v).sum(1) / v.sum(1)).nansum(),
        "sum is taken over the anchors",
    ),
    (
        check_partial_ranking,
        lambda p, n, v, m: ((torch.relu(p - n + m) * v).sum(1) / v.sum(1)).nanmean(),
        "NaN when no triplet is valid",
    ),
    (check_total_loss, lambda r, a, e, w: sum(r) + w * (sum(a) + sum(e)), "summed, as in the released code"),
    (check_total_loss, lambda r, a, e, w: sum(r) / 2 + w * (sum(a) + sum(e)), "alignment terms are summed"),
    (check_total_loss, lambda r, a, e, w: total(r, a, e, 1), "weight is missing"),
    (check_total_loss, lambda r, a, e, w: w * total(r, a, e, 1), "multiplies the reconstruction"),
    (check_total_loss, lambda r, a, e, w: (sum(r) + sum(a) + w * sum(e)) / 2, "intra is without"),
    (check_total_loss, lambda r, a, e, w: (sum(r) + w * sum(a) + sum(e)) / 2, "inter is without"),
    (check_total_loss, lambda r, a, e, w: r[0] + w * (a[0] + e[0]), "one direction"),
    (check_total_loss, lambda r, a, e, w: float(total(r, a, e, w).detach()), "gradient is cut"),
    (check_total_loss, lambda r, a, e, w: None, "returns nothing"),
    (check_total_loss, lambda r, a, e, w: [1.0], "expected a tensor, got list"),
    (check_total_loss, lambda r, a, e, w: total(r, a, e, w) + 1, "1 of 1 values differ"),
]


@pytest.mark.parametrize(("check", "wrong", "message"), MISTAKES, ids=[f"{c.__name__}-{m}" for c, _, m in MISTAKES])
def test_a_typical_mistake_gets_its_own_message(check, wrong, message):
    with pytest.raises(AssertionError, match=message):
        check(wrong)
