"""The text of the notebooks against what they print: of the last `make run`, and of small notebooks."""

from pathlib import Path

import nbformat
import pytest

from toposlearn.course.notebooks import numbered_notebooks, read_notebook
from toposlearn.course.prose import unsupported_numbers

ROOT = Path(__file__).parents[1]
TITLE = nbformat.v4.new_markdown_cell("# Title, measured: 99 s")


def executed(printed, text):
    output = nbformat.v4.new_output("stream", text=printed)
    code = nbformat.v4.new_code_cell("K = 5\nprint(result)", outputs=[output])
    return nbformat.v4.new_notebook(cells=[TITLE, code, nbformat.v4.new_markdown_cell(text)])


@pytest.mark.parametrize(
    ("printed", "text"),
    [
        ("error 26.84 mm", "The error is 26.8 mm."),
        ("share 0.273", "That is 27 %, or 0.27, or .27."),
        ("27%", "27 % of them."),
        ("1368 directions", "Of 1,368 directions."),
        ("values: 4", "Four values say it; with `17` tokens and $x = 18$; two people, one head."),
        ("nothing", "With K five neighbors. <!-- numbers: 31.0 and half from benchmarks/x.py --> Half: 31.0 mm."),
        ("nothing", "See notebook 13, notebooks 03 and 04 and [12 Where](12_where.ipynb), a 64³ grid, T1w, /8."),
    ],
)
def test_what_was_printed_or_declared_may_be_said(printed, text):
    assert unsupported_numbers(executed(printed, text)) == []


@pytest.mark.parametrize(
    ("printed", "text", "number"),
    [
        ("error 26.84 mm", "The error is 27.4 mm.", "27.4"),
        ("share 0.273", "That is 31 %.", "31 %"),
        ("values: 5", "Four values say it.", "Four"),
        ("0.272 of 0.5", "About half of it.", "half"),
        ("0.272 of 0.5", "Half of it.", "Half"),
    ],
)
def test_what_was_not_printed_is_found(printed, text, number):
    (found,) = unsupported_numbers(executed(printed, text))
    assert (found.cell, found.number) == (2, number)


def test_a_number_must_be_printed_before_it_is_said():
    notebook = executed("26.8", "")
    notebook.cells.insert(1, nbformat.v4.new_markdown_cell("We will find 26.8 mm."))
    assert [each.cell for each in unsupported_numbers(notebook)] == [1]


@pytest.mark.notebook
@pytest.mark.parametrize("path", numbered_notebooks(ROOT / "notebooks"), ids=lambda path: path.stem)
def test_the_course_says_only_numbers_that_it_printed(path):
    run = ROOT / "runs" / "latest" / "notebooks" / path.name
    assert run.exists(), f"{run} is missing: `make run` first"
    found = unsupported_numbers(read_notebook(run))
    assert not found, "\n".join(f"{path.name}, cell {each.cell}: {each.number!r} in «{each.around}»" for each in found)
