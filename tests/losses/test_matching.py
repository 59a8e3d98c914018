import pytest
import torch
from draws import generator

from toposlearn.config import LossConfig
from toposlearn.losses import TokenPairs, match_subjects, ordered_pairs
from toposlearn.topology import gate_matches, mutual_matches, nearest_matches
from toposlearn.topology.correspondence import keep_mutual
from toposlearn.topology.tokens import common_frame
from toposlearn.topology.transport import sinkhorn_both_ways


def subjects(b=3, n=40, masked=True):
    s = generator(0)
    mask = torch.rand(b, n, generator=s) > 0.3 if masked else None
    tokens = torch.randn(2, b, n, 8, generator=s)
    positions, places = 50 * torch.randn(b, n, 3, generator=s), torch.randn(b, n, 3, generator=s)
    return TokenPairs(tokens[0], tokens[1], mask, positions, places)


def of_pair(x, function, first, second):
    """A function of one pair of people at a time, over all ordered pairs."""
    rows = []
    for i, j in zip(*(part.tolist() for part in ordered_pairs(len(first))), strict=True):
        masks = (None, None) if x.mask is None else (x.mask[i : i + 1], x.mask[j : j + 1])
        rows.append(function(first[i : i + 1], second[j : j + 1], *masks)[0])
    return torch.stack(rows)


def sinkhorn_matches(*tokens_and_masks):
    return keep_mutual(*sinkhorn_both_ways(*tokens_and_masks, dustbin=0.25))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("matcher", "function"), [("nearest", nearest_matches), ("mutual", mutual_matches), ("sinkhorn", sinkhorn_matches)]
)
def test_both_directions_are_those_of_each_pair_by_itself(matcher, function, masked):
    x = subjects(masked=masked)
    there, back = match_subjects(x, LossConfig(matcher=matcher, dustbin=0.25))
    assert torch.equal(there, of_pair(x, function, x.tokens_a, x.tokens_b))
    other = of_pair(x, function, x.tokens_b, x.tokens_a)
    if matcher == "sinkhorn":  # the plan of the transposed problem ends with the other side's update
        assert (back == other).float().mean() > 0.95
    else:
        assert torch.equal(back, other)


def test_the_oracle_reads_places_and_not_features():
    x = subjects()
    there, back = match_subjects(x, LossConfig(matcher="oracle"))

    def nearest_place(a, b, mask_a, mask_b):
        return mutual_matches(a, b, mask_a, mask_b, "euclidean")

    assert torch.equal(there, of_pair(x, nearest_place, x.places, x.places))
    assert torch.equal(back, there)  # one place in both modalities
    noise = x._replace(tokens_a=torch.randn_like(x.tokens_a))
    assert torch.equal(match_subjects(noise, LossConfig(matcher="oracle"))[0], there)


def test_the_oracle_needs_the_truth():
    with pytest.raises(ValueError, match="'oracle' needs the true places of tokens: this data set has no truth"):
        match_subjects(subjects()._replace(places=None), LossConfig(matcher="oracle"))


def test_random_matches_differ_in_both_directions_and_stay_inside_the_mask():
    x = subjects()
    there, back = match_subjects(x, LossConfig(matcher="random"), generator())
    p, q = ordered_pairs(3)
    for matches in (there, back):
        assert torch.equal(matches >= 0, x.mask[p])
        assert x.mask[q].gather(1, matches.clamp_min(0))[x.mask[p]].all()
    assert not torch.equal(there, back)


def test_gates_act_in_both_directions():
    x, gates = subjects(), {"min_similarity": 0.3, "ratio": 0.95}
    p, q = ordered_pairs(3)
    plain, both = match_subjects(x, LossConfig()), match_subjects(x, LossConfig(**gates))
    sides = ((x.tokens_a, x.tokens_b), (x.tokens_b, x.tokens_a))
    for matches, gated, (a, b) in zip(plain, both, sides, strict=True):
        assert torch.equal(gated, gate_matches(matches, a[p], b[q], **gates, mask_b=x.mask[q]))
        assert 0 < (gated >= 0).sum() < (matches >= 0).sum()


def test_the_spatial_prior_keeps_what_lies_near_in_the_common_frame():
    x = subjects()
    plain, near = (match_subjects(x, LossConfig(max_distance=far))[0] for far in (None, 40.0))
    frame = common_frame(x.positions, x.mask)
    p, q = ordered_pairs(3)
    apart = (frame[q].gather(1, plain.clamp_min(0)[..., None].expand(-1, -1, 3)) - frame[p]).norm(dim=-1)
    assert torch.equal(near, torch.where(apart <= 40, plain, -1))
    assert 0 < (near >= 0).sum() < (plain >= 0).sum()
    with pytest.raises(ValueError, match=r"loss.max_distance needs the positions of tokens"):
        match_subjects(x._replace(positions=None), LossConfig(max_distance=40.0))


@pytest.mark.parametrize("matcher", ["nearest", "mutual", "sinkhorn", "oracle", "random"])
def test_one_person_has_no_pair_to_match(matcher):
    for matches in match_subjects(subjects(b=1), LossConfig(matcher=matcher)):
        assert matches.shape == (0, 40)


def test_a_head_without_tokens_does_not_spoil_the_spatial_prior_of_others():
    x = subjects()
    mask = x.mask.clone()
    mask[0] = False
    near = match_subjects(x._replace(mask=mask), LossConfig(max_distance=1e4))[0]
    plain = match_subjects(x._replace(mask=mask), LossConfig())[0]
    assert torch.equal(near, plain)
    assert (plain >= 0).any()
