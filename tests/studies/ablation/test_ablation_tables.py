"""The change by each term: read from paired differences, stated in a sentence, drawn with its interval."""

import json

import pytest

from toposlearn.studies.ablation.figures import plot_changes
from toposlearn.studies.ablation.tables import change_in_words, read_result, term_changes, variants_table


def metrics(**values):
    """``full-OTHER`` at two levels from (value, low, high)."""
    parts = dict(zip(("value", "low", "high"), zip(*values.values(), strict=True), strict=True))
    return {
        f"A/full-{other}/stride{stride}/across_people_error": {key: each[place] for key, each in parts.items()}
        for place, other in enumerate(values)
        for stride in (4, 8)
    }


def test_a_term_is_compared_with_the_variant_that_lacks_only_it():
    found = term_changes(metrics(inter=(-14.0, -19.0, -9.0), intra=(0.1, -0.5, 0.7), untrained=(-35.0, -40.0, -30.0)))
    assert {(each.term, each.value, each.undecided) for each in found} == {
        ("intra", -14.0, False),
        ("inter", 0.1, True),
    }
    assert [each.stride for each in found] == [4, 8, 4, 8]


def test_the_sentences_count_what_is_decided():
    found = term_changes(metrics(inter=(-14.0, -19.0, -9.0), intra=(0.1, -0.5, 0.7)))
    missing, helps, open_ = change_in_words(found)
    assert missing == "reconstruction: not measured, because no run here lacks only this term."
    assert helps.startswith(
        "intra: lowers the error between two people in 2 of 2 comparisons, raises it in 0, and in 0"
    )
    assert open_.startswith(
        "inter: lowers the error between two people in 0 of 2 comparisons, raises it in 0, and in 2"
    )


def test_a_harmful_term_is_stated_to_raise_the_error():
    found = term_changes(metrics(no_reconstruction=(1.6, 0.8, 2.4)))
    assert "in 0 of 2 comparisons, raises it in 2, and in 0" in change_in_words(found)[0]
    assert change_in_words(found)[0].endswith("(+1.6 to +1.6 mm).")


def test_every_change_is_a_row_with_its_interval_beside_zero():
    found = term_changes(metrics(inter=(-14.0, -19.0, -9.0), intra=(0.1, -0.5, 0.7)))
    (ax,) = plot_changes(found, spacing=3.0).axes
    assert [text.get_text() for text in ax.get_yticklabels()][:2] == [
        "intra: anatomy A, 12 mm tokens",
        "intra: anatomy A, 24 mm tokens",
    ]
    bars = [collection.get_segments()[0] for collection in ax.collections]
    assert [tuple(bar[:, 0]) for bar in bars] == [pytest.approx((each.low, each.high)) for each in found]


def test_the_table_has_a_row_for_each_variant_that_was_measured():
    cell, dice = {"value": 23.14, "low": 20.9, "high": 25.4}, {"value": 0.213, "low": 0.204, "high": 0.222}
    measured = {f"A/{name}/stride8/{kind}_error": cell for name in ("full", "position") for kind in ("same_person",)}
    measured |= {"A/full/stride8/across_people_error": cell, "A/full/stride8/probe_T1w_T2w": dice}
    table = variants_table(measured, "A", (8,), spacing=3.0)
    assert list(table.index) == ["full", "position"]
    assert table.loc["full", "across people, 24 mm"] == "23.1 [20.9, 25.4]"
    assert table.loc["position", "across people, 24 mm"] == "–"
    assert list(table.loc["full"])[2:] == ["–", "0.21 [0.20, 0.22]", "–"]
    assert variants_table(measured, "B", (8,), spacing=3.0).empty


def test_weights_without_results_have_no_metrics(tmp_path):
    assert read_result(tmp_path) == {"metrics": {}, "seeds": []}
    result = {"metrics": {"x": {"value": 1.0}}, "seeds": [0, 1]}
    (tmp_path / "results.json").write_text(json.dumps(result))
    assert read_result(tmp_path) == result
