"""The signal equations against their closed forms, and pictures that a radiologist would recognize."""

import numpy as np
import pytest

from toposlearn.cohort.contrast import (
    AGENT_T1,
    ALL_TISSUES,
    SEQUENCES,
    PulseSequence,
    draw_diffusivity,
    draw_sequence,
    draw_tissues,
    fluid_null,
    signal,
    tissue_signals,
)
from toposlearn.settings import T1CE

# From bright to dark, as radiology books have it.
ORDER = {
    "T1w": ("white", "thalamus", "cortex", "csf"),
    "T2w": ("csf", "edema", "cortex", "white"),
    "FLAIR": ("edema", "cortex", "white", "csf"),
    "PDw": ("cortex", "white"),
    T1CE: ("enhancing", "white", "cortex", "csf"),
    "dwi": ("infarct", "cortex", "white", "csf"),
}


def signals(name, tissues=None, diffusivity=None):
    values = np.array(list(ALL_TISSUES.values())) if tissues is None else tissues
    spread = draw_diffusivity(np.random.default_rng(0), spread=0.0) if diffusivity is None else diffusivity
    return dict(zip(ALL_TISSUES, tissue_signals(name, SEQUENCES[name], values, spread), strict=True))


@pytest.mark.parametrize("name", SEQUENCES)
def test_tissues_are_in_the_right_order(name):
    values = [signals(name)[tissue] for tissue in ORDER[name]]
    assert values == sorted(values, reverse=True)
    assert min(-np.diff(values)) > 0.02 * max(signals(name).values())  # and can be distinguished


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_order_holds_in_nearly_every_person(name):
    right = 0
    for person in range(50):
        generator = np.random.default_rng(person)
        drawn = signals(name, draw_tissues(generator), draw_diffusivity(generator))
        values = [drawn[tissue] for tissue in ORDER[name]]
        right += values == sorted(values, reverse=True)
    assert right >= 45


def test_fluid_is_suppressed_in_flair_and_bright_in_t2():
    assert signals("FLAIR")["csf"] < 0.15 * signals("FLAIR")["edema"]
    assert signals("T2w")["csf"] == max(signals("T2w").values())


def test_air_gives_no_signal():
    assert all(signals(name)["air"] == 0 for name in SEQUENCES)


def test_a_spin_echo_is_the_textbook_product():
    t1, t2, density = np.array([1000.0]), np.array([100.0]), np.array([0.8])
    expected = 0.8 * (1 - np.exp(-2.0)) * np.exp(-0.5)
    np.testing.assert_allclose(signal(PulseSequence(2000.0, 50.0), t1, t2, density), expected)


def test_an_agent_changes_what_leaks_and_nothing_else():
    plain, after = signals("T1w"), signals(T1CE)
    changed = {name for name in plain if plain[name] != after[name]}
    assert changed == set(AGENT_T1)


def test_diffusion_takes_the_exponential_of_b_times_d():
    still = np.zeros(len(ALL_TISSUES))
    without, with_gradients = signals("dwi", diffusivity=still), signals("dwi", diffusivity=still + 0.8)
    for name in ("white", "csf"):
        assert with_gradients[name] == pytest.approx(without[name] * np.exp(-1000 * 0.8e-3))


def test_an_inversion_nulls_the_tissue_it_was_timed_for():
    t1 = np.array([1000.0])
    inversion = 1000 * np.log(2 / (1 + np.exp(-9.0)))  # solves 1 - 2 exp(-TI/T1) + exp(-TR/T1) = 0
    null = signal(PulseSequence(9000.0, 0.0, inversion), t1, t1, np.ones(1))
    np.testing.assert_allclose(null, 0, atol=1e-12)
    assert signal(PulseSequence(9000.0, 0.0, inversion / 2), t1, t1, np.ones(1)) > 0  # magnitude, never negative


@pytest.mark.parametrize("repetition", [6000.0, 9000.0, 12000.0])
def test_fluid_is_nulled_at_its_own_inversion_time(repetition):
    t1, t2, density = ALL_TISSUES["csf"]
    sequence = PulseSequence(repetition, 110.0, fluid_null(repetition))
    null = signal(sequence, np.array([t1]), np.array([t2]), np.array([density]))
    np.testing.assert_allclose(null, 0, atol=1e-9)


def test_times_are_drawn_around_the_published_ones():
    drawn = np.stack([draw_tissues(np.random.default_rng(person)) for person in range(400)])
    base = np.array(list(ALL_TISSUES.values()))
    np.testing.assert_allclose(np.median(drawn, axis=0), base, rtol=0.02)
    deviation = np.log(np.maximum(drawn[:, 1:], 1e-9)).std(axis=0)
    np.testing.assert_allclose(deviation, np.broadcast_to([0.04, 0.048, 0.02], deviation.shape), rtol=0.2)


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_protocol_is_close_to_the_nominal_one(name):
    drawn = [draw_sequence(np.random.default_rng(site), name) for site in range(100)]
    base = SEQUENCES[name]
    assert np.median([one.repetition for one in drawn]) == pytest.approx(base.repetition, rel=0.03)
    assert np.median([one.echo for one in drawn]) == pytest.approx(base.echo, rel=0.03)
    assert {one.inversion is None for one in drawn} == {base.inversion is None}
