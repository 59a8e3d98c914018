import torch
from draws import generator
from scipy.stats import chisquare

from toposlearn.losses.token_pairs import select_tokens


def numbered(b, n):
    """Tokens that carry their own index, so that one can see which were kept."""
    return torch.arange(n, dtype=torch.float32).expand(b, n)[..., None]


def test_few_tokens_stay_as_they_are():
    a, b, mask = numbered(2, 10), -numbered(2, 10), torch.ones(2, 10, dtype=torch.bool)
    kept, kept_mask = select_tokens([a, b, None], mask, 10)
    assert kept[0] is a
    assert kept[1] is b
    assert kept[2] is None
    assert kept_mask is mask


def test_the_same_places_are_kept_in_both_modalities_in_order():
    a = numbered(3, 50)
    (kept_a, kept_b), mask = select_tokens([a, -a], None, 20, generator())
    assert mask is None
    assert kept_a.shape == (3, 20, 1)
    assert torch.equal(kept_a, -kept_b)
    assert (kept_a.diff(dim=1) > 0).all()


def test_foreground_comes_first_and_air_fills_up():
    a, mask = numbered(2, 50), torch.zeros(2, 50, dtype=torch.bool)
    mask[0, :8] = True
    mask[1, 10:40] = True
    (kept, nothing), kept_mask = select_tokens([a, None], mask, 20, generator())
    assert nothing is None
    assert kept_mask.sum(1).tolist() == [8, 20]
    assert set(range(8)) <= set(kept[0, :, 0].int().tolist())
    assert set(kept[1, :, 0].int().tolist()) <= set(range(10, 40))
    assert torch.equal(kept_mask, mask.gather(1, kept[..., 0].long()))


def test_thinning_is_uniform_over_the_foreground():
    mask = (torch.arange(30) < 24).expand(4000, 30)
    (kept,), _ = select_tokens([numbered(4000, 30)], mask, 6, generator())
    counts = torch.bincount(kept.flatten().long(), minlength=30)
    assert (counts[24:] == 0).all()
    assert chisquare(counts[:24].numpy()).pvalue > 1e-3


def test_gradients_reach_the_kept_tokens_only():
    a = numbered(1, 30).clone().requires_grad_()
    (kept,), _ = select_tokens([a], None, 12, generator())
    kept.sum().backward()
    assert sorted(a.grad.flatten().tolist()) == [0.0] * 18 + [1.0] * 12
