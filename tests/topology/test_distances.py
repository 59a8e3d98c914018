import pytest
import torch
from draws import tokens

from toposlearn.topology import pairwise_distance


def test_cosine_distance_against_a_closed_form():
    a = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]]])
    expected = torch.tensor([[[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 1.0, 0.0]]])
    torch.testing.assert_close(pairwise_distance(a), expected)


def test_euclidean_distance_is_in_the_unit_of_the_tokens():
    a = torch.tensor([[[0.0, 0.0, 0.0]]])
    b = torch.tensor([[[3.0, 4.0, 0.0], [0.0, 0.0, 12.0]]])
    torch.testing.assert_close(pairwise_distance(a, b, "euclidean"), torch.tensor([[[5.0, 12.0]]]))


def test_euclidean_distance_keeps_millimeters_far_from_the_origin():
    a = 150.0 + tokens(1, 60, 3) * 1e-2
    expected = (a.double()[:, :, None] - a.double()[:, None]).norm(dim=-1)
    torch.testing.assert_close(pairwise_distance(a, metric="euclidean").double(), expected, atol=1e-6, rtol=1e-5)


def test_shapes_of_two_sets():
    assert pairwise_distance(tokens(2, 7, 4), tokens(2, 5, 4, seed=1)).shape == (2, 7, 5)


def test_cosine_distance_stays_within_its_range():
    """Of one line through the origin: 0 on one side of it, 2 across, and rounding leads to nothing beyond."""
    scale = torch.linspace(-2, 2, 40)
    distance = pairwise_distance(tokens(1, 1, 48).expand(1, 40, 48) * scale[None, :, None])
    across = scale[:, None] * scale < 0
    torch.testing.assert_close(distance[0], 2.0 * across, atol=1e-6, rtol=0)
    assert distance.min() >= 0
    assert distance.max() <= 2


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_cosine_distance_ignores_length(scale):
    a = tokens(2, 9, 6)
    torch.testing.assert_close(pairwise_distance(a * scale), pairwise_distance(a), atol=1e-6, rtol=0)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_zero_vectors_are_safe(metric):
    a = torch.zeros(1, 4, 3, requires_grad=True)
    distance = pairwise_distance(a, metric=metric)
    distance.sum().backward()
    assert torch.isfinite(a.grad).all()
    torch.testing.assert_close(distance, torch.full((1, 4, 4), 1.0 if metric == "cosine" else 0.0))


def test_nan_is_not_hidden():
    a = tokens(1, 4, 3)
    a[0, 1, 0] = torch.nan
    assert torch.isnan(pairwise_distance(a)[0, 1]).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    a = tokens(1, 8, 16).to(dtype)
    torch.testing.assert_close(pairwise_distance(a), pairwise_distance(a.float()))


def test_autocast_does_not_lower_the_precision():
    a = tokens(1, 8, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = pairwise_distance(a)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, pairwise_distance(a))


def test_gradient_against_finite_differences():
    a = tokens(1, 4, 3).double().requires_grad_()
    b = tokens(1, 3, 3, seed=1).double().requires_grad_()
    assert torch.autograd.gradcheck(pairwise_distance, (a, b))


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match=r"a must have shape \(B, N, F\), got \(3, 4\)"):
        pairwise_distance(torch.zeros(3, 4))
    with pytest.raises(ValueError, match=r"features F, got a \(1, 3, 4\), b \(1, 3, 5\)"):
        pairwise_distance(torch.zeros(1, 3, 4), torch.zeros(1, 3, 5))
    with pytest.raises(ValueError, match="metric must be 'cosine' or 'euclidean', got 'manhattan'"):
        pairwise_distance(torch.zeros(1, 3, 4), metric="manhattan")
