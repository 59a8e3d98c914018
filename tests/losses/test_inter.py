import math

import pytest
import torch
from draws import generator, integers, tokens
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_losses import naive_inter

from toposlearn.losses import inter_instance_loss, match_pairs, ordered_pairs
from toposlearn.topology import mutual_matches


@pytest.mark.parametrize("b", [2, 3])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_equal_to_loops(b, masked, metric):
    x, y = tokens(b, 20, 8), tokens(b, 20, 8, seed=1)
    masks = {}
    if masked:
        masks = {"mask_a": torch.rand(b, 20, generator=generator(2)) > 0.3, "mask_b": torch.rand(b, 20) > 0.3}
    negatives = integers(0, 20, b, b, 20, 4)
    known = {"k": 4, "margin": 0.3, "metric": metric, **masks}
    loss = inter_instance_loss(x, y, negatives=negatives, **known)
    assert float(loss) == pytest.approx(naive_inter(x, y, negatives, **known), abs=1e-5)
    assert float(loss) > 0


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(5, 10), st.integers(1, 3), st.floats(0.5, 1.0), st.booleans())
def test_equal_to_loops_for_any_size_mask_and_matches(seed, n, k, share, mutual):
    s = generator(seed)
    x, y = torch.randn(3, n, 4, generator=s), torch.randn(3, n, 4, generator=s)
    masks = {name: torch.rand(3, n, generator=s) < share for name in ("mask_a", "mask_b")}
    negatives = torch.randint(-1, n, (3, 3, n, k), generator=s)
    matches = None if mutual else torch.randint(-1, n, (3, 3, n), generator=s)
    loss = float(inter_instance_loss(x, y, k=k, margin=0.5, negatives=negatives, matches=matches, **masks))
    expected = naive_inter(x, y, negatives, k=k, margin=0.5, matches=matches, **masks)
    assert loss == pytest.approx(0.0 if math.isnan(expected) else expected, abs=1e-5)


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


def test_ordered_pairs():
    p, q = ordered_pairs(3)
    assert list(zip(p.tolist(), q.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    assert ordered_pairs(1)[0].shape == (0,)


def test_matches_by_pair_or_by_subject_are_the_same():
    x, y = tokens(3, 15, 6), tokens(3, 15, 6, seed=1)
    by_subject = torch.stack(
        [torch.stack([mutual_matches(x[p : p + 1], y[q : q + 1])[0] for q in range(3)]) for p in range(3)]
    )
    losses = [
        inter_instance_loss(x, y, k=3, matches=matches, generator=generator())
        for matches in (None, by_subject, match_pairs(x, y))
    ]
    assert losses[0] == losses[1] == losses[2]


def test_negatives_by_pair_or_by_subject_are_the_same():
    x, y, negatives = tokens(3, 15, 6), tokens(3, 15, 6, seed=1), integers(0, 15, 3, 3, 15, 5)
    by_pair = negatives[ordered_pairs(3)]
    assert inter_instance_loss(x, y, negatives=negatives) == inter_instance_loss(x, y, negatives=by_pair)


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


@pytest.mark.parametrize("negatives", [None, "unmatched"])
def test_which_tokens_negatives_come_from(negatives):
    n, k = 10, 2
    x, y = tokens(2, n, 6), tokens(2, n, 6, seed=1).requires_grad_()
    matches = torch.full((2, 2, n), -1)
    matches[0, 1, :5] = torch.arange(5)  # tokens 5 to 9 of subject 1 are unmatched
    graph = torch.tensor([1, 2]).expand(2, n, k)
    loss = inter_instance_loss(
        x, y, k=k, margin=3.0, matches=matches, neighbors=graph, negatives=negatives, generator=generator()
    )
    loss.backward()
    touched = y.grad[1].abs().sum(-1) > 0
    assert not (y.grad[0] != 0).any()
    assert touched[5:].any()
    drawn_among_matched = touched[[3, 4]].all()
    assert drawn_among_matched  # they are anchors
    assert torch.isfinite(y.grad).all()


def test_unmatched_negatives_are_only_unmatched_tokens():
    n = 9
    y = torch.eye(n)[None].repeat(2, 1, 1)
    y[:, 6:] = torch.eye(n)[0]  # the unmatched tokens are copies of token 0
    matches = torch.full((2, 2, n), -1)
    matches[0, 1, 0] = 0
    matches[0, 1, 1] = 1
    matches[0, 1, 2:6] = torch.arange(2, 6)
    graph = torch.ones(2, n, 1, dtype=torch.long)
    graph[:, 1] = 2
    only = torch.full((2, 2, n), -1)
    only[0, 1, :2] = matches[0, 1, :2]
    loss = inter_instance_loss(
        tokens(2, n, n),
        y,
        k=1,
        margin=0.0,
        matches=matches,
        neighbors=graph,
        negatives="unmatched",
        generator=generator(),
    )
    # Anchor 0: d(0, 1) = 1, negatives are copies of 0 at distance 0, hinge 1. Anchors 1 to 5: 1 - 1 = 0 (or 0 - 1).
    assert float(loss) == pytest.approx(1 / 6, abs=1e-6)


def test_unmatched_negatives_when_all_are_matched_drop_out():
    x = tokens(1, 12, 6).expand(2, 12, 6)
    y = x.clone().requires_grad_()
    loss = inter_instance_loss(x, y, negatives="unmatched")
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert torch.equal(y.grad, torch.zeros_like(y))


def clusters(count=4, size=3, spread=1e-3, seed=1):
    centers = torch.linalg.qr(tokens(8, 8)).Q[:count]
    return (centers[:, None] + spread * tokens(count, size, 8, seed=seed)).reshape(1, count * size, 8)


def test_zero_when_neighborhoods_agree_by_more_than_the_margin():
    x = clusters().expand(2, 12, 8)
    assert float(inter_instance_loss(x, x, k=2, margin=0.5)) == 0.0


def test_margin_when_all_tokens_of_b_are_alike():
    identity = torch.arange(12).expand(2, 2, 12)
    loss = inter_instance_loss(tokens(2, 12, 4), torch.ones(2, 12, 4), k=3, margin=0.25, matches=identity)
    assert float(loss) == pytest.approx(0.25, abs=1e-6)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 1000), st.floats(0.01, 100))
def test_invariant_to_a_common_rotation_and_to_scale(seed, scale):
    x, y = tokens(2, 15, 6, seed=seed).double(), tokens(2, 15, 6, seed=seed + 1).double()  # no near-tie may turn over
    turn, negatives = torch.linalg.qr(tokens(6, 6, seed=seed + 2).double()).Q, integers(0, 15, 2, 2, 15, 3)
    plain = inter_instance_loss(x, y, k=3, negatives=negatives)
    moved = inter_instance_loss(scale * x @ turn, y @ turn / scale, k=3, negatives=negatives)
    torch.testing.assert_close(moved, plain, atol=1e-5, rtol=1e-5)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 1000))
def test_invariant_to_the_order_of_each_sides_tokens(seed):
    x, y = tokens(2, 15, 6, seed=seed), tokens(2, 15, 6, seed=seed + 1)
    order_x, order_y = (torch.randperm(15, generator=generator(seed + s)) for s in (0, 1))
    negatives = integers(0, 15, 2, 2, 15, 3)
    place = torch.argsort(order_y)
    plain = inter_instance_loss(x, y, k=3, negatives=negatives)
    moved = inter_instance_loss(x[:, order_x], y[:, order_y], k=3, negatives=place[negatives[:, :, order_x]])
    torch.testing.assert_close(moved, plain, atol=1e-6, rtol=1e-5)


def test_grows_with_the_margin():
    x, y, negatives = tokens(2, 20, 6), tokens(2, 20, 6, seed=1), integers(0, 20, 2, 2, 20, 5)
    losses = [float(inter_instance_loss(x, y, margin=m, negatives=negatives)) for m in (0.0, 0.1, 0.4, 1.0)]
    assert losses == sorted(losses)
    assert losses[0] < losses[-1]
