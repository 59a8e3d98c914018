"""Properties of both alignment losses: equality to the plain form, closed forms, invariances, margins, expectation."""

import itertools
import math

import pytest
import torch
from alignment import LOSSES, PLAIN, by_place, clusters, either, masked, rows, some_negatives
from draws import generator, tokens
from hypothesis import given, settings
from hypothesis import strategies as st

from toposlearn.losses import (
    inter_instance_loss,
    intra_instance_loss,
    intra_triplets,
    ordered_pairs,
    plain_inter_loss,
    plain_intra_loss,
)
from toposlearn.topology import mutual_matches, nearest_neighbors, sample_negatives
from toposlearn.topology.neighbors import semi_hard_negatives


@either
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_equal_to_the_plain_form_in_value_and_gradient(loss, metric):
    a, b, negatives = tokens(3, 20, 8), tokens(3, 20, 8, seed=1), some_negatives(loss, 3, 20, 4)
    values, gradients = [], []
    for form in (loss, PLAIN[loss]):
        leaf = b.clone().requires_grad_()
        values.append(form(a, leaf, k=4, margin=0.3, negatives=negatives, metric=metric))
        gradients.append(torch.autograd.grad(values[-1], leaf)[0])
    torch.testing.assert_close(values[0], values[1], atol=1e-5, rtol=0)
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-6, rtol=1e-4)
    assert values[0] > 0


def test_equal_to_the_plain_form_with_the_anchor_read_in_a():
    a, b, negatives = tokens(3, 20, 8), tokens(3, 20, 8, seed=1), some_negatives(intra_instance_loss, 3, 20, 5)
    known = {"margin": 0.3, "negatives": negatives, "form": "cross"}
    torch.testing.assert_close(intra_instance_loss(a, b, **known), plain_intra_loss(a, b, **known))


@either
def test_equal_to_the_plain_form_that_draws_the_same_negatives(loss):
    a, b = tokens(3, 20, 8), tokens(3, 20, 8, seed=1)
    values = []
    for form, settings_ in ((loss, {}), (loss, {"negatives": None}), (PLAIN[loss], {})):
        torch.manual_seed(4)
        values.append(form(a, b, margin=0.3, **settings_))
    assert values[0] == values[1]
    torch.testing.assert_close(values[0], values[2])


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(6, 14), st.integers(1, 4), st.floats(0.3, 1.0), st.floats(0, 1))
def test_intra_with_a_mask_is_the_plain_form_of_the_tokens_that_count(seed, n, k, share, margin):
    source = generator(seed)
    a, b = torch.randn(2, n, 5, generator=source), torch.randn(2, n, 5, generator=source)
    mask = torch.rand(2, n, generator=source) < share
    negatives = sample_negatives(nearest_neighbors(a, k, mask), n, k, mask, source)
    expected = []
    for s in range(2):
        inside, place = mask[s], mask[s].cumsum(0) - 1
        if inside.sum() >= k + 2:
            own = place[negatives[s, inside]][None]
            expected.append(float(plain_intra_loss(a[s : s + 1, inside], b[s : s + 1, inside], k, margin, own)))
    loss = intra_instance_loss(a, b, k=k, margin=margin, mask=mask, negatives=negatives)
    assert float(loss) == pytest.approx(sum(expected) / max(len(expected), 1), abs=1e-5)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(5, 10), st.integers(1, 3), st.floats(0.5, 1.0), st.booleans())
def test_inter_with_masks_is_the_plain_form_without_the_matches_that_do_not_count(seed, n, k, share, mutual):
    s = generator(seed)
    x, y = torch.randn(3, n, 4, generator=s), torch.randn(3, n, 4, generator=s)
    mask_a, mask_b = (torch.rand(3, n, generator=s) < share for _ in range(2))
    p, q = ordered_pairs(3)
    negatives = torch.randint(-1, n, (6, n, k), generator=s)
    matches = None if mutual else torch.randint(-1, n, (6, n), generator=s)
    loss = inter_instance_loss(
        x, y, k=k, margin=0.5, negatives=negatives, matches=matches, mask_a=mask_a, mask_b=mask_b
    )

    def kept(index):
        inside = mask_b[q].gather(1, index.clamp_min(0).flatten(1)).view_as(index)
        return index.masked_fill(~inside, -1)

    known = mutual_matches(x, y, mask_a, mask_b, pairs=(p, q)) if mutual else kept(matches)
    enough = (mask_a.sum(1)[p] >= k + 2) & (mask_b.sum(1)[q] >= k + 2)
    known = known.masked_fill(~(mask_a[p] & enough[:, None]), -1)
    missing = x.masked_fill(~mask_a[..., None], torch.nan)  # of no token a neighbor: NaN is the last in order
    expected = float(plain_inter_loss(missing, y, k, 0.5, kept(negatives), known))
    assert float(loss) == pytest.approx(0.0 if math.isnan(expected) else expected, abs=1e-5)


@either
def test_a_negative_that_does_not_count_drops_its_triplet(loss):
    a, b, negatives = tokens(3, 20, 6), tokens(3, 20, 6, seed=1), some_negatives(loss, 3, 20, 5, low=-1)
    mask = torch.rand(3, 20, generator=generator(2)) > 0.3
    inside = rows(loss, mask).gather(1, negatives.clamp_min(0).flatten(1)).view_as(negatives)
    known = masked(loss, mask) | {"margin": 0.3}
    value = loss(a, b, negatives=negatives, **known)
    assert value == loss(a, b, negatives=negatives.masked_fill(~inside, -1), **known)


def test_intra_is_the_mean_over_the_triplets_that_are_not_dropped():
    a, b = tokens(1, 20, 6), tokens(1, 20, 6, seed=1)
    negatives = some_negatives(intra_instance_loss, 1, 20, 5)
    part = torch.rand(negatives.shape, generator=generator(2)) < 0.3
    sides = [negatives.masked_fill(~part, -1), negatives.masked_fill(part, -1)]
    some, others = (intra_instance_loss(a, b, margin=0.3, negatives=side) for side in sides)
    share = part.float().mean()
    torch.testing.assert_close(share * some + (1 - share) * others, plain_intra_loss(a, b, 5, 0.3, negatives))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(3, 5), st.floats(0, 0.9))
def test_zero_when_neighborhoods_agree_by_more_than_the_margin(seed, count, size, margin):
    x = clusters(generator(seed), count, size).expand(3, -1, -1)
    for loss in LOSSES.values():
        assert float(loss(x, x, k=size - 1, margin=margin)) == 0.0


@either
def test_the_margin_when_all_tokens_of_b_are_alike(loss):
    value = loss(tokens(2, 12, 4), torch.ones(2, 12, 4), k=3, margin=0.25, **by_place(loss, 2, 12))
    assert float(value) == pytest.approx(0.25, abs=1e-6)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 1000), st.floats(0.01, 100))
def test_invariant_to_scale_and_to_rotation_of_each_modality_or_of_both(seed, scale):
    a, b = tokens(2, 15, 6, seed=seed).double(), tokens(2, 15, 6, seed=seed + 1).double()  # no near-tie may turn over
    turn_a, turn_b = (torch.linalg.qr(tokens(6, 6, seed=seed + s).double()).Q for s in (2, 3))
    for loss in LOSSES.values():
        turn = turn_a if loss is inter_instance_loss else turn_b  # matches are found across the two
        known = {"k": 3, "margin": 0.4, "negatives": some_negatives(loss, 2, 15, 3)}
        moved = loss(scale * a @ turn_a, b @ turn / scale, **known)
        torch.testing.assert_close(moved, loss(a, b, **known), atol=1e-5, rtol=1e-5)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 1000))
def test_invariant_to_the_order_of_tokens(seed):
    """The inter term even to an order of each side's own."""
    a, b = tokens(2, 15, 6, seed=seed), tokens(2, 15, 6, seed=seed + 1)
    one, other = (torch.randperm(15, generator=generator(seed + s)) for s in (0, 1))
    for loss in LOSSES.values():
        order = one if loss is intra_instance_loss else other
        place, negatives = torch.argsort(order), some_negatives(loss, 2, 15, 3)  # old index -> new index
        plain = loss(a, b, k=3, margin=0.3, negatives=negatives)
        moved = loss(a[:, one], b[:, order], k=3, margin=0.3, negatives=place[negatives[:, one]])
        torch.testing.assert_close(moved, plain, atol=1e-6, rtol=1e-5)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.lists(st.floats(0, 2), min_size=2, max_size=5), st.floats(0.6, 1))
def test_never_falls_when_the_margin_grows_and_never_grows_faster(seed, margins, share):
    source = generator(seed)
    a, b = torch.randn(2, 2, 14, 5, generator=source)
    mask = torch.rand(2, 14, generator=source) < share
    margins = sorted(margins)
    for loss in LOSSES.values():
        values = [float(loss(a, b, k=3, margin=m, generator=generator(1), **masked(loss, mask))) for m in margins]
        for (low, high), (less, more) in zip(itertools.pairwise(values), itertools.pairwise(margins), strict=True):
            assert -1e-6 <= high - low <= more - less + 1e-6


@either
def test_grows_with_the_margin(loss):
    a, b, negatives = tokens(2, 20, 6), tokens(2, 20, 6, seed=1), some_negatives(loss, 2, 20, 5)
    values = [float(loss(a, b, margin=m, negatives=negatives)) for m in (0.0, 0.05, 0.2, 0.4, 1.0)]
    assert values == sorted(values)
    assert values[0] < values[-1]


@either
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_twins_cost_the_margin_less_what_the_negative_is_away(loss, metric):
    """Every token twice: the positive is at distance 0, where a root has no slope, and only negatives are moved."""
    a, b = (tokens(2, 15, 6, seed=s).repeat_interleave(2, dim=1) for s in (0, 1))
    leaf, margin = b.clone().requires_grad_(), 9.0
    negatives = (torch.arange(30) + 10).remainder(30).expand(2, 30)
    known = {"negatives": negatives[..., None]} | by_place(loss, 2, 30)
    value = loss(a, leaf, k=1, margin=margin, metric=metric, **known)
    other = leaf.gather(1, negatives[..., None].expand_as(leaf))
    if metric == "euclidean":
        apart = (leaf - other).norm(dim=-1).mean()
    else:
        apart = (1 - torch.cosine_similarity(leaf, other, dim=-1)).mean()
    torch.testing.assert_close(value, margin - apart)
    gradient, expected = (torch.autograd.grad(each, leaf, retain_graph=True)[0] for each in (value, margin - apart))
    torch.testing.assert_close(gradient, expected)
    assert float(loss(a, b, k=1, margin=0.0, metric=metric, **known)) == 0.0


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_semi_hard_intra_is_the_loss_of_the_nearest_negatives_that_are_farther(metric):
    a, b = tokens(2, 20, 6), tokens(2, 20, 6, seed=1)
    itself = torch.arange(20)[:, None].expand(2, -1, 1)
    negatives = semi_hard_negatives(b, b, nearest_neighbors(a, 4, metric=metric), itself, metric=metric)
    loss = intra_instance_loss(a, b, k=4, negatives="semi_hard", margin=0.3, metric=metric)
    torch.testing.assert_close(loss, plain_intra_loss(a, b, 4, 0.3, negatives, metric=metric))


def test_semi_hard_inter_is_the_loss_of_the_nearest_negatives_that_are_farther():
    a, b = tokens(3, 20, 6), tokens(3, 20, 6, seed=1)
    p, q = ordered_pairs(3)
    matches = mutual_matches(a, b, pairs=(p, q))
    positives = matches.gather(1, nearest_neighbors(a, 4)[p].flatten(1)).view(6, 20, 4)
    anchors = b[q].gather(1, matches.clamp_min(0)[..., None].expand(-1, -1, 6))
    negatives = semi_hard_negatives(anchors, b[q], positives, matches[..., None])
    loss = inter_instance_loss(a, b, k=4, margin=0.3, negatives="semi_hard")
    torch.testing.assert_close(loss, plain_inter_loss(a, b, 4, 0.3, negatives))


@either
def test_semi_hard_costs_at_most_the_margin(loss):
    """The negative is the hardest one that is not nearer than the positive: at most the margin remains to pay."""
    a, b = tokens(3, 60, 8), tokens(3, 60, 8, seed=1)
    assert 0 < float(loss(a, b, margin=0.1, negatives="semi_hard")) <= 0.1 + 1e-6


def test_drawn_negatives_of_intra_average_to_all_of_them():
    """The mean over draws against the exact mean over every token that may be drawn, within 4 standard errors."""
    a, b = tokens(2, 12, 6), tokens(2, 12, 6, seed=1)
    graph, total, count = nearest_neighbors(a, 3), 0.0, 0
    for n in range(12):
        taken = (graph == n).any(-1) | (torch.arange(12) == n)
        own = torch.full((2, 12, 3), n).masked_fill(taken[..., None], -1)
        triplets = intra_triplets(a, b, 3, negatives=own)
        total += (torch.relu(triplets.d_positive - triplets.d_negative + 0.3) * triplets.valid).sum()
        count += triplets.valid.sum()
    draws = torch.stack([intra_instance_loss(a, b, k=3, margin=0.3, generator=generator(s)) for s in range(400)])
    assert abs(float(draws.mean() - total / count)) < 4 * float(draws.std()) / 20


def test_drawn_negatives_of_inter_average_to_all_of_them():
    """Every anchor has its own allowed tokens: the exact mean is taken anchor by anchor, as the loss takes it."""
    a, b = tokens(2, 12, 6), tokens(2, 12, 6, seed=1)
    p, q = ordered_pairs(2)
    matches = mutual_matches(a, b, pairs=(p, q))
    positives = matches.gather(1, nearest_neighbors(a, 3)[p].flatten(1)).view(2, 12, 3)
    barred = torch.cat([matches[..., None], positives], -1)
    means = ([], [])
    for pair, u in itertools.product(range(2), range(12)):
        if matches[pair, u] < 0 or (positives[pair, u] < 0).all():
            continue
        values = []
        for n in set(range(12)) - set(barred[pair, u].tolist()):
            negatives = torch.full((2, 12, 3), -1)
            negatives[pair, u] = n
            values.append(float(plain_inter_loss(a, b, 3, 0.3, negatives)))
        means[pair].append(sum(values) / len(values))
    expected = sum(sum(values) / len(values) for values in means) / 2
    draws = torch.stack([inter_instance_loss(a, b, k=3, margin=0.3, generator=generator(s)) for s in range(400)])
    assert abs(float(draws.mean()) - expected) < 4 * float(draws.std()) / 20
