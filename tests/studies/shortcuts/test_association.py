"""Which properties go together: found where they do, not where they do not."""

import numpy as np
import pandas as pd
import pytest

from toposlearn.cohort import draw_traits
from toposlearn.studies.shortcuts.measure import association


@pytest.fixture(scope="module")
def table():
    generator = np.random.default_rng(0)
    site = generator.choice(["a", "b", "c"], 90)
    sex = np.where(generator.random(90) < np.where(site == "a", 0.9, 0.2), "F", "M")
    age = generator.integers(20, 60, 90) + 20 * (site == "b")
    return pd.DataFrame(
        {"site": site, "sex": sex, "lesion": generator.choice(["true", "false"], 90), "age": age.astype(str)}
    )


def pair(pairs, first, second):
    return pairs[(pairs["first"] == first) & (pairs["second"] == second)].iloc[0]


def test_what_goes_together_is_found(table):
    found = association(table, permutations=199)
    assert pair(found, "site", "sex")["measure"] == "Cramer's V"
    assert pair(found, "site", "age")["measure"] == "Kruskal-Wallis, H/(n-1)"
    for first, second in (("site", "sex"), ("site", "age")):
        assert pair(found, first, second)["p"] == pytest.approx(1 / 200)
        assert pair(found, first, second)["strength"] > 0.3
    assert pair(found, "site", "lesion")["p"] > 0.01


def test_strength_is_one_for_the_same_property(table):
    same = table.assign(scanner=table["site"].map({"a": "x", "b": "y", "c": "z"}))[["site", "scanner"]]
    assert association(same, permutations=19).iloc[0]["strength"] == pytest.approx(1)


def test_parts_of_one_another_and_what_is_unknown_or_the_same_are_not_asked(table):
    more = table.assign(
        diagnosis="control", lesion_type=np.where(table["lesion"] == "true", "stroke", "n/a"), sex="n/a"
    )
    found = association(more, permutations=19)
    assert {(row.first, row.second) for row in found.itertuples()} == {
        ("site", "lesion"),
        ("site", "age"),
        ("lesion", "age"),
    }


def test_no_property_of_the_full_cohort_predicts_another():
    subjects = [draw_traits(number, recipe="full") for number in range(200)]
    names = ("age", "sex", "site", "diagnosis", "degree", "lesion", "lesion_type")
    table = pd.DataFrame([{name: str(getattr(one, name)) for name in names} for one in subjects]).replace("None", "n/a")
    found = association(table, permutations=199)
    assert len(found) == 19
    assert (found["p"] > 0.05 / len(found)).all()
    assert found["strength"].max() < 0.35
