"""The record of a run: index, README's table, measured times in notebooks."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from notebook_maker import code, write_notebook

from toposlearn.book.build import BEGIN, END, update_notebook, update_readme, write_index
from toposlearn.course.notebooks import BUSY, numbered_notebooks, read_notebook
from toposlearn.course.run import NotebookRun, record

ROOT = Path(__file__).parents[2]
GOOD = NotebookRun("00_a", "Start <here>", "Why?", None, 12.4, 1_234_000_000, environment="python 3.11 · CPU")
BAD = NotebookRun(
    "01_b", "Next", "How?", "In [2]: ValueError: a < b", 3.0, 250_000_000, environment="python 3.11 · CPU"
)


def test_index_lists_every_run_with_links_to_what_exists(tmp_path):
    record(tmp_path, GOOD)
    record(tmp_path, BAD)
    assert "Read the book" not in write_index(tmp_path).read_text()
    for name in ("book/index.html", "book/00_a.html", "notebooks/00_a.ipynb", "results/x.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps({"source": "notebooks/00_a.ipynb", "metrics": {}}))
    page = write_index(tmp_path).read_text()
    assert "Notebooks run: 2. Failed: 1." in page
    assert "Start &lt;here&gt;" in page
    assert "In [2]: ValueError: a &lt; b" in page
    assert '<a href="book/index.html">Read the book</a>' in page
    assert 'href="book/00_a.html"' in page
    assert 'href="notebooks/00_a.ipynb"' in page
    assert 'href="results/x.json"' in page
    assert "01_b.html" not in page
    assert "<td>12</td><td>1.2 GB</td>" in page
    assert page.count("python 3.11 · CPU") == 1


def test_index_without_failure_and_a_broken_result(tmp_path):
    record(tmp_path, GOOD)
    assert "Notebooks run: 1. Failed: 0." in write_index(tmp_path).read_text()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "x.json").write_text("{")
    with pytest.raises(ValueError, match=r"x.json is not a result file"):
        write_index(tmp_path)


def test_readme_table_replaces_only_what_is_between_the_markers(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"# Title\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):
        update_readme(readme, [GOOD])
    text = readme.read_text()
    assert text.startswith(f"# Title\n{BEGIN}\n| notebook |")
    assert text.endswith(f"{END}\nafter\n")
    assert "| [Start <here>](notebooks/00_a.ipynb) | Why? | 12 s | 1.2 GB |" in text
    assert "| all | | 12 s | 1.2 GB |" in text
    assert "| time on an idle machine |" in text
    assert f"Measured: python 3.11 · CPU, idle but for the notebook. {BUSY}\n" in text
    assert "old" not in text


def test_readme_without_markers_or_with_failed_runs_is_left_alone(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("# Title\n")
    with pytest.raises(ValueError, match="two markers"):
        update_readme(readme, [GOOD])
    readme.write_text(f"{BEGIN}\n{END}\n")
    for runs, message in (
        ([GOOD, BAD], "01_b failed"),
        ([], "no notebook was run"),
        ([replace(GOOD, jobs=2)], "several notebooks ran at a time"),
    ):
        with pytest.raises(ValueError, match=message):
            update_readme(readme, runs)
    assert readme.read_text() == f"{BEGIN}\n{END}\n"


def test_a_notebook_states_its_measured_time_once(tmp_path):
    path = write_notebook(tmp_path / "00_a.ipynb", code("1"))
    for _ in range(2):
        update_notebook(path, GOOD)
    first = read_notebook(path).cells[0].source
    assert first.startswith("# A tiny notebook\n\n**Does it run?**\n\n<!-- measured:begin -->\n*Measured: 12 s on an ")
    assert "12 s on an idle machine, 1.2 GB of memory (python 3.11 · CPU). A busy machine takes several" in first
    assert first.count("Measured") == 1
    assert first.endswith("<!-- measured:end -->")
    assert path.read_text().endswith("}\n")
    assert not path.read_text().endswith("\n\n")


@pytest.mark.parametrize("path", numbered_notebooks(ROOT / "notebooks"), ids=lambda path: path.stem)
def test_a_promise_of_time_is_one_of_an_idle_machine(path):
    """Red after a change of the wording: `toposlearn report --readme` writes it anew from the last `make run`."""
    first = read_notebook(path).cells[0].source
    assert re.search(rf"Measured: \d+ s on an idle machine, .*{BUSY}", first), f"{path.name}, cell 0"


def test_the_readme_promises_times_of_an_idle_machine():
    table = (ROOT / "README.md").read_text().partition(BEGIN)[2].partition(END)[0]
    assert "time on an idle machine" in table
    assert BUSY in table
