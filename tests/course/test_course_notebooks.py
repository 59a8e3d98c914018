"""Notebooks as files."""

from pathlib import Path

import nbformat
import pytest
from notebook_maker import code, write_notebook

from toposlearn.course import notebooks

PARAMETERS = code("STEPS = 3  # steps\nRATE = 0.5  # per step\nNAME = 'a'\nSIZES = (1, 2)\nLIMIT = None", "parameters")


def test_parameters_are_read_from_the_cell():
    notebook = nbformat.v4.new_notebook(cells=[PARAMETERS])
    assert notebooks.read_parameters(notebook) == {"STEPS": 3, "RATE": 0.5, "NAME": "a", "SIZES": (1, 2), "LIMIT": None}
    typed = nbformat.v4.new_notebook(cells=[code("X: int | None = None", "parameters")])
    assert notebooks.read_parameters(typed) == {"X": None}
    assert notebooks.read_parameters(nbformat.v4.new_notebook(cells=[code("x = 1")])) == {}


@pytest.mark.parametrize(("given", "fitted"), [("2", 2.0), (3, 3.0), ("1e-3", 1e-3)])
def test_a_number_fits_a_float(given, fitted):
    value = notebooks.check_parameters(nbformat.v4.new_notebook(cells=[PARAMETERS]), {"RATE": given}, "x")["RATE"]
    assert value == fitted
    assert isinstance(value, float)


def test_text_stays_text_and_literals_are_read():
    given = {"NAME": "12", "SIZES": "(3, 4)", "LIMIT": "5"}
    fitted = notebooks.check_parameters(nbformat.v4.new_notebook(cells=[PARAMETERS]), given, "x")
    assert fitted == {"NAME": "12", "SIZES": (3, 4), "LIMIT": 5}


@pytest.mark.parametrize("source", ["X = 1 + y", "X = Y = 1", "import os", "print(1)"])
def test_a_parameters_cell_holds_plain_literals(source):
    with pytest.raises(ValueError, match="parameters cell"):
        notebooks.read_parameters(nbformat.v4.new_notebook(cells=[code(source, "parameters")]))


def test_the_course_is_the_numbered_notebooks_in_order(tmp_path):
    with pytest.raises(FileNotFoundError, match="no numbered notebook"):
        notebooks.numbered_notebooks(tmp_path)
    second, first = write_notebook(tmp_path / "01_b.ipynb"), write_notebook(tmp_path / "00_a.ipynb")
    write_notebook(tmp_path / "draft.ipynb")
    assert notebooks.numbered_notebooks(tmp_path) == [first, second]


def test_the_working_directorys_notebooks_come_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert notebooks.course_folder().parent == Path(notebooks.__file__).resolve().parents[2]
    (tmp_path / "notebooks").mkdir()
    assert notebooks.course_folder().resolve() == (tmp_path / "notebooks").resolve()


def test_only_paths_other_than_the_usual_are_parameters(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").mkdir()
    assert notebooks.default_paths(Path("data/cohort"), Path("runs/latest")) == {}
    assert notebooks.default_paths(Path("mine"), Path("runs/latest")) == {"DATA": str(tmp_path / "mine")}
    assert notebooks.default_paths(Path("data/cohort"), Path("o")) == {"RESULTS": str(tmp_path / "o" / "results")}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("# Title\n\n**Is it near?**\n", ("Title", "Is it near?")),
        ("# Who is `next`?\n\n> *Which `one`?*\nWhy?", ("Who is `next`?", "Which one?")),
        ("# Title\nNo question.", ("Title", "")),
    ],
)
def test_heading_reads_title_and_question(source, expected):
    assert notebooks.heading(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(source)])) == expected
