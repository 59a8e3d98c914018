"""Both alignment losses under masks, NaN, low precision, constant and too few tokens; gradients and compilation."""

import pytest
import torch
from alignment import LOSSES, by_place, either, masked, some_negatives
from draws import generator, integers, tokens

from toposlearn.losses import inter_instance_loss, intra_instance_loss, ordered_pairs
from toposlearn.topology import nearest_neighbors

HALF = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])


@either
def test_the_graph_takes_no_gradient_and_b_does(loss):
    for form in ({}, {"form": "cross"}) if loss is intra_instance_loss else ({},):
        a, b = tokens(2, 12, 4).requires_grad_(), tokens(2, 12, 4, seed=1).requires_grad_()
        loss(a, b, k=3, margin=0.5, **form).backward()
        assert a.grad is None
        assert b.grad.abs().sum() > 0


@either
def test_gradient_against_finite_differences(loss):
    a, b = tokens(2, 7, 3).double(), tokens(2, 7, 3, seed=1).double().requires_grad_()
    known = {"k": 2, "margin": 0.7, "negatives": some_negatives(loss, 2, 7, 2)}
    if loss is inter_instance_loss:
        known["matches"] = integers(-1, 7, 2, 2, 7)
    assert torch.autograd.gradcheck(lambda t: loss(a, t, **known), (b,))


@either
def test_masked_tokens_may_hold_anything(loss):
    a, b = tokens(2, 20, 6), tokens(2, 20, 6, seed=1)
    mask_a, mask_b = (torch.rand(2, 20, generator=generator(s)) > 0.3 for s in (1, 2))
    masks = {"mask_a": mask_a, "mask_b": mask_b}
    if loss is intra_instance_loss:
        mask_a, masks = mask_b, {"mask": mask_b}
    plain = loss(a, b, generator=generator(), **masks)
    spoiled = b.masked_fill(~mask_b[..., None], torch.nan).requires_grad_()
    value = loss(a.masked_fill(~mask_a[..., None], torch.inf), spoiled, generator=generator(), **masks)
    value.backward()
    torch.testing.assert_close(value, plain)
    assert torch.isfinite(spoiled.grad).all()
    assert (spoiled.grad[~mask_b] == 0).all()


@either
def test_masked_tokens_do_not_count_even_in_a_given_graph(loss):
    a, b, negatives = tokens(2, 20, 6), tokens(2, 20, 6, seed=1), some_negatives(loss, 2, 20, 5)
    mask = torch.rand(2, 20, generator=generator(2)) > 0.3
    graph = nearest_neighbors(a, 5, mask)
    careless = torch.where(mask[..., None], graph, torch.arange(5))  # rows of masked tokens name neighbors
    known = masked(loss, mask) | {"negatives": negatives} | by_place(loss, 2, 20)
    torch.testing.assert_close(loss(a, b, neighbors=careless, **known), loss(a, b, neighbors=graph, **known))


@either
def test_nothing_left_is_an_exact_zero_with_a_zero_gradient(loss):
    b = tokens(2, 12, 4, seed=1).requires_grad_()
    value = loss(tokens(2, 12, 4), b, **masked(loss, torch.zeros(2, 12, dtype=torch.bool)))
    value.backward()
    assert float(value.detach()) == 0.0
    assert torch.equal(b.grad, torch.zeros_like(b))


@either
def test_a_subject_with_too_few_tokens_is_left_out(loss):
    a, b, negatives = tokens(3, 12, 4), tokens(3, 12, 4, seed=1), some_negatives(loss, 3, 12, 3)
    mask = torch.ones(3, 12, dtype=torch.bool)
    mask[2, 4:] = False  # 4 = K + 1
    first, second = ordered_pairs(3)
    others = negatives[:2] if loss is intra_instance_loss else negatives[(first < 2) & (second < 2)]
    value = loss(a, b, k=3, negatives=negatives, **masked(loss, mask))
    torch.testing.assert_close(value, loss(a[:2], b[:2], k=3, negatives=others))
    mask[2, 4] = True  # 5 = K + 2
    assert not torch.equal(loss(a, b, k=3, negatives=negatives, **masked(loss, mask)), value)


@either
def test_nan_reaches_the_loss(loss):
    b = tokens(2, 12, 4, seed=1)
    b[1, 7, 2] = torch.nan
    for form in ({}, {"form": "cross"}) if loss is intra_instance_loss else ({}, {"matches": torch.full((2, 12), -1)}):
        assert torch.isnan(loss(tokens(2, 12, 4), b, **form))
        assert torch.isnan(loss(b, tokens(2, 12, 4), **form))
    assert torch.isnan(loss(tokens(1, 12, 4), b[1:]))


@either
def test_nan_reaches_the_loss_even_if_its_subject_is_left_out(loss):
    b = tokens(2, 12, 4, seed=1)
    b[1, 0, 0] = torch.nan
    mask = torch.ones(2, 12, dtype=torch.bool)
    mask[1, 3:] = False
    assert torch.isnan(loss(tokens(2, 12, 4), b, **masked(loss, mask)))


@either
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_constant_and_zero_tokens_cost_the_margin_and_have_finite_gradients(loss, value, metric):
    b = torch.full((2, 12, 4), value, requires_grad=True)
    cost = loss(tokens(2, 12, 4), b, margin=0.1, metric=metric, **by_place(loss, 2, 12))
    cost.backward()
    assert float(cost.detach()) == pytest.approx(0.1, abs=1e-6)
    assert torch.isfinite(b.grad).all()


@either
@HALF
def test_half_precision_has_finite_gradients(loss, dtype):
    for form in ({}, {"form": "cross"}) if loss is intra_instance_loss else ({},):
        a, b = tokens(3, 30, 16).to(dtype), tokens(3, 30, 16, seed=1).to(dtype).requires_grad_()
        value = loss(a, b, margin=0.4, **form)
        value.backward()
        assert value.dtype == torch.float32
        assert b.grad.dtype == dtype
        assert torch.isfinite(b.grad).all()
        assert b.grad.abs().sum() > 0


@either
@pytest.mark.parametrize("scale", [6e4, 6e-8, 1.0])
def test_float16_extremes(loss, scale):
    """The largest and the smallest numbers of the format: the loss is that in float64, and the gradient is finite."""
    a, b = ((tokens(2, 30, 16, seed=s).clamp(-1, 1) * scale).half() for s in (0, 1))
    places = torch.arange(30)[:, None]  # a graph and negatives of its own: so few values tie
    known = {"neighbors": places + torch.arange(1, 6), "negatives": places + torch.arange(11, 16)}
    known = {name: index.remainder(30).expand(2, -1, -1) for name, index in known.items()} | by_place(loss, 2, 30)
    exact = loss(a.double(), b.double(), margin=0.4, **known)
    leaf = b.requires_grad_()
    value = loss(a, leaf, margin=0.4, **known)
    value.backward()
    assert float(value.detach()) == pytest.approx(float(exact), abs=1e-3)
    assert torch.isfinite(leaf.grad).all()


@either
def test_autocast_does_not_lower_the_precision(loss):
    a, b = tokens(2, 30, 16), tokens(2, 30, 16, seed=1)
    plain = loss(a, b, generator=generator())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(a, b, generator=generator())
    assert torch.equal(inside, plain)


@either
@pytest.mark.parametrize("precisions", [(torch.float64, torch.float32), (torch.float16, torch.float64)])
def test_two_precisions_are_read_in_the_finer_one(loss, precisions):
    a, b = (tokens(2, 20, 6, seed=s).to(dtype) for s, dtype in enumerate(precisions))
    value, exact = (
        loss(*sides, k=3, generator=generator(), margin=0.3) for sides in ((a, b), (a.double(), b.double()))
    )
    assert value.dtype == torch.float64
    torch.testing.assert_close(value, exact)


@either
def test_a_known_graph_changes_nothing(loss):
    a, b = tokens(2, 20, 6), tokens(2, 20, 6, seed=1)
    known = loss(a, b, generator=generator(), neighbors=nearest_neighbors(a, 5))
    assert torch.equal(loss(a, b, generator=generator()), known)
    with pytest.raises(ValueError, match=r"neighbors must have shape \(2, 20, 5\)"):
        loss(a, b, neighbors=torch.zeros(2, 20, 3, dtype=torch.long))


@either
def test_smallest_number_of_tokens(loss):
    assert torch.isfinite(loss(tokens(2, 7, 4), tokens(2, 7, 4, seed=1), k=5))
    with pytest.raises(ValueError, match=r"at least k \+ 2 = 7 .* got N = 6"):
        loss(tokens(2, 6, 4), tokens(2, 6, 4), k=5)
    with pytest.raises(ValueError, match="got N = 1"):
        loss(tokens(1, 1, 4), tokens(1, 1, 4), k=5)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # the compiler's own doing
@pytest.mark.parametrize(("name", "negatives"), [("intra", "uniform"), ("inter", "semi_hard")])
def test_compiles_as_one_graph(name, negatives):
    loss = LOSSES[name]
    a, b = tokens(2, 20, 6), tokens(2, 20, 6, seed=1).requires_grad_()

    def value(x, y):
        return loss(x, y, margin=0.3, negatives=negatives)

    compiled = torch.compile(value, backend="aot_eager", fullgraph=True)
    gradients = []
    for function in (value, compiled):
        torch.manual_seed(0)
        gradients.append(torch.autograd.grad(function(a, b), b)[0])
    torch.testing.assert_close(*gradients)


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
