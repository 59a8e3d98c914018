from math import nan

import pytest

from toposlearn.anatomy import STRUCTURES, TISSUES
from toposlearn.studies.realism import published
from toposlearn.studies.realism.published import Published, verdict
from toposlearn.studies.realism.realism_shapes import GROUPS

RANGES = [
    *published.VOLUMES.values(),
    *published.SNR.values(),
    *published.ADC_TO_WHITE.values(),
    published.SIZE_SPREAD,
    published.SEX_RATIO,
    published.FLUID_PER_DECADE,
]


@pytest.mark.parametrize("known", RANGES, ids=lambda known: known.text)
def test_every_range_has_two_ends_a_text_and_a_source(known: Published):
    assert 0 <= known.low < known.high
    assert known.text
    assert known.sources
    assert set(known.sources) <= set(published.SOURCES)


def test_every_source_is_used():
    assert {key for known in RANGES for key in known.sources} == set(published.SOURCES)


def test_volumes_and_orders_are_of_things_that_can_be_measured():
    names = {s.name for s in STRUCTURES} | set(GROUPS) | {"brain", "intracranial"}
    assert set(published.VOLUMES) <= names
    assert {name for order in published.ORDER.values() for name in order} <= set(TISSUES)


def test_a_range_reaches_over_sources_that_disagree():
    brainstem = published.VOLUMES["brainstem"]
    assert brainstem.low == pytest.approx(20.9 - 2 * 2.06)
    assert brainstem.high == pytest.approx(42.7 + 2 * 3.8)


@pytest.mark.parametrize(
    ("value", "interval", "said"),
    [
        (1.5, None, "within"),
        (1.5, (1.4, 1.6), "within"),
        (0.5, None, "outside: 0.50 × the lower end"),
        (3.0, (2.5, 3.5), "outside: 1.50 × the upper end"),
        (2.1, (1.9, 2.3), "undecided: the interval crosses the end"),
        (-1.0, None, "outside: 2 from the lower end"),
        (nan, None, "not measured"),
    ],
)
def test_verdicts(value, interval, said):
    assert verdict(value, 1.0, 2.0, interval) == said


def test_an_exact_reference_is_met_exactly_or_not():
    assert verdict(0.0, 0, 0, (0.0, 0.0)) == "within"
    assert verdict(0.1, 0, 0, (0.0, 0.2)).startswith("outside")
