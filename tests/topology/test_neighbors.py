import itertools

import pytest
import torch
from draws import generator, tokens
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from toposlearn.topology import distances, nearest_neighbors, pairwise_distance, sample_negatives
from toposlearn.topology.neighbors import semi_hard_negatives


def reference(x, k, mask=None, metric="cosine"):
    """A full stable sort: the lowest index comes first among equal distances."""
    distance = pairwise_distance(x, metric=metric)
    distance.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    if mask is not None:
        distance = distance.masked_fill(~mask[:, None], torch.inf)
    return torch.sort(distance, dim=-1, stable=True).indices[..., :k]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("n", [7, 27, 216])
def test_equal_to_a_stable_sort(n, metric):
    x = tokens(3, n, 12)
    assert torch.equal(nearest_neighbors(x, 5, metric=metric), reference(x, 5, metric=metric))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(4, 30), st.integers(1, 3), st.integers(1, 3))
def test_ties_take_the_lowest_index(seed, n, features, k):
    x = torch.randint(-1, 2, (2, n, features), generator=torch.Generator().manual_seed(seed)).float()
    for metric in ("cosine", "euclidean"):
        assert torch.equal(nearest_neighbors(x, k, metric=metric), reference(x, k, metric=metric))


def test_constant_tokens_take_the_lowest_indices():
    x = tokens(1, 1, 48).expand(2, 200, 48)
    found = nearest_neighbors(x, 3)
    assert found[0, 0].tolist() == [1, 2, 3]
    assert found[1, 1].tolist() == [0, 2, 3]
    assert found[0, 199].tolist() == [0, 1, 2]


def test_self_is_excluded_by_index_not_by_distance():
    x = tokens(1, 6, 4)
    x[0, 4] = x[0, 1]
    assert nearest_neighbors(x, 2)[0, 1, 0] == 4
    assert nearest_neighbors(x, 2)[0, 4, 0] == 1


def test_masked_tokens_are_no_neighbors():
    x, mask = tokens(3, 40, 8), torch.rand(3, 40, generator=torch.Generator().manual_seed(1)) > 0.4
    found = nearest_neighbors(x, 4, mask)
    assert torch.equal(found[mask], reference(x, 4, mask)[mask])
    assert (found[~mask] == -1).all()


def test_rows_with_too_few_neighbors_end_in_minus_one():
    mask = torch.tensor([[True, False, True, True, False, False]])
    found = nearest_neighbors(tokens(1, 6, 4), 4, mask)
    assert sorted(found[0, 0].tolist()) == [-1, -1, 2, 3]
    assert found[0, 0, 2:].tolist() == [-1, -1]


def test_tokens_that_are_not_finite_are_left_out():
    x = tokens(1, 8, 4)
    x[0, 3, 0] = torch.nan
    found = nearest_neighbors(x, 3)
    assert (found[0, 3] == -1).all()
    assert not (found == 3).any()


def test_blocks_of_rows_change_nothing(monkeypatch):
    x, mask = tokens(2, 50, 8), torch.rand(2, 50) > 0.3
    whole = nearest_neighbors(x, 5, mask)
    monkeypatch.setitem(distances._BLOCK, "cpu", 2 * 50 * 7)
    assert torch.equal(nearest_neighbors(x, 5, mask), whole)


def test_permuting_the_tokens_permutes_the_graph():
    x, order = tokens(1, 30, 6), torch.randperm(30, generator=torch.Generator().manual_seed(3))
    assert torch.equal(order[nearest_neighbors(x[:, order], 4)[0]], nearest_neighbors(x, 4)[0, order])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_tokens(dtype):
    x = tokens(1, 30, 8).to(dtype)
    assert torch.equal(nearest_neighbors(x, 4), nearest_neighbors(x.float(), 4))


def test_no_gradient():
    assert not nearest_neighbors(tokens(1, 9, 4).requires_grad_(), 2).requires_grad


@pytest.mark.parametrize("k", [0, 6])
def test_k_out_of_range(k):
    with pytest.raises(ValueError, match=r"k must be between 1 and N - 1 = 5 .* got"):
        nearest_neighbors(tokens(1, 6, 4), k)


def test_mask_of_a_wrong_shape():
    with pytest.raises(ValueError, match=r"mask must be a bool tensor of shape \(1, 6\)"):
        nearest_neighbors(tokens(1, 6, 4), 2, torch.ones(1, 5, dtype=torch.bool))


def test_negatives_are_uniform_over_the_allowed_tokens():
    exclude = torch.tensor([[[2, 5, -1, 5, 11]]]).expand(1, 3, 5)
    mask = torch.ones(1, 14, dtype=torch.bool)
    mask[0, [3, 11, 13]] = False
    drawn = sample_negatives(exclude, 14, 40_000, mask, generator())
    for anchor in range(3):
        allowed = sorted(set(range(14)) - {2, 5, 3, 11, 13, anchor})
        counts = torch.bincount(drawn[0, anchor], minlength=14)
        assert counts.nonzero().flatten().tolist() == allowed
        assert chisquare(counts[allowed].numpy()).pvalue > 1e-3


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(2, 20), st.integers(0, 6), st.floats(0.1, 1.0))
def test_every_allowed_token_is_drawn_and_no_other(seed, n, excluded, share):
    source = generator(seed)
    exclude = torch.randint(-1, n, (2, n, excluded), generator=source)
    mask = torch.rand(2, n, generator=source) < share
    drawn = sample_negatives(exclude, n, 400, mask, source)
    for b in range(2):
        for i in range(n):
            allowed = {j for j in range(n) if mask[b, j]} - set(exclude[b, i].tolist()) - {i}
            assert set(drawn[b, i].tolist()) == (allowed or {-1})


def test_draws_of_an_anchor_are_independent():
    nothing = torch.zeros(1, 6, 0, dtype=torch.long)
    drawn = sample_negatives(nothing, 6, 2, generator=generator())
    pairs = torch.stack([sample_negatives(nothing, 6, 2, generator=generator(s))[0, 0] for s in range(2000)])
    counts = torch.bincount((pairs[:, 0] - 1) * 5 + pairs[:, 1] - 1, minlength=25)
    assert drawn.shape == (1, 6, 2)
    assert chisquare(counts.numpy()).pvalue > 1e-3


def test_same_generator_same_negatives():
    exclude = nearest_neighbors(tokens(2, 30, 4), 5)
    first, second = (sample_negatives(exclude, 30, 5, generator=generator(7)) for _ in range(2))
    assert torch.equal(first, second)


def test_negatives_without_mask_avoid_neighbors_and_anchor():
    graph = nearest_neighbors(tokens(2, 12, 4), 5)
    drawn = sample_negatives(graph, 12, 50, generator=generator())
    assert not (drawn[..., None] == graph[:, :, None]).any()
    assert not (drawn == torch.arange(12)[None, :, None]).any()


def test_nothing_allowed_gives_minus_one():
    assert (sample_negatives(torch.tensor([[[1], [0]]]), 2, 3) == -1).all()


def test_negatives_of_a_wrong_shape():
    with pytest.raises(ValueError, match=r"exclude must have shape \(B, N, E\) with N <= n = 3"):
        sample_negatives(torch.zeros(1, 4, 2, dtype=torch.long), 3, 1)
    with pytest.raises(ValueError, match=r"mask must have shape \(1, 5\)"):
        sample_negatives(torch.zeros(1, 4, 2, dtype=torch.long), 5, 1, torch.ones(1, 4, dtype=torch.bool))


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


def test_semi_hard_without_an_allowed_token_drops_the_triplet():
    everyone = torch.arange(5).expand(1, 5, 5)
    assert (semi_hard_negatives(tokens(1, 5, 4), tokens(1, 5, 4), everyone[..., :2], everyone) == -1).all()
