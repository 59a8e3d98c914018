"""The status of a claim from intervals, and the page of results."""

import dataclasses
import json
import re
from functools import cache
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from toposlearn.book import pages
from toposlearn.book.claims import (
    Claim,
    ClaimStatus,
    Comparison,
    Evidence,
    axis_label,
    compare,
    comparisons_figure,
    draw_comparisons,
    interval_status,
    load_claims,
)
from toposlearn.book.pages import (
    ABLATION,
    EVALUATION,
    LANDMARKS,
    MALF,
    MATCHERS,
    PAIRING,
    read_result,
    write_results_page,
)

ROOT = Path(__file__).parents[2]
CLAIMS = load_claims()
WHERE = {"file": EVALUATION, "command": "toposlearn evaluate"}
BETTER = Evidence("full − other", "A/full-other/dice", "above", **WHERE)


def result(metrics, **more):
    return {"source": "toposlearn evaluate", "metrics": metrics, "seeds": [0, 1], **more}


def metric(value, low, high, **more):
    return {"value": value, "low": low, "high": high, **more}


@pytest.mark.parametrize(
    ("low", "high", "reference", "side", "status"),
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
def test_the_status_follows_from_the_interval(low, high, reference, side, status):
    assert interval_status(low, high, reference, side) == status


def test_a_number_is_looked_up_with_its_null_and_what_it_beats():
    metrics = {
        "A/full-other/dice": metric(0.2, 0.1, 0.3, n=16, null=0.0, unit="Dice"),
        "A/other/dice": metric(0.5, 0.4, 0.6),
        "A/full/overlap": metric(0.9, 0.8, 1.0, null=0.1, baseline=0.3),
        "A/reconstruction/overlap": metric(0.5, 0.4, 0.85),
    }
    better = compare(BETTER, result(metrics))
    assert (better.status, better.baseline, better.reference) == ("holds", 0.5, (0, 0))
    assert better.metric == metrics[BETTER.metric]
    overlap = compare(Evidence("overlap", "A/full/overlap", "above"), result(metrics))
    assert (overlap.baseline, overlap.status) == (0.3, "holds")
    against = compare(Evidence("overlap", "A/full/overlap", "above", "A/reconstruction/overlap"), result(metrics))
    assert (against.baseline, against.status) == (0.5, "undecided")


@pytest.mark.parametrize("there", [None, result({}), *(result({BETTER.metric: part}) for part in ({}, {"value": 1}))])
def test_what_is_missing_is_not_measured(there):
    assert compare(BETTER, there).status == "not measured"


def test_a_comparison_with_a_metric_that_is_missing_is_not_measured():
    against = Evidence("x", "A/full/overlap", "above", "A/absent/overlap")
    assert compare(against, result({"A/full/overlap": metric(0.9, 0.8, 1, null=0)})).status == "not measured"


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        (["holds", "holds"], "holds"),
        (["holds", "does not hold"], "does not hold"),
        (["does not hold", "not measured"], "does not hold"),
        (["holds", "undecided"], "undecided"),
        (["holds", "not measured"], "undecided"),
        (["not measured", "not measured"], "not measured"),
    ],
)
def test_a_claim_needs_all_of_its_numbers_and_falls_with_one(statuses, status):
    assert ClaimStatus(CLAIM, tuple(Comparison(BETTER, one) for one in statuses)).status == status


RIVAL = Evidence("full − rival", "A/full-rival/dice", "above", rival="the rival", **WHERE)
CLAIM = Claim("It helps", "What was measured.", (BETTER,))


@pytest.fixture
def show_only(monkeypatch):
    """Show one claim on the page."""
    return lambda claim: monkeypatch.setattr(pages, "load_claims", lambda: [claim])


@pytest.mark.parametrize("status", ["holds", "undecided", "does not hold", "not measured"])
def test_a_rival_decides_nothing_and_is_named_unless_it_is_beaten(status):
    comparisons = Comparison(BETTER, "holds"), Comparison(RIVAL, status), Comparison(RIVAL, "holds")
    claim = ClaimStatus(CLAIM, comparisons)
    assert claim.status == "holds"
    assert claim.unbeaten_rivals == (["the rival"] if status in ("undecided", "does not hold") else [])


def test_the_status_on_the_page_names_the_rival(tmp_path, show_only):
    numbers = {BETTER.metric: metric(0.2, 0.1, 0.3, n=16, null=0.0), RIVAL.metric: metric(-0.2, -0.3, -0.1, null=0.0)}
    write(tmp_path / EVALUATION, result(numbers))
    show_only(dataclasses.replace(CLAIM, evidence=(BETTER, RIVAL)))
    page = write_results_page(tmp_path / "sources", tmp_path / "results", tmp_path).read_text()
    assert ">holds, but</span> not better than the rival | 1 of 1 |" in page
    assert '| rival: full − rival | <span class="status-does-not-hold">worse</span> |' in page
    assert "status-holds" not in page.partition("## Claim by claim")[0]


@cache
def shipped(file):
    return read_result(ROOT / file)


def assessed(claim):
    return ClaimStatus(claim, tuple(compare(one, shipped(one.file)) for one in claim.evidence))


def test_a_code_for_position_is_named_beside_preserved_neighborhoods():
    """Its share of kept neighbors is higher than that of the method: a status without it would mislead."""
    (claim,) = [one for one in CLAIMS if one.title.startswith("Local neighborhoods")]
    assert any("a code for position" in name for name in assessed(claim).unbeaten_rivals)


def test_collapse_is_the_mean_cosine_and_nothing_else():
    """Effective rank and hubs are other quantities with claims of their own."""
    (claim,) = [one for one in CLAIMS if one.title == "The topology does not collapse"]
    assert all("/collapse/" in one.metric and one.side == "below" and one.against for one in claim.evidence)
    assert all(
        "collapse" not in one.label for each in CLAIMS for one in each.evidence if "/collapse/" not in one.metric
    )


def test_every_claim_about_full_between_people_meets_every_simpler_loss():
    between = [each for each in CLAIMS if any("full-position" in one.metric for one in each.evidence)]
    assert {file for each in between for file in each.files} == {ABLATION}
    for claim in between:
        others = {one.metric.split("/")[1] for one in claim.evidence}
        assert {"full-intra", "full-no_reconstruction", "full-centered"} <= others, claim.title


def test_what_is_said_of_real_people_are_the_shipped_numbers():
    relations, example = CLAIMS[:2]
    for file in (MALF, LANDMARKS):
        kept = shipped(file)["metrics"]["relations kept by all people"]
        assert re.search(
            rf"\b{kept['value'] * 100:.0f} %( have the same answer)? in all {kept['n']} ", relations.sentence
        )
        assert "sub-" not in (ROOT / file).read_text()
        assert "CC BY" in shipped(file)["config"]["source"]
    putamen, left, right = (
        shipped(MALF)["metrics"][f"thalamus medial to {name}"]
        for name in ("putamen, both sides", "caudate, left", "caudate, right")
    )
    assert f"in all {putamen['count']} people on both sides" in example.sentence
    assert f"in all {right['count']} on the right and in {left['count']} on the left" in example.sentence
    assert f"by margins of at most {right['margin_max']:.0f} mm" in example.sentence
    statuses = {one.evidence.label: one.status for one in assessed(example).comparisons}
    assert {status for label, status in statuses.items() if "putamen" in label or "pallidum" in label} == {"holds"}
    assert {status for label, status in statuses.items() if "accumbens" in label} == {"does not hold"}


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def test_the_page_states_numbers_command_and_file(tmp_path, show_only):
    show_only(CLAIM)
    numbers = {BETTER.metric: metric(-0.2, -0.3, -0.1, n=16, null=0.0), "A/other/dice": metric(0.5, 0.4, 0.6)}
    write(tmp_path / EVALUATION, result(numbers, commit="abc"))
    sources = tmp_path / "sources"
    page = write_results_page(sources, tmp_path / "results", tmp_path).read_text()
    status = '<span class="status-does-not-hold">does not hold</span>'
    assert f"| full − other | {status} | −0.2 | −0.3 to −0.1 | 0 | 0.5 | 16 | 2 |" in page
    assert "Measured by `toposlearn evaluate`" in page
    assert "](data/evaluation.json)" in page
    assert json.loads((sources / "data/evaluation.json").read_text())["commit"] == "abc"
    assert "full − other: -0.2, interval -0.3 to -0.1" in page  # the picture in words
    assert (sources / "claims.svg").read_text().startswith("<?xml")


def test_without_results_every_claim_is_not_measured_and_names_the_command(tmp_path):
    page = write_results_page(tmp_path / "sources", tmp_path / "results", tmp_path).read_text()
    assert set(re.findall(r"status-[a-z-]+", page)) == {"status-not-measured"}
    assert "figure" not in page
    for claim in CLAIMS:
        assert f"### {claim.title}" in page
        for file, command in claim.files.items():
            assert f"`{command}` writes `{file}` (not there yet)." in page


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
    # relations and segmentation twice: all and the example, structures and lesions
    assert sum(not claim.ours for claim in CLAIMS) == 9


@pytest.mark.parametrize("file", [ABLATION, MATCHERS, PAIRING, EVALUATION, MALF, LANDMARKS])
def test_the_names_of_the_claims_are_those_of_the_shipped_comparison(file):
    """A metric that was renamed would silently become "not measured"."""
    evidence = [one for claim in CLAIMS for one in claim.evidence if one.file == file]
    assert evidence
    names = {name for one in evidence for name in (one.metric, one.against) if name}
    assert sorted(names - set(shipped(file)["metrics"])) == []


def test_the_tables_of_the_tasks_are_on_the_page(tmp_path, show_only):
    show_only(CLAIM)
    write(tmp_path / EVALUATION, result({"A/full/structures/linear/dice": metric(0.5, 0.4, 0.6, n=16)}))
    page = write_results_page(tmp_path / "sources", tmp_path / "results", tmp_path).read_text()
    tables = page.partition("## Every variant and control: tasks")[2]
    assert "+ intra + inter (full)" in tables


def test_nothing_is_drawn_without_intervals(tmp_path):
    without = ClaimStatus(CLAIM, (Comparison(BETTER, "not measured", {"value": 1.0}),))
    assert draw_comparisons([without], tmp_path / "x.svg") == []
    assert not (tmp_path / "x.svg").exists()


def test_a_label_says_what_is_measured_and_in_which_unit():
    """Of every claim on the shipped numbers: differences of an error are in mm, shares are not."""
    for one in (one for claim in CLAIMS for one in assessed(claim).comparisons):
        label = axis_label(one)
        assert ("mm" in label) == one.evidence.metric.endswith("_error"), label
        assert ("difference" in label) == (one.evidence.against is None and one.metric.get("null") == 0), label


def test_no_text_of_the_figure_is_cut():
    pairs = [(claim.title, one) for claim in CLAIMS for one in assessed(claim).comparisons if "low" in one.metric]
    figure = comparisons_figure(pairs)
    FigureCanvasAgg(figure).draw()
    texts = [each for axis in figure.axes for each in (axis.xaxis.label, *axis.get_yticklabels())]
    boxes = [(each.get_text(), each.get_window_extent()) for each in texts]
    assert [text for text, box in boxes if box.x0 < 0 or box.x1 > figure.bbox.x1] == []
