import math

import numpy as np
import pytest
import torch
from draws import generator, tokens
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_losses import naive_intra
from scipy.special import roots_jacobi
from scipy.stats import norm

from toposlearn.losses import intra_instance_loss
from toposlearn.topology import nearest_neighbors, sample_negatives


def negatives_for(a, k, mask=None, metric="cosine"):
    return sample_negatives(nearest_neighbors(a, k, mask, metric), a.shape[1], k, mask, generator(3))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("form", ["within", "cross"])
@pytest.mark.parametrize("masked", [False, True])
def test_equal_to_loops(form, metric, masked):
    a, b = tokens(3, 20, 8), tokens(3, 20, 8, seed=1)
    mask = torch.rand(3, 20, generator=generator(2)) > 0.4 if masked else None
    negatives = negatives_for(a, 4, mask, metric)
    settings = {"k": 4, "margin": 0.3, "mask": mask, "form": form, "metric": metric}
    loss = intra_instance_loss(a, b, negatives=negatives, **settings)
    assert float(loss) == pytest.approx(naive_intra(a, b, negatives, **settings), abs=1e-5)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(6, 14), st.integers(1, 4), st.floats(0.3, 1.0), st.floats(0, 1))
def test_equal_to_loops_for_any_size_mask_and_margin(seed, n, k, share, margin):
    source = generator(seed)
    a, b = torch.randn(2, n, 5, generator=source), torch.randn(2, n, 5, generator=source)
    mask = torch.rand(2, n, generator=source) < share
    negatives = torch.randint(-1, n, (2, n, k), generator=source)
    loss = float(intra_instance_loss(a, b, k=k, margin=margin, mask=mask, negatives=negatives))
    expected = naive_intra(a, b, negatives, k=k, margin=margin, mask=mask)
    assert loss == pytest.approx(0.0 if math.isnan(expected) else expected, abs=1e-5)


def test_closed_form():
    """Four places on a circle at 0, 10, 90 and 180 degrees; K = 1: the two that are alone pay or not, by hand."""
    angle = torch.deg2rad(torch.tensor([0.0, 10.0, 90.0, 180.0]))
    a = torch.stack([angle.cos(), angle.sin()], -1)[None]
    negatives = torch.tensor([[[3], [3], [0], [0]]])
    margin = 0.5

    def distance(i, j):
        return 1 - math.cos(angle[i] - angle[j])

    triplets = [(0, 1, 3), (1, 0, 3), (2, 1, 0), (3, 2, 0)]
    expected = sum(max(0.0, distance(i, j) - distance(i, n) + margin) for i, j, n in triplets) / 4
    assert float(intra_instance_loss(a, a, k=1, margin=margin, negatives=negatives)) == pytest.approx(
        expected, abs=1e-6
    )


def clusters(count=4, size=3, spread=1e-3):
    centers = torch.linalg.qr(tokens(8, 8)).Q[:count]
    return (centers[:, None] + spread * tokens(count, size, 8, seed=1)).reshape(1, count * size, 8)


def test_zero_when_neighborhoods_agree_by_more_than_the_margin():
    assert float(intra_instance_loss(clusters(), clusters(), k=2, margin=0.5)) == 0.0


def test_margin_when_all_tokens_of_b_are_alike():
    loss = intra_instance_loss(tokens(2, 12, 4), torch.ones(2, 12, 4), k=3, margin=0.25)
    assert float(loss) == pytest.approx(0.25, abs=1e-6)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 1000), st.floats(0.01, 100))
def test_invariant_to_rotation_and_scale_of_each_modality(seed, scale):
    a, b = tokens(2, 15, 6, seed=seed).double(), tokens(2, 15, 6, seed=seed + 1).double()  # no near-tie may turn over
    turn_a, turn_b = (torch.linalg.qr(tokens(6, 6, seed=seed + s).double()).Q for s in (2, 3))
    negatives = negatives_for(a, 3)
    plain = intra_instance_loss(a, b, k=3, margin=0.2, negatives=negatives)
    moved = intra_instance_loss(scale * a @ turn_a, b @ turn_b / scale, k=3, margin=0.2, negatives=negatives)
    torch.testing.assert_close(moved, plain, atol=1e-5, rtol=1e-5)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 1000))
def test_invariant_to_the_order_of_tokens(seed):
    a, b, order = (
        tokens(1, 15, 6, seed=seed),
        tokens(1, 15, 6, seed=seed + 1),
        torch.randperm(15, generator=generator(seed)),
    )
    negatives = negatives_for(a, 3)
    place = torch.argsort(order)  # old index -> new index
    plain = intra_instance_loss(a, b, k=3, margin=0.2, negatives=negatives)
    moved = intra_instance_loss(a[:, order], b[:, order], k=3, margin=0.2, negatives=place[negatives[:, order]])
    torch.testing.assert_close(moved, plain, atol=1e-6, rtol=1e-5)


def test_grows_with_the_margin():
    a, b = tokens(2, 20, 6), tokens(2, 20, 6, seed=1)
    negatives = negatives_for(a, 5)
    losses = [float(intra_instance_loss(a, b, margin=m, negatives=negatives)) for m in (0.0, 0.05, 0.2, 0.4, 1.0)]
    assert losses == sorted(losses)
    assert losses[0] < losses[-1]


def cost_of_random_features(width, margin):
    """E relu(X - Y + margin) of the distances X and Y from one token to two others, all three independent and normal.

    The cosine of two directions that are independent and uniform in `width` dimensions has the density of one
    coordinate of a point on the sphere, (1 - s²)^((width - 3) / 2) on [-1, 1]. They are independent given the anchor.
    """
    cosines, weights = roots_jacobi(64, (width - 3) / 2, (width - 3) / 2)
    weights = weights / weights.sum()
    hinge = np.maximum(cosines[None, :] - cosines[:, None] + margin, 0)  # X - Y is (1 - s) - (1 - s'), s' - s
    return float(weights @ hinge @ weights)


@pytest.mark.parametrize(("width", "margin"), [(32, 0.05), (8, 0.05), (32, 0.5)])
def test_random_features_cost_what_two_independent_distances_do(width, margin):
    """Whatever the graph of a is, b knows nothing of it: the mean is above the margin, by Jensen's inequality."""
    expected = cost_of_random_features(width, margin)
    spread = math.sqrt(2 / width)  # about normal: m Phi(m / s) + s phi(m / s)
    assert expected == pytest.approx(margin * norm.cdf(margin / spread) + spread * norm.pdf(margin / spread), abs=0.01)
    assert expected > margin
    a, b = tokens(8, 343, width), tokens(8, 343, width, seed=1)
    assert float(intra_instance_loss(a, b, margin=margin, generator=generator())) == pytest.approx(expected, abs=0.01)


def test_the_graph_takes_no_gradient_and_b_does():
    for form in ("within", "cross"):
        a, b = tokens(2, 12, 4).requires_grad_(), tokens(2, 12, 4, seed=1).requires_grad_()
        intra_instance_loss(a, b, k=3, form=form, margin=0.5).backward()
        assert a.grad is None
        assert b.grad.abs().sum() > 0


def test_gradient_against_finite_differences():
    a, b = tokens(1, 7, 3).double(), tokens(1, 7, 3, seed=1).double().requires_grad_()
    negatives = negatives_for(a, 2)
    assert torch.autograd.gradcheck(lambda x: intra_instance_loss(a, x, k=2, margin=0.7, negatives=negatives), (b,))


def test_masked_tokens_may_hold_anything():
    a, b = tokens(2, 20, 6), tokens(2, 20, 6, seed=1)
    mask = torch.rand(2, 20, generator=generator(2)) > 0.3
    plain = intra_instance_loss(a, b, mask=mask, generator=generator())
    spoiled = b.masked_fill(~mask[..., None], torch.nan).requires_grad_()
    loss = intra_instance_loss(a.masked_fill(~mask[..., None], torch.inf), spoiled, mask=mask, generator=generator())
    loss.backward()
    torch.testing.assert_close(loss, plain)
    assert torch.isfinite(spoiled.grad).all()
    assert (spoiled.grad[~mask] == 0).all()


def test_a_subject_with_too_few_tokens_is_left_out():
    a, b = tokens(2, 12, 4), tokens(2, 12, 4, seed=1)
    mask = torch.ones(2, 12, dtype=torch.bool)
    mask[1, 4:] = False  # 4 = K + 1
    negatives = negatives_for(a, 3)
    both = intra_instance_loss(a, b, k=3, mask=mask, negatives=negatives)
    torch.testing.assert_close(both, intra_instance_loss(a[:1], b[:1], k=3, negatives=negatives[:1]))
    mask[1, 4] = True  # 5 = K + 2
    assert not torch.equal(intra_instance_loss(a, b, k=3, mask=mask, negatives=negatives), both)


def test_subjects_weigh_the_same_whatever_their_size():
    a, b = tokens(2, 20, 4), tokens(2, 20, 4, seed=1)
    mask = torch.ones(2, 20, dtype=torch.bool)
    mask[1, 8:] = False
    negatives = negatives_for(a, 3, mask)
    alone = [
        intra_instance_loss(a[i : i + 1], b[i : i + 1], k=3, mask=mask[i : i + 1], negatives=negatives[i : i + 1])
        for i in (0, 1)
    ]
    together = intra_instance_loss(a, b, k=3, mask=mask, negatives=negatives)
    torch.testing.assert_close(together, torch.stack(alone).mean())


def test_nothing_left_is_an_exact_zero_with_a_zero_gradient():
    a, b = tokens(2, 12, 4), tokens(2, 12, 4, seed=1).requires_grad_()
    loss = intra_instance_loss(a, b, mask=torch.zeros(2, 12, dtype=torch.bool))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert torch.equal(b.grad, torch.zeros_like(b))


@pytest.mark.parametrize("form", ["within", "cross"])
def test_nan_reaches_the_loss(form):
    b = tokens(2, 12, 4, seed=1)
    b[1, 7, 2] = torch.nan
    assert torch.isnan(intra_instance_loss(tokens(2, 12, 4), b, form=form))
    assert torch.isnan(intra_instance_loss(b, tokens(2, 12, 4), form=form))


def test_nan_reaches_the_loss_even_if_its_subject_is_left_out():
    b = tokens(2, 12, 4, seed=1)
    b[1, 0, 0] = torch.nan
    mask = torch.ones(2, 12, dtype=torch.bool)
    mask[1, 3:] = False
    assert torch.isnan(intra_instance_loss(tokens(2, 12, 4), b, mask=mask))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_constant_and_zero_tokens_have_finite_gradients(value, metric):
    b = torch.full((2, 12, 4), value, requires_grad=True)
    loss = intra_instance_loss(tokens(2, 12, 4), b, margin=0.1, metric=metric)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.1, abs=1e-6)
    assert torch.isfinite(b.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("form", ["within", "cross"])
def test_half_precision_has_finite_gradients(dtype, form):
    a, b = tokens(2, 30, 16).to(dtype), tokens(2, 30, 16, seed=1).to(dtype).requires_grad_()
    loss = intra_instance_loss(a, b, margin=0.4, form=form)
    loss.backward()
    assert loss.dtype == torch.float32
    assert b.grad.dtype == dtype
    assert torch.isfinite(b.grad).all()
    assert b.grad.abs().sum() > 0


def test_autocast_does_not_lower_the_precision():
    a, b = tokens(2, 30, 16), tokens(2, 30, 16, seed=1)
    plain = intra_instance_loss(a, b, generator=generator())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = intra_instance_loss(a, b, generator=generator())
    assert torch.equal(inside, plain)


def test_a_known_graph_changes_nothing():
    a, b = tokens(2, 20, 6), tokens(2, 20, 6, seed=1)
    plain = intra_instance_loss(a, b, generator=generator())
    given_graph = intra_instance_loss(a, b, generator=generator(), neighbors=nearest_neighbors(a, 5))
    assert torch.equal(plain, given_graph)


def test_smallest_number_of_tokens():
    assert torch.isfinite(intra_instance_loss(tokens(1, 7, 4), tokens(1, 7, 4, seed=1), k=5))
    with pytest.raises(ValueError, match=r"at least k \+ 2 = 7 .* got N = 6"):
        intra_instance_loss(tokens(1, 6, 4), tokens(1, 6, 4), k=5)
    with pytest.raises(ValueError, match="got N = 1"):
        intra_instance_loss(tokens(1, 1, 4), tokens(1, 1, 4), k=5)


def test_errors_name_the_argument():
    a = tokens(2, 12, 4)
    with pytest.raises(ValueError, match="tokens_a and tokens_b must both have shape"):
        intra_instance_loss(a, tokens(2, 13, 4))
    with pytest.raises(ValueError, match="form must be 'within' or 'cross', got 'both'"):
        intra_instance_loss(a, a, form="both")
    with pytest.raises(ValueError, match=r"negatives must have shape \(2, 12, 5\)"):
        intra_instance_loss(a, a, negatives=torch.zeros(2, 12, 1, dtype=torch.long))
    with pytest.raises(ValueError, match="mask must be a bool tensor"):
        intra_instance_loss(a, a, mask=torch.ones(2, 12))
    with pytest.raises(ValueError, match="metric must be"):
        intra_instance_loss(a, a, metric="dot")


def test_a_few_steps_of_descent_align_the_neighborhoods():
    a, b = tokens(1, 40, 8), tokens(1, 40, 8, seed=1).requires_grad_()
    optimizer, source = torch.optim.Adam([b], lr=0.05), generator()
    losses = []
    for _ in range(40):
        loss = intra_instance_loss(a, b, margin=0.2, generator=source)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]


def test_masked_tokens_do_not_count_even_in_a_given_graph():
    a, b, negatives = tokens(2, 20, 6), tokens(2, 20, 6, seed=1), torch.randint(20, (2, 20, 5), generator=generator())
    mask = torch.rand(2, 20, generator=generator(2)) > 0.3
    graph = nearest_neighbors(a, 5, mask)
    careless = torch.where(mask[..., None], graph, torch.arange(5))  # rows of masked tokens name neighbors
    known = {"mask": mask, "negatives": negatives}
    plain = intra_instance_loss(a, b, neighbors=graph, **known)
    torch.testing.assert_close(intra_instance_loss(a, b, neighbors=careless, **known), plain)
