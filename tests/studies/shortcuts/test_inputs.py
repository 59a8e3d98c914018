"""The questions that a table of people allows, and the features of their files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from toposlearn.data import Manifest, Record
from toposlearn.studies.shortcuts.inputs import label_table, subject_table


def answers(**columns):
    """Question -> answers: 1, 0, or None for people who take no part."""
    questions = label_table(pd.DataFrame(columns))
    return {name: [None if np.isnan(one) else int(one) for one in questions[name]] for name in questions}


def test_each_diagnosis_and_each_degree_is_compared_with_control():
    assert answers(
        diagnosis=["control", "atrophy", "atrophy", "developmental", "control"],
        degree=["n/a", "mild", "severe", "n/a", "n/a"],
    ) == {
        "diagnosis atrophy": [0, 1, 1, None, 0],
        "diagnosis developmental": [0, None, None, 1, 0],
        "degree atrophy mild": [0, 1, None, None, 0],
        "degree atrophy severe": [0, None, 1, None, 0],
    }


def test_a_type_of_lesion_is_compared_with_none():
    assert answers(lesion=["true", "false", "true"], lesion_type=["stroke", "n/a", "metastases"]) == {
        "lesion true": [1, 0, 1],
        "lesion_type stroke": [1, 0, None],
        "lesion_type metastases": [None, 0, 1],
    }


def test_several_sites_are_each_compared_with_the_others_and_two_are_one_question():
    assert answers(site=["a", "b", "c", "a"]) == {
        "site a": [1, 0, 0, 1],
        "site b": [0, 1, 0, 0],
        "site c": [0, 0, 1, 0],
    }
    assert set(answers(site=["a", "b", "n/a"])) == {"site b"}


def test_unknown_values_do_not_count():
    assert answers(sex=["F", "M", "n/a", ""], age=["20", "40", "60", "n/a"]) == {
        "sex M": [0, 1, None, None],
        "age over 40": [0, 0, 1, None],
    }


def test_a_value_that_all_people_share_is_no_question():
    assert not answers(sex=["F", "F"], diagnosis=["control", "control"], age=["30", "30"], site=["n/a", "n/a"])


def manifest_of(rows):
    return Manifest(Path("shelf"), tuple(Record(name, {}, info=row) for name, row in rows.items()))


def test_the_table_has_one_row_per_subject_and_names_missing_columns():
    table = subject_table(manifest_of({"sub-01": {"sex": "F", "seed": "3"}, "sub-02": {"sex": "M"}, "sub-03": {}}))
    assert table["sex"].to_dict() == {"sub-01": "F", "sub-02": "M", "sub-03": ""}
    assert list(table) == ["sex"]
    with pytest.raises(ValueError, match=r"shelf/participants.tsv has none of the columns diagnosis"):
        subject_table(manifest_of({"sub-01": {}}))


def test_ages_that_are_no_numbers_are_not_known():
    ages = {f"sub-{age}": {"age": age} for age in ("30", "90+", "50")}
    assert list(subject_table(manifest_of(ages))["age"]) == ["30", "n/a", "50"]
