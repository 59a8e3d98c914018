import re
from math import nan

import pytest

from toposlearn.anatomy import STRUCTURES, TISSUES
from toposlearn.cohort.scanner import SCANNERS
from toposlearn.studies.realism.published import ORDER, RANGES, SHORTCOMINGS, SOURCES, Reference, status_of
from toposlearn.studies.realism.shapes import GROUPS, RINGS

PUBLISHED = {
    f"{group}/{name}": reference
    for group, entries in RANGES.items()
    for name, reference in entries.items()
    if reference.sources
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_range_has_two_ends_a_text_and_a_source(name):
    low, high, text, sources = PUBLISHED[name]
    assert 0 <= low < high
    assert text
    assert set(sources.split()) <= set(SOURCES)


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name.startswith(("volume", "signal"))])
def test_a_range_reaches_two_standard_deviations_from_each_mean_in_its_text(name):
    known = [tuple(map(float, pair)) for pair in re.findall(r"([\d.]+) ± ([\d.]+)", PUBLISHED[name].text)]
    if known:
        assert PUBLISHED[name].low == pytest.approx(max(0, min(mean - 2 * sd for mean, sd in known)))
        assert PUBLISHED[name].high == pytest.approx(max(mean + 2 * sd for mean, sd in known))


@pytest.mark.parametrize("name", RANGES["ADC, over white matter"])
def test_a_ratio_of_two_means_has_the_spread_of_both(name):
    low, high, text, _ = RANGES["ADC, over white matter"][name]
    a, a_sd, b, b_sd = map(float, re.findall(r"[\d.]+", text))
    spread = 2 * ((a_sd / a) ** 2 + (b_sd / b) ** 2) ** 0.5
    assert (low, high) == pytest.approx((a / b * (1 - spread), a / b * (1 + spread)))


def test_every_source_is_used():
    assert {key for known in PUBLISHED.values() for key in known.sources.split()} == set(SOURCES)


def test_volumes_orders_and_rings_are_of_things_that_can_be_measured():
    names = {s.name for s in STRUCTURES} | set(GROUPS) | {"brain", "intracranial"}
    assert set(RANGES["volume"]) <= names
    assert {name for order in ORDER.values() for name in order} <= set(TISSUES)
    assert set(RANGES["local size around a mass"]) == set(RINGS) - {"inside"}


@pytest.mark.parametrize(
    ("value", "interval", "status"),
    [
        (1.5, (), "within"),
        (1.5, (1.4, 1.6), "within"),
        (0.5, (), "outside: 0.50 × the lower end"),
        (3.0, (2.5, 3.5), "outside: 1.50 × the upper end"),
        (2.1, (1.9, 2.3), "undecided: the interval crosses the end"),
        (-1.0, (), "outside: 2 from the lower end"),
        (nan, (), "not measured"),
    ],
)
def test_a_number_is_within_outside_or_undecided(value, interval, status):
    assert status_of(value, Reference(1.0, 2.0), *interval) == status


def test_an_exact_reference_is_met_exactly_or_not():
    assert status_of(0.0, Reference(0, 0), 0.0, 0.0) == "within"
    assert status_of(0.1, Reference(0, 0), 0.0, 0.2).startswith("outside")
    assert status_of(0.1, Reference()) == "not judged"


def test_the_nominal_bias_in_the_shortcomings_is_that_of_the_scanners():
    texts = " ".join(entry["text"] for entry in SHORTCOMINGS["measured"])
    for site, scanner in SCANNERS.items():
        assert f"{{{site}.value:.1f}} of {100 * scanner.bias:.0f} %" in texts
