"""The inter-instance loss alone: means in their order, matches, pairs, where negatives come from, errors."""

import math

import pytest
import torch
from alignment import some_negatives
from draws import generator, integers, tokens

from toposlearn.losses import inter_instance_loss, ordered_pairs, plain_inter_loss
from toposlearn.topology import mutual_matches, nearest_neighbors

B, N, F, MARGIN = 4, 160, 96, 0.2


def test_closed_form_of_means():
    """An anchor with two matched neighbors and one with a single one: the mean over an anchor's comes first."""
    matches = torch.full((2, 2, 4), -1)
    matches[0, 1, :3] = torch.tensor([0, 1, 2])
    graph = torch.tensor([[[1, 2], [0, 3], [3, 3], [0, 1]]]).expand(2, 4, 2)
    y = torch.eye(4).repeat(2, 1, 1)
    y[1, 1] = torch.tensor([1.0, 1.0, 0.0, 0.0])  # 45 degrees from token 0; all else is at 1, the negative (3) too
    near = 1 - math.cos(math.pi / 4)
    first, second = (max(near - 1 + 0.9, 0) + (1 - 1 + 0.9)) / 2, max(near - 1 + 0.9, 0)
    negatives = torch.full((2, 2, 4, 2), 3)
    known = {"k": 2, "matches": matches, "negatives": negatives, "neighbors": graph}
    loss = inter_instance_loss(torch.ones(2, 4, 4), y, margin=0.9, **known)
    assert float(loss) == pytest.approx((first + second) / 2, abs=1e-6)


def test_matches_and_negatives_by_pair_or_by_subject_are_the_same():
    x, y, negatives = tokens(3, 15, 6), tokens(3, 15, 6, seed=1), integers(0, 15, 3, 3, 15, 3)
    by_subject = torch.stack(
        [torch.stack([mutual_matches(x[p : p + 1], y[q : q + 1])[0] for q in range(3)]) for p in range(3)]
    )
    pairs = ordered_pairs(3)
    losses = [
        inter_instance_loss(x, y, k=3, matches=matches, negatives=given)
        for matches, given in ((None, negatives), (by_subject, negatives[pairs]), (by_subject[pairs], negatives))
    ]
    assert losses[0] == losses[1] == losses[2]


def test_drawn_negatives_are_outside_the_match_and_its_neighbors():
    """Tokens 0 to k are matched and each other's neighbors, and alike in b: one of them as a negative would cost."""
    n, k = 12, 4
    matches = torch.full((2, 2, n), -1)
    matches[..., : k + 1] = torch.arange(k + 1)
    graph = torch.zeros(2, n, k, dtype=torch.long)
    graph[:, : k + 1] = torch.tensor([[j for j in range(k + 1) if j != u] for u in range(k + 1)])
    y = torch.eye(2)[(torch.arange(n) > k).long()].expand(2, n, 2)
    known = {"k": k, "margin": 0.5, "matches": matches, "neighbors": graph}
    assert float(inter_instance_loss(tokens(2, n, 2), y, generator=generator(), **known)) == 0.0
    assert float(inter_instance_loss(tokens(2, n, 2), y, negatives=torch.zeros(2, 2, n, k).long(), **known)) == 0.5


@pytest.mark.parametrize("negatives", ["uniform", "unmatched"])
def test_which_tokens_negatives_come_from(negatives):
    n, k = 10, 2
    x, y = tokens(2, n, 6), tokens(2, n, 6, seed=1).requires_grad_()
    matches = torch.full((2, 2, n), -1)
    matches[0, 1, :5] = torch.arange(5)  # tokens 5 to 9 of subject 1 are unmatched
    known = {"matches": matches, "neighbors": torch.tensor([1, 2]).expand(2, n, k), "negatives": negatives}
    inter_instance_loss(x, y, k=k, margin=3.0, generator=generator(), **known).backward()
    touched = y.grad[1].abs().sum(-1) > 0
    assert not (y.grad[0] != 0).any()
    assert touched[5:].any()
    assert touched[[3, 4]].all()  # they are anchors
    assert torch.isfinite(y.grad).all()


def test_unmatched_negatives_are_only_unmatched_tokens():
    n = 9
    y = torch.eye(n)[None].repeat(2, 1, 1)
    y[:, 6:] = torch.eye(n)[0]  # the unmatched tokens are copies of token 0
    matches = torch.full((2, 2, n), -1)
    matches[0, 1, :6] = torch.arange(6)
    graph = torch.ones(2, n, 1, dtype=torch.long)
    graph[:, 1] = 2
    known = {"k": 1, "margin": 0.0, "matches": matches, "neighbors": graph, "generator": generator()}
    loss = inter_instance_loss(tokens(2, n, n), y, negatives="unmatched", **known)
    # Anchor 0: d(0, 1) = 1, negatives are copies of 0 at distance 0, hinge 1. Anchors 1 to 5: 1 - 1 = 0 (or 0 - 1).
    assert float(loss) == pytest.approx(1 / 6, abs=1e-6)


def test_unmatched_negatives_when_all_are_matched_drop_out():
    x = tokens(1, 12, 6).expand(2, 12, 6)
    y = x.clone().requires_grad_()
    loss = inter_instance_loss(x, y, negatives="unmatched")
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert torch.equal(y.grad, torch.zeros_like(y))


def test_pairs_of_one_person_are_left_out():
    x, y, negatives = tokens(3, 15, 6), tokens(3, 15, 6, seed=1), some_negatives(inter_instance_loss, 3, 15, 5)
    p, q = ordered_pairs(3)
    same = (p != 1) & (q != 1)  # the first and the last are one person
    matches = mutual_matches(x, y, pairs=(p, q)).masked_fill(same[:, None], -1)
    expected = float(plain_inter_loss(x, y, negatives=negatives, matches=matches))
    for ids in (torch.tensor([4, 7, 4]), [4, 7, 4], ["sub-1", "sub-2", "sub-1"]):
        loss = inter_instance_loss(x, y, subject_ids=ids, negatives=negatives)
        assert float(loss) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ValueError, match="subject_ids must name 3 subjects, one per batch entry, got 2"):
        inter_instance_loss(x, y, subject_ids=["sub-1", "sub-2"])


def zero_cases():
    x = tokens(2, 12, 4)
    none = torch.zeros(2, 12, dtype=torch.bool)
    yield "one subject", x[:1], {}
    yield "one subject, semi-hard", x[:1], {"negatives": "semi_hard", "metric": "euclidean"}
    yield "one person twice", x, {"subject_ids": ["a", "a"]}
    yield "no matches", x, {"matches": torch.full((2, 2, 12), -1)}
    yield "no neighbor matched", x, {"matches": torch.full((2, 2, 12), -1).index_fill_(2, torch.tensor(0), 3)}
    yield "no foreground", x, {"mask_a": none}
    yield "no foreground to match", x, {"mask_b": none}


@pytest.mark.parametrize(("name", "x", "settings"), list(zero_cases()), ids=lambda v: v if isinstance(v, str) else "")
def test_nothing_left_is_an_exact_zero_with_a_zero_gradient(name, x, settings):
    y = tokens(*x.shape, seed=1).requires_grad_()
    loss = inter_instance_loss(x, y, **settings)
    loss.backward()
    assert float(loss.detach()) == 0.0, name
    assert torch.equal(y.grad, torch.zeros_like(y))


def test_constant_tokens_have_one_mutual_match_and_cost_nothing():
    y = torch.ones(2, 12, 4, requires_grad=True)
    loss = inter_instance_loss(tokens(2, 12, 4), y)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert torch.isfinite(y.grad).all()


def test_a_missing_neighbor_of_a_given_graph_is_no_positive():
    x, y, negatives = tokens(2, 20, 6), tokens(2, 20, 6, seed=1), integers(0, 20, 2, 2, 20, 5)
    graph, matches = nearest_neighbors(x, 5), torch.arange(20).expand(2, 2, 20)
    missing = graph.clone()
    missing[..., 3:] = -1
    without = negatives.clone()
    without[..., 3:] = -1
    one = inter_instance_loss(x, y, matches=matches, neighbors=missing, negatives=negatives)
    torch.testing.assert_close(one, inter_instance_loss(x, y, matches=matches, neighbors=graph, negatives=without))


def test_errors_name_the_argument():
    x = tokens(2, 12, 4)
    with pytest.raises(ValueError, match="must have one N, got 12 and 13"):
        inter_instance_loss(x, tokens(2, 13, 4))
    with pytest.raises(
        ValueError, match="negatives must be 'uniform', 'semi_hard', 'unmatched' or indices, got 'hard'"
    ):
        inter_instance_loss(x, x, negatives="hard")
    with pytest.raises(ValueError, match=r"matches must have shape \(2, 2, 12\) \(subjects p, q\) or \(2, 12\)"):
        inter_instance_loss(x, x, matches=torch.zeros(2, 11, dtype=torch.long))
    with pytest.raises(ValueError, match=r"negatives must have shape \(2, 2, 12, 5\)"):
        inter_instance_loss(x, x, negatives=torch.zeros(2, 2, 12, 4, dtype=torch.long))


def mean_cost(loss):
    return sum(float(loss(*torch.randn(4, B, N, F))) for _ in range(8)) / 8


def test_random_features_cost_more_than_the_margin_where_matches_are_independent_of_the_tokens():
    """E[max(0, X - Y + m)] for distances of independent random directions, whose difference is nearly normal."""
    p, q = ordered_pairs(B)
    cost = mean_cost(lambda a, b, c, d: inter_instance_loss(a, b, margin=MARGIN, matches=mutual_matches(c[p], d[q])))
    spread = math.sqrt(2 / F)
    z = MARGIN / spread
    normal = MARGIN * (1 + math.erf(z / math.sqrt(2))) / 2 + spread * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    assert cost == pytest.approx(normal, abs=0.003)
    assert cost > MARGIN


def test_mutual_matches_of_the_tokens_themselves_cost_less_than_the_margin():
    cost = mean_cost(lambda a, b, *_: inter_instance_loss(a, b, margin=MARGIN))
    assert MARGIN - 0.02 < cost < MARGIN - 0.005
