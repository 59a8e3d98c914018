"""Student copies: what is taken out, and that a copy stops at its first check."""

import nbformat
import pytest
from notebook_maker import code, write_notebook

from toposlearn.course import student_copy, write_student_copies
from toposlearn.course.notebooks import course_folder, numbered_notebooks, read_notebook, tags
from toposlearn.run import run_notebook

EXERCISE = code("def double(x):\n    raise NotImplementedError('your turn')", "exercise")
SOLUTION = code("def double(x):\n    return 2 * x", "solution")
CHECK = code("assert double(2) == 4, 'twice, not once'", "check")


def test_solutions_and_outputs_go_the_rest_stays(tmp_path):
    path = write_notebook(tmp_path / "00_a.ipynb", EXERCISE, SOLUTION, CHECK)
    source = read_notebook(path)
    source.cells[1].outputs = [nbformat.v4.new_output("stream", text="42")]
    student = student_copy(source)
    assert [tags(cell) for cell in student.cells] == [[], ["exercise"], ["check"]]
    assert student.cells[1].outputs == []
    assert len(source.cells) == 4


def test_the_source_runs_and_the_students_copy_stops_at_the_check(tmp_path):
    path = write_notebook(tmp_path / "source" / "00_a.ipynb", EXERCISE, SOLUTION, CHECK)
    (copy,) = write_student_copies([path], tmp_path / "student")
    assert run_notebook(path, tmp_path / "out").ok
    assert run_notebook(copy, tmp_path / "out").error == "In [2]: NotImplementedError: your turn"


def test_the_sources_are_not_overwritten(tmp_path):
    path = write_notebook(tmp_path / "00_a.ipynb", SOLUTION)
    with pytest.raises(ValueError, match="choose another folder"):
        write_student_copies([path], tmp_path)
    assert len(read_notebook(path).cells) == 2


def test_no_notebook_of_the_course_leaves_its_solution_in(tmp_path):
    for copy in write_student_copies(numbered_notebooks(course_folder()), tmp_path):
        assert not any("solution" in tags(cell) for cell in read_notebook(copy).cells), copy.name
