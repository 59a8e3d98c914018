"""The map of the course is read from its notebooks: titles, questions, exercises and measured times."""

from pathlib import Path

import pytest
from notebook_maker import code, write_notebook

from toposlearn.book.build import update_notebook
from toposlearn.course.notebooks import (
    course_map,
    course_stops,
    course_summary,
    heading,
    numbered_notebooks,
    read_notebook,
    tags,
)
from toposlearn.course.run import NotebookRun

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.fixture
def folder(tmp_path):
    exercises = [code("def f(): ...", "exercise") for _ in range(2)]
    write_notebook(tmp_path / "00_a.ipynb", code("1"))
    write_notebook(tmp_path / "01_b.ipynb", *exercises)
    run = NotebookRun("01_b", "B", "Q?", None, 12.4, 1_234_000_000, environment="python 3.11 · CPU")
    update_notebook(tmp_path / "01_b.ipynb", run)
    return tmp_path


def test_each_notebook_is_a_row_with_what_it_states(folder):
    first, second = course_map(course_stops(folder)).splitlines()[2:]
    assert first == "| [00 A tiny notebook](00_a.ipynb) | Does it run? |  |  |"
    assert second == "| [01 A tiny notebook](01_b.ipynb) | Does it run? | 2 | 12 s |"


def test_the_summary_counts_and_names_the_slowest(folder):
    stops = course_stops(folder)
    assert course_summary(stops) == (
        "Notebooks: 2; with exercises: 1, which hold 2 in all. "
        "On an idle machine the slowest, 01, takes 12 s. A busy machine takes several times as long."
    )
    assert course_summary(stops[:1]) == "Notebooks: 1; with exercises: 0, which hold 0 in all."


def test_the_map_of_the_course_holds_every_notebook_and_its_exercises():
    stops = course_stops(NOTEBOOKS)
    rows = course_map(stops).splitlines()[2:]
    paths = numbered_notebooks(NOTEBOOKS)
    assert len(stops) == len(rows) == len(paths)
    for path, stop, row in zip(paths, stops, rows, strict=True):
        notebook = read_notebook(path)
        title, question = heading(notebook)
        assert f"[{path.stem[:2]} {title}]({path.name}) | {question} |" in row
        assert stop.exercises == [tag for cell in notebook.cells for tag in tags(cell)].count("exercise")
        assert stop.seconds, f"{path.name} does not say how long it takes"


def test_the_first_notebook_shows_the_map_instead_of_a_list_of_its_own():
    first = read_notebook(numbered_notebooks(NOTEBOOKS)[0])
    text = "\n".join(cell.source for cell in first.cells if cell.cell_type == "markdown")
    assert any("course_map(" in cell.source for cell in first.cells if cell.cell_type == "code")
    assert "| 01" not in text
    assert "three minutes" not in text
