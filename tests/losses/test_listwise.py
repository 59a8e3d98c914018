import math

import pytest
import torch
from draws import generator

from toposlearn.losses import listwise_loss as loss_of_lists
from toposlearn.losses import neighborhoods


def listwise_loss(tokens_a, tokens_b, places, *, radius=6.0, mask=None, **known):
    return loss_of_lists(tokens_a, tokens_b, neighborhoods(places, radius, mask), mask=mask, **known)


def draw(seed, b=2, n=12, features=6, dtype=torch.float64):
    s = generator(seed)
    a, other = (torch.randn(b, n, features, generator=s, dtype=dtype).requires_grad_() for _ in range(2))
    return a, other, 20 * torch.randn(b, n, 3, generator=s, dtype=dtype)


def by_loops(a, b, places, radius, temperature):
    """The equation, anchor by anchor and token by token, of one subject."""
    total = 0.0
    for i in range(len(a)):
        wanted = [math.exp(-float((places[i] - place).square().sum()) / (2 * radius**2)) for place in places]
        given = [math.exp(float(torch.cosine_similarity(a[i], token, dim=0)) / temperature) for token in b]
        pairs = zip(wanted, given, strict=True)
        total -= sum(w / sum(wanted) * math.log(g / sum(given)) for w, g in pairs)
    return total / len(a)


@pytest.mark.parametrize(("radius", "temperature"), [(6.0, 0.1), (25.0, 0.5)])
def test_it_is_the_equation(radius, temperature):
    a, b, places = (each.detach() for each in draw(0))
    loss = listwise_loss(a, b, places, radius=radius, temperature=temperature)
    expected = [by_loops(*each, radius, temperature) for each in zip(a, b, places, strict=True)]
    assert float(loss) == pytest.approx(sum(expected) / 2, rel=1e-9)


def test_a_masked_token_counts_for_nothing():
    a, b, places = draw(1)
    mask = torch.ones(2, 12, dtype=torch.bool)
    mask[:, 8:] = False
    kept = listwise_loss(a[:, :8], b[:, :8], places[:, :8])
    filled = [torch.cat([each[:, :8], torch.full_like(each[:, 8:], torch.nan)], 1).detach() for each in (a, b)]
    filled[1].requires_grad_()
    loss = listwise_loss(*filled, places, mask=mask)
    torch.testing.assert_close(loss, kept)
    loss.backward()
    assert filled[1].grad[:, :8].abs().sum() > 0
    assert filled[1].grad[:, 8:].abs().sum() == 0


def test_a_subject_with_one_token_is_left_out_and_none_gives_zero():
    a, b, places = draw(2)
    mask = torch.ones(2, 12, dtype=torch.bool)
    mask[1, 1:] = False
    torch.testing.assert_close(listwise_loss(a, b, places, mask=mask), listwise_loss(a[:1], b[:1], places[:1]))
    nothing = listwise_loss(a, b, places, mask=torch.zeros_like(mask))
    nothing.backward()
    assert float(nothing.detach()) == 0
    assert float(b.grad.abs().sum()) == 0


def test_nan_in_a_token_that_counts_reaches_the_loss():
    a, b, places = draw(3)
    broken = b.detach().clone()
    broken[0, 3, 2] = torch.nan
    assert listwise_loss(a, broken, places).isnan()


def test_minimum_is_the_entropy_of_the_neighborhoods():
    """Features of which the similarities are the squared distances of places give the neighborhoods exactly."""
    turn = 2 * torch.pi * torch.arange(40, dtype=torch.float64) / 40
    circle = torch.stack([turn.cos(), turn.sin(), 0 * turn], -1)[None]
    radius, size = 5.0, 30.0  # of the neighborhood, of the circle
    right = listwise_loss(circle, circle, size * circle, radius=radius, temperature=(radius / size) ** 2)
    weights = (-torch.cdist(size * circle, size * circle).square() / (2 * radius**2)).softmax(-1)
    torch.testing.assert_close(right, torch.special.entr(weights).sum(-1).mean())
    for temperature in (0.5, 2.0):
        assert listwise_loss(circle, circle, size * circle, radius=radius, temperature=temperature * 1 / 36) > right


def test_it_pulls_the_features_of_neighbors_together():
    """Trained on it, random features of two modalities find their own place in the other, and its neighbors next."""
    s = generator(4)
    places = torch.stack(torch.meshgrid(*[torch.arange(4.0)] * 3, indexing="ij"), -1).reshape(1, -1, 3) * 10
    a, b = (torch.randn(1, 64, 16, generator=s).requires_grad_() for _ in range(2))
    optimizer = torch.optim.Adam([a, b], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        listwise_loss(a, b, places, radius=8.0).backward()
        optimizer.step()
    similarity = torch.cosine_similarity(a[0, :, None], b[0], dim=-1)
    near = torch.cdist(places, places)[0] <= 10
    assert (similarity.argmax(1) == torch.arange(64)).all()
    assert similarity[near].min() > similarity[~near].mean()


def test_half_precision_is_computed_in_single():
    a, b, places = (each.detach().half() for each in draw(5))
    loss = listwise_loss(a, b, places)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, listwise_loss(a.float(), b.float(), places.float()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens_b": torch.zeros(2, 11, 6)}, r"must both have shape \(B, N, F\)"),
        ({"wanted": torch.zeros(12, 12)}, r"wanted must have shape \(2, 12, 12\) \(B, N, N\)"),
        ({"temperature": 0.0}, "temperature must be positive, got 0.0"),
    ],
)
def test_bad_arguments(change, message):
    a, b, places = draw(6)
    with pytest.raises(ValueError, match=message):
        loss_of_lists(**{"tokens_a": a, "tokens_b": b, "wanted": neighborhoods(places)} | change)


def test_a_neighborhood_has_a_radius():
    with pytest.raises(ValueError, match="radius must be positive"):
        neighborhoods(torch.zeros(1, 4, 3), radius=0.0)
