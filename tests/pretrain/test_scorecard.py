"""Measures in millimeters: compared with loops, and the controls with their known values."""

import dataclasses

import numpy as np
import pytest
import torch
from draws import tokens as draw

from toposlearn.data import PosedSubjects, pose_subjects
from toposlearn.data.posed import measurable
from toposlearn.intervals import across_subjects, bootstrap_subjects
from toposlearn.models import Taco
from toposlearn.pretrain import Controls, controls, encode, error_matrix, scorecard
from toposlearn.pretrain.scorecard import error_metrics, permuted, relative_error
from toposlearn.topology import centered_positions

STRIDE = 4


@pytest.fixture(scope="module")
def posed(subjects, smoke) -> PosedSubjects:
    return pose_subjects(subjects, smoke)


@pytest.fixture(scope="module")
def known(posed) -> Controls:
    return controls(posed, STRIDE)


@pytest.fixture(scope="module")
def model(smoke) -> Taco:
    torch.manual_seed(0)
    return Taco(smoke.model)


def naive_errors(tokens_a, tokens_b, template, mask, distance) -> np.ndarray:
    subjects, count = mask.shape
    errors = np.zeros((subjects, subjects))
    for p in range(subjects):
        for q in range(subjects):
            found = []
            for u in range(count):
                if mask[p, u]:
                    inside = [v for v in range(count) if mask[q, v]]
                    best = min(inside, key=lambda v: distance(tokens_a[p, u], tokens_b[q, v]))
                    found.append(float((template[p, u] - template[q, best]).norm()))
            errors[p, q] = np.mean(found)
    return errors


def cosine(a, b) -> float:
    return float(1 - torch.nn.functional.cosine_similarity(a, b, dim=0))


def euclidean(a, b) -> float:
    return float((a - b).norm())


@pytest.mark.parametrize(("kind", "distance"), [("cosine", cosine), ("euclidean", euclidean)])
def test_the_error_matrix_is_that_of_a_loop(kind, distance):
    tokens_a, tokens_b, template = draw(3, 20, 6), draw(3, 20, 6, seed=1), 30 * draw(3, 20, 3, seed=2)
    mask = draw(3, 20, seed=3) > -0.3
    assert len(set(mask.sum(1).tolist())) > 1  # heads of different size
    expected = naive_errors(tokens_a, tokens_b, template, mask, distance)
    np.testing.assert_allclose(error_matrix(tokens_a, tokens_b, template, mask, kind), expected, rtol=1e-5)


def test_the_best_token_is_the_floor_of_everything(known):
    for errors in (known.position, known.centered, known.random, known.permuted):
        assert (known.floor <= errors + 1e-4).all()
    np.testing.assert_allclose(np.diag(known.floor), 0, atol=1e-4)
    assert across_subjects(known.floor[None]) > 1  # mm: other people's tokens lie elsewhere


def test_position_is_perfect_for_one_person_and_wrong_for_two(known):
    """Both modalities of a person share their pose; two people do not."""
    np.testing.assert_allclose(np.diag(known.position), 0, atol=1e-4)
    np.testing.assert_allclose(np.diag(known.centered), 0, atol=1e-4)
    floor, centered, position, random = (
        across_subjects(one[None]) for one in (known.floor, known.centered, known.position, known.random)
    )
    assert floor < centered < position < random


@pytest.mark.parametrize("name", ["random", "permuted"])
def test_the_null_is_the_mean_distance_between_any_two_tokens(posed, known, name):
    template, mask = posed.token_template(STRIDE), posed.token_mask(STRIDE)
    for p, q in ((0, 1), (2, 5), (3, 3)):
        expected = torch.cdist(template[p][mask[p]], template[q][mask[q]]).mean().item()
        assert getattr(known, name)[p, q] == pytest.approx(expected, rel=0.15)


def test_the_relative_error_is_zero_at_the_floor_and_one_at_position(known):
    assert relative_error(known.floor[None], known) == pytest.approx(0)
    assert relative_error(known.position[None], known) == pytest.approx(1)


def test_every_error_has_an_interval_a_null_and_a_baseline(known):
    errors = np.stack([known.centered, known.position])
    metrics = error_metrics(errors, "s", known)
    across = metrics["s/across_people_error"]
    assert (across["low"], across["high"]) == bootstrap_subjects(errors)
    assert across["low"] < across["value"] < across["high"]
    assert across["value"] == pytest.approx((across_subjects(known.centered[None]) + across["baseline"]) / 2)
    assert across["null"] == pytest.approx(across_subjects(known.random[None]))
    assert (across["unit"], across["n"]) == ("mm", 6)
    assert metrics["s/same_person_error"]["value"] == pytest.approx(0, abs=1e-4)


def test_centered_positions_forget_shift_and_size_of_a_head():
    place, mask = draw(2, 30, 3), draw(2, 30, seed=1) > 0
    moved = place * torch.tensor([2.0, 1.0, 0.5]) + torch.tensor([5.0, -3.0, 1.0])
    torch.testing.assert_close(centered_positions(place, mask), centered_positions(moved, mask), atol=1e-4, rtol=1e-4)
    inside = centered_positions(place, mask)[0][mask[0]]
    torch.testing.assert_close(inside.mean(0), torch.zeros(3), atol=1e-5, rtol=0)


def test_permuting_keeps_the_tokens_and_their_mask():
    tokens, mask = draw(2, 30, 4), draw(2, 30, seed=1) > 0
    shuffled = permuted(tokens, mask)
    assert torch.equal(shuffled[~mask], tokens[~mask])
    for subject in range(2):
        before, after = tokens[subject][mask[subject]], shuffled[subject][mask[subject]]
        assert not torch.equal(before, after)
        assert torch.equal(before[:, 0].sort().values, after[:, 0].sort().values)


def test_tokens_do_not_depend_on_the_other_people(model, posed):
    together = encode(model, posed, "T2w")
    assert set(together) == {4, 8}
    for stride, tokens in together.items():
        assert tokens.shape == (6, (32 // stride) ** 3, 48)
        torch.testing.assert_close(encode(model, posed.take([5]), "T2w")[stride][0], tokens[5], atol=1e-3, rtol=1e-3)
        assert not tokens.requires_grad


def test_a_scorecard_measures_every_level(model, posed, known):
    metrics = scorecard(model, posed, reference={4: known, 8: controls(posed, 8)})
    names = {"same_person_error", "across_people_error", "across_people_relative", "overlap"}
    for stride in (4, 8):
        assert {f"stride{stride}/{name}" for name in (*names, "matched")} <= set(metrics)
    error = metrics["stride4/across_people_error"]
    assert known.floor[~np.eye(6, dtype=bool)].mean() < error["value"] < 1.3 * error["null"]
    overlap = metrics["stride4/overlap"]
    assert overlap["value"] > overlap["null"]  # even untrained: the place shows through
    assert 0 < overlap["null"] < 0.2


def test_one_person_is_measured_without_anything_across_people(model, posed):
    metrics = scorecard(model, posed.take([0]))
    assert set(metrics) == {f"stride{stride}/{name}" for stride in (4, 8) for name in ("same_person_error", "overlap")}
    assert not {"low", "high"} & set(metrics["stride4/overlap"])


def test_one_modality_alone_has_no_scorecard(model, posed):
    assert scorecard(model, dataclasses.replace(posed, modalities=("T1w",))) == {}


def test_a_person_with_several_sessions_is_measured_once(subjects, smoke):
    twice = [
        dataclasses.replace(r, subject=f"P{n // 2}", session=str(n)) for n, r in enumerate(subjects.manifest.records)
    ]
    named = {new.name: subjects.entries[old.name] for new, old in zip(twice, subjects.manifest.records, strict=True)}
    people = dataclasses.replace(subjects.manifest, records=tuple(twice))
    cache = dataclasses.replace(subjects, manifest=people, entries=named)
    assert pose_subjects(cache, smoke).names == ("P0_0", "P1_2", "P2_4")
    assert [record.subject for record in measurable(cache, 2).manifest.records] == ["P0", "P1"]
