"""Student copies: what is taken out, and that a copy stops at its first check."""

from pathlib import Path

import nbformat
import pytest
from notebook_maker import code, write_notebook

from toposlearn.course import student_copy, write_student_copies
from toposlearn.course.notebooks import numbered_notebooks, read_notebook, tags
from toposlearn.course.run import run_notebook

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


ROOT = Path(__file__).parents[2]
COURSE = numbered_notebooks(ROOT / "notebooks")
EXERCISED = [path for path in COURSE if any("check" in tags(cell) for cell in read_notebook(path).cells)]


def test_no_notebook_of_the_course_leaves_its_solution_in(tmp_path):
    for copy in write_student_copies(COURSE, tmp_path):
        assert not any("solution" in tags(cell) for cell in read_notebook(copy).cells), copy.name


@pytest.mark.parametrize("path", EXERCISED, ids=lambda path: path.stem)
def test_a_students_copy_of_the_course_is_the_source_up_to_its_first_exercise_and_then_comes_the_check(path):
    """So its first cells run as those of the source do, and `test_answers` shows that the check stops."""
    source = read_notebook(path)
    code_cells = [cell for cell in student_copy(source).cells if cell.cell_type == "code"]
    first = next(number for number, cell in enumerate(code_cells) if "exercise" in tags(cell))
    assert code_cells[: first + 1] == [cell for cell in source.cells if cell.cell_type == "code"][: first + 1]
    assert tags(code_cells[first + 1]) == ["check"]


@pytest.mark.notebook
def test_a_students_copy_of_notebook_01_stops_at_its_first_check(tmp_path):
    (path,) = [path for path in COURSE if path.name.startswith("01")]
    (copy,) = write_student_copies([path], tmp_path / "student")
    given = {"DATA": str(ROOT / "data" / "cohort"), "RESULTS": str(tmp_path / "results")}
    done = run_notebook(copy, tmp_path / "out", given)
    assert not done.ok, "the copy runs through: the check does not see that the exercise is undone"
    executed = read_notebook(tmp_path / "out" / path.name)
    failed = [tags(cell) for cell in executed.cells if any(o.output_type == "error" for o in cell.get("outputs", ()))]
    assert failed == [["check"]], f"stopped elsewhere: {done.error}"
