"""What the README states: its numbers are those of the shipped results, its size, its links."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
METRICS = json.loads((ROOT / "checkpoints/lab/results.json").read_text())["metrics"]


@pytest.mark.parametrize("variant", ["full", "reconstruction", "position", "centered", "floor"])
def test_errors_between_people(variant):
    metric = METRICS[f"A/{variant}/stride4/across_people_error"]
    words = {"full": "{value:.1f} mm [{low:.1f}, {high:.1f}]"}.get(variant, "{value:.1f} mm")
    assert words.format(**metric) in TEXT
    assert f"On {metric['n']} held-out" in TEXT


def test_the_difference_to_intra():
    metric = METRICS["A/full-intra/stride4/across_people_error"]
    words = "{value:+.1f} mm [{low:+.1f}, {high:+.1f}]".format(**metric).replace("-", "−")
    assert words in TEXT


def test_it_is_short():
    assert len(TEXT.encode()) <= 10_000


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)\)", TEXT))))
def test_links_lead_to_files(target):
    assert (ROOT / target).exists()
