"""Verdicts from intervals, and the page of results."""

import json
import re
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from toposlearn.book.claims import Claim, Evidence, Finding, compare, judge, overall, unbeaten
from toposlearn.book.claims_figure import axis_label, draw_findings, findings_figure
from toposlearn.book.claims_list import ABLATION, CLAIMS, EVALUATION, MATCHING
from toposlearn.book.claims_page import read_result, write_results_page

ROOT = Path(__file__).parents[2]
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
    assert (found.verdict, found.subjects, found.null, found.baseline, found.reference) == (
        "holds",
        16,
        0.0,
        0.5,
        (0, 0),
    )
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


RIVAL = Evidence("full − rival", "A/full-rival/dice", "above", rival="the rival")


def test_a_rival_decides_nothing_and_is_named_unless_it_is_beaten():
    ours = Finding(BETTER, "holds")
    for verdict, named in (
        ("holds", []),
        ("undecided", ["the rival"]),
        ("does not hold", ["the rival"]),
        ("not measured", []),
    ):
        findings = [ours, Finding(RIVAL, verdict), Finding(RIVAL, "holds")]
        assert overall(findings) == "holds"
        assert unbeaten(findings) == named


def test_the_verdict_on_the_page_names_the_rival(tmp_path):
    numbers = {BETTER.metric: metric(0.2, 0.1, 0.3, n=16, null=0.0), RIVAL.metric: metric(-0.2, -0.3, -0.1, null=0.0)}
    write(tmp_path / EVALUATION, result(numbers))
    claim = Claim("It helps", "What was measured.", EVALUATION, "toposlearn evaluate", (BETTER, RIVAL))
    page = write_results_page(tmp_path / "sources", tmp_path / "results", tmp_path, [claim]).read_text()
    assert ">holds, but</span> not better than the rival | 1 of 1 |" in page
    assert '| rival: full − rival | <span class="verdict-does-not-hold">worse</span> |' in page
    assert "verdict-holds" not in page.partition("## Claim by claim")[0]


def shipped_findings(claim):
    return [judge(one, read_result(ROOT / claim.file)) for one in claim.evidence]


def test_a_code_for_position_is_named_beside_preserved_neighborhoods():
    """Its share of kept neighbors is higher than that of the method: a verdict without it would mislead."""
    (claim,) = [one for one in CLAIMS if one.title.startswith("Local neighborhoods")]
    assert any("a code for position" in name for name in unbeaten(shipped_findings(claim)))


def test_collapse_is_the_mean_cosine_and_nothing_else():
    """Effective rank and hubs are other quantities with claims of their own."""
    (claim,) = [one for one in CLAIMS if one.title == "The topology does not collapse"]
    assert all("/collapse/" in one.metric and one.side == "below" and one.against for one in claim.evidence)
    assert all(
        "collapse" not in one.label for each in CLAIMS for one in each.evidence if "/collapse/" not in one.metric
    )


def test_every_claim_about_full_between_people_meets_every_simpler_loss():
    between = [each for each in CLAIMS if any("full-position" in one.metric for one in each.evidence)]
    assert {each.file for each in between} == {ABLATION}
    for claim in between:
        others = {one.metric.split("/")[1] for one in claim.evidence}
        assert {"full-intra", "full-no_reconstruction", "full-centered"} <= others, claim.title


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


@pytest.mark.parametrize("file", [ABLATION, MATCHING, EVALUATION])
def test_the_names_of_the_claims_are_those_of_the_shipped_comparison(file):
    """A metric that was renamed would silently become "not measured"."""
    shipped = read_result(ROOT / file)
    evidence = [one for claim in CLAIMS if claim.file == file for one in claim.evidence]
    names = {name for one in evidence for name in (one.metric, one.against) if name}
    assert sorted(names - set(shipped["metrics"])) == []


def test_the_tables_of_the_tasks_are_on_the_page(tmp_path):
    write(tmp_path / EVALUATION, result({"A/full/structures/linear/dice": metric(0.5, 0.4, 0.6, n=16)}))
    page = write_results_page(tmp_path / "sources", tmp_path / "results", tmp_path, [CLAIM]).read_text()
    tables = page.partition("## Every variant and control: tasks")[2]
    assert "+ intra + inter (full)" in tables


def test_nothing_is_drawn_without_intervals(tmp_path):
    assert draw_findings([("x", Finding(BETTER, "not measured", 1.0))], tmp_path / "x.svg") == []
    assert not (tmp_path / "x.svg").exists()


def test_a_label_says_what_is_measured_and_in_which_unit():
    """Of every claim on the shipped numbers: differences of an error are in mm, shares are not."""
    for claim in CLAIMS:
        if "/" in claim.file:
            for one in shipped_findings(claim):
                label = axis_label(one)
                assert ("mm" in label) == one.evidence.metric.endswith("across_people_error"), label
                assert ("difference" in label) == (one.evidence.against is None and one.null == 0), label


def test_no_text_of_the_figure_is_cut():
    shipped = [claim for claim in CLAIMS if "/" in claim.file]
    pairs = [(claim.title, one) for claim in shipped for one in shipped_findings(claim) if one.low is not None]
    figure = findings_figure(pairs)
    FigureCanvasAgg(figure).draw()
    texts = [each for axis in figure.axes for each in (axis.xaxis.label, *axis.get_yticklabels())]
    boxes = [(each.get_text(), each.get_window_extent()) for each in texts]
    assert [text for text, box in boxes if box.x0 < 0 or box.x1 > figure.bbox.x1] == []
