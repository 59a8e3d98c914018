import re
from itertools import pairwise
from math import nan

import pytest

from toposlearn.anatomy import STRUCTURES, TISSUES
from toposlearn.cohort.scanner import SCANNERS
from toposlearn.studies.realism.measure import RING_ENDS_MM
from toposlearn.studies.realism.published import PUBLISHED as DATA
from toposlearn.studies.realism.table import status_of

PUBLISHED = {
    f"{group}/{name}": reference
    for group, entries in DATA["ranges"].items()
    for name, reference in entries.items()
    if reference[-1]  # sources
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_range_has_two_ends_a_text_and_a_source(name):
    low, high, text, sources = PUBLISHED[name]
    assert 0 <= low < high
    assert text
    assert set(sources.split()) <= set(DATA["sources"])


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name.startswith(("volume", "signal"))])
def test_a_range_reaches_two_standard_deviations_from_each_mean_in_its_text(name):
    low, high, text, _ = PUBLISHED[name]
    known = [tuple(map(float, pair)) for pair in re.findall(r"([\d.]+) ± ([\d.]+)", text)]
    if known:
        assert low == pytest.approx(max(0, min(mean - 2 * sd for mean, sd in known)))
        assert high == pytest.approx(max(mean + 2 * sd for mean, sd in known))


@pytest.mark.parametrize("name", DATA["ranges"]["ADC, over white matter"])
def test_a_ratio_of_two_means_has_the_spread_of_both(name):
    low, high, text, _ = DATA["ranges"]["ADC, over white matter"][name]
    a, a_sd, b, b_sd = map(float, re.findall(r"[\d.]+", text))
    spread = 2 * ((a_sd / a) ** 2 + (b_sd / b) ** 2) ** 0.5
    assert (low, high) == pytest.approx((a / b * (1 - spread), a / b * (1 + spread)))


def test_every_source_is_used():
    assert {key for known in PUBLISHED.values() for key in known[-1].split()} == set(DATA["sources"])


def test_volumes_orders_and_rings_are_of_things_that_can_be_measured():
    names = {s.name for s in STRUCTURES} | set(DATA["groups"]) | {"brain", "intracranial"}
    listed = [DATA["ranges"]["volume"], DATA["donors"], DATA["shares"], *DATA["groups"].values()]
    listed += [DATA["rows"][group] for group in ("volume", "volume, size taken out", "spread between people", "aging")]
    assert {name for each in listed for name in each} <= names
    for tissue, group in (("cortex", "cortex"), ("csf", "fluid")):
        assert {s.name for s in STRUCTURES if s.tissue == tissue} == set(DATA["groups"][group])
    assert {name for order in DATA["order"].values() for name in order} <= set(TISSUES)
    rings = [f"{low} to {high} mm" for low, high in pairwise(RING_ENDS_MM)]
    assert DATA["rows"]["local size around a mass"] == ["inside", *rings]


def test_every_range_and_every_figure_is_of_a_row():
    for group, names in DATA["ranges"].items():
        assert set(names) <= set(DATA["rows"][group]) | {"intracranial", "brain"}
    groups = {group for figure in DATA["figures"].values() for group in figure["panels"]}
    title = DATA["figures"]["volumes"]["panels"]["volume, size taken out"]["axes"]["title"]
    assert title == f"brains scaled to {DATA['typical_brain_ml']:.0f} ml"
    assert groups | set(DATA["measured"]) | set(DATA["healthy"]) <= set(DATA["rows"])


@pytest.mark.parametrize(
    ("value", "interval", "status"),
    [
        (1.5, (), "within"),
        (1.5, (1.4, 1.6), "within"),
        (0.5, (), "outside: 0.50 × the lower end"),
        (3.0, (2.5, 3.5), "outside: 1.50 × the upper end"),
        (2.1, (1.9, 2.3), "undecided: the interval crosses the end"),
        (-1.0, (), "outside: 2 from the lower end"),
    ],
)
def test_a_number_is_within_outside_or_undecided(value, interval, status):
    assert status_of(value, 1.0, 2.0, *interval) == status


def test_an_exact_reference_is_met_exactly_or_not():
    assert status_of(0.0, 0, 0, 0.0, 0.0) == "within"
    assert status_of(0.1, 0, 0, 0.0, 0.2).startswith("outside")
    assert status_of(0.1, nan, nan) == "not judged"


def test_the_nominal_bias_in_the_shortcomings_is_that_of_the_scanners():
    texts = " ".join(entry["text"] for entry in DATA["shortcomings"]["measured"])
    for site, scanner in SCANNERS.items():
        assert f"{{{site}.value:.1f}} of {100 * scanner.bias:.0f} %" in texts
