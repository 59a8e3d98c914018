"""Traits of a cohort: no property predicts another, and a subject does not depend on how many others there are."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from toposlearn.cohort import DIAGNOSES, LESIONS, SITES, draw_traits
from toposlearn.cohort.traits import FEWEST, stream

PROPERTIES = ("diagnosis", "lesion", "site", "sex", "age")
FULL_PROPERTIES = ("condition", "lesion_type", "site", "sex", "decade")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.DataFrame([draw_traits(number, seed=7) for number in range(2000)])


@pytest.fixture(scope="module")
def full() -> pd.DataFrame:
    people = [draw_traits(number, seed=seed, recipe="full") for seed in (7, 8) for number in range(256)]
    table = pd.DataFrame(people).fillna("none")
    return table.assign(condition=table["diagnosis"] + table["degree"], decade=table["age"] // 10)


def strongest(table: pd.DataFrame, first: str, second: str) -> float:
    """Cramer's V of two properties."""
    counts = pd.crosstab(table[first], table[second])
    return float(stats.contingency.association(counts, method="cramer"))


@pytest.mark.parametrize(("first", "second"), list(combinations(FULL_PROPERTIES, 2)))
@pytest.mark.parametrize("seed", [7, 8])
def test_in_the_full_recipe_properties_are_less_related_than_by_independent_draws(full, seed, first, second):
    people = full[full["seed"] == seed]
    ours = strongest(people, first, second)
    generator = np.random.default_rng(0)
    by_chance = [
        strongest(people.assign(**{second: generator.permutation(people[second].to_numpy())}), first, second)
        for _ in range(20)
    ]
    assert ours < np.median(by_chance)


@pytest.mark.parametrize(("count", "related"), [(16, 1.0), (FEWEST, 0.0), (64, 0.0)])
def test_in_the_full_recipe_site_predicts_sex_among_few_people(full, count, related):
    assert strongest(full[full["seed"] == 7].head(count), "site", "sex") == pytest.approx(related)


def test_in_the_full_recipe_every_class_has_its_share(full):
    assert full["site"].value_counts().to_dict() == dict.fromkeys(SITES, 128)
    assert full["sex"].value_counts().to_dict() == {"F": 256, "M": 256}
    assert full["diagnosis"].value_counts().to_dict() == {"control": 192, "atrophy": 192, "developmental": 128}
    assert full["degree"].value_counts().to_dict() == {"none": 320, "mild": 64, "moderate": 64, "severe": 64}
    assert full["lesion_type"].value_counts().to_dict() == {"none": 192, **dict.fromkeys(LESIONS, 64)}
    assert (full["lesion"] == (full["lesion_type"] != "none")).all()
    assert (full["age"].min(), full["age"].max()) == (20, 80)


def test_in_the_full_recipe_a_person_does_not_depend_on_how_many_there_are():
    alone = draw_traits(37, seed=5, recipe="full")
    assert alone == [draw_traits(number, seed=5, recipe="full") for number in range(64)][37]
    assert {number: draw_traits(number, seed=5, recipe="full") for number in reversed(range(38))}[37] == alone
    assert draw_traits(0, seed=5, recipe="full") != replace(draw_traits(0, seed=6, recipe="full"), seed=5)


@pytest.mark.parametrize(("first", "second"), list(combinations(PROPERTIES, 2)))
def test_no_property_predicts_another(table, first, second):
    if second == "age":
        groups = [group["age"] for _, group in table.groupby(first)]
        assert stats.kruskal(*groups).pvalue > 1e-3
    else:
        assert stats.chi2_contingency(pd.crosstab(table[first], table[second])).pvalue > 1e-3


@pytest.mark.parametrize(("name", "classes"), [("diagnosis", DIAGNOSES[:2]), ("lesion", (False, True)), ("sex", "FM")])
def test_two_classes_are_balanced_in_every_four_people(table, name, classes):
    for start in range(0, len(table), 4):
        assert table[name][start : start + 4].value_counts().to_dict() == dict.fromkeys(classes, 2)


def test_order_predicts_nothing(table):
    half = np.arange(len(table)) % 2
    for name in PROPERTIES[:4]:
        assert stats.chi2_contingency(pd.crosstab(table[name], half)).pvalue > 1e-3


def test_sites_and_ages_are_uniform(table):
    assert set(table["site"]) == set(SITES[:3])
    assert stats.chisquare(table["site"].value_counts()).pvalue > 1e-3
    assert (table["age"].min(), table["age"].max()) == (20, 80)
    assert stats.chisquare(table["age"].value_counts()).pvalue > 1e-3


def test_seeds_and_numbers_make_other_people():
    people = [draw_traits(number, seed=seed) for seed in (0, 1) for number in range(50)]
    assert len({(p.age, p.sex, p.site, p.diagnosis, p.lesion) for p in people}) > 50
    assert draw_traits(3, seed=5) == draw_traits(3, seed=5)


def test_the_family_changes_nothing_else():
    a, b = draw_traits(3, anatomy="A"), draw_traits(3, anatomy="B")
    assert (a.age, a.sex, a.site, a.diagnosis, a.lesion) == (b.age, b.sex, b.site, b.diagnosis, b.lesion)


def test_names_are_those_of_bids():
    assert draw_traits(0).participant_id == "sub-001"
    assert draw_traits(1233).participant_id == "sub-1234"


def test_streams_are_apart():
    draws = {
        float(stream(seed, prop, person).random())
        for seed in range(3)
        for prop in ("age", "pose", "protocol")
        for person in range(3)
    }
    assert len(draws) == 27
