from types import SimpleNamespace

import pytest
import torch
from draws import generator
from torch._subclasses.fake_tensor import FakeTensorMode

from toposlearn.config import TacoConfig
from toposlearn.losses import (
    TacoLoss,
    inter_instance_loss,
    intra_instance_loss,
    listwise_loss,
    neighborhoods,
    ordered_pairs,
    reconstruction_loss,
    token_pairs,
    total,
)
from toposlearn.topology import gate_matches, mutual_matches, neighbors, scrambled_tokens
from toposlearn.topology.tokens import grid_positions


def output(seed, b=3, levels=((4, 64), (8, 27)), masked=True):
    s = generator(seed)
    tokens = {stride: torch.randn(b, n, 8, generator=s).requires_grad_() for stride, n in levels}
    masks = {stride: torch.rand(b, n, generator=generator(99)) > 0.2 if masked else None for stride, n in levels}
    volume = torch.randn(b, 1, 8, 8, 8, generator=s)
    prediction = torch.randn(b, 1, 8, 8, 8, generator=s).requires_grad_()
    return SimpleNamespace(tokens=tokens, masks=masks, reconstruction=prediction, volume=volume)


def loss_of(**loss):
    return TacoLoss(TacoConfig().replace(loss=loss))


def by_hand(a, b, inter_matches=None, form="within", metric="cosine"):
    """Mean of both directions, mean over levels, from the pure functions; the order of the draws is the module's."""
    source = generator(1)
    k = {"k": 5, "generator": source}
    intra, inter = [], []
    for stride in a.tokens:
        x, y, mask = a.tokens[stride], b.tokens[stride], a.masks[stride]
        settings = {"mask": mask, "margin": 0.05, "form": form, "metric": metric}
        intra += [intra_instance_loss(s, t, **settings, **k) for s, t in ((x, y), (y, x))]
    for stride in a.tokens:
        x, y, mask = a.tokens[stride], b.tokens[stride], a.masks[stride]
        for s, t in ((x, y), (y, x)):
            matches = None if inter_matches is None else inter_matches(s, t, mask)
            settings = {"mask_a": mask, "mask_b": mask, "margin": 0.2, "matches": matches, "metric": metric}
            inter.append(inter_instance_loss(s, t, **settings, **k))
    return torch.stack(intra).mean(), torch.stack(inter).mean()


@pytest.mark.parametrize("masked", [True, False])
def test_the_terms_are_the_pure_functions_averaged(masked):
    a, b = output(0, masked=masked), output(1, masked=masked)
    terms = loss_of(weight_intra=2.0, weight_inter=3.0)(a, b, generator=generator(1))
    intra, inter = by_hand(a, b)
    rec = (reconstruction_loss(a.reconstruction, a.volume) + reconstruction_loss(b.reconstruction, b.volume)) / 2
    torch.testing.assert_close(terms.reconstruction, rec)
    torch.testing.assert_close(terms.intra, intra)
    torch.testing.assert_close(terms.inter, inter)
    torch.testing.assert_close(terms.total, rec + 2 * intra + 3 * inter)


@pytest.mark.parametrize(("form", "metric"), [("cross", "cosine"), ("within", "euclidean")])
def test_form_reaches_the_intra_term_and_the_metric_both(form, metric):
    a, b = output(0), output(1)
    terms = loss_of(form=form, metric=metric)(a, b, generator=generator(1))
    intra, inter = by_hand(a, b, form=form, metric=metric)
    torch.testing.assert_close(terms.intra, intra)
    torch.testing.assert_close(terms.inter, inter)


def test_the_listwise_form_reads_places_and_no_graph_of_features(monkeypatch):
    a, b = (output(seed, levels=((16, 64), (32, 8))) for seed in (0, 1))
    graphs = []
    monkeypatch.setattr(token_pairs, "nearest_neighbors", lambda *args: graphs.append(args))
    loss = {"form": "listwise", "radius": 50.0, "weight_inter": 0.0}
    config = TacoConfig().replace(model={"token_strides": (16, 32)}, loss=loss)
    terms = TacoLoss(config)(a, b)
    by_level = []
    for stride, mask in a.masks.items():
        places = grid_positions(config.volume.shape, stride, config.volume.spacing).expand(3, -1, -1)
        both = mask & b.masks[stride]
        x, y = a.tokens[stride], b.tokens[stride]
        wanted = neighborhoods(places, 50.0, both)
        by_level += [listwise_loss(s, t, wanted, mask=both) for s, t in ((x, y), (y, x))]
    torch.testing.assert_close(terms.intra, torch.stack(by_level).mean())
    assert graphs == []


def test_gates_reach_the_inter_term():
    def gated(s, t, mask):
        p, q = ordered_pairs(3)
        matches = mutual_matches(s, t, mask, mask, pairs=(p, q))
        return gate_matches(matches, s[p], t[q], 0.5, 0.95, mask_b=mask[q])

    a, b = output(0), output(1)
    terms = loss_of(min_similarity=0.5, ratio=0.95)(a, b, generator=generator(1))
    torch.testing.assert_close(terms.inter, by_hand(a, b, gated)[1])
    assert not torch.allclose(terms.inter, by_hand(a, b)[1])


def test_directions_may_be_summed():
    a, b = output(0), output(1)
    mean, summed = (loss_of(directions=directions)(a, b, generator=generator(1)) for directions in ("mean", "sum"))
    torch.testing.assert_close(summed.intra, 2 * mean.intra)
    torch.testing.assert_close(summed.inter, 2 * mean.inter)
    torch.testing.assert_close(summed.reconstruction, mean.reconstruction)


def test_released_does_what_the_released_code_does():
    """Scrambled tokens of the deepest level, air included, directions summed, negatives without a match."""
    a, b = output(0), output(1)
    terms = loss_of(released=True)(a, b, generator=generator(1))
    x, y = (scrambled_tokens(each.tokens[8]) for each in (a, b))
    source = {"k": 5, "generator": generator(1)}
    intra = sum(intra_instance_loss(s, t, margin=0.05, **source) for s, t in ((x, y), (y, x)))
    inter = sum(inter_instance_loss(s, t, margin=0.2, negatives="unmatched", **source) for s, t in ((x, y), (y, x)))
    torch.testing.assert_close(terms.intra, intra)
    torch.testing.assert_close(terms.inter, inter)


def test_token_levels_choose():
    a, b = output(0), output(1)
    terms = loss_of(token_levels=(8,))(a, b)
    terms.total.backward()
    assert a.tokens[4].grad is None
    assert a.tokens[8].grad.abs().sum() > 0
    assert b.tokens[8].grad.abs().sum() > 0
    with pytest.raises(ValueError, match=r"loss.token_levels \[32\] are not among the model's levels \(4, 8\)"):
        loss_of(token_levels=(8, 32))(a, b)


def test_a_term_of_weight_zero_is_not_computed(monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("computed in vain")

    a, b = output(0), output(1)
    for name in ("intra_instance_loss", "inter_instance_loss", "token_pairs", "match_subjects"):
        monkeypatch.setattr(total, name, never)
    terms = loss_of(weight_intra=0.0, weight_inter=0.0)(a, b)
    assert float(terms.intra) == float(terms.inter) == 0.0
    torch.testing.assert_close(terms.total, terms.reconstruction)
    monkeypatch.undo()
    monkeypatch.setattr(total, "reconstruction_loss", never)
    assert float(loss_of(weight_reconstruction=0.0)(a, b).reconstruction) == 0.0


def test_the_inter_term_starts_at_its_step():
    a, b = output(0), output(1)
    loss = loss_of(inter_start=10)
    assert float(loss(a, b, step=9).inter) == 0.0
    assert float(loss(a, b, step=10).inter.detach()) > 0
    assert float(loss(a, b).inter.detach()) > 0


def test_subject_ids_reach_the_inter_term():
    a, b = output(0), output(1)
    assert float(loss_of()(a, b, ["same"] * 3).inter.detach()) == 0.0
    assert float(loss_of()(a, b, ["one", "two", "one"]).inter.detach()) > 0


def test_masks_of_the_two_modalities_are_joined():
    a, b, c, d = output(0), output(1), output(0), output(1)
    b.masks = {stride: None for stride in b.masks}
    torch.testing.assert_close(loss_of()(a, b, generator=generator(1)), loss_of()(c, d, generator=generator(1)))
    b.masks = {stride: torch.zeros_like(mask) for stride, mask in a.masks.items()}
    assert float(loss_of()(a, b).intra.detach()) == 0.0


def test_one_subject_has_no_inter_term():
    terms = loss_of()(output(0, b=1), output(1, b=1))
    assert float(terms.inter.detach()) == 0.0
    terms.total.backward()


def test_too_few_tokens():
    levels = ((32, 6),)
    with pytest.raises(ValueError, match=r"at least k \+ 2 = 7"):
        loss_of()(output(0, levels=levels), output(1, levels=levels))


def test_gradient_reaches_both_modalities_and_the_total_is_float32_under_autocast():
    a, b = output(0), output(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = loss_of()(a, b)
    assert all(term.dtype == torch.float32 for term in terms)
    terms.total.backward()
    for tensor in (*a.tokens.values(), *b.tokens.values(), a.reconstruction, b.reconstruction):
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().sum() > 0


def test_nan_in_either_modality_reaches_the_total():
    for broken in (0, 1):
        outputs = [output(0), output(1)]
        outputs[broken].tokens[8] = torch.full((3, 27, 8), torch.nan)
        assert torch.isnan(loss_of()(*outputs).total)


@pytest.mark.parametrize("matcher", ["nearest", "mutual", "sinkhorn", "oracle", "random"])
@pytest.mark.parametrize("negatives", ["uniform", "semi_hard", "unmatched"])
def test_nothing_waits_for_the_device(monkeypatch, matcher, negatives):
    """Tensors without values: reading one on the host (`.item()`, `if tensor`, a boolean index) raises."""
    monkeypatch.setattr(neighbors, "_may_ask", lambda tensor: False)  # a processor is never waited for
    config = {"min_similarity": 0.1, "ratio": 0.9, "max_distance": 40.0, "matcher": matcher, "negatives": negatives}
    with FakeTensorMode():
        a, b = (fake_output() for _ in range(2))
        loss = TacoLoss(TacoConfig().replace(loss=config, volume={"shape": (64, 64, 64)}))
        places, registered = {8: torch.empty(3, 512, 3)}, torch.empty(3, dtype=torch.bool)
        terms = loss(a, b, torch.arange(3), places=places, registered=registered)
        assert terms.total.shape == ()
        with pytest.raises(RuntimeError):
            terms.total.item()


def fake_output():
    tokens, masks = {8: torch.empty(3, 512, 8)}, {8: torch.empty(3, 512, dtype=torch.bool)}
    volume = torch.empty(3, 1, 8, 8, 8)
    return SimpleNamespace(tokens=tokens, masks=masks, reconstruction=volume, volume=volume)


def test_large_levels_are_thinned():
    a, b = output(0, masked=False), output(1, masked=False)
    loss_of(max_tokens=20)(a, b).total.backward()
    reached = (b.tokens[4].grad.abs().sum(-1) > 0).sum(1)
    assert (reached <= 20).all()
    assert (reached > 0).all()


def take(one, rows):
    tokens = {stride: tokens[rows] for stride, tokens in one.tokens.items()}
    masks = {stride: None if mask is None else mask[rows] for stride, mask in one.masks.items()}
    return SimpleNamespace(tokens=tokens, masks=masks, reconstruction=one.reconstruction[rows], volume=one.volume[rows])


@pytest.mark.parametrize("max_tokens", [20, 1536])
def test_when_all_subjects_are_registered_nothing_changes(max_tokens):
    a, b = (output(seed, levels=((8, 512),)) for seed in (0, 1))
    loss = loss_of(max_tokens=max_tokens, max_distance=60.0)
    terms = loss(a, b, generator=generator(1), registered=torch.ones(3, dtype=torch.bool))
    assert all(map(torch.equal, terms, loss(a, b, generator=generator(1))))


@pytest.mark.parametrize("masked", [True, False])
def test_the_intra_term_is_of_the_registered_alone(masked):
    a, b = output(0, masked=masked), output(1, masked=masked)
    loss = loss_of(negatives="semi_hard", weight_inter=0.0)  # nothing is drawn
    terms = loss(a, b, registered=torch.tensor([True, False, True]))
    torch.testing.assert_close(terms.intra, loss(take(a, [0, 2]), take(b, [0, 2])).intra)
    terms.total.backward()
    assert not a.tokens[4].grad[1].any()
    none = loss(a, b, registered=torch.zeros(3, dtype=torch.bool))
    assert float(none.intra.detach()) == 0.0


@pytest.mark.parametrize("settings", [{}, {"max_distance": 80.0}, {"matcher": "sinkhorn"}, {"max_tokens": 200}])
def test_an_unregistered_person_meets_others_with_the_foreground_of_each_modality(settings):
    """What is no foreground of a modality may hold anything; what is counts, whatever the other modality shows."""
    a, b = (output(seed, levels=((8, 512),)) for seed in (0, 1))
    b.masks = {stride: torch.rand(mask.shape, generator=generator(5)) > 0.4 for stride, mask in a.masks.items()}
    registered = torch.tensor([True, False, True])
    loss = loss_of(negatives="semi_hard", weight_intra=0.0, **settings)
    terms = loss(a, b, registered=registered, generator=generator(2))
    terms.inter.backward()
    for one in (a, b):
        for stride, tokens in one.tokens.items():
            own, common = one.masks[stride], a.masks[stride] & b.masks[stride]
            counts = torch.where(registered[:, None], common, own)
            assert not tokens.grad[~counts].any()
            assert (tokens.grad.abs().sum(-1) > 0)[1][own[1] & ~common[1]].any()
    changed = [take(one, slice(None)) for one in (a, b)]
    for one in changed:
        one.tokens = {
            stride: torch.where(mask[..., None], one.tokens[stride], torch.full((), 7.0))
            for stride, mask in one.masks.items()
        }
    torch.testing.assert_close(loss(*changed, registered=registered, generator=generator(2)).inter, terms.inter)
