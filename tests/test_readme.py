"""What the README states: its numbers are those of the shipped results, its size, its links."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
METRICS = json.loads((ROOT / "checkpoints/lab/results.json").read_text())["metrics"]
NAMED = ("full", "position", "rigid", "affine")


@pytest.mark.parametrize("variant", ["full", "reconstruction", "position", "centered", "affine", "floor"])
def test_errors_between_people(variant):
    metric = METRICS[f"A/{variant}/stride4/across_people_error"]
    words = {"full": "{value:.1f} mm [{low:.1f}, {high:.1f}]"}.get(variant, "{value:.1f} mm")
    assert words.format(**metric) in " ".join(TEXT.split())
    assert f"On {metric['n']} held-out" in TEXT


def test_errors_between_real_people():
    words = " ".join(TEXT.split())
    upright, posed = (
        {name: METRICS[f"{group}/{name}/stride4/fitted_error"] for name in NAMED} for group in ("R-up", "R")
    )
    full = "with an error of {value:.1f} mm [{low:.1f}, {high:.1f}] as scanned".format(**upright["full"])
    assert full + " and {value:.1f} mm [{low:.1f}, {high:.1f}] posed".format(**posed["full"]) in words
    assert f"{upright['full']['n']} real people" in words
    both = {name: f"{upright[name]['value']:.1f} and {posed[name]['value']:.1f} mm" for name in NAMED}
    assert f"grid position has {both['position']}, rigid registration {both['rigid']}, and affine" in words
    assert f"which is better, {both['affine']}." in words
    assert (
        METRICS["R-up/full-affine/stride4/fitted_error"]["low"]
        > 0
        < METRICS["R/full-affine/stride4/fitted_error"]["low"]
    )


def test_the_difference_to_intra():
    metric = METRICS["A/full-intra/stride4/across_people_error"]
    words = "{value:+.1f} mm [{low:+.1f}, {high:+.1f}]".format(**metric).replace("-", "−")
    assert words in TEXT


def test_relations_of_real_people():
    metrics = json.loads((ROOT / "checkpoints/real/malf_topology.json").read_text())["metrics"]
    words = " ".join(TEXT.split())
    kept, neighbors = metrics["relations kept by all people"], metrics["neighbor agreement"]
    assert f"In {kept['n']} real adults with hand-drawn structures, {kept['value'] * 100:.0f} % of" in words
    assert "overlap by {value:.2f} ({null:.2f} with shuffled names)".format(**neighbors) in words
    putamen, pallidum = (metrics[f"thalamus medial to {name}, both sides"] for name in ("putamen", "pallidum"))
    assert putamen["count"] == pallidum["count"]
    interval = f"{putamen['low'] * 100:.0f} to {putamen['high'] * 100:.0f} %"
    assert f"pallidum in {putamen['count']} of {putamen['n']} (95 % interval {interval})" in words
    assert f"left caudate in {metrics['thalamus medial to caudate, left']['count']}," in words
    assert metrics["thalamus medial to accumbens, left"]["count"] == 0


def test_it_is_short():
    assert len(TEXT.encode()) <= 10_000


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)\)", TEXT))))
def test_links_lead_to_files(target):
    assert (ROOT / target).exists()
