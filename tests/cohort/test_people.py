"""Who is in a cohort: no property tells another, and a person does not depend on how many others there are."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from toposlearn.cohort import DIAGNOSES, SITES, draw_person
from toposlearn.cohort.streams import balanced, stream

PROPERTIES = ("diagnosis", "lesion", "site", "sex", "age")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.DataFrame([draw_person(number, seed=7) for number in range(2000)])


@pytest.mark.parametrize(("first", "second"), list(combinations(PROPERTIES, 2)))
def test_no_property_tells_another(table, first, second):
    if second == "age":
        groups = [group["age"] for _, group in table.groupby(first)]
        assert stats.kruskal(*groups).pvalue > 1e-3
    else:
        assert stats.chi2_contingency(pd.crosstab(table[first], table[second])).pvalue > 1e-3


@pytest.mark.parametrize(("name", "classes"), [("diagnosis", DIAGNOSES), ("lesion", (False, True)), ("sex", "FM")])
def test_two_classes_are_balanced_in_every_four_people(table, name, classes):
    for start in range(0, len(table), 4):
        assert table[name][start : start + 4].value_counts().to_dict() == dict.fromkeys(classes, 2)


def test_order_tells_nothing(table):
    half = np.arange(len(table)) % 2
    for name in PROPERTIES[:4]:
        assert stats.chi2_contingency(pd.crosstab(table[name], half)).pvalue > 1e-3


def test_sites_and_ages_are_uniform(table):
    assert set(table["site"]) == set(SITES)
    assert stats.chisquare(table["site"].value_counts()).pvalue > 1e-3
    assert (table["age"].min(), table["age"].max()) == (20, 80)
    assert stats.chisquare(table["age"].value_counts()).pvalue > 1e-3


def test_seeds_and_numbers_make_other_people():
    people = [draw_person(number, seed=seed) for seed in (0, 1) for number in range(50)]
    assert len({(p.age, p.sex, p.site, p.diagnosis, p.lesion) for p in people}) > 50
    assert draw_person(3, seed=5) == draw_person(3, seed=5)


def test_the_family_changes_nothing_else():
    a, b = draw_person(3, anatomy="A"), draw_person(3, anatomy="B")
    assert (a.age, a.sex, a.site, a.diagnosis, a.lesion) == (b.age, b.sex, b.site, b.diagnosis, b.lesion)


def test_names_are_those_of_bids():
    assert draw_person(0).participant_id == "sub-001"
    assert draw_person(1233).participant_id == "sub-1234"


def test_streams_are_apart():
    draws = {
        float(stream(seed, prop, person).random())
        for seed in range(3)
        for prop in ("age", "pose", "protocol")
        for person in range(3)
    }
    assert len(draws) == 27


def test_three_classes_are_balanced_too():
    labels = [balanced(0, "site", person, classes=3, repeats=1) for person in range(30)]
    assert all(set(labels[start : start + 3]) == {0, 1, 2} for start in range(0, 30, 3))
