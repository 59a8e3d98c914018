import numpy as np
import pytest
import torch
from draws import tokens

from toposlearn.topology import distances, matched_fraction, mutual_matches, pairwise_distance
from toposlearn.topology.correspondence import keep_mutual
from toposlearn.topology.transport import sinkhorn_both_ways, transport_plan


def plan_of(a, b, mask=None, *, temperature=0.05, dustbin=0.25, iterations=10):
    masks = (torch.ones(part.shape[:2], dtype=torch.bool) for part in (a, b))
    mask_a, mask_b = masks if mask is None else (mask, list(masks)[1])
    return transport_plan(1 - pairwise_distance(a, b), mask_a, mask_b, temperature, dustbin, iterations)


def sinkhorn_matches(*tokens_and_masks, **settings):
    return keep_mutual(*sinkhorn_both_ways(*tokens_and_masks, **settings))


def test_equal_to_plain_sinkhorn_in_double_precision():
    """Without logarithms and without blocks, straight from the definition."""
    a, b = tokens(1, 9, 6), tokens(1, 7, 6, seed=1)
    plan = plan_of(a, b, temperature=0.2, dustbin=0.1, iterations=30)[0].exp()
    x, y = (t[0].double() / t[0].double().norm(dim=1, keepdim=True) for t in (a, b))
    kernel = np.full((10, 8), np.exp(0.1 / 0.2))
    kernel[:9, :7] = np.exp((x @ y.T).numpy() / 0.2)
    rows, columns = np.append(np.ones(9), 7.0), np.append(np.ones(7), 9.0)
    v = np.ones(8)
    for _ in range(30):
        u = rows / (kernel @ v)
        v = columns / (kernel.T @ u)
    np.testing.assert_allclose(plan.numpy(), u[:, None] * kernel * v, rtol=1e-3)


def test_masses():
    """A token that counts gives away 1, the dustbin takes what is left; masked tokens give nothing."""
    mask = torch.tensor([[True, True, False, True, True, True]])
    plan = plan_of(tokens(1, 6, 4), tokens(1, 5, 4, seed=1), mask, iterations=100)[0].exp()
    torch.testing.assert_close(plan.sum(0)[:5], torch.ones(5), atol=1e-4, rtol=0)
    torch.testing.assert_close(plan.sum(1)[:6], mask[0].float(), atol=2e-2, rtol=0)


def test_blocks_change_nothing(monkeypatch):
    a, b = tokens(2, 30, 8), tokens(2, 25, 8, seed=1)
    whole = plan_of(a, b)
    monkeypatch.setitem(distances._BLOCK, "cpu", 300)
    torch.testing.assert_close(plan_of(a, b), whole, atol=1e-4, rtol=1e-4)


def test_a_permutation_is_found_back():
    a = tokens(2, 40, 16)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    matches = sinkhorn_matches(a, a[:, order])
    assert torch.equal(order[matches], torch.arange(40).expand(2, 40))


def test_a_hub_is_taken_once_and_the_others_find_another():
    """Two tokens are both nearest to one; mutual nearest neighbors leave the second alone, transport does not."""
    a = torch.tensor([[[1.0, 0.1], [1.0, 0.4]]])
    b = torch.tensor([[[1.0, 0.2], [1.0, 1.2]]])
    assert mutual_matches(a, b).tolist() == [[0, -1]]
    assert sinkhorn_matches(a, b, iterations=100).tolist() == [[0, 1]]


def test_a_higher_dustbin_matches_fewer():
    a, b = tokens(2, 60, 8), tokens(2, 60, 8, seed=1)
    shares = [float(matched_fraction(sinkhorn_matches(a, b, dustbin=d)).mean()) for d in (-1.0, 0.5, 0.9, 1.1)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.5
    assert shares[-1] == 0


def test_masked_and_broken_tokens_never_match():
    a, b = tokens(2, 20, 6), tokens(2, 20, 6, seed=1)
    a[0, 3], b[1, 5] = torch.nan, torch.inf
    mask = torch.rand(2, 20, generator=torch.Generator().manual_seed(2)) > 0.3
    matches = sinkhorn_matches(a, b, mask, mask, dustbin=-1.0)
    assert (matches[~mask] == -1).all()
    assert matches[0, 3] == -1
    assert 5 not in matches[1]
    assert not set(matches[0].tolist()) & set((~mask[0]).nonzero().flatten().tolist())


def test_no_token_left_to_match():
    none = torch.zeros(1, 6, dtype=torch.bool)
    assert (sinkhorn_matches(tokens(1, 6, 4), tokens(1, 6, 4, seed=1), None, none) == -1).all()
    assert (sinkhorn_matches(tokens(1, 6, 4), tokens(1, 6, 4, seed=1), none) == -1).all()


def test_small_temperatures_stay_finite():
    plan = plan_of(tokens(1, 30, 8), tokens(1, 30, 8, seed=1), temperature=1e-3, iterations=50)
    assert torch.isfinite(plan).all()
    torch.testing.assert_close(plan[0].exp().sum(0)[:30], torch.ones(30), atol=1e-3, rtol=0)


def test_no_gradient_and_clear_errors():
    a = tokens(1, 6, 4).requires_grad_()
    assert not any(matches.requires_grad for matches in sinkhorn_both_ways(a, a))
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        sinkhorn_both_ways(a, a, temperature=0)
    with pytest.raises(ValueError, match="mask_b must be a bool tensor"):
        sinkhorn_both_ways(a, a, mask_b=torch.ones(1, 6))
