"""What holds for both alignment terms whatever the tokens: order, expectation, extremes, compilation."""

import itertools

import pytest
import torch
from draws import generator, tokens
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_losses import naive_inter, naive_intra

from toposlearn.losses import inter_instance_loss, intra_instance_loss, match_pairs, ordered_pairs
from toposlearn.topology import nearest_neighbors, semi_hard_negatives

LOSSES = {"intra": intra_instance_loss, "inter": inter_instance_loss}
either = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def clusters(source, count, size, features=8):
    """One person's tokens (1, count * size, F) in tight groups that are at least 0.5 apart in cosine distance."""
    centers = torch.linalg.qr(torch.randn(features, features, generator=source)).Q[:count]
    spread = 1e-3 * torch.randn(count, size, features, generator=source)
    return (centers[:, None] + spread).reshape(1, count * size, features)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(3, 5), st.floats(0, 0.9))
def test_zero_when_neighborhoods_agree_by_more_than_the_margin(seed, count, size, margin):
    x = clusters(generator(seed), count, size).expand(3, -1, -1)
    for loss in LOSSES.values():
        assert float(loss(x, x, k=size - 1, margin=margin)) == 0.0


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.lists(st.floats(0, 2), min_size=2, max_size=5), st.floats(0.6, 1))
def test_never_falls_when_the_margin_grows_and_never_grows_faster(seed, margins, share):
    source = generator(seed)
    a, b = torch.randn(2, 2, 14, 5, generator=source)
    mask = torch.rand(2, 14, generator=source) < share
    margins = sorted(margins)
    for name, loss in LOSSES.items():
        masks = {"mask": mask} if name == "intra" else {"mask_a": mask, "mask_b": mask}
        values = [float(loss(a, b, k=3, margin=m, generator=generator(1), **masks)) for m in margins]
        for (low, high), (less, more) in zip(itertools.pairwise(values), itertools.pairwise(margins), strict=True):
            assert -1e-6 <= high - low <= more - less + 1e-6


def test_drawn_negatives_average_to_all_of_them():
    """The mean over draws against the exact mean over every token that may be drawn, within 4 standard errors."""
    a, b = tokens(2, 12, 6), tokens(2, 12, 6, seed=1)
    each = torch.arange(12)
    graph, matches = nearest_neighbors(a, 3), match_pairs(a, b)
    exact = {"intra": [], "inter": []}
    for n in each.tolist():
        own = torch.full((2, 12, 3), n).masked_fill(((graph == n).any(-1) | (each == n))[..., None], -1)
        exact["intra"].append((own, intra_instance_loss(a, b, k=3, margin=0.3, negatives=own)))
    counted = torch.stack([(own >= 0).float() for own, _ in exact["intra"]])  # (12, 2, 12, 3)
    by_hand = sum(value * (own >= 0).sum() for own, value in exact["intra"]) / counted.sum()
    draws = torch.stack([intra_instance_loss(a, b, k=3, margin=0.3, generator=generator(s)) for s in range(400)])
    assert abs(float(draws.mean() - by_hand)) < 4 * float(draws.std()) / 20

    # Every anchor has its own allowed tokens: the exact mean is taken anchor by anchor, as the loss takes it.
    p, _ = ordered_pairs(2)
    positives = matches.gather(1, graph[p].flatten(1)).view(2, 12, 3)
    barred = torch.cat([matches[..., None], positives], -1)
    per_anchor = []
    for pair, u in itertools.product(range(2), range(12)):
        if matches[pair, u] < 0 or (positives[pair, u] < 0).all():
            continue
        allowed = [n for n in range(12) if n not in barred[pair, u].tolist()]
        only = torch.full((2, 12), -1)
        only[pair] = matches[pair]
        values = []
        for n in allowed:
            negatives = torch.full((2, 12, 3), -1)
            negatives[pair, u] = n
            values.append(float(inter_instance_loss(a, b, k=3, margin=0.3, matches=only, negatives=negatives)))
        per_anchor.append((pair, sum(values) / len(values)))
    means = [[value for pair, value in per_anchor if pair == which] for which in (0, 1)]
    expected = sum(sum(values) / len(values) for values in means) / 2
    draws = torch.stack([inter_instance_loss(a, b, k=3, margin=0.3, generator=generator(s)) for s in range(400)])
    assert abs(float(draws.mean()) - expected) < 4 * float(draws.std()) / 20


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_semi_hard_negatives_are_the_nearest_that_are_farther(metric):
    a, b = tokens(2, 20, 6), tokens(2, 20, 6, seed=1)
    mask = torch.rand(2, 20, generator=generator(2)) > 0.2
    graph = nearest_neighbors(a, 4, mask, metric)
    itself = torch.arange(20)[:, None].expand(2, -1, 1)
    found = semi_hard_negatives(b, b, graph, itself, mask, metric)
    for s, i, place in itertools.product(range(2), range(20), range(4)):
        j = int(graph[s, i, place])
        if j < 0:
            assert found[s, i, place] == -1
            continue
        distance = torch.dist if metric == "euclidean" else lambda x, y: 1 - torch.cosine_similarity(x, y, dim=0)
        apart = {n: float(distance(b[s, i], b[s, n])) for n in range(20)}
        allowed = [n for n in range(20) if mask[s, n] and n != i and n not in graph[s, i].tolist()]
        farther = [n for n in allowed if apart[n] > apart[j]]
        assert found[s, i, place] == (min(farther, key=apart.get) if farther else max(allowed, key=apart.get))
    loss = intra_instance_loss(a, b, k=4, mask=mask, negatives="semi_hard", margin=0.3, metric=metric)
    assert float(loss) == pytest.approx(naive_intra(a, b, found, k=4, mask=mask, margin=0.3, metric=metric), abs=1e-5)


def test_semi_hard_negatives_between_people():
    a, b = tokens(3, 20, 6), tokens(3, 20, 6, seed=1)
    p, q = ordered_pairs(3)
    matches = match_pairs(a, b)
    positives = matches.gather(1, nearest_neighbors(a, 4)[p].flatten(1)).view(6, 20, 4)
    anchors = b[q].gather(1, matches.clamp_min(0)[..., None].expand(-1, -1, 6))
    found = semi_hard_negatives(anchors, b[q], positives, matches[..., None])
    by_subject = torch.full((3, 3, 20, 4), -1)
    by_subject[p, q] = found
    loss = inter_instance_loss(a, b, k=4, margin=0.3, negatives="semi_hard")
    assert float(loss) == pytest.approx(naive_inter(a, b, by_subject, k=4, margin=0.3), abs=1e-5)


def test_semi_hard_without_an_allowed_token_drops_the_triplet():
    everyone = torch.arange(5).expand(1, 5, 5)
    assert (semi_hard_negatives(tokens(1, 5, 4), tokens(1, 5, 4), everyone[..., :2], everyone) == -1).all()


@either
def test_semi_hard_costs_at_least_as_much_as_the_margin_allows(loss):
    """The negative is the hardest one that is not nearer than the positive: at most the margin remains to pay."""
    a, b = tokens(3, 60, 8), tokens(3, 60, 8, seed=1)
    assert 0 < float(loss(a, b, margin=0.1, negatives="semi_hard")) <= 0.1 + 1e-6


@either
@pytest.mark.parametrize("scale", [6e4, 6e-8, 1.0])
def test_float16_extremes(loss, scale):
    """The largest and the smallest numbers of the format: the loss is that in float64, and the gradient is finite."""
    a, b = ((tokens(2, 30, 16, seed=s).clamp(-1, 1) * scale).half() for s in (0, 1))
    places = torch.arange(30)[:, None]  # a graph and negatives of its own: so few values tie
    known = {"neighbors": places + torch.arange(1, 6), "negatives": places + torch.arange(11, 16)}
    known = {name: index.remainder(30).expand(2, -1, -1) for name, index in known.items()}
    if loss is inter_instance_loss:
        known["matches"] = places[:, 0].expand(2, -1)
    exact = loss(a.double(), b.double(), margin=0.4, **known)
    leaf = b.requires_grad_()
    value = loss(a, leaf, margin=0.4, **known)
    value.backward()
    assert float(value.detach()) == pytest.approx(float(exact), abs=1e-3)
    assert torch.isfinite(leaf.grad).all()


@either
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_twins_cost_the_margin_less_what_the_negative_is_away(loss, metric):
    """Every token twice: the positive is at distance 0, where a root has no slope, and only negatives are moved."""
    a, b = (tokens(2, 15, 6, seed=s).repeat_interleave(2, dim=1) for s in (0, 1))
    leaf, margin = b.clone().requires_grad_(), 9.0
    negatives = (torch.arange(30) + 10).remainder(30).expand(2, 30)
    known = {"negatives": negatives[..., None]}
    if loss is inter_instance_loss:
        known = {"negatives": negatives[..., None], "matches": torch.arange(30).expand(2, 30)}
    value = loss(a, leaf, k=1, margin=margin, metric=metric, **known)
    other = leaf.gather(1, negatives[..., None].expand_as(leaf))
    if metric == "euclidean":
        apart = (leaf - other).norm(dim=-1).mean()
    else:
        apart = (1 - torch.cosine_similarity(leaf, other, dim=-1)).mean()
    torch.testing.assert_close(value, margin - apart)
    found, expected = (torch.autograd.grad(each, leaf, retain_graph=True)[0] for each in (value, margin - apart))
    torch.testing.assert_close(found, expected)
    assert float(loss(a, b, k=1, margin=0.0, metric=metric, **known)) == 0.0


def test_all_matched_and_none_matched():
    a, b = tokens(2, 20, 6), tokens(2, 20, 6, seed=1).requires_grad_()
    everyone, nobody = torch.arange(20).expand(2, 20), torch.full((2, 20), -1)
    assert float(inter_instance_loss(a, b, matches=everyone).detach()) > 0
    none = inter_instance_loss(a, b, matches=nobody)
    none.backward()
    assert float(none.detach()) == 0.0
    assert torch.equal(b.grad, torch.zeros_like(b))


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # the compiler's own doing
@pytest.mark.parametrize(("name", "negatives"), [("intra", None), ("inter", "semi_hard")])
def test_compiles_as_one_graph(name, negatives):
    loss = LOSSES[name]
    a, b = tokens(2, 20, 6), tokens(2, 20, 6, seed=1).requires_grad_()

    def value(x, y):
        return loss(x, y, margin=0.3, negatives=negatives)

    compiled = torch.compile(value, backend="aot_eager", fullgraph=True)
    found = []
    for function in (value, compiled):
        torch.manual_seed(0)
        found.append(torch.autograd.grad(function(a, b), b)[0])
    torch.testing.assert_close(*found)


@either
def test_what_is_kept_for_the_gradient_does_not_grow_with_the_triplets(loss):
    """Bytes saved by autograd with 15 neighbors stay within those with 5, but for indices and masks."""
    a, b = tokens(2, 200, 64), tokens(2, 200, 64, seed=1).requires_grad_()
    sizes = []
    for k in (5, 15):
        kept = {}
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, kept=kept: kept.__setitem__(t.untyped_storage().data_ptr(), t.untyped_storage().nbytes()) or t,
            lambda t: t,
        ):
            loss(a, b, k=k)
        sizes.append(sum(kept.values()))
    gathered = 2 * 200 * 2 * 10 * 64 * 4  # what ten more positives and negatives would weigh
    assert sizes[1] - sizes[0] < gathered / 2


@either
@pytest.mark.parametrize("precisions", [(torch.float64, torch.float32), (torch.float16, torch.float64)])
def test_two_precisions_are_read_in_the_finer_one(loss, precisions):
    a, b = (tokens(2, 20, 6, seed=s).to(dtype) for s, dtype in enumerate(precisions))
    known = {"k": 3, "generator": generator(), "margin": 0.3}
    found = loss(a, b, **known)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, loss(a.double(), b.double(), **{**known, "generator": generator()}))


@either
def test_a_given_graph_of_another_size_is_refused(loss):
    a = tokens(2, 20, 6)
    with pytest.raises(ValueError, match=r"neighbors must have shape \(2, 20, 5\)"):
        loss(a, a, neighbors=torch.zeros(2, 20, 3, dtype=torch.long))
