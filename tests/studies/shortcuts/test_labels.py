"""Which questions a table of people lets one ask."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from toposlearn.data import Manifest, Record
from toposlearn.studies.shortcuts.labels import labels_of, people_table


def named(**columns):
    return {label.name: label for label in labels_of(pd.DataFrame(columns))}


def test_each_diagnosis_and_each_degree_is_set_against_control():
    found = named(
        diagnosis=["control", "atrophy", "atrophy", "developmental", "control"],
        degree=["n/a", "mild", "severe", "n/a", "n/a"],
    )
    assert set(found) == {
        "diagnosis atrophy",
        "diagnosis developmental",
        "degree atrophy mild",
        "degree atrophy severe",
    }
    mild = found["degree atrophy mild"]
    np.testing.assert_array_equal(mild.subjects, [True, True, False, False, True])
    np.testing.assert_array_equal(mild.positive, [False, True, False, False, False])
    np.testing.assert_array_equal(found["diagnosis developmental"].subjects, [True, False, False, True, True])
    assert mild.fewest == 1


def test_a_type_of_lesion_is_set_against_none():
    found = named(lesion=["true", "false", "true"], lesion_type=["stroke", "n/a", "metastases"])
    assert set(found) == {"lesion true", "lesion_type stroke", "lesion_type metastases"}
    np.testing.assert_array_equal(found["lesion_type stroke"].subjects, [True, True, False])


def test_several_sites_are_each_set_against_the_others_and_two_are_one_question():
    three = named(site=["a", "b", "c", "a"])
    assert set(three) == {"site a", "site b", "site c"}
    assert three["site a"].subjects.all()
    assert set(named(site=["a", "b", "n/a"])) == {"site b"}


def test_unknown_values_do_not_count():
    found = named(sex=["F", "M", "n/a", ""], age=["20", "40", "60", "n/a"])
    np.testing.assert_array_equal(found["sex M"].subjects, [True, True, False, False])
    np.testing.assert_array_equal(found["age over 40"].subjects, [True, True, True, False])
    np.testing.assert_array_equal(found["age over 40"].positive, [False, False, True, False])


def test_what_is_the_same_in_everybody_is_no_question():
    assert not named(sex=["F", "F"], diagnosis=["control", "control"], age=["30", "30"], site=["n/a", "n/a"])


def test_the_table_has_a_row_a_person_and_says_what_is_missing():
    rows = {"sub-01": {"sex": "F", "seed": "3"}, "sub-02": {"sex": "M", "seed": "3"}, "sub-03": {}}
    table = people_table(Manifest(Path("shelf"), tuple(Record(name, {}, info=row) for name, row in rows.items())))
    assert table["sex"].to_dict() == {"sub-01": "F", "sub-02": "M", "sub-03": ""}
    assert list(table) == ["sex"]
    with pytest.raises(ValueError, match=r"shelf/participants.tsv has none of the columns diagnosis"):
        people_table(Manifest(Path("shelf"), (Record("sub-01", {}),)))


def test_ages_that_are_no_numbers_are_not_known():
    records = tuple(Record(f"sub-{age}", {}, info={"age": age}) for age in ("30", "90+", "50"))
    assert list(people_table(Manifest(Path("x"), records))["age"]) == ["30", "n/a", "50"]
