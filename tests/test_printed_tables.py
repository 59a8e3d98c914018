"""A table in Markdown that a cell prints is a wall of bars and dashes: it must be displayed, not printed."""

from pathlib import Path

import nbformat
import pytest

from toposlearn.course.notebooks import numbered_notebooks, read_notebook

ROOT = Path(__file__).parents[1]


def raw_tables(executed):
    """Indices of the cells whose printed text holds the ruler of a Markdown table."""
    streams = {
        index: "\n".join(output.text for output in cell.outputs if output.output_type == "stream")
        for index, cell in enumerate(executed.cells)
        if cell.cell_type == "code"
    }
    return [index for index, text in streams.items() if any(line.startswith("|--") for line in text.splitlines())]


def test_a_printed_table_is_found_and_a_displayed_one_is_not():
    table = "| network | Dice |\n|---|---|\n| full | 0.22 |"
    printed = nbformat.v4.new_output("stream", text=table)
    displayed = nbformat.v4.new_output("display_data", {"text/markdown": table, "text/plain": "<Markdown>"})
    cells = [nbformat.v4.new_code_cell("", outputs=[each]) for each in (displayed, printed)]
    assert raw_tables(nbformat.v4.new_notebook(cells=cells)) == [1]


@pytest.mark.notebook
@pytest.mark.parametrize("path", numbered_notebooks(ROOT / "notebooks"), ids=lambda path: path.stem)
def test_the_course_displays_its_tables(path):
    run = ROOT / "runs" / "latest" / "notebooks" / path.name
    assert run.exists(), f"{run} is missing: `make run` first"
    assert not raw_tables(read_notebook(run)), f"{path.name}: display(Markdown(table)) instead of print(table)"
