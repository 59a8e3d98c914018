import numpy as np
import pandas as pd
import pytest

from toposlearn.anatomy import LabelMap, load_donor_map, load_label_map
from toposlearn.relations.consistency import disputed_relations, fraction_interval, medial_table, relation_consistency
from toposlearn.relations.layout import Layout, layout
from toposlearn.relations.relations import COLUMNS, topology_table


@pytest.fixture(scope="module")
def families() -> dict[str, LabelMap]:
    return {"B": load_label_map("B"), "9861": load_donor_map("9861"), "10021": load_donor_map("10021")}


@pytest.fixture(scope="module")
def layouts(families: dict[str, LabelMap]) -> dict[str, Layout]:
    return {name: layout(subject) for name, subject in families.items()}


def test_interval_of_six_out_of_six_is_the_closed_form() -> None:
    assert fraction_interval(6, 6) == pytest.approx((0.025 ** (1 / 6), 1.0))
    assert fraction_interval(0, 6) == pytest.approx((0.0, 1 - 0.025 ** (1 / 6)))
    with pytest.raises(ValueError, match="successes must be between 0 and n"):
        fraction_interval(7, 6)


def test_medial_table_answers_per_person_and_side(layouts: dict[str, Layout]) -> None:
    table = medial_table(layouts)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 3 * 4 * 2
    clear = table[table["structure_b"].isin(["putamen", "pallidum"])]
    assert (clear["verdict"] == "holds").all()
    assert clear["margin"].between(5, 20).all()
    accumbens = table[table["structure_b"] == "accumbens"]  # nearer to the middle than the thalamus
    assert (accumbens["verdict"] == "does not hold").all()


def test_medial_table_is_part_of_the_topology_table(families: dict[str, LabelMap]) -> None:
    everything = topology_table({"B": families["B"]})
    merged = medial_table({"B": families["B"]}).merge(everything, on=list(COLUMNS[:6]), suffixes=("", "_all"))
    assert len(merged) == 8
    assert (merged["verdict"] == merged["verdict_all"]).all()
    np.testing.assert_allclose(merged["margin"], merged["margin_all"])


def test_relation_consistency_counts_people(layouts: dict[str, Layout]) -> None:
    table = medial_table(layouts)
    table.loc[(table["person"] == "B") & (table["structure_b"] == "putamen"), "holds"] = False
    result = relation_consistency(table).set_index(["structure_b", "side_b"])
    assert result.loc[("putamen", "left"), ["people", "holds"]].tolist() == [3, 2]
    assert result.loc[("pallidum", "left"), "fraction"] == 1
    assert result.loc[("putamen", "left"), ["low", "high"]].tolist() == pytest.approx(fraction_interval(2, 3))
    margins = table[(table["structure_b"] == "putamen") & (table["side_b"] == "left")]["margin"]
    expected = [margins.min(), margins.mean(), margins.max()]
    assert result.loc[("putamen", "left"), ["margin_min", "margin_mean", "margin_max"]].tolist() == pytest.approx(
        expected
    )


def test_relation_consistency_counts_the_undecided() -> None:
    rows = [("a", 0.4, "undecided"), ("b", 9.0, "holds"), ("c", -0.2, "undecided")]
    table = pd.DataFrame([(who, *RELATION, margin > 0, margin, verdict) for who, margin, verdict in rows])
    table.columns = pd.Index(COLUMNS)
    result = relation_consistency(table).iloc[0]
    assert (result["people"], result["holds"], result["undecided"]) == (3, 2, 2)
    assert (result["clearly_holds"], result["clearly_not"]) == (1, 0)
    assert (result["low"], result["high"]) == pytest.approx(fraction_interval(2, 3))


RELATION = ("thalamus", "left", "caudate", "left", "medial")
OPPOSITE = ("caudate", "left", "thalamus", "left", "medial")


def test_disputed_relations_are_told_once_with_who_says_what() -> None:
    said = {"a": 3.0, "b": 4.0, "c": -2.0, "d": 0.1}
    verdict = {"a": "holds", "b": "holds", "c": "does not hold", "d": "undecided"}
    turned = {"holds": "does not hold", "does not hold": "holds", "undecided": "undecided"}
    rows = [(who, *RELATION, margin > 0, margin, verdict[who]) for who, margin in said.items()]
    rows += [(who, *OPPOSITE, margin < 0, -margin, turned[verdict[who]]) for who, margin in said.items()]
    rows += [(who, "thalamus", "left", "putamen", "left", "medial", True, 9.0, "holds") for who in said]
    disputed = disputed_relations(pd.DataFrame(rows, columns=list(COLUMNS)))
    assert len(disputed) == 1
    only = disputed.iloc[0]
    assert tuple(only[list(COLUMNS[1:6])]) == RELATION
    assert (only["holds"], only["does not hold"], only["undecided"]) == ("a, b", "c", "d")
    assert only["spread"] == pytest.approx(6)


def test_a_contact_that_only_a_minority_has_is_disputed_once() -> None:
    verdict = {"a": "holds", "b": "does not hold", "c": "does not hold"}
    rows = [
        (who, *(pair[:4]), "adjacent", told == "holds", float(told == "holds") * 9, told)
        for who, told in verdict.items()
        for pair in (RELATION, OPPOSITE)
    ]
    disputed = disputed_relations(pd.DataFrame(rows, columns=list(COLUMNS)))
    assert len(disputed) == 1
    assert (disputed["holds"][0], disputed["does not hold"][0]) == ("a", "b, c")


def test_without_a_relation_the_table_is_empty_and_has_all_columns(layouts: dict[str, Layout]) -> None:
    empty = relation_consistency(pd.DataFrame(columns=list(COLUMNS)))
    assert len(empty) == 0
    assert list(empty.columns) == list(relation_consistency(medial_table(layouts)).columns)
