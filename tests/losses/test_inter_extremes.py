"""What the inter-instance loss leaves out, and what masks, NaN, low precision and too few tokens do to it."""

import pytest
import torch
from draws import generator, integers, tokens
from naive_losses import naive_inter

from toposlearn.losses import inter_instance_loss
from toposlearn.topology import nearest_neighbors


def test_pairs_of_one_person_are_left_out():
    x, y, negatives = tokens(3, 15, 6), tokens(3, 15, 6, seed=1), integers(0, 15, 3, 3, 15, 5)
    expected = naive_inter(x, y, negatives, k=5, margin=0.4, subject_ids=[4, 7, 4])
    for ids in (torch.tensor([4, 7, 4]), [4, 7, 4], ["sub-1", "sub-2", "sub-1"]):
        assert float(inter_instance_loss(x, y, subject_ids=ids, negatives=negatives)) == pytest.approx(
            expected, abs=1e-5
        )
    with pytest.raises(ValueError, match="subject_ids must name 3 subjects, one per batch entry, got 2"):
        inter_instance_loss(x, y, subject_ids=["sub-1", "sub-2"])


def zero_cases():
    x = tokens(2, 12, 4)
    none = torch.zeros(2, 12, dtype=torch.bool)
    yield "one subject", x[:1], {}
    yield "one person twice", x, {"subject_ids": ["a", "a"]}
    yield "no matches", x, {"matches": torch.full((2, 2, 12), -1)}
    yield "no neighbor matched", x, {"matches": torch.full((2, 2, 12), -1).index_fill_(2, torch.tensor(0), 3)}
    yield "nobody's foreground", x, {"mask_a": none}
    yield "no foreground to match", x, {"mask_b": none}


@pytest.mark.parametrize(("name", "x", "settings"), list(zero_cases()), ids=lambda v: v if isinstance(v, str) else "")
def test_nothing_left_is_an_exact_zero_with_a_zero_gradient(name, x, settings):
    y = tokens(*x.shape, seed=1).requires_grad_()
    loss = inter_instance_loss(x, y, **settings)
    loss.backward()
    assert float(loss.detach()) == 0.0, name
    assert torch.equal(y.grad, torch.zeros_like(y))


def test_a_pair_with_too_few_tokens_is_left_out():
    x, y, negatives = tokens(3, 12, 4), tokens(3, 12, 4, seed=1), integers(0, 12, 3, 3, 12, 3)
    mask = torch.ones(3, 12, dtype=torch.bool)
    mask[2, 4:] = False  # K + 1
    loss = inter_instance_loss(x, y, k=3, mask_a=mask, mask_b=mask, negatives=negatives)
    pair = inter_instance_loss(x[:2], y[:2], k=3, negatives=negatives[:2, :2].contiguous())
    torch.testing.assert_close(loss, pair)


def test_masked_tokens_may_hold_anything():
    x, y = tokens(2, 20, 6), tokens(2, 20, 6, seed=1)
    mask_a, mask_b = (torch.rand(2, 20, generator=generator(s)) > 0.3 for s in (1, 2))
    masks = {"mask_a": mask_a, "mask_b": mask_b}
    plain = inter_instance_loss(x, y, generator=generator(), **masks)
    spoiled = y.masked_fill(~mask_b[..., None], torch.nan).requires_grad_()
    loss = inter_instance_loss(x.masked_fill(~mask_a[..., None], torch.inf), spoiled, generator=generator(), **masks)
    loss.backward()
    torch.testing.assert_close(loss, plain)
    assert torch.isfinite(spoiled.grad).all()
    assert (spoiled.grad[~mask_b] == 0).all()


def test_nan_reaches_the_loss():
    y = tokens(2, 12, 4, seed=1)
    y[1, 7, 2] = torch.nan
    assert torch.isnan(inter_instance_loss(tokens(2, 12, 4), y))
    assert torch.isnan(inter_instance_loss(y, tokens(2, 12, 4)))
    assert torch.isnan(inter_instance_loss(tokens(1, 12, 4), y[1:]))
    assert torch.isnan(inter_instance_loss(tokens(2, 12, 4), y, matches=torch.full((2, 2, 12), -1)))


def test_graph_and_matches_take_no_gradient_and_b_does():
    x, y = tokens(2, 12, 4).requires_grad_(), tokens(2, 12, 4, seed=1).requires_grad_()
    inter_instance_loss(x, y, k=3, margin=0.5).backward()
    assert x.grad is None
    assert y.grad.abs().sum() > 0


def test_gradient_against_finite_differences():
    x, y = tokens(2, 7, 3).double(), tokens(2, 7, 3, seed=1).double().requires_grad_()
    settings = {"k": 2, "margin": 0.7, "negatives": integers(0, 7, 2, 2, 7, 2), "matches": integers(-1, 7, 2, 2, 7)}
    assert torch.autograd.gradcheck(lambda t: inter_instance_loss(x, t, **settings), (y,))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_constant_and_zero_tokens_have_finite_gradients(value):
    """Matched by place, each triplet costs the margin; by features, one token of all matches and none is near it."""
    identity = torch.arange(12).expand(2, 2, 12)
    for matches, cost in ((None, 0.0), (identity, 0.4)):
        y = torch.full((2, 12, 4), value, requires_grad=True)
        loss = inter_instance_loss(tokens(2, 12, 4), y, matches=matches, margin=0.4)
        loss.backward()
        assert float(loss.detach()) == pytest.approx(cost, abs=1e-6)
        assert torch.isfinite(y.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_has_finite_gradients(dtype):
    x, y = tokens(3, 30, 16).to(dtype), tokens(3, 30, 16, seed=1).to(dtype).requires_grad_()
    loss = inter_instance_loss(x, y)
    loss.backward()
    assert loss.dtype == torch.float32
    assert torch.isfinite(y.grad).all()
    assert y.grad.abs().sum() > 0


def test_autocast_does_not_lower_the_precision():
    x, y = tokens(2, 30, 16), tokens(2, 30, 16, seed=1)
    plain = inter_instance_loss(x, y, generator=generator())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = inter_instance_loss(x, y, generator=generator())
    assert torch.equal(inside, plain)


def test_a_known_graph_changes_nothing():
    x, y = tokens(2, 20, 6), tokens(2, 20, 6, seed=1)
    plain = inter_instance_loss(x, y, generator=generator())
    assert inter_instance_loss(x, y, generator=generator(), neighbors=nearest_neighbors(x, 5)) == plain


def test_smallest_number_of_tokens():
    assert torch.isfinite(inter_instance_loss(tokens(2, 7, 4), tokens(2, 7, 4, seed=1), k=5))
    with pytest.raises(ValueError, match=r"at least k \+ 2 = 7 .* got N = 6"):
        inter_instance_loss(tokens(2, 6, 4), tokens(2, 6, 4), k=5)


def test_errors_name_the_argument():
    x = tokens(2, 12, 4)
    with pytest.raises(ValueError, match="must have one N, got 12 and 13"):
        inter_instance_loss(x, tokens(2, 13, 4))
    with pytest.raises(ValueError, match="negatives must be absent, 'semi_hard', 'unmatched' or indices, got 'hard'"):
        inter_instance_loss(x, x, negatives="hard")
    with pytest.raises(ValueError, match=r"matches must have shape \(2, 2, 12\) \(subjects p, q\) or \(2, 12\)"):
        inter_instance_loss(x, x, matches=torch.zeros(2, 11, dtype=torch.long))
    with pytest.raises(ValueError, match=r"negatives must have shape \(2, 2, 12, 5\)"):
        inter_instance_loss(x, x, negatives=torch.zeros(2, 2, 12, 4, dtype=torch.long))


def test_masked_tokens_do_not_count_even_in_a_given_graph_or_match():
    x, y, negatives = tokens(2, 20, 6), tokens(2, 20, 6, seed=1), integers(0, 20, 2, 2, 20, 5)
    mask = torch.rand(2, 20, generator=generator(2)) > 0.3
    graph = nearest_neighbors(x, 5, mask)
    careless = torch.where(mask[..., None], graph, torch.arange(5))
    known = {"mask_a": mask, "negatives": negatives, "matches": torch.arange(20).expand(2, 2, 20)}
    plain = inter_instance_loss(x, y, neighbors=graph, **known)
    torch.testing.assert_close(inter_instance_loss(x, y, neighbors=careless, **known), plain)


def test_a_missing_neighbor_of_a_given_graph_is_no_positive():
    x, y, negatives = tokens(2, 20, 6), tokens(2, 20, 6, seed=1), integers(0, 20, 2, 2, 20, 5)
    graph, matches = nearest_neighbors(x, 5), torch.arange(20).expand(2, 2, 20)
    missing = graph.clone()
    missing[..., 3:] = -1
    without = negatives.clone()
    without[..., 3:] = -1
    one = inter_instance_loss(x, y, matches=matches, neighbors=missing, negatives=negatives)
    torch.testing.assert_close(one, inter_instance_loss(x, y, matches=matches, neighbors=graph, negatives=without))
