"""Verdicts from intervals, and the page of results."""

import json
import re

import pytest

from toposlearn.claims import Claim, Evidence, Finding, compare, judge, overall
from toposlearn.claims_figure import draw_findings
from toposlearn.claims_list import ABLATION, CLAIMS, EVALUATION, MATCHING
from toposlearn.claims_page import read_result, write_results_page

BETTER = Evidence("full − other", "A/full-other/dice", "above")


def result(metrics, **more):
    return {"source": "toposlearn evaluate", "metrics": metrics, "seeds": [0, 1], **more}


def metric(value, low, high, **more):
    return {"value": value, "low": low, "high": high, **more}


@pytest.mark.parametrize(
    ("low", "high", "reference", "side", "verdict"),
    [
        (0.1, 0.3, (0, 0), "above", "holds"),
        (0.1, 0.3, (0, 0), "below", "does not hold"),
        (-0.3, -0.1, (0, 0), "below", "holds"),
        (-0.3, -0.1, (0, 0), "above", "does not hold"),
        (-0.1, 0.3, (0, 0), "above", "undecided"),
        (0.0, 0.3, (0, 0), "above", "undecided"),  # touches
        (0.0, 0.0, (0, 0), "above", "undecided"),
        (0.6, 0.8, (0.2, 0.5), "above", "holds"),
        (0.4, 0.8, (0.2, 0.5), "above", "undecided"),
        (0.0, 0.1, (0.2, 0.5), "above", "does not hold"),
        (float("nan"), float("nan"), (0, 0), "above", "undecided"),
        (None, 0.3, (0, 0), "above", "not measured"),
        (0.1, None, (0, 0), "above", "not measured"),
        (0.1, 0.3, None, "above", "not measured"),
    ],
)
def test_the_verdict_follows_from_the_interval(low, high, reference, side, verdict):
    assert compare(low, high, reference, side) == verdict


def test_a_number_is_looked_up_with_its_null_and_what_it_beats():
    metrics = {
        "A/full-other/dice": metric(0.2, 0.1, 0.3, n=16, null=0.0, unit="Dice"),
        "A/other/dice": metric(0.5, 0.4, 0.6),
        "A/full/overlap": metric(0.9, 0.8, 1.0, null=0.1, baseline=0.3),
        "A/reconstruction/overlap": metric(0.5, 0.4, 0.85),
    }
    found = judge(BETTER, result(metrics))
    assert (found.verdict, found.people, found.null, found.baseline, found.reference) == ("holds", 16, 0.0, 0.5, (0, 0))
    overlap = Evidence("overlap", "A/full/overlap", "above")
    assert (judge(overlap, result(metrics)).baseline, judge(overlap, result(metrics)).verdict) == (0.3, "holds")
    against = Evidence("overlap", "A/full/overlap", "above", "A/reconstruction/overlap")
    assert judge(against, result(metrics)).verdict == "undecided"
    assert judge(against, result(metrics)).baseline == 0.5


@pytest.mark.parametrize("there", [None, result({}), *(result({BETTER.metric: part}) for part in ({}, {"value": 1}))])
def test_what_is_missing_is_not_measured(there):
    assert judge(BETTER, there).verdict == "not measured"


def test_a_comparison_with_a_metric_that_is_missing_is_not_measured():
    against = Evidence("x", "A/full/overlap", "above", "A/absent/overlap")
    assert judge(against, result({"A/full/overlap": metric(0.9, 0.8, 1, null=0)})).verdict == "not measured"


@pytest.mark.parametrize(
    ("verdicts", "verdict"),
    [
        (["holds", "holds"], "holds"),
        (["holds", "does not hold"], "does not hold"),
        (["does not hold", "not measured"], "does not hold"),
        (["holds", "undecided"], "undecided"),
        (["holds", "not measured"], "undecided"),
        (["not measured", "not measured"], "not measured"),
    ],
)
def test_a_claim_needs_all_of_its_numbers_and_falls_with_one(verdicts, verdict):
    assert overall(Finding(BETTER, one) for one in verdicts) == verdict


CLAIM = Claim("It helps", "What was measured.", EVALUATION, "toposlearn evaluate", (BETTER,))


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def test_the_page_states_numbers_command_and_file(tmp_path):
    numbers = {BETTER.metric: metric(-0.2, -0.3, -0.1, n=16, null=0.0), "A/other/dice": metric(0.5, 0.4, 0.6)}
    write(tmp_path / EVALUATION, result(numbers, commit="abc"))
    sources = tmp_path / "sources"
    page = write_results_page(sources, tmp_path / "results", tmp_path, [CLAIM]).read_text()
    verdict = '<span class="verdict-does-not-hold">does not hold</span>'
    assert f"| full − other | {verdict} | −0.2 | −0.3 to −0.1 | 0 | 0.5 | 16 | 2 |" in page
    assert "Measured by `toposlearn evaluate`" in page
    assert "](data/evaluation.json)" in page
    assert json.loads((sources / "data/evaluation.json").read_text())["commit"] == "abc"
    assert "full − other: -0.2, interval -0.3 to -0.1" in page  # the picture in words
    assert (sources / "claims.svg").read_text().startswith("<?xml")


def test_without_results_every_claim_is_not_measured_and_names_the_command(tmp_path):
    page = write_results_page(tmp_path / "sources", tmp_path / "results", tmp_path).read_text()
    assert set(re.findall(r"verdict-[a-z-]+", page)) == {"verdict-not-measured"}
    assert "figure" not in page
    for claim in CLAIMS:
        assert f"### {claim.title}" in page
        assert f"`{claim.command}` writes `{claim.file}` (not there yet)." in page


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"metrics": 3}'])
def test_a_broken_result_file_is_named_in_one_line(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match=r"x.json is not a result file") as caught:
        read_result(tmp_path / "x.json")
    assert "\n" not in str(caught.value)


def test_the_claims_are_well_formed():
    for claim in CLAIMS:
        assert claim.evidence
        assert claim.sentence.endswith(".")
        assert len({one.label for one in claim.evidence}) == len(claim.evidence), claim.title
    assert len({claim.title for claim in CLAIMS}) == len(CLAIMS)
    assert (
        len([claim for claim in CLAIMS if not claim.ours]) == 9
    )  # relations and segmentation twice: all and the example, structures and lesions


@pytest.mark.parametrize("file", [ABLATION, MATCHING])
def test_the_names_of_the_claims_are_those_of_the_shipped_comparison(file):
    """A metric that was renamed would silently become "not measured"."""
    from pathlib import Path

    shipped = read_result(Path(__file__).parents[1] / file)
    names = [one.metric for claim in CLAIMS if claim.file == file for one in claim.evidence]
    assert [name for name in names if name not in shipped["metrics"]] == []


def test_the_tables_of_the_tasks_are_on_the_page(tmp_path):
    write(tmp_path / EVALUATION, result({"A/full/structures/linear/dice": metric(0.5, 0.4, 0.6, n=16)}))
    page = write_results_page(tmp_path / "sources", tmp_path / "results", tmp_path, [CLAIM]).read_text()
    tables = page.partition("## Every variant and control: tasks")[2]
    assert "+ intra + inter (full)" in tables


def test_nothing_is_drawn_without_intervals(tmp_path):
    assert draw_findings([("x", Finding(BETTER, "not measured", 1.0))], tmp_path / "x.svg") == []
    assert not (tmp_path / "x.svg").exists()
