import json

import numpy as np
import pytest
import torch
from draws import tokens as draw

from toposlearn.data import pose_subjects
from toposlearn.intervals import bootstrap_subjects
from toposlearn.models import Taco
from toposlearn.pretrain.profile import MEASURES, Measure, network_profiles, profile_metrics, topology_profile
from toposlearn.pretrain.scorecard import K
from toposlearn.reproducibility import write_result
from toposlearn.topology import matched_fraction, mutual_matches, neighbor_overlap

PEOPLE, TOKENS = 6, 90
KEPT = ("neighbor_overlap", "trustworthiness", "continuity", "rank_correlation", "kernel_alignment")
FOUND = ("matched_fraction", "match_precision", "match_error")
ALONE = ("effective_rank", "collapse", "position_r2")


@pytest.fixture(scope="module")
def heads():
    """Places of tokens in the template, in the volume (each head shifted), and which count."""
    places = 50 * draw(1, TOKENS, 3) + 2 * draw(PEOPLE, TOKENS, 3, seed=1)
    return places, places + 20 * draw(PEOPLE, 1, 3, seed=2), draw(PEOPLE, TOKENS, seed=3) > -1


def code(places, seed=4):
    """Features that hold the place in every subject: waves over the template."""
    return torch.cos(places @ draw(3, 64, seed=seed) / 60 + 6 * draw(64, seed=seed + 1))


@pytest.fixture(scope="module")
def perfect(heads):
    places, positions, mask = heads
    return topology_profile(code(places), code(places), positions, places, mask)


@pytest.fixture(scope="module")
def unrelated(heads):
    places, positions, mask = heads
    a, b = draw(PEOPLE, TOKENS, 64, seed=6), draw(PEOPLE, TOKENS, 64, seed=7)
    return topology_profile(a, b, positions, places, mask)


def test_every_measure_has_a_null_for_every_person(perfect):
    pairs = [f"{name}/{of}" for name in (*KEPT, *FOUND) for of in ("same_person", "next_person")]
    alone = [f"{name}/{of}" for name in ALONE for of in ("first_modality", "second_modality")]
    assert list(perfect) == pairs + alone
    for name, measure in perfect.items():
        assert measure.values.shape == measure.null.shape == (PEOPLE,)
        assert np.isfinite(measure.values).all()
        assert np.isfinite(measure.null).all()
        assert measure.better == MEASURES[name.split("/")[0]][0]
    assert perfect["match_precision/next_person"].unit == "share within 24 mm"


def test_the_same_tokens_keep_everything_and_match_themselves(perfect):
    for name in (*KEPT, "matched_fraction", "match_precision"):
        np.testing.assert_allclose(perfect[f"{name}/same_person"].values, 1, atol=1e-5)
    np.testing.assert_allclose(perfect["match_error/same_person"].values, 0, atol=1e-4)


def test_tokens_that_hold_the_place_agree_between_people(perfect):
    for name in (*KEPT, *FOUND):
        measure = perfect[f"{name}/next_person"]
        gain = (measure.values - measure.null) * (-1 if measure.better == "lower" else 1)
        assert (gain > 0).all(), name
    assert perfect["match_precision/next_person"].values.min() > 0.9


def test_no_direction_is_called_better_in_which_chance_is_best(perfect):
    for name, measure in perfect.items():
        kind, gain = name.split("/")[0], measure.values.mean() - measure.null.mean()
        if kind in ("effective_rank", "collapse"):
            assert measure.better == "neither"
            assert (gain < 0) == (kind == "effective_rank")  # random features: most directions, least in common
        elif measure.better != "neither":
            assert gain * (-1 if measure.better == "lower" else 1) > 0, name


@pytest.mark.parametrize("name", [*KEPT, *FOUND])
@pytest.mark.parametrize("of", ["same_person", "next_person"])
def test_unrelated_tokens_are_at_their_null(unrelated, name, of):
    measure = unrelated[f"{name}/{of}"]
    spread = np.sqrt(measure.values.var(ddof=1) + measure.null.var(ddof=1)) + 1e-3
    assert abs(measure.values.mean() - measure.null.mean()) < 4 * spread / PEOPLE**0.5


def test_random_features_are_the_null_of_rank_and_collapse(unrelated):
    for name in ("effective_rank", "collapse"):
        measure = unrelated[f"{name}/first_modality"]
        np.testing.assert_allclose(measure.values.mean(), measure.null.mean(), rtol=0.1)


def test_a_collapse_shows(heads):
    places, positions, mask = heads
    same = torch.ones(PEOPLE, TOKENS, 8)
    profile = topology_profile(same, same, positions, places, mask)
    np.testing.assert_allclose(profile["collapse/first_modality"].values, 1, atol=1e-5)
    np.testing.assert_allclose(profile["effective_rank/second_modality"].values, 1, atol=1e-3)
    assert (profile["collapse/first_modality"].null < 0.1).all()
    assert not {"rank_correlation/same_person", "kernel_alignment/next_person"} & set(profile_metrics(profile))


def test_position_is_found_in_tokens_that_hold_it(heads):
    places, positions, mask = heads
    profile = topology_profile(positions, draw(PEOPLE, TOKENS, 3), positions, places, mask)
    assert profile["position_r2/first_modality"].values.min() > 0.99
    assert profile["position_r2/first_modality"].null.max() < 0.1
    assert profile["position_r2/second_modality"].values.max() < 0.1


def test_each_number_is_that_of_its_measure(heads):
    places, positions, mask = heads
    a, b = code(places), code(places) + draw(PEOPLE, TOKENS, 64, seed=8)
    profile = topology_profile(a, b, positions, places, mask)
    np.testing.assert_allclose(profile["neighbor_overlap/same_person"].values, neighbor_overlap(a, b, K, mask))
    following = b.roll(1, 0), mask.roll(1, 0)
    expected = matched_fraction(mutual_matches(a, following[0], mask, following[1]), mask)
    np.testing.assert_allclose(profile["matched_fraction/next_person"].values, expected)


def test_what_is_masked_does_not_matter(heads, perfect):
    places, positions, mask = heads
    spoiled = code(places).masked_fill(~mask[..., None], torch.nan)
    profile = topology_profile(spoiled, spoiled, positions, places, mask)
    assert list(profile) == list(perfect)
    for name, measure in profile.items():
        np.testing.assert_allclose(measure.values, perfect[name].values, atol=1e-5, err_msg=name)


def test_people_without_a_common_truth_are_not_compared(heads):
    places, positions, mask = heads
    profile = topology_profile(code(places), code(places), positions, places, mask, across=False)
    assert not [name for name in profile if name.endswith("next_person")]
    assert "match_error/same_person" in profile


def test_one_person_is_refused(heads):
    places, positions, mask = heads
    with pytest.raises(ValueError, match="at least two people"):
        topology_profile(code(places)[:1], code(places)[:1], positions[:1], places[:1], mask[:1])


def test_metrics_have_intervals_nulls_and_units(perfect, tmp_path):
    metrics = profile_metrics(perfect)
    found = metrics["match_error/next_person"]
    values = perfect["match_error/next_person"].values
    assert found["value"] == pytest.approx(values.mean())
    assert (found["low"], found["high"]) == bootstrap_subjects(values[None])
    assert found["high"] < found["null"] == pytest.approx(perfect["match_error/next_person"].null.mean())
    assert (found["unit"], found["n"]) == ("mm", PEOPLE)
    path = write_result(tmp_path / "result.json", source="test", metrics=metrics)
    assert set(json.loads(path.read_text())["metrics"]) == set(metrics)


def test_people_without_a_value_are_left_out():
    nothing = np.full(3, np.nan)
    profile = {
        "some": Measure(np.array([1.0, np.nan, 3.0]), np.array([0.0, np.nan, 1.0]), "higher", "mm"),
        "one": Measure(np.array([1.0, np.nan, np.nan]), nothing, "higher", "mm"),
        "none": Measure(nothing, nothing, "higher", "mm"),
    }
    metrics = profile_metrics(profile)
    assert set(metrics) == {"some", "one"}
    assert (metrics["some"]["value"], metrics["some"]["null"], metrics["some"]["n"]) == (2.0, 0.5, 2)
    assert metrics["one"] == {"value": 1.0, "unit": "mm", "n": 1}


def test_a_network_is_profiled_at_every_level(subjects, smoke):
    torch.manual_seed(0)
    posed = pose_subjects(subjects, smoke)
    profiles = network_profiles(Taco(smoke.model), posed)
    assert set(profiles) == {4, 8}
    overlap = profiles[4]["neighbor_overlap/same_person"]
    assert overlap.values.mean() > overlap.null.mean()  # even untrained: the place shows through
    assert profiles[8]["match_precision/same_person"].unit == "share within 24 mm"
    (only,) = network_profiles(Taco(smoke.model), posed, strides=(8,)).items()
    assert only[0] == 8
    with pytest.raises(ValueError, match="strides must be among"):
        network_profiles(Taco(smoke.model), posed, strides=(3,))
